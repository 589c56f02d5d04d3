"""The folders of unfinished runs, outputs/<name>/.work/<run>@<owner>: find them, and read their names."""

import os
import shutil
import uuid
from contextlib import suppress
from pathlib import Path

from study.records import owners, processes
from study.records.owners import has_moved

WORK = ".work"
FREE = "free"  # in place of an owner: the run was given back, and any process may take it
OLD = ".old-"  # in .work: the beginning of the name of a folder that is being removed


def finish_removals(study_folder: Path) -> None:
    """Remove the folders that a process was removing when it was killed."""
    for name in _names(study_folder / WORK):
        if name.startswith(OLD):
            shutil.rmtree(study_folder / WORK / name, ignore_errors=True)


def work_folders(study_folder: Path, digits: str = "") -> list[Path]:
    """The folders of unfinished runs of a study: owned, given back, or left by a process that is gone.

    Args:
        study_folder: outputs/<name>.
        digits: of a run id, at the end of the run's name; "" finds all runs.
    """
    work = study_folder / WORK
    found = [name for name in _names(work) if "@" in name and name.rpartition("@")[0].endswith(digits)]
    return sorted(work / name for name in found)


def _names(work: Path) -> list[str]:
    try:
        return os.listdir(work)
    except NotADirectoryError:
        return []
    except OSError as error:  # .work is removed together with its last folder
        if has_moved(error):
            return []
        raise


def is_held(work: Path, now: float | None = None) -> bool:
    """Whether the owner of a folder seems to be alive: by its process on this host, by its heartbeats on another host.

    This is for display. `owners` decides who may take over a run, and trusts no clock of another machine.

    Args:
        work: the folder of an unfinished run.
        now: seconds since the epoch; None asks the clock of the file system, which needs a write.
    """
    owner = owner_of(work)
    if owner == FREE:
        return False
    if processes.is_here(owner):
        return is_of_living(work)
    try:
        beat = (work.parents[1] / owners.OWNERS / digits_of(work) / owner).stat().st_mtime
        return (now or _file_system_time(work.parent)) - beat < owners.LEASE
    except OSError as error:
        if not has_moved(error):
            raise
        return False


def is_of_living(work: Path) -> bool:
    """Whether the owner of a folder is a process that runs on this host."""
    owner = owner_of(work)
    return owner != FREE and processes.is_here(owner) and not processes.is_gone(owner)


def run_of(work: Path) -> str:
    """The name of the run whose folder this is."""
    return work.name.rpartition("@")[0]


def owner_of(work: Path) -> str:
    """The owner of the folder of an unfinished run, or FREE."""
    return work.name.rpartition("@")[2]


def digits_of(work: Path) -> str:
    """The digits of the run id in the name of a run's folder."""
    return run_of(work).rpartition("-")[2]


def _file_system_time(folder: Path) -> float:
    """The time by the clock of the file system, which may belong to another host."""
    probe = folder / f".time-{uuid.uuid4().hex}"
    try:
        probe.touch()
        return probe.stat().st_mtime
    finally:
        probe.unlink(missing_ok=True)


def remove(folder: Path) -> None:
    """Remove the folder of an unfinished run. From the first moment on, its owner finds it gone."""
    old = folder.with_name(f"{OLD}{uuid.uuid4().hex}")
    with suppress(OSError):
        os.rename(folder, old)
        shutil.rmtree(old, ignore_errors=True)
