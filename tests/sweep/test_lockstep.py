"""Sweeps whose runs train in lockstep: the files of each run are the same alone, with companions, and after a kill."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from study.records import run_folder
from study.records.comparison import differing
from study.records.files import append_whole
from study.training import crew
from tests.conftest import run_folders, run_here, under_way

FEW = ("data=digits", "model.hidden=[12]", "data.train_size=300", "epochs=3")
SWEEP = ("-m", "reg=none,l1,dropout", "optimizer.lr=1e-3,1e-2", *FEW, "loop=lockstep", "workers=1")


def by_name(study_folder):
    """The runs of a study by their names, without the digits of their ids."""
    return {re.sub(r"-[0-9a-f]{12}$", "", run.name): run for run in run_folders(study_folder)}


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """Six runs in lockstep."""
    folder = tmp_path_factory.mktemp("lockstep")
    result = run_here(*SWEEP, "name=together", cwd=folder)
    assert result.code == 0, result
    return by_name(folder / "outputs" / "together")


def test_a_run_has_the_same_files_alone_as_with_companions(study, together, tmp_path):
    result = study("reg=dropout", "optimizer.lr=1e-2", *FEW, "loop=lockstep", "name=alone")
    assert result.code == 0, result
    (alone,) = run_folders(tmp_path / "outputs" / "alone")
    (same,) = [run for name, run in together.items() if name.startswith("dropout") and "0.01" in name]
    assert differing(alone, same) == []
    assert json.loads((alone / "status.json").read_text())["path"] == "lockstep_32"


def test_the_scores_are_those_of_the_general_loop_up_to_rounding(study, together, tmp_path):
    result = study(*[word.replace("lockstep", "general") for word in SWEEP], "name=general")
    assert result.code == 0, result
    expected = by_name(tmp_path / "outputs" / "general")
    assert expected.keys() == together.keys()
    for name, run in expected.items():
        own, reference = (pd.read_csv(folder / "metrics.csv") for folder in (together[name], run))
        same = ["epoch", "train_loss", "val_loss", "penalty", "objective", "gradient_ratio", "lam", "learning_rate"]
        pd.testing.assert_frame_equal(own[same], reference[same], rtol=1e-3)


def test_files_written_beside_the_training_are_the_same(study, together, tmp_path, monkeypatch):
    """As on accelerators, where the weights of all runs are described at once too, up to rounding."""
    monkeypatch.setattr(crew, "computes_beside", lambda device: True)
    result = study(*SWEEP, "name=beside")
    assert result.code == 0, result
    for name, run in by_name(tmp_path / "outputs" / "beside").items():
        assert set(differing(run, together[name])) <= {"weights.csv"}
        own, reference = (pd.read_csv(folder / "weights.csv") for folder in (run, together[name]))
        pd.testing.assert_frame_equal(own, reference, rtol=1e-9)


def test_rows_that_cannot_be_written_beside_the_training_stop_the_sweep(study, tmp_path, monkeypatch):
    def full(file, content):
        if file.name == "weights.csv" and b"\n2," in content:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))
        return append_whole(file, content)

    monkeypatch.setattr(crew, "computes_beside", lambda device: True)
    monkeypatch.setattr(run_folder, "append_whole", full)
    result = study(*SWEEP, "name=full")
    assert result.code == 1
    assert "No space left on device" in result.err
    assert "Traceback" not in result.err
    states = [json.loads((run / "status.json").read_text())["state"] for run in under_way(tmp_path / "outputs/full")]
    assert states == ["interrupted"] * 6
    monkeypatch.setattr(run_folder, "append_whole", append_whole)
    assert study(*SWEEP, "name=full").code == 0
    assert len(run_folders(tmp_path / "outputs" / "full")) == 6


@pytest.mark.slow
def test_killed_runs_resume_and_end_with_the_same_bytes(tmp_path):
    arguments = [*SWEEP, "epochs=30", "checkpoint_every=0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "study", *arguments, "name=whole"], cwd=tmp_path, stdout=subprocess.DEVNULL
    )
    assert process.wait() == 0
    process = subprocess.Popen(
        [sys.executable, "-m", "study", *arguments, "name=killed"], cwd=tmp_path, stdout=subprocess.DEVNULL
    )
    outputs, deadline = tmp_path / "outputs" / "killed", time.monotonic() + 60
    while time.monotonic() < deadline:
        lines = [len((run / "metrics.csv").read_text().splitlines()) for run in under_way(outputs) if _has(run)]
        if len(lines) == 6 and min(lines) > 5:
            break
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert under_way(outputs)
    again = subprocess.run(
        [sys.executable, "-m", "study", *arguments, "name=killed"], cwd=tmp_path, capture_output=True, text=True
    )
    assert again.returncode == 0, again.stderr
    killed, whole = by_name(outputs), by_name(tmp_path / "outputs" / "whole")
    assert killed.keys() == whole.keys()
    for name, run in killed.items():
        assert json.loads((run / "status.json").read_text())["resumed"] == 1
        assert differing(run, whole[name]) == []


def _has(run):
    return (run / "metrics.csv").is_file() and (run / "checkpoint.pt").is_file()


def test_runs_that_diverge_or_stop_early_leave_their_companions_alone(study, tmp_path):
    common = ("optimizer=sgd", *FEW, "epochs=12", "loop=lockstep", "workers=1")
    result = study("-m", "reg=early_stopping,l2", "optimizer.lr=0.3,1e9", *common, "name=ended")
    assert result.code == 0, result
    runs = by_name(tmp_path / "outputs" / "ended")
    found = {name: json.loads((run / "status.json").read_text()) for name, run in runs.items()}
    assert [status["state"] for status in found.values()].count("diverged") == 1
    assert min(s["epochs_trained"] for s in found.values() if s["state"] == "complete") < 12
    alone = study("reg=l2", "optimizer.lr=0.3", *common, "name=alone")
    assert alone.code == 0, alone
    (going_on,) = [run for name, run in runs.items() if name.startswith("l2") and found[name]["state"] == "complete"]
    assert differing(going_on, *run_folders(tmp_path / "outputs" / "alone")) == []


def test_what_does_not_fit_is_said_and_trained_by_the_general_loop(study, tmp_path):
    result = study("-m", "reg=none,sam", *FEW, "loop=lockstep", "name=both", "workers=1")
    assert result.code == 0, result
    assert "1 of 2 runs cannot be trained in lockstep: reg=sam has no batched form" in result.out + result.err
    paths = [json.loads((run / "status.json").read_text())["path"] for run in run_folders(tmp_path / "outputs/both")]
    assert sorted(paths) == ["general", "lockstep_32"]
