"""A fault of the machine ends the sweep and is no run's result: the same command resumes it, to the same bytes."""

import errno
import json
import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

from study import faults, recording
from tests.conftest import run_folders, run_here, under_way
from tests.test_resume import same_bytes
from tests.test_sweep import state

TINY = ("data=digits", "data.train_size=100", "epochs=2", "model.hidden=[4]", "reg=l1")
STOPPED = "The sweep has stopped and its runs can be resumed. "
AGAIN = " and give the same command again.\n"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The outputs of a run to which nothing happens, and how many operations of the disk it takes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with failing_disk(0, errno.ENOSPC) as disk:
        assert run_here(*TINY, cwd=folder).code == 0
    return folder / "outputs" / "default", disk["operations"]


def stopped(result, place, reason, advice):
    """Whether a command has said in one line where and why it has stopped, and what to do."""
    assert result.code == 1
    assert result.err.startswith("study: error: outputs/"), result.err
    assert result.err.endswith(f"{place}: {reason}. {STOPPED}{advice}{AGAIN}"), result.err
    assert result.err.count("\n") == 1
    assert "failed" not in result.out
    return True


def resumed(outputs, expected):
    """Whether the runs of a study have ended as undisturbed ones, and nothing else is left of them."""
    assert under_way(outputs) == []
    for run, twin in zip(run_folders(outputs), run_folders(expected), strict=True):
        assert state(run) == "complete"
        same_bytes(run, twin)
        assert sorted(path.name for path in run.iterdir()) == sorted(path.name for path in twin.iterdir())
    lines = (outputs / "sweeps.jsonl").read_text().splitlines()
    assert all(json.loads(line)["runs"] for line in lines)
    return True


@contextmanager
def failing_disk(at, number):
    """A disk on which the operation of that number fails, halfway if it is a write, and all later writes as well.

    Yields:
        `operations`, how many there have been.
    """
    disk = {"operations": 0}

    def fails(path, writes=False):
        if "outputs" in str(path):
            disk["operations"] += 1
            if disk["operations"] == at or (writes and 0 < at < disk["operations"]):
                raise OSError(number, os.strerror(number))

    def point(file, content):
        try:
            fails(file.name, writes=True)
        except OSError:
            file.write(content[: len(content) // 2])
            raise

    def checked(function):
        return lambda path, *rest, **options: (fails(Path(path).absolute()), function(path, *rest, **options))[1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recording._Fault, "point", point)
        for name in ("replace", "rename", "mkdir", "truncate"):
            patch.setattr(os, name, checked(getattr(os, name)))
        yield disk


NUMBERS = ("ENOSPC", "EDQUOT", "EIO", "EROFS", "EMFILE", "ENFILE", "EFBIG")


def breaks_at(study, tmp_path, operation, expected):
    """Let an operation of the disk fail while a run is trained, and give the command again on a disk that works."""
    shutil.rmtree(tmp_path / "outputs", ignore_errors=True)
    name = NUMBERS[operation % len(NUMBERS)]
    with failing_disk(operation, getattr(errno, name)):
        result = study(*TINY)
    assert stopped(result, "", os.strerror(getattr(errno, name)), faults.ADVICE[name]), operation
    outputs = tmp_path / "outputs" / "default"
    assert not outputs.exists() or run_folders(outputs) == []
    assert all(folder.name.endswith("@free") for folder in under_way(outputs))
    assert study(*TINY).code == 0
    assert resumed(outputs, expected)


@pytest.mark.parametrize("part", range(1, 8))
def test_wherever_a_disk_fails_no_run_has_failed_and_the_command_goes_on(study, tmp_path, undisturbed, part):
    expected, operations = undisturbed
    breaks_at(study, tmp_path, operations * part // 7, expected)


@pytest.mark.slow
def test_at_each_operation_at_which_a_disk_fails_no_run_has_failed(study, tmp_path, undisturbed):
    expected, operations = undisturbed
    for operation in range(1, operations + 1):
        breaks_at(study, tmp_path, operation, expected)
