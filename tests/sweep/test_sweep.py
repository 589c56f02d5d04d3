"""Sweeps: side by side, each run once, failures told and contained, the same bytes every time."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pandas as pd
import pytest
from rich.console import Console

from study.records import processes
from study.sweep import progress
from tests.conftest import run_command, run_folders, under_way

QUICK = ("data=digits", "epochs=2", "model.hidden=[10]")


def state(folder):
    return json.loads((folder / "status.json").read_text())["state"]


def without_seconds(folder):
    lines = (folder / "metrics.csv").read_text().splitlines()
    return [line.rpartition(",")[0] for line in lines]


def test_the_same_config_gives_the_same_bytes(study, tmp_path):
    for name in ("one", "two"):
        assert study(*QUICK, "reg=l1", f"name={name}").code == 0
    (one,), (two,) = (run_folders(tmp_path / "outputs" / name) for name in ("one", "two"))
    assert one.name == two.name
    assert without_seconds(one) == without_seconds(two)
    for file in ("weights.csv", "histogram.csv", "test.csv", "predictions.npz"):
        assert (one / file).read_bytes() == (two / file).read_bytes()


def test_a_sweep_trains_equal_points_once_and_gives_the_bytes_of_single_runs(study, tmp_path):
    result = study("-m", *QUICK, "reg=none,l1", "lam=1e-4,1e-3", "name=many")
    assert result.code == 0
    many = run_folders(tmp_path / "outputs" / "many")
    assert [folder.name.rsplit("-", 1)[0] for folder in many] == [
        "l1-lam0.0001-seed0",
        "l1-lam0.001-seed0",
        "none-seed0",
    ]
    study(*QUICK, "reg=l1", "lam=1e-3", "name=single")
    (single,) = run_folders(tmp_path / "outputs" / "single")
    assert without_seconds(single) == without_seconds(many[1])


def test_a_complete_run_is_left_alone_and_only_what_is_missing_is_trained(study, tmp_path):
    study(*QUICK, "reg=l1")
    (run,) = run_folders(tmp_path / "outputs" / "default")
    before = {path.name: path.stat().st_mtime_ns for path in run.iterdir()}
    result = study("-m", *QUICK, "reg=l1,l2")
    assert f"outputs/default/{run.name} skipped (already complete)" in result.out
    assert "1 already complete, 1 to run" in result.out
    assert {path.name: path.stat().st_mtime_ns for path in run.iterdir()} == before
    assert len(run_folders(tmp_path / "outputs" / "default")) == 2


def test_a_variant_keeps_its_name_when_a_later_sweep_varies_more(study, tmp_path):
    study(*QUICK, "reg=l1")
    study(*QUICK, "-m", "reg=l1", "optimizer.lr=1e-3,1e-2", "seeds=2", "workers=1")
    names = sorted(folder.name.rsplit("-", 1)[0] for folder in run_folders(tmp_path / "outputs" / "default"))
    assert names == [
        "l1-lam0.0001-lr0.01-seed0",
        "l1-lam0.0001-lr0.01-seed1",
        "l1-lam0.0001-seed0",
        "l1-lam0.0001-seed1",
    ]


def test_divergence_is_a_result(study, tmp_path):
    result = study(*QUICK, "optimizer=sgd", "optimizer.lr=1e30")
    assert result.code == 0
    assert "diverged" in result.out
    (run,) = run_folders(tmp_path / "outputs" / "default")
    assert state(run) == "diverged"
    assert len(pd.read_csv(run / "metrics.csv")) == 2
    assert "skipped (already complete)" in study(*QUICK, "optimizer=sgd", "optimizer.lr=1e30").out


FAIL_LATER = """
import os, signal
from collections import Counter
calls = Counter()
def failing(w):
    calls["failing"] += 1
    if calls["failing"] > 50:
        raise RuntimeError("no more patience")
    return w.abs().sum()
def killed(w):
    calls["killed"] += 1
    if calls["killed"] > 50:
        os.kill(os.getpid(), signal.SIGKILL)
    return w.abs().sum()
