"""status.json: the state of a run, and the versions that trained it."""

import json
import platform
import subprocess
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from study import __version__
from study.errors.faults import is_fault
from study.records.compacted import located
from study.records.contract import PRUNED, STATUS, STATUS_KINDS, WITH_RESULT
from study.records.files import now, write_whole

CHECKOUT = Path(__file__).parents[2]  # the project's checkout, unless `study` is installed from a wheel


def read_status(run: Traversable) -> dict[str, Any] | None:
    """Read status.json; None if it does not exist or has another form.

    Args:
        run: its folder, or what answers like one. If the folder does not exist, the compacted run of that name.

    Raises:
        OSError: it cannot be read because of a fault of the machine. The run itself may be good.
        StudyError: the run is compacted, and the data set cannot be read.
    """
    try:
        status = json.loads(_content(run))
    except (OSError, ValueError, RecursionError) as error:
        if is_fault(error):
            raise
        return None
    if not isinstance(status, dict) or "state" not in status:
        return None
    sound = all(isinstance(status[key], kind) for key, kind in STATUS_KINDS.items() if key in status)
    return status if sound else None


def _content(run: Traversable) -> str:
    try:
        return (run / STATUS).read_text()
    except FileNotFoundError:
        place = located(run) if isinstance(run, Path) else run
        if place is run:
            raise
        return (place / STATUS).read_text()


@lru_cache(maxsize=1)
def versions() -> dict[str, Any]:
    """Versions of Python and of the libraries that compute, and the commit of this project if it is a git checkout."""
    return {
        "python": platform.python_version(),
        **{name: _installed(name) for name in ("torch", "scipy", "numba")},
        "regstudy": __version__,
        **_git(CHECKOUT),
    }


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _git(folder: Path) -> dict[str, Any]:
    unknown = {"git_commit": None, "git_dirty": None}
    if not (folder / ".git").exists():
        return unknown
    try:
        commit, state = (
            subprocess.run(["git", "-C", str(folder), *command], capture_output=True, text=True, check=True).stdout
            for command in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        )
    except (OSError, subprocess.CalledProcessError):
        return unknown
    return {"git_commit": commit.strip(), "git_dirty": bool(state.strip())}


def mark_failed(folder: Path, cause: str) -> None:
    """Write into status.json that a run failed, for a process that has died."""
    status = read_status(folder)
    if status is not None:
        status |= {"state": "failed", "ended": now(), "cause": cause}
        write_whole(folder / STATUS, json.dumps(status, indent=2) + "\n")


ENDED = (*WITH_RESULT, PRUNED, "failed")


def is_ended(folder: Path) -> bool:
    """Whether the run has ended, at least for now, according to the status.json in its folder."""
    status = read_status(folder)
    return status is not None and status["state"] in ENDED
