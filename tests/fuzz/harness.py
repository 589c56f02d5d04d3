"""Thousands of commands in this process: what each must hold, whatever it was told and whatever it found."""

import hashlib
import io
import os
import re
import shutil
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from study.cli import main
from tests.conftest import Result

# A failure prints the example and what reproduces it. pyproject.toml fixes the seed of all examples, so that a test
# passes or fails by what was changed. To look for faults in others:
# scripts/test.sh -m slow tests/fuzz --hypothesis-seed=$RANDOM
COMMON = {
    "database": None,
    "deadline": None,
    "print_blob": True,
    "phases": (Phase.generate, Phase.shrink),
    "suppress_health_check": list(HealthCheck),
}
FEW = settings(max_examples=10, **COMMON)  # in every run of the tests
# Parts of the many examples, shared among pytest's workers. All take 20 minutes on two cores: .ci/run runs a twentieth.
PARTS = [0, *(pytest.param(part, marks=pytest.mark.longest) for part in range(1, 20))]
MANY = settings(max_examples=100, **COMMON)  # of each part

# What a user cannot make sense of: names of exceptions, and words of Python's own messages.
INTERNAL = re.compile(
    r"Traceback|\b[A-Z]\w+(Exception|Error)\b|object at 0x|<class|<function|NoneType|has no attribute|unhashable"
    r"|not subscriptable|not iterable|unexpected keyword|positional argument|invalid literal|must be str|not supported"
)


def run(arguments: list[str], cwd: Path) -> Result:
    """Run `study ...`; whatever it lets through but the end of a process is a failure."""
    out, err, before, argv = io.StringIO(), io.StringIO(), Path.cwd(), sys.argv
    os.chdir(cwd)
    sys.argv = ["study", *arguments]
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main.main()
    except SystemExit as end:
        code = end.code or 0
    except Exception:
        raise AssertionError(f"study {arguments}\n{traceback.format_exc()}") from None
    finally:
        sys.argv = argv
        os.chdir(before)
    return Result(code, out.getvalue(), err.getvalue())


# What a command has found out about runs stands in its output, and makes its exit status 1.
FOUND = re.compile(r"^(\[\d+/\d+\] )?failed outputs/|^ *changed  |has changed since|differs from", re.MULTILINE)


def check_told(result: Result, arguments: list[str], of_the_user: bool = False) -> None:
    """Success without a word of error, or what is wrong, a line each; 2 is that of Hydra's flags.

    Args:
        result: of a command.
        arguments: of it, for the message.
        of_the_user: whether code of the user's may have its say in messages.
    """
    shown = f"study {arguments}\n-> {result.code}\n{result.out[-1500:]}\n{result.err[-3000:]}"
    assert result.code in (0, 1, 2), shown
    assert "Traceback" not in result.out + result.err, shown
    lines = result.err.splitlines()
    if result.code == 2:
        assert lines, shown
        assert "error: " in lines[-1], shown
        return
    errors = [line for line in lines if line.startswith("study: error: ")]
    assert bool(errors or FOUND.search(result.out)) or result.code == 0, shown
    assert result.code == 1 or not errors, shown
    for line in lines:
        assert line.startswith(("study: error: ", "study: warning: ")), shown
        assert len("study: warning: ") < len(line) < 2_000, shown
        assert of_the_user or not INTERNAL.search(line), shown


class Tree:
    """What lies in a folder, by the bytes of each file."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.stats = _stats(folder)
        self.sums = {name: _sum(folder / name) for name in self.stats}

    def changed(self) -> list[str]:
        """Files and links that are gone or hold other bytes than before."""
        now = _stats(self.folder)
        unlike = [name for name, stat in self.stats.items() if now.get(name) != stat]
        return [name for name in unlike if name not in now or _sum(self.folder / name) != self.sums[name]]

    def new(self) -> list[str]:
        """Files that were not there."""
        return sorted(_stats(self.folder).keys() - self.stats.keys())


def _stats(folder: Path) -> dict[str, tuple[int, ...]]:
    found = {}
    for root, folders, files in os.walk(folder):
        for name in [*files, *(name for name in folders if os.path.islink(os.path.join(root, name)))]:
            path = os.path.join(root, name)
            stat = os.lstat(path)
            found[os.path.relpath(path, folder)] = (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_mode)
    return found


def _sum(path: Path) -> str:
    content = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
    return hashlib.sha256(content).hexdigest()


def copied(source: Path, target: Path) -> Path:
    """A copy of a folder in place of whatever is there, with its times."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, symlinks=True)
    return target
