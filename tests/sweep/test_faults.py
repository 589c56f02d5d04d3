"""A fault of the machine ends the sweep and is no run's result; a mistake of one's own code is a failed run as ever."""

import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from study.errors import faults
from study.records import claims, run_folder, unfinished
from tests.conftest import run_command, run_folders, under_way
from tests.sweep.faulty_disk import STOPPED, TINY, failing_disk, stopped
from tests.sweep.test_sweep import state

PENALTY = """
import os
import numpy as np
import torch
def penalty(w):
    if os.path.exists("tight") and w.detach().std() > 0:
        {fault}
    return w.abs().sum()
"""
UNAVAILABLE = "CUDA error: CUDA-capable device(s) is/are busy or unavailable"
CAPACITY = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 1.00 GiB"
UNABLE = "Unable to allocate 72.8 TiB for an array with shape (10000000000000,) and data type float64"
ALLOCATOR = (
    "DefaultCPUAllocator: can't allocate memory: you tried to allocate 40000000000000 bytes."
    " Error code 12 (Cannot allocate memory)"
)
MACHINE = {
    "torch.empty(10**13)": (ALLOCATOR, faults.MEMORY),
    "np.empty(10**13)": (UNABLE, faults.MEMORY),
    f"raise torch.OutOfMemoryError('{CAPACITY}')": (CAPACITY.partition(". GPU")[0], faults.MEMORY),
    f"raise torch.AcceleratorError('{UNAVAILABLE}\\nCUDA kernel errors might')": (UNAVAILABLE, "Check the device"),
    "raise OSError(28, os.strerror(28))": (os.strerror(28), "Make room"),
}


def own_penalty(tmp_path, monkeypatch, fault):
    """An option reg=mine, whose penalty meets a fault while the file `tight` is there."""
    monkeypatch.syspath_prepend(tmp_path)
    name = f"penalties_{abs(hash(fault))}"
    (tmp_path / f"{name}.py").write_text(PENALTY.format(fault=fault))
    (tmp_path / "own" / "reg").mkdir(parents=True)
    (tmp_path / "own" / "reg" / "mine.yaml").write_text(f"_target_: {name}.penalty\nlam: 1e-4\n")
    (tmp_path / "tight").touch()
    return ("-m", "--config-dir", "own", *TINY[:-1], "reg=mine", "seeds=2", "workers=1")


@pytest.mark.parametrize("fault", MACHINE)
def test_memory_that_runs_out_and_a_lost_device_stop_the_sweep(study, tmp_path, monkeypatch, fault):
    sweep = own_penalty(tmp_path, monkeypatch, fault)
    result = study(*sweep)
    outputs = tmp_path / "outputs" / "default"
    (given_back,) = under_way(outputs)
    assert stopped(result, "outputs/default/" + given_back.name.removesuffix("@free"), *MACHINE[fault])
    assert run_folders(outputs) == []
    assert "Traceback" in (given_back / "run.log").read_text()  # which line of whose code it was
    (tmp_path / "tight").unlink()
    assert study(*sweep).code == 0
    assert [state(run) for run in run_folders(outputs)] == ["complete"] * 2


OWN_MISTAKES = {
    "raise RuntimeError('CUDA error: device-side assert triggered')": "device-side assert triggered",
    "raise FileNotFoundError(2, 'No such file', 'mine.txt')": "mine.txt: No such file",
}


@pytest.mark.parametrize("mistake", OWN_MISTAKES)
def test_a_mistake_of_one_s_own_code_is_a_failed_run_as_ever(study, tmp_path, monkeypatch, mistake):
    result = study(*own_penalty(tmp_path, monkeypatch, mistake))
    assert result.code == 1
    assert result.out.count("failed outputs/default/mine") == 2
    runs = run_folders(tmp_path / "outputs" / "default")
    assert [state(run) for run in runs] == ["failed"] * 2
    assert all(OWN_MISTAKES[mistake] in json.loads((run / "status.json").read_text())["cause"] for run in runs)


