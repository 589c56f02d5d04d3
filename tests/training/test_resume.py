"""An interrupted run resumes, and ends with the bytes of one that was not."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from tests.conftest import run_folders, run_here, under_way
from tests.sweep.test_sweep import state, without_seconds

LONG = ("data=digits", "epochs=40", "model.hidden=[200]", "reg=l1", "checkpoint_every=0")
SAME = (
    "weights.csv",
    "ranks.csv",
    "calibration.csv",
    "pruning_curve.csv",
    "histogram.csv",
    "val.csv",
    "test.csv",
    "sparsity.csv",
    "pruning.csv",
)


def same_bytes(one, two):
    assert without_seconds(one) == without_seconds(two)
    for file in SAME:
        assert (one / file).read_bytes() == (two / file).read_bytes(), file
    with (one / "predictions.npz").open("rb") as a, (two / "predictions.npz").open("rb") as b:
        assert a.read() == b.read()


def break_off(tmp_path, signal_, *arguments, after=5):
    """Start a command, and send it a signal once its run has some epochs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "study", *arguments],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    metrics = tmp_path / "outputs" / "default"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if any(file.read_text().count("\n") > after for file in metrics.glob(".work/*/metrics.csv")):
            break
        time.sleep(0.01)
    os.kill(process.pid, signal_)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """The folder of the run when nothing happens to it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert run_here(*LONG, cwd=folder).code == 0
    return run_folders(folder / "outputs" / "default")[0]


@pytest.fixture(scope="session")
def killed(tmp_path_factory):
    """A folder in which the run was killed."""
    folder = tmp_path_factory.mktemp("killed")
    assert break_off(folder, signal.SIGKILL, *LONG)[0] == -signal.SIGKILL
    return folder


def test_a_killed_run_goes_on_from_its_checkpoint_with_the_same_bytes(study, tmp_path, undisturbed, killed):
    shutil.copytree(killed, tmp_path, dirs_exist_ok=True)
    (stopped,) = under_way(tmp_path / "outputs" / "default")
    assert state(stopped) == "running"
    with (stopped / "metrics.csv").open("a") as file:
        file.write("99,0.1,0.")  # what a kill in the middle of a write leaves
    result = study(*LONG)
    assert result.code == 0
    assert "1 to resume, 0 to run" in result.out
    (run,) = run_folders(tmp_path / "outputs" / "default")
    assert under_way(run.parent) == []
    assert "resumes after epoch" in (run / "run.log").read_text()
    assert json.loads((run / "status.json").read_text())["resumed"] == 1
    assert not (run / "checkpoint.pt").exists()
    same_bytes(run, undisturbed)


@pytest.mark.slow
def test_ctrl_c_finishes_the_epoch_and_the_run_goes_on_from_there(study, tmp_path, undisturbed):
    code, out, err = break_off(tmp_path, signal.SIGINT, *LONG, "checkpoint_every=1000")
    assert code == 130
    assert "finishing the running epochs" in out
    assert "the same command resumes" in err
    (given_back,) = under_way(tmp_path / "outputs" / "default")
    assert given_back.name.endswith("@free")
    assert state(given_back) == "interrupted"
    assert (given_back / "checkpoint.pt").exists()
    rows = len(pd.read_csv(given_back / "metrics.csv"))
    study(*LONG)
    (run,) = run_folders(tmp_path / "outputs" / "default")
    assert f"resumes after epoch {rows - 1}" in (run / "run.log").read_text()
    same_bytes(run, undisturbed)


@pytest.mark.parametrize(
    "damage", ["cut", "foreign", pytest.param("other threads", marks=pytest.mark.slow), "rows lost"]
)
def test_a_checkpoint_that_cannot_be_continued_starts_the_run_anew(study, tmp_path, undisturbed, killed, damage):
    shutil.copytree(killed, tmp_path, dirs_exist_ok=True)
    (stopped,) = under_way(tmp_path / "outputs" / "default")
    checkpoint = stopped / "checkpoint.pt"
    if damage == "cut":
        checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    elif damage == "foreign":
        checkpoint.write_text("my thesis")
    elif damage == "rows lost":
        (stopped / "weights.csv").write_text("")
    assert study(*LONG, *(["threads=2"] if damage == "other threads" else [])).code == 0
    (run,) = run_folders(tmp_path / "outputs" / "default")
    assert "resumes after" not in (run / "run.log").read_text()
    if damage == "other threads":
        assert json.loads((run / "status.json").read_text())["threads"] == 2
    else:
        same_bytes(run, undisturbed)


@pytest.mark.slow
def test_more_epochs_go_on_from_a_kept_checkpoint_in_a_run_of_their_own(study, tmp_path, undisturbed):
    study(*LONG, "epochs=13", "keep_checkpoint=true")
    (short,) = run_folders(tmp_path / "outputs" / "default")
    before = {path.name: path.read_bytes() for path in short.iterdir()}
    study(*LONG, "epochs=40")
    (long,) = (run for run in run_folders(tmp_path / "outputs" / "default") if run != short)
    assert "resumes after epoch 13" in (long / "run.log").read_text()
    assert {path.name: path.read_bytes() for path in short.iterdir()} == before
    same_bytes(long, undisturbed)


def test_more_epochs_start_anew_where_code_of_one_s_own_has_changed(study, tmp_path, monkeypatch):
    (tmp_path / "own" / "reg").mkdir(parents=True)
    (tmp_path / "own" / "reg" / "mine.yaml").write_text("_target_: growing_penalty.penalty\nlam: 1e-4\n")
    monkeypatch.syspath_prepend(tmp_path / "own")
    code = tmp_path / "own" / "growing_penalty.py"
    few = ("--config-dir=own", "reg=mine", "data=digits", "data.train_size=50", "model.hidden=[5]", "workers=1")
    code.write_text("def penalty(w):\n    return w.abs().sum()\n")
    assert study(*few, "epochs=1", "keep_checkpoint=true").code == 0
    code.write_text("def penalty(w):\n    return w.square().sum()\n")
    assert study(*few, "epochs=2").code == 0
    logs = {
        (run / "run.log").read_text().count("resumes after") for run in run_folders(tmp_path / "outputs" / "default")
    }
    assert logs == {0}


def test_without_a_kept_checkpoint_more_epochs_start_anew(study, tmp_path):
    study(*LONG, "epochs=2")
    study(*LONG, "epochs=3")
    assert not any(
        "resumes after" in (run / "run.log").read_text() for run in run_folders(tmp_path / "outputs" / "default")
    )


def test_kept_models_are_safetensors_under_the_parameters_names(study, tmp_path):
    from safetensors.numpy import load_file

    study(*LONG, "epochs=1", "keep_model=true")
    (run,) = run_folders(tmp_path / "outputs" / "default")
    weights = pd.read_csv(run / "weights.csv").query("epoch == 1").set_index("parameter")
    tensors = load_file(run / "model.safetensors")
    assert set(tensors) == set(weights.index)
    for name, tensor in tensors.items():
        assert abs(tensor).max() == pytest.approx(weights.loc[name, "abs_max"])


def test_a_failed_run_is_tried_again_only_when_told_to(study, tmp_path):
    study(*LONG, "epochs=1")
    (run,) = run_folders(tmp_path / "outputs" / "default")
    status = json.loads((run / "status.json").read_text())
    (run / "status.json").write_text(json.dumps(status | {"state": "failed", "cause": "a full disk"}))
    result = study(*LONG, "epochs=1")
    assert result.code == 1
    assert "skipped (failed earlier). retry_failed=true" in result.out
    assert study(*LONG, "epochs=1", "retry_failed=true").code == 0
    assert state(run) == "complete"


def test_what_a_sweep_was_going_to_train_is_kept(study, tmp_path):
    study(*LONG, "-m", "epochs=1", "lam=1e-3,1e-4", "workers=1")
    (line,) = (tmp_path / "outputs" / "default" / "sweeps.jsonl").read_text().splitlines()
    frozen = json.loads(line)
    assert frozen["command"][-2:] == ["lam=1e-3,1e-4", "workers=1"]
    assert [run["config"]["lam"] for run in frozen["runs"]] == [1e-3, 1e-4]
    assert [run["folder"] for run in frozen["runs"]] == sorted(
        (folder.name for folder in run_folders(tmp_path / "outputs" / "default")), reverse=True
    )


def test_a_dry_run_says_what_would_be_trained_and_writes_nothing(study, tmp_path):
    study(*LONG, "epochs=2")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    result = study(*LONG, "-m", "epochs=2", "lam=1e-4,1e-3", "dry_run=true")
    assert result.code == 0
    assert "1 already complete, 1 to run" in result.out
    assert "would train outputs/default/l1-lam0.001-seed0-" in result.out
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
