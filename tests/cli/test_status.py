"""`study status`, `show` and `diff` say what is in the files, and change nothing."""

import os
import shutil

import pytest

from study.records import processes
from tests.conftest import run_folders


def as_work(run, owner):
    """Move a run to where it would be while it is trained, after two epochs."""
    work = run.parent / ".work" / f"{run.name}@{owner}"
    work.parent.mkdir(exist_ok=True)
    os.rename(run, work)
    (work / "status.json").write_text((work / "status.json").read_text().replace('"complete"', '"running"'))
    lines = (work / "metrics.csv").read_text().splitlines(keepends=True)
    (work / "metrics.csv").write_text("".join(lines[:4]))
    return work


def test_status_tells_complete_running_stale_interrupted_failed_and_planned(study, small):
    runs = run_folders(small)
    live = f"{processes.host()}~{os.getpid()}~{processes.start_of(os.getpid())}~aaaa"
    as_work(runs[0], live)
    as_work(runs[1], f"{processes.host()}~{os.getpid()}~1~aaaa")
    as_work(runs[2], "free")
    failed = (runs[3] / "status.json").read_text().replace('"complete"', '"failed", "cause": "a full disk"')
    (runs[3] / "status.json").write_text(failed)
    shutil.rmtree(runs[4])
    before = {path: path.stat().st_mtime_ns for path in small.rglob("*")}
    result = study("status", "name=small")
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[0] == "outputs/small: 1 complete, 1 failed, 1 interrupted, 1 planned, 1 running, 1 stale"
    listed = {line.split()[0]: line for line in lines[1:]}
    assert runs[0].name in listed["running"]
    assert "epoch 2 of 3" in listed["running"]
    assert runs[1].name in listed["stale"]
    assert runs[2].name in listed["interrupted"]
    assert "a full disk" in listed["failed"]
    assert runs[4].name in listed["planned"]
    assert {path: path.stat().st_mtime_ns for path in small.rglob("*")} == before


def test_show_finds_a_run_by_folder_or_beginning_of_its_id(study, small):
    run = run_folders(small)[0]
    by_id, by_folder = study("show", run.name[-12:-4]), study("show", f"outputs/small/{run.name}")
    assert by_id.out == by_folder.out
    for part in ("state      complete", "val_accuracy", "torch", "_target_: study.regularizers.penalties.L1"):
        assert part in by_id.out


def test_diff_names_only_what_differs(study, small):
    one, other = (folder.name for folder in sorted(small.glob("l*-seed0-*")))
    out = study("diff", one[-12:], other[-12:]).out
    assert {line.split(":")[0] for line in out.splitlines()} == {"lam", "reg.option", "reg._target_"}
    assert "lam: 0.0001 | 0.01" in out
    assert study("diff", one[-12:], one[-12:]).out == "no difference\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["status", "name=nothing"], "does not exist"),
        (["status", "nmae=small"], "there is no such key. Allowed keys: name"),
        (["status", "name=../small"], "without '/' and '..'"),
        (["show"], "takes one run"),
        (["show", "zzz"], "matches no run"),
        (["show", ""], "or more characters of its id"),
        (["diff", "a"], "takes two runs"),
    ],
)
def test_mistakes_are_told_in_one_line(study, small, arguments, message):
    result = study(*arguments)
    assert result.code == 1
    assert result.err.count("\n") == 1
    assert message in result.err


def test_diff_tells_when_only_what_is_behind_the_config_differs(study, small):
    run = run_folders(small)[0]
    copy = small / run.name.replace("seed0", "seed9")
    shutil.copytree(run, copy)
    (copy / "status.json").write_text((copy / "status.json").read_text().replace('"run_id": "', '"run_id": "0'))
    assert "your own code or the data differ" in study("diff", str(run), str(copy)).out
    assert study("diff", str(run), str(run)).out == "no difference\n"


@pytest.mark.parametrize("command", ["status", "show", "diff", "verify", "merge", "compact", "expand", "clean"])
def test_every_subcommand_has_help(study, command):
    result = study(command, "--help")
    assert result.code == 0
    assert f"study {command}" in result.out


@pytest.mark.parametrize("content", ["{", "[]\n", '{"run": "x"}\n', "3\n"])
def test_a_damaged_list_of_runs_trained_twice_is_named(study, small, content):
    (small / "twice.jsonl").write_text(content)
    result = study("status", "name=small")
    assert result.code == 0
    assert "outputs/small/twice.jsonl cannot be read. It lists the runs that were trained twice" in result.out
