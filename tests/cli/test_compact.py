"""`study compact` and `expand`; the other commands see compacted runs as they see folders; mistakes get one line."""

import os
import shutil
import sys

import pytest

from study.records.compacted import COMPACTED
from study.records.compacting import compact
from tests.conftest import reseal, run_folders, snapshot
from tests.records.test_seal import flip

FEW = ("data=digits", "epochs=3", "model.hidden=[20]", "name=small", "workers=1")


def test_compact_and_expand_print_what_they_do(study, small):
    before = snapshot(small)
    result = study("compact", "name=small")
    assert result.code == 0
    assert result.out.startswith("outputs/small/compacted: 6 runs folded; ")
    assert study("compact", "name=small").out == "outputs/small: nothing to compact\n"
    assert study("expand", "name=small").out == "outputs/small: 6 runs are folders again\n"
    assert before.items() <= snapshot(small).items()


def test_a_sweep_given_again_trains_no_compacted_run(study, small):
    study("compact", "name=small")
    before = snapshot(small)
    result = study("-m", "reg=none,l1,l2", "seeds=2", *FEW)
    assert result.code == 0
    assert "outputs/small: 6 already complete, 0 to run" in result.out
    assert snapshot(small) == before
    more = study("-m", "reg=none,l1,l2", "seeds=3", *FEW)
    assert "6 already complete, 3 to run" in more.out
    assert [run.name.rpartition("-")[0] for run in run_folders(small)] == [
        "l1-lam0.0001-seed2",
        "l2-lam0.01-seed2",
        "none-seed2",
    ]
    assert "outputs/small: 9 complete" in study("status", "name=small", "check=true").out


@pytest.mark.parametrize("arguments", [["show"], ["diff"], ["verify"]])
def test_commands_for_one_run_print_the_same(study, small, arguments):
    one, other, *_ = run_folders(small)
    arguments += [one.name[-12:]] if arguments != ["diff"] else [f"outputs/small/{one.name}", other.name[-12:]]
    before = study(*arguments)
    study("compact", "name=small")
    after = study(*arguments)
    assert (after.code, after.out, after.err) == (before.code, before.out, before.err)
    assert after.code == 0


def test_merge_takes_compacted_runs_and_compares_with_them(study, small):
    folders, copy = run_folders(small), small.parent / "copy"
    shutil.copytree(small, copy)
    before = {run.name: snapshot(run) for run in folders}
    study("compact", "name=small")
    assert "6 runs copied" in study("merge", "new", "small").out
    assert {run.name for run in run_folders(small.parent / "new")} == before.keys()
    for run in run_folders(small.parent / "new"):
        assert sorted(snapshot(run).values()) == sorted(before[run.name].values())
    assert "0 runs copied, 6 skipped" in study("merge", "small", "copy").out
    assert run_folders(small) == []


def test_clean_does_not_delete_compacted_runs_and_says_so(study, small):
    run = run_folders(small)[0]
    (run / "status.json").write_text((run / "status.json").read_text().replace('"run_id": "', '"run_id": "0'))
    reseal(run)
    study("compact", "name=small")
    before = snapshot(small)
    result = study("clean", "name=small", "remove=true")
    assert "kept: 1 outdated runs are compacted. To delete them, give study expand name=small first" in result.out
    assert snapshot(small) == before


def test_a_compacted_trial_is_not_scored_but_the_line_says_what_to_do(study, tmp_path):
    few = ("data=digits", "epochs=1", "model.hidden=[5]", "name=small")
    study(*few)
    (run,) = run_folders(tmp_path / "outputs" / "small")
    (run / "test.csv").unlink()
    reseal(run)
    study("compact", "name=small")
    result = study(*few)
    assert result.code == 1
    assert "is compacted, and its test set is not scored yet. Give study expand name=small first" in result.err
    assert result.err.count("\n") == 1
    study("expand", "name=small")
    assert study(*few).code == 0
    assert (run / "test.csv").is_file()


def test_a_changed_run_is_named_and_stays_a_folder(study, small):
    run = run_folders(small)[0]
    flip(run / "weights.csv")
    result = study("compact", "name=small")
    assert result.code == 1
    assert "5 runs folded" in result.out
    assert result.err.startswith(f"study: error: outputs/small/{run.name} has changed since the run ended: weights.csv")
    assert result.err.count("\n") == 1
    assert run_folders(small) == [run]


MISTAKES = {
    "compact name=nope": "outputs/nope does not exist. Studies here: small",
    "expand name=nope": "outputs/nope does not exist. Studies here: small",
    "expand name=small": "outputs/small has no compacted runs, so there is nothing to expand",
    "compact small": "small: there is no such key. Allowed keys: name. Example: name=small",
    "compact name=small remove=true": "remove=true: there is no such key. Allowed keys: name",
    "expand name=../small": "name=../small",
    "compact name=": "name=",
}


@pytest.mark.parametrize("arguments", MISTAKES)
def test_a_mistake_is_told_in_one_line_and_nothing_is_written(study, small, arguments):
    before = snapshot(small.parent)
    result = study(*arguments.split())
    assert result.code == 1
    assert result.err.count("\n") == 1
    assert MISTAKES[arguments] in result.err
    assert snapshot(small.parent) == before


@pytest.mark.parametrize("command", ["compact", "expand", "status", "analyze", "clean", "-m reg=none data=digits"])
def test_without_pyarrow_each_command_names_what_to_install(study, small, monkeypatch, command):
    if command != "compact":
        compact(small)
    before = snapshot(small)
    for module in [name for name in sys.modules if name.partition(".")[0] == "pyarrow"]:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    result = study(*command.split(), "name=small")
    assert result.code == 1
    assert result.err.count("\n") == 1
    assert "compacted runs require pyarrow: pip install 'regstudy[parquet]'" in result.err
    assert snapshot(small).keys() - {small / ".compact.lock"} == before.keys() - {small / ".compact.lock"}


@pytest.mark.parametrize("command", ["expand", "status", "analyze", "clean", "-m reg=none data=digits"])
@pytest.mark.parametrize("damage", ["emptied", "cut off", "not Parquet"])
def test_a_damaged_file_is_told_in_one_line_and_nothing_is_deleted(study, small, command, damage):
    compact(small)
    (part,) = (small / COMPACTED).iterdir()
    content = {"emptied": b"", "cut off": part.read_bytes()[:-9], "not Parquet": b"thesis" * 99}[damage]
    part.write_bytes(content)
    result = study(*command.split(), "name=small")
    assert result.code == 1
    assert result.err.count("\n") == 1
    assert "outputs/small/compacted/part-00000.parquet is damaged" in result.err
    assert part.read_bytes() == content


def test_a_file_in_the_way_of_the_data_set_is_named(study, small):
    (small / COMPACTED).write_text("mine")
    before = snapshot(small)
    result = study("compact", "name=small")
    assert result.code == 1
    assert "outputs/small/compacted" in result.err
    assert result.err.count("\n") == 1
    assert before.items() <= snapshot(small).items()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_study_is_told(study, small):
    small.chmod(0o500)
    result = study("compact", "name=small")
    small.chmod(0o700)
    assert result.code == 1
    assert result.err.count("\n") == 1