"""


@pytest.mark.slow
def test_a_failing_run_stops_no_other_is_shown_and_makes_the_exit_status(tmp_path):
    (tmp_path / "own" / "reg").mkdir(parents=True)
    (tmp_path / "my_penalties.py").write_text(FAIL_LATER)
    causes = {"failing": "RuntimeError: no more patience", "killed": "killed by SIGKILL"}
    for function in causes:
        (tmp_path / "own" / "reg" / f"{function}.yaml").write_text(f"_target_: my_penalties.{function}\nlam: 1e-3\n")
    result = run_command(
        *("-m", "--config-dir", "own", *QUICK, "reg=failing,killed,l1,l2", "workers=2"),
        cwd=tmp_path,
        PYTHONPATH=str(tmp_path),
    )
    assert result.code == 1
    runs = {folder.name.split("-")[0]: folder for folder in run_folders(tmp_path / "outputs" / "default")}
    states = {reg: state(folder) for reg, folder in runs.items()}
    assert states == {"failing": "failed", "killed": "failed", "l1": "complete", "l2": "complete"}
    for function, cause in causes.items():
        assert cause in result.out
        assert cause in json.loads((runs[function] / "status.json").read_text())["cause"]


@pytest.mark.slow
def test_ctrl_c_leaves_interrupted_runs_and_the_command_goes_on_later(tmp_path):
    command = [sys.executable, "-m", "study", "-m", "data=digits", "epochs=2000", "reg=none,l1", "name=long"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    outputs, deadline = tmp_path / "outputs" / "long", time.monotonic() + 60
    while time.monotonic() < deadline:
        if len([f for f in outputs.glob(".work/*/metrics.csv") if f.read_text().count("\n") > 3]) == 2:
            break
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted; the same command resumes" in err
    assert "Traceback" not in err
    assert [state(folder) for folder in under_way(outputs)] == ["interrupted", "interrupted"]


@pytest.mark.slow
def test_workers_die_with_their_parent(tmp_path):
    command = [sys.executable, "-m", "study", "-m", "data=digits", "epochs=5000", "reg=none,l1"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    outputs, deadline = tmp_path / "outputs" / "default", time.monotonic() + 60
    while time.monotonic() < deadline and len(list(outputs.glob(".work/*/status.json"))) < 2:
        time.sleep(0.1)
    owners = [json.loads(f.read_text())["owner"]["pid"] for f in outputs.glob(".work/*/status.json")]
    assert len(owners) == 2
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and any(processes.start_of(pid) for pid in owners):
        time.sleep(0.1)
    assert not any(processes.start_of(pid) for pid in owners)


@pytest.mark.slow
def test_without_a_compiler_the_general_loop_trains_all_runs_after_a_word_of_warning(tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "numba.py").write_text("raise ImportError('no compiler on this machine')\n")
    result = run_command(
        *("-m", "reg=none,l1", "data=digits", "epochs=1", "model.hidden=[5]"),
        cwd=tmp_path,
        PYTHONPATH=str(tmp_path / "broken"),
    )
    assert result.code == 0, result.err
    assert "compiled code cannot be used here (ImportError: no compiler on this machine)" in result.out
    paths = [json.loads(file.read_text())["path"] for file in tmp_path.glob("outputs/default/*/status.json")]
    assert paths == ["general", "general"]


def test_a_terminal_shows_a_row_for_each_running_run_as_far_as_there_is_room(tmp_path, monkeypatch):
    for height, expected in ((24, 2), (7, 1), (4, 0)):
        screen = io.StringIO()
        terminal = Console(file=screen, force_terminal=True, width=140, height=height)
        monkeypatch.setattr(progress, "console", terminal)
        tasks = [SimpleNamespace(folder=tmp_path / f"run{number}", last_epoch=4) for number in range(3)]
        with progress.Display(tasks) as display:
            for number in (0, 1):
                display.started(number)
                row = {"train_accuracy": 1, "val_accuracy": 0.5, "train_loss": 0, "val_loss": 0, "seconds": 1}
                display.epoch(number, 2, row)
            display.bar.refresh()
            shown = display.bar.tasks
            assert [task.description.strip() for task in shown[1:]] == ["run0", "run1"][:expected]
            assert all(task.fields["left"] == "loss 0.0000, val 50.00%" for task in shown[1:])
            assert shown[0].completed == 4
