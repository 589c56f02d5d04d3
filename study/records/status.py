"""status.json: how a run is doing, and with what it was trained."""

import json
import platform
import subprocess
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from study import __version__
from study.errors.faults import is_fault
from study.records.contract import STATUS, STATUS_KINDS
from study.records.files import now, write_whole

CHECKOUT = Path(__file__).parents[2]  # where `study` is not installed from a wheel


def read_status(folder: Path) -> dict[str, Any] | None:
    """The content of status.json, None where there is none or it is not one.

    Raises:
        OSError: a fault of the machine keeps it from being read, which says nothing of the run.
    """
    try:
        status = json.loads((folder / STATUS).read_text())
    except (OSError, ValueError, RecursionError) as error:
        if is_fault(error):
            raise
        return None
    if not isinstance(status, dict) or "state" not in status:
        return None
    sound = all(isinstance(status[key], kind) for key, kind in STATUS_KINDS.items() if key in status)
    return status if sound else None


@lru_cache(maxsize=1)
def versions() -> dict[str, Any]:
    """Versions of what computes, and the commit of this project's checkout, if it is one."""
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
    """Say in status.json that a run failed whose process can no longer say it."""
    status = read_status(folder)
    if status is not None:
        status |= {"state": "failed", "ended": now(), "cause": cause}
        write_whole(folder / STATUS, json.dumps(status, indent=2) + "\n")


ENDED = ("complete", "diverged", "failed")


def is_ended(folder: Path) -> bool:
    """Whether a run's folder says that the run has ended."""
    status = read_status(folder)
    return status is not None and status["state"] in ENDED