def test_what_ends_a_run_costs_no_checkpoint_where_it_cannot_be_written(study, tmp_path, monkeypatch):
    write_status = run_folder.RunFolder._write_status

    def full(folder):
        if folder._status["state"] == "complete":
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
        write_status(folder)

    with monkeypatch.context() as patch:
        patch.setattr(run_folder.RunFolder, "_write_status", full)
        assert study(*TINY).code == 1
    (given_back,) = under_way(tmp_path / "outputs" / "default")
    assert "seal" not in json.loads((given_back / "status.json").read_text())
    assert study(*TINY).code == 0
    (run,) = run_folders(tmp_path / "outputs" / "default")
    assert "resumes after epoch 1" in (run / "run.log").read_text()


@pytest.mark.parametrize("file", ["status.json", "checkpoint.pt"])
def test_a_file_that_cannot_be_read_is_not_taken_for_one_that_is_not_there(study, tmp_path, monkeypatch, file):
    """Or a complete run would be trained once more, and a checkpoint thrown away."""
    if file == "checkpoint.pt":
        with failing_disk(41, errno.ENOSPC):
            study(*TINY)
    else:
        study(*TINY)
    (there,) = tmp_path.glob(f"outputs/default/**/{file}")
    before = {path.name: path.read_bytes() for path in there.parent.iterdir()}
    opened = io.open

    def unreadable(path, *rest, **options):
        if str(path).endswith(file):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return opened(path, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(io, "open", unreadable)
        patch.setattr("builtins.open", unreadable)
        result = study(*TINY)
    assert stopped(result, file, os.strerror(errno.EIO), "Check the disk")
    (there,) = tmp_path.glob(f"outputs/default/**/{file}")
    assert {path.name: path.read_bytes() for path in there.parent.iterdir()}.items() >= (
        before if file == "status.json" else {file: before[file]}
    ).items()


def test_a_run_that_cannot_be_claimed_is_not_waited_for(tmp_path, monkeypatch):
    place = tmp_path / "mine" / "l1-seed0-0123456789ab"
    claims.claim(place, "0123456789ab", os.getpid()).give_back()

    def read_only(*_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "rename", read_only)
    with pytest.raises(OSError, match=os.strerror(errno.EROFS)):
        claims.claim(place, "0123456789ab", os.getpid())


def test_an_owner_whose_process_cannot_be_looked_at_is_not_taken_for_dead(tmp_path, monkeypatch):
    claim = claims.claim(tmp_path / "mine" / "l1-seed0-0123456789ab", "0123456789ab", os.getpid())

    def no_more_files(*_):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(Path, "read_text", no_more_files)
    with pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
        unfinished.is_held(claim.work)


@pytest.mark.slow
def test_a_worker_killed_for_want_of_memory_or_before_its_run_began_stops_the_sweep(tmp_path, monkeypatch):
    kill = "import signal; os.kill(os.getpid(), signal.SIGKILL)"
    sweep = own_penalty(tmp_path, monkeypatch, kill)[:-1]
    for patch, cause in {
        "study.errors.faults.out_of_memory_kills = iter([0, 1, 1]).__next__": "the system ran out of memory and killed",
        "study.sweep.pool.serve = print": "before the run started, its process ended with exit code 0",
    }.items():
        code = f"import study.sweep.pool, study.errors.faults; {patch}; from study.cli.main import program; program()"
        command = [sys.executable, "-c", code, *sweep, "workers=2"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 1
        assert cause in done.stderr, done.stderr
        assert STOPPED in done.stderr
        assert run_folders(tmp_path / "outputs" / "default") == []
    (tmp_path / "tight").unlink()
    assert run_command(*sweep, "workers=2", cwd=tmp_path, PYTHONPATH=str(tmp_path)).code == 0
