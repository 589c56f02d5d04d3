"""Every command that reads a finished run compares it with its seal, and says which file has changed."""

import json
import os
import shutil

import pytest

from study.cli import merge
from study.errors import StudyError
from study.records.existing import Existing, read_config
from study.records.status import read_status
from study.sweep.trial_scores import score_of
from tests.conftest import reseal, run_folders, snapshot

TRIAL = ("data=digits", "epochs=2", "reg=l1", "model.hidden=[5]", "keep_model=true")
SHORT = ("data=digits", "reg=l2", "model.hidden=[5]", "keep_checkpoint=true", "loop=general")
NO_UTF8 = b"seed: \xff\xfe\n"


def flip(file):
    """Flip a bit in the middle of a file."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_status_checks_all_files_of_all_runs(study, small):
    assert "6 runs checked: 6 unchanged, 0 changed" in study("status", "name=small", "check=true").out
    changed, unreadable, earlier, *_ = run_folders(small)
    flip(changed / "run.log")
    (changed / "test.csv").unlink()
    (unreadable / "status.json").write_text('{"state": "comp')
    reseal(earlier, keep=False)
    before = snapshot(small)
    result = study("status", "name=small", "check=true")
    assert result.code == 1
    lines = [line.split(maxsplit=2) for line in result.out.splitlines()]
    assert ["changed", changed.name, "run.log (other content), test.csv (missing)"] in lines
    assert ["changed", unreadable.name, "status.json (unreadable)"] in lines
    assert "5 runs checked: 3 unchanged, 2 changed; 1 not checked (trained by an earlier version" in result.out
    assert snapshot(small) == before
    assert study("status", "name=small").code == 0  # which reads no files


def test_merge_takes_no_run_that_has_changed(study, small):
    changed, unreadable, *_ = run_folders(small)
    flip(changed / "predictions.npz")
    (unreadable / "status.json").write_text("")
    before = snapshot(small)
    result = study("merge", "copy", "small")
    assert result.code == 1
    assert "4 runs copied" in result.out
    errors = sorted(result.err.splitlines())
    assert f"{changed.name} has changed since the run ended: predictions.npz (other content)" in errors[0]
    assert f"{unreadable.name} has no readable status.json" in errors[1]
    assert [run.name for run in run_folders(small.parent / "copy")] == [run.name for run in run_folders(small)[2:]]
    assert snapshot(small) == before


def test_merge_checks_what_it_has_copied(study, small, monkeypatch):
    def half(into, source, target):
        shutil.copy2(source, target)
        if target.endswith("weights.csv"):
            os.truncate(target, os.path.getsize(target) // 2)

    monkeypatch.setattr(merge, "_copy_file", half)
    result = study("merge", "copy", "small")
    assert result.code == 1
    assert result.err.count(": the copy differs: weights.csv (") == 6
    assert run_folders(small.parent / "copy") == []
    assert not (small.parent / "copy" / ".work").exists()


def test_merge_says_that_its_own_run_is_the_one_that_has_changed(study, small):
    shutil.copytree(small, small.parent / "other")
    own = run_folders(small)[0]
    flip(own / "weights.csv")
    result = study("merge", "small", "other")
    assert result.code == 1
    assert "is kept; has changed since the run ended: weights.csv (other content)" in result.out


@pytest.mark.parametrize("name", ["config.yaml", "metrics.csv", "predictions.npz", "status.json"])
@pytest.mark.parametrize("sealed", [True, False])
@pytest.mark.parametrize("content", [b"", NO_UTF8, b"[1, 2]\n", None])
def test_show_diff_and_verify_of_a_damaged_run_say_so(study, small, name, sealed, content):
    run, other, *_ = run_folders(small)
    if not sealed:
        reseal(run, keep=False)
    (run / name).unlink() if content is None else (run / name).write_bytes(content)
    before = snapshot(small)
    results = [study("show", str(run)), study("diff", str(run), str(other))]
    if name in ("config.yaml", "status.json") or sealed:  # else it is trained again, which other tests do
        results.append(study("verify", str(run)))
    for result in results:
        assert result.err.count("\n") == (result.code == 1)  # one line, no traceback
        assert result.code == 1 or not (sealed or name in ("config.yaml", "status.json"))
    assert snapshot(small) == before


def test_a_test_score_that_is_added_later_is_sealed_and_nothing_else(study, tmp_path):
    assert study(*TRIAL).code == 0
    (run,) = run_folders(tmp_path / "outputs" / "default")
    (run / "test.csv").unlink()
    reseal(run)
    sealed = read_status(run)["seal"]
    flip(run / "weights.csv")
    assert "test set was scored" in study(*TRIAL).out
    after = read_status(run)["seal"]
    assert after.keys() - sealed.keys() == {"test.csv"}
    assert {name for name in sealed if sealed[name] != after[name]} <= {"val.csv", "predictions.npz", "run.log"}
    checked = study("status", "name=default", "check=true").out
    assert "weights.csv (other content)\n1 runs checked" in checked


def test_a_test_score_that_was_interrupted_is_taken_again(study, tmp_path):
    assert study(*TRIAL).code == 0
    (run,) = run_folders(tmp_path / "outputs" / "default")
    whole = (run / "test.csv").read_bytes()
    (run / "test.csv").unlink()
    reseal(run)
    (run / "test.csv").write_bytes(whole)  # written, but the process was killed before the seal
    assert "test set was scored" in study(*TRIAL).out
    assert (run / "test.csv").read_bytes() == whole
    assert study("status", "name=default", "check=true").code == 0


def test_weights_that_have_changed_are_not_scored(study, tmp_path):
    assert study(*TRIAL).code == 0
    (run,) = run_folders(tmp_path / "outputs" / "default")
    (run / "test.csv").unlink()
    reseal(run)
    flip(run / "model.safetensors")
    result = study(*TRIAL)
    assert result.code == 1
    assert "has changed since the run ended: model.safetensors (other content)" in result.out
    assert not (run / "test.csv").exists()


@pytest.mark.parametrize("name", ["checkpoint.pt", "metrics.csv", None])
def test_a_longer_run_begins_with_no_checkpoint_that_has_changed(study, tmp_path, name):
    assert study(*SHORT, "epochs=1").code == 0
    (short,) = run_folders(tmp_path / "outputs" / "default")
    if name:
        flip(short / name)
    assert study(*SHORT, "epochs=2").code == 0
    (long,) = (run for run in run_folders(tmp_path / "outputs" / "default") if run != short)
    assert ("resumes after epoch 1" in (long / "run.log").read_text()) == (name is None)


def test_a_kept_model_and_checkpoint_are_sealed_and_may_go(study, tmp_path):
    assert study(*SHORT, "epochs=1", "keep_model=true").code == 0
    (run,) = run_folders(tmp_path / "outputs" / "default")
    assert {"checkpoint.pt", "model.safetensors"} <= read_status(run)["seal"].keys()
    (run / "checkpoint.pt").unlink()
    assert study("status", "name=default", "check=true").code == 0
    flip(run / "model.safetensors")
    assert "model.safetensors (other content)" in study("status", "name=default", "check=true").out
    assert study("analyze", "name=default", "figures=[]").code == 0  # which does not read it
    drawn = study("analyze", "name=default", "figures=[first_layer]")
    assert drawn.code == 1
    assert "has changed since the run ended: model.safetensors (other content)" in drawn.err


@pytest.mark.parametrize("how", ["edited", "emptied, without a seal"])
def test_nothing_is_chosen_by_a_trial_score_that_has_changed(small, how):
    run = run_folders(small)[0]
    if how == "edited":
        flip(run / "val.csv")
    else:
        reseal(run, keep=False)
        (run / "val.csv").write_text("")
    trial = Existing(run, run, read_status(run), read_config(run))
    with pytest.raises(StudyError, match=r"has changed since the run ended: val.csv|has no valid val.csv"):
        score_of(trial, "val_accuracy")


def test_a_diverged_run_is_sealed_and_a_failed_one_is_not(study, tmp_path):
    study("data=digits", "epochs=1", "model.hidden=[5]", "optimizer=sgd", "optimizer.lr=1e30")
    (run,) = run_folders(tmp_path / "outputs" / "default")
    status = json.loads((run / "status.json").read_text())
    assert status["state"] == "diverged"
    assert set(status["seal"]) == {path.name for path in run.iterdir()} - {"status.json"}
