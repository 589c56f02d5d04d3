"""Disks that fail for a test, and what a command that met one must have said and left behind."""

import json
import os
import resource
from contextlib import contextmanager
from pathlib import Path

import pytest

from study.records import files
from tests.conftest import run_folders, under_way
from tests.sweep.test_sweep import state
from tests.training.test_resume import same_bytes

TINY = ("data=digits", "data.train_size=100", "epochs=2", "model.hidden=[4]", "reg=l1", "checkpoint_every=0")
STOPPED = "The sweep has stopped and its runs can be resumed. "
AGAIN = ", then give the same command again.\n"
BIG = ("File too large", "Raise the limit on the size of a file (ulimit -f)")


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
        if "outputs" in str(Path(path).absolute()):
            disk["operations"] += 1
            if disk["operations"] == at or (writes and 0 < at < disk["operations"]):
                raise OSError(number, os.strerror(number), *([] if writes else [str(path)]))  # a write names no file

    def point(file, content):
        try:
            fails(file.name, writes=True)
        except OSError:
            file.write(content[: len(content) // 2])
            raise

    def checked(function):
        return lambda path, *rest, **options: (fails(path), function(path, *rest, **options))[1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files._Fault, "point", point)
        for name in ("replace", "rename", "mkdir", "truncate"):
            patch.setattr(os, name, checked(getattr(os, name)))
        yield disk


@contextmanager
def file_size_limit(size):
    """No file of this process may grow beyond so many bytes: a write then fails as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
