"""hydra/launcher=slurm on a real Slurm of two nodes: .ci/slurm starts it, and SLURM_CONF names it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from study.records.existing import existing_runs
from study.records.jobs import recorded_jobs
from study.records.sweeps import recorded_runs
from study.sweep.freeze import recorded_tasks
from study.sweep.launchers.slurm import packed
from study.sweep.progress import seconds_per_epoch
from tests.conftest import run_command, run_folders, run_here, snapshot, under_way
from tests.loggers.test_loggers import have_every_epoch, needs
from tests.training.test_resume import same_bytes

needs_slurm = pytest.mark.skipif(
    "SLURM_CONF" not in os.environ or shutil.which("sbatch") is None,
    reason="no Slurm: run .ci/slurm up FOLDER and source FOLDER/environment",
)
FEW = ("data=digits", "data.train_size=100", "epochs=1", "model.hidden=[5]")
SLURM = ("hydra/launcher=slurm", "hydra.launcher.mem_gb=1")


def slurm(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def wait_for(what, seconds=120):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.2)


def processes_of(node: str) -> list[int]:
    """The daemon of a node, and all processes of its jobs."""
    jobs = {f"SLURM_JOB_ID={job}" for job in slurm("squeue", "-h", "-w", node, "-o", "%A").split()}
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_text().split("\0")
            environment = set((folder / "environ").read_text(errors="replace").split("\0"))
        except OSError:
            continue
        daemon = words[0].endswith("slurmd") and node in words
        step = words[0].startswith("slurmstepd") and any(f"[{job[13:]}." in words[0] for job in jobs)
        if daemon or step or jobs & environment:
            found.append(int(folder.name))
    return found


def same_runs(folder, other):
    names = [run.name for run in run_folders(folder)]
    assert names == [run.name for run in run_folders(other)]
    for name in names:
        same_bytes(folder / name, other / name)
    return len(names)


@needs_slurm
@pytest.mark.slow
def test_200_runs_end_with_the_bytes_of_a_local_sweep_although_a_node_dies(tmp_path):
    command = ("-m", *FEW, "reg=none,l1", "seeds=100", "name=many")
    local = tmp_path / "local"
    local.mkdir()
    assert run_here(*command, "workers=1", cwd=local).code == 0
    arguments = [*command, *SLURM, "hydra.launcher.runs_per_job=10"]
    process = subprocess.Popen([sys.executable, "-m", "study", *arguments], cwd=tmp_path, stdout=subprocess.PIPE)
    try:
        wait_for(lambda: len(list(tmp_path.glob("outputs/many/*/status.json"))) >= 60, 300)
        killed = processes_of("two")
        assert len(killed) > 1, "no job runs on this node"
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        assert len(run_folders(tmp_path / "outputs/many")) < 200
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) != 0
        again = run_command(*arguments, cwd=tmp_path, timeout=400)
        assert again.code == 0, again.err
        assert same_runs(tmp_path / "outputs/many", local / "outputs/many") == 200
        arrays = [json.loads(line)["jobs"] for line in (tmp_path / "outputs/many/jobs.jsonl").read_text().splitlines()]
        assert [len(array) for array in arrays[:3]] == [8, 8, 4]  # .ci/slurm allows arrays of 8
        assert under_way(tmp_path / "outputs/many") == []
    finally:
        process.kill()
        slurm("slurmd", "-N", "two")


@needs_slurm
@pytest.mark.slow
@pytest.mark.parametrize("number", ["USR1", "TERM"])
def test_a_signal_saves_a_checkpoint_within_the_epoch_and_the_job_queues_again(tmp_path, number):
    command = ("data=fashion_mnist_mini", "data.train_size=2000", "epochs=2", "model=cnn", "reg=dropout", "name=long")
    local = tmp_path / "local"
    local.mkdir()
    assert run_here(*command, cwd=local).code == 0
    assert run_command(*command, *SLURM, "wait=false", cwd=tmp_path).code == 0
    folder = tmp_path / "outputs/long"
    (job,) = recorded_jobs(folder)
    wait_for(lambda: any("\n0," in metrics.read_text() for metrics in folder.glob(".work/*/metrics.csv")))
    time.sleep(1)
    slurm("scancel", f"--signal={number}", job)
    wait_for(lambda: slurm("squeue", "-h", "-j", job, "-o", "%T") == "PENDING")
    (given_back,) = under_way(folder)
    assert given_back.name.endswith("@free")
    assert (given_back / "checkpoint.pt").exists()
    assert "interrupted in epoch" in (given_back / "run.log").read_text()
    assert "1 pending" in run_command("status", "name=long", cwd=tmp_path).out
    slurm("scontrol", "update", f"JobId={job}", "StartTime=now")  # Slurm lets two minutes pass
    wait_for(lambda: run_folders(folder), 180)
    assert same_runs(folder, local / "outputs/long") == 1


@needs_slurm
@pytest.mark.slow
def test_cancelled_runs_save_a_checkpoint_and_their_job_does_not_come_back(tmp_path):
    command = ("data=fashion_mnist_mini", "epochs=5", "model=cnn", "name=gone", *SLURM, "wait=false")
    assert run_command(*command, cwd=tmp_path).code == 0
    folder = tmp_path / "outputs/gone"
    (job,) = recorded_jobs(folder)
    wait_for(lambda: any("\n0," in metrics.read_text() for metrics in folder.glob(".work/*/metrics.csv")))
    assert "1 jobs cancelled, 0 of them were waiting" in run_command("cancel", "name=gone", cwd=tmp_path).out
    wait_for(lambda: job not in slurm("squeue", "-h", "-o", "%i").split())
    (given_back,) = under_way(folder)
    assert given_back.name.endswith("@free")
    assert (given_back / "checkpoint.pt").exists()
    assert "1 lost" in run_command("status", "name=gone", cwd=tmp_path).out


@needs_slurm
@pytest.mark.slow
def test_jobs_wait_are_seen_and_can_be_cancelled(tmp_path):
    command = ("-m", *FEW, "reg=none,l1", "seeds=2", "name=held", *SLURM, "wait=false")
    submitted = run_command(*command, "+hydra.launcher.sbatch.hold=true", cwd=tmp_path)
    assert submitted.code == 0, submitted.err
    assert "4 runs in 4 jobs" in submitted.out
    assert "4 pending" in run_command("status", "name=held", cwd=tmp_path).out
    assert "4 runs are in Slurm's queue already" in run_command(*command, cwd=tmp_path).out
    assert "4 jobs cancelled, 4 of them were waiting" in run_command("cancel", "name=held", cwd=tmp_path).out
    seen = run_command("status", "name=held", cwd=tmp_path)
    assert "4 lost" in seen.out
    assert "is gone. The study's command trains the run" in seen.out


@needs_slurm
@needs("tensorboard", "mlflow")
@pytest.mark.slow
def test_jobs_of_two_nodes_record_their_epochs_in_tensorboard_and_mlflow(tmp_path):
    sweep = ("-m", *FEW, "reg=none,l1", "name=logged", *SLURM)
    done = run_command(*sweep, "logger=[tensorboard,mlflow]", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert len(run_folders(tmp_path / "outputs/logged")) == 2
    assert have_every_epoch(tmp_path / "outputs/logged")


def test_runs_are_packed_by_number_or_by_the_time_that_complete_runs_took(finished):
    folder = finished / "outputs" / "small"
    tasks = recorded_tasks(folder, [run["run_id"] for run in recorded_runs(folder)])
    ended = list(existing_runs(folder).values())
    assert [len(pack) for pack in packed(tasks, 4, ended, 1)] == [4, 2]
    assert [len(pack) for pack in packed(tasks, "auto", [], 1)] == [1] * 6
    assert [len(pack) for pack in packed(tasks, "auto", ended, 1)] == [6]
    seconds = sum(seconds_per_epoch(ended)) / len(ended)
    long = [replace(task, config=replace(task.config, epochs=int(500 / seconds))) for task in tasks]
    assert [len(pack) for pack in packed(long, "auto", ended, 1)] == [2, 2, 2]  # of 500 s each, in 20 minutes
    assert [len(pack) for pack in packed(long, "auto", ended, 2)] == [4, 2]


@pytest.mark.parametrize(
    ("arguments", "line"),
    {
        ("hydra/launcher=slurm", "hydra.launcher.time=0"): "hydra.launcher.time=0: allowed: numbers of at least 2",
        ("hydra/launcher=slurm", "hydra.launcher.cpus=-1"): "hydra.launcher.cpus=-1: allowed: numbers of at least 1",
        ("hydra/launcher=slurm", "hydra.launcher.runs_per_job=many"): "allowed: auto, or a number of at least 1",
        ("hydra/launcher=slurm", "hydra.launcher.partitions=x"): "partitions",
        ("hydra/launcher=slurm", "on_failure=stop"): "Allowed: continue",
        ("wait=false",): "only jobs of hydra/launcher=slurm go on without this command",
        ("hydra/launcher=slurm", "wait=false", "experiment=tuned"): "a tuned study trains in several steps",
    }.items(),
    ids=lambda value: value[-1] if isinstance(value, tuple) else None,
)
def test_what_is_not_allowed_is_said_in_one_line_and_nothing_is_written(study, tmp_path, arguments, line):
    result = study(*FEW, *arguments)
    assert result.code == 1
    assert line in result.err
    assert result.err.count("\n") == 1
    assert snapshot(tmp_path) == {}


def test_without_slurm_it_says_what_is_missing(study, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    result = study(*FEW, "hydra/launcher=slurm")
    assert result.code == 1
    assert "sinfo is not on the PATH. Run the command where Slurm is installed" in result.err
    assert snapshot(tmp_path) == {}
