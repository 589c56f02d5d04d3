"""What the analysis reads is what the run wrote, or the run is named and left out; an edit on purpose is said."""

import os
import pickle
import shutil

import numpy as np
import pandas as pd
import pytest

from study.analysis import load
from study.analysis.reading import index, seals
from study.analysis.reading.collect import collect
from study.records import changes
from tests.conftest import products, reseal, run_folders

FILES = (
    *("config.yaml", "run.log", "predictions.npz", "metrics.csv", "weights.csv", "histogram.csv", "val.csv"),
    *("test.csv", "sparsity.csv", "pruning.csv", "invariants.csv"),
)
DAMAGES = {
    "truncated": lambda content, _: content[:-7],
    "appended to": lambda content, _: content + b"9,9,9\n",
    "one bit flipped": lambda content, _: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
    "another run's": lambda _, other: other,
}
FOOTER = "With allow=[changed], compared although files changed since the run ended in 1 of 6 runs"


@pytest.fixture
def small(finished, tmp_path):
    """A copy of the finished study that a test may change."""
    shutil.copytree(finished / "outputs", tmp_path / "outputs")
    return tmp_path / "outputs" / "small"


def damage(run, name, how):
    """Damage a file of a run, or delete it."""
    if how == "deleted":
        (run / name).unlink()
        return
    other = run_folders(run.parent)[-1]
    (run / name).write_bytes(DAMAGES[how]((run / name).read_bytes(), (other / name).read_bytes()))


def better(run):
    """Raise the last val accuracy of a run by hand, as somebody might."""
    metrics = pd.read_csv(run / "metrics.csv")
    metrics.loc[metrics.index[-1], "val_accuracy"] = 0.98
    metrics.to_csv(run / "metrics.csv", index=False, lineterminator="\n")


@pytest.mark.parametrize("name", FILES)
def test_a_run_with_a_damaged_file_is_left_out_and_the_file_is_named(small, monkeypatch, name):
    monkeypatch.setattr(index, "SETTLED", -1.0)
    run, *others = run_folders(small)
    collect(small).remember()
    for how in ("truncated", "one bit flipped", "another run's", "deleted"):
        content = (run / name).read_bytes()
        damage(run, name, how)
        found = collect(small)
        (line,) = found.damaged
        assert line.startswith(f"{run} has changed since the run ended: {name} (")
        assert line.endswith(
            "; restore the files, or delete the folder and train the run again,"
            " or analyze it as it is with allow=[changed]"
        )
        assert set(found.runs["run"]) == {folder.name for folder in others}
        (run / name).write_bytes(content)
    assert collect(small).damaged == ()


def test_a_number_edited_by_hand_is_named_and_the_others_are_analyzed(study, small):
    run = run_folders(small)[0]
    better(run)
    before = {path: path.read_bytes() for path in run.iterdir()}
    result = study("analyze", "name=small", "figures=[]")
    assert result.code == 1
    assert result.err.startswith(f"study: error: outputs/small/{run.name} has changed since the run ended: metrics.csv")
    assert result.err.count("\n") == 1
    assert pd.read_csv(small / "analysis" / "runs.csv")["run"].nunique() == 5
    assert "Left out as invalid: 1 " in (small / "analysis" / "gap_table.md").read_text()
    assert {path: path.read_bytes() for path in run.iterdir()} == before


def test_who_edits_on_purpose_is_heard_and_the_tables_say_so(study, small):
    run = run_folders(small)[0]
    better(run)
    for _ in range(2):  # the index does not take it for unchanged
        result = study("analyze", "name=small", "figures=[]", "allow=[changed]")
        assert (result.code, result.err) == (0, "")
        for name in ("gap_table", "significance", "sparsity"):
            assert f"{FOOTER} ({run.name})" in (small / "analysis" / f"{name}.md").read_text()
    assert pd.read_csv(small / "analysis" / "runs.csv").set_index("run")["seal"].to_dict() == {
        folder.name: "changed" if folder == run else "fits" for folder in run_folders(small)
    }
    assert study("analyze", "name=small", "figures=[]").code == 1


def test_a_file_that_a_run_did_not_write_is_named(small):
    run, other, *_ = run_folders(small)
    (run / "label_noise.csv").write_text("epoch,labels,loss,accuracy,count\n3,given,1.0,0.5,100\n")
    shutil.copy(other / "test.csv", run / "notes.txt")  # is nobody's business
    (line,) = load(small).left_out
    assert "label_noise.csv (added later)" in line


@pytest.mark.parametrize("sealed", [True, False])
def test_a_second_copy_of_a_run_does_not_count_twice(small, sealed):
    run = run_folders(small)[0]
    copy = small / f"a-{run.name}"  # which comes before the run
    shutil.copytree(run, copy)
    if not sealed:
        reseal(copy, keep=False)
    found = collect(small)
    left = run if sealed else copy  # rather the one that can be checked
    (line,) = found.damaged
    kept = copy if sealed else run
    assert line == f"{left} has variant l1-lam0.0001 and seed 0, like {kept.name}; move one elsewhere"
    assert len(found.runs) == 6


def pickled(run):
    content = {f"{split}_{key}": np.array([object()]) for split in ("val", "test") for key in ("label", "predicted")}
    np.savez(run / "predictions.npz", **content)


def a_pickle(run):
    (run / "predictions.npz").write_bytes(pickle.dumps([1, 2]))


def without_test(run):
    with np.load(run / "predictions.npz") as stored:
        arrays = {name: stored[name] for name in stored if name != "test_label"}
    np.savez(run / "predictions.npz", **arrays)


def of_an_array(run):
    np.save(run / "predictions.npy", np.zeros(3))
    (run / "predictions.npy").rename(run / "predictions.npz")


UNSOUND = {  # what is known without a seal
    "predictions truncated": ("predictions.npz", lambda run: damage(run, "predictions.npz", "truncated")),
    "predictions emptied": ("predictions.npz", lambda run: (run / "predictions.npz").write_bytes(b"")),
    "predictions deleted": ("predictions.npz", lambda run: damage(run, "predictions.npz", "deleted")),
    "predictions of another run": ("predictions.npz", lambda run: damage(run, "predictions.npz", "another run's")),
    "predictions pickled": ("predictions.npz", pickled),
    "predictions that are a pickle": ("predictions.npz", a_pickle),
    "predictions that are an array": ("predictions.npz", of_an_array),
    "predictions without test_label": ("predictions.npz", without_test),
    "histogram appended to": ("histogram.csv", lambda run: damage(run, "histogram.csv", "appended to")),
    "config that is no UTF-8": ("config.yaml", lambda run: (run / "config.yaml").write_bytes(b"seed: \xff\xfe\n")),
    "config of a list": ("config.yaml", lambda run: (run / "config.yaml").write_text("- 1\n")),
    "test score twice": ("test.csv", lambda run: twice(run / "test.csv")),
    "accuracy of 98": ("metrics.csv", lambda run: multiplied(run / "metrics.csv")),
}


def twice(file):
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([*lines, lines[-1]]))


def multiplied(file):
    metrics = pd.read_csv(file)
    metrics.assign(val_accuracy=100 * metrics["val_accuracy"]).to_csv(file, index=False, lineterminator="\n")


@pytest.mark.parametrize("what", UNSOUND)
@pytest.mark.parametrize("sealed", [False, True])
def test_without_a_seal_and_where_changes_are_allowed_what_cannot_be_read_is_named(small, what, sealed):
    run = run_folders(small)[0]
    name, spoil = UNSOUND[what]
    if not sealed:
        reseal(run, keep=False)
    spoil(run)
    found = collect(small, allow_changed=True)
    (line,) = found.damaged
    assert line.startswith(f"{run} has ")
    assert name in line
    assert "\n" not in line
    assert len(found.runs) == 5


def test_runs_of_before_are_read_as_ever_and_counted_in_one_line(study, small):
    study("analyze", "name=small", "figures=[]")
    sealed = products(small)
    for run in run_folders(small)[:2]:
        reseal(run, keep=False)
    result = study("analyze", "name=small", "figures=[]")
    assert (result.code, result.err) == (0, "")
    assert "2 of 6 runs have no seal" in result.out
    same = products(small).keys() - {"runs.csv", "report.html"}
    assert {name: products(small)[name] for name in same} == {name: sealed[name] for name in same}


def test_sums_are_taken_once_and_an_edit_that_keeps_size_and_time_is_noticed(small, monkeypatch):
    monkeypatch.setattr(index, "SETTLED", -1.0)
    collect(small).remember()
    with monkeypatch.context() as patch:
        patch.setattr(changes, "sha256_of", None)  # whoever takes a sum now fails
        assert len(collect(small).runs) == 6
    file = run_folders(small)[0] / "histogram.csv"
    before = file.stat()
    with open(file, "r+b") as content:
        content.seek(-3, os.SEEK_END)
        content.write(b"7")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    (line,) = collect(small).damaged
    assert "histogram.csv (other content)" in line


def test_other_processes_find_what_this_one_would(small, monkeypatch):
    damage(run_folders(small)[2], "weights.csv", "one bit flipped")
    reseal(run_folders(small)[3], keep=False)
    alone = collect(small)
    monkeypatch.setattr(seals, "MANY", 4)
    together = collect(small)
    assert together.damaged == alone.damaged
    pd.testing.assert_frame_equal(together.runs, alone.runs)


def test_status_json_vouches_for_itself(study, small):
    """What it says of the run cannot be changed unseen either: here the name of the variant."""
    run = run_folders(small)[0]
    status = (run / "status.json").read_text()
    (run / "status.json").write_text(status.replace('"variant": "', '"variant": "my_', 1))
    result = study("analyze", "name=small", "figures=[]")
    assert result.code == 1
    assert f"{run.name} has changed since the run ended: status.json (other content)" in result.err
    assert study("status", "name=small", "check=true").code == 1


@pytest.mark.parametrize("seal", ["nonsense", {"metrics.csv": 3}, {"../x": {"size": 1, "sha256": ""}}])
def test_a_seal_that_cannot_be_read_fits_nothing(small, seal):
    run = run_folders(small)[0]
    assert changes.changes(run, {"seal": seal}) == ["status.json (unreadable seal)"]
