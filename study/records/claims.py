"""Claims: which process writes which run, so that several commands, on one host or several, can share a sweep.

A process writes a run in the folder outputs/<name>/.work/<run>@<owner>, while `owners` says that it owns the run. When
the run ends, the folder is moved to outputs/<name>/<run>. A process that takes over from an owner on another host goes
on in a copy, because the other process may only have been suspended, and could still write to its old files.
"""

import errno
import os
import random
import shutil
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from study.records import owners, processes
from study.records.contract import CHECKPOINT
from study.records.owners import Ownership, has_moved, renamed
from study.records.status import is_ended
from study.records.unfinished import FREE, WORK, digits_of, is_of_living, owner_of, remove, run_of, work_folders

COPY = ".copy-"  # in .work: the beginning of the name of a copy that is not whole yet


class LostClaimError(Exception):
    """Another process has taken over the run: this process must stop writing."""


@dataclass(frozen=True)
class Claim:
    """A run's folder while one process owns it.

    Attributes:
        work: the folder that the owner writes to.
        published: the folder's path after the run has ended.
        ownership: its heartbeat shows others that the owner is alive.
    """

    work: Path
    published: Path
    ownership: Ownership

    def publish(self) -> bool:
        """Move the folder to its final path.

        Returns:
            False if the same run is already there. This one was then trained for nothing.

        Raises:
            LostClaimError: another process has taken over the run.
        """
        if is_ended(self.published):
            return False
        try:
            os.rename(self.work, self.published)
        except OSError as error:
            if has_moved(error):
                raise LostClaimError(self.work) from None
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST) or is_ended(self.published):
                return False
            raise
        self._leave()
        return True

    def drop(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.work, ignore_errors=True)
        self._leave()

    def _leave(self) -> None:
        """Release the run, and remove what former owners have left of it."""
        for left in work_folders(self.published.parent, digits_of(self.work)):
            remove(left)
        self.ownership.release()
        with suppress(OSError):  # not empty while other runs are being trained
            os.rmdir(self.work.parent)

    def give_back(self) -> None:
        """Release the run as it is, for any process to take. Does nothing if another process has taken it over."""
        free = self.work.with_name(f"{run_of(self.work)}@{FREE}")
        with suppress(OSError):
            if not renamed(self.work, free) and os.path.isdir(self.work):
                remove(free)  # of a former owner, which this process did not see when it claimed the run
                renamed(self.work, free)
        self.ownership.release()


def claim(published: Path, digits: str, pid: int, again: bool = False) -> Claim | None:
    """Claim a run for a process, together with the files of an owner that is gone.

    Args:
        published: the run's final path in the study's folder.
        digits: of the run id, at the end of its folder's name.
        pid: the process, on this host, that will train it.
        again: whether to train a run again that has ended.

    Returns:
        The claim. None if another process owns the run, or has ended it, or changed the study's folder at the same
        moment: call again.

    Raises:
        OSError: the run cannot be claimed, for example because of a fault of the machine.
    """
    study_folder, owner = published.parent, processes.new_owner(pid)
    os.makedirs(study_folder, exist_ok=True)
    ownership = owners.own(study_folder, digits, owner)
    if ownership is None:
        return None
    claimed = Claim(study_folder / WORK / f"{published.name}@{owner}", published, ownership)
    complete = False
    try:
        complete = _fill(claimed, digits, again)
    finally:
        if not complete:
            claimed.give_back()
            with suppress(OSError):  # not empty while other runs are being trained
                os.rmdir(claimed.work.parent)
    return claimed if complete else None


def _fill(claimed: Claim, digits: str, again: bool) -> bool:
    """Make the folder of a claim, from what there is of the run; False if there is nothing to train."""
    work, published = claimed.work, claimed.published
    with suppress(FileExistsError):
        os.mkdir(work.parent)
    left = work_folders(published.parent, digits)
    if any(is_of_living(folder) for folder in left):  # though its name in .owners is gone
        return False
    if not any(_adopt(folder, work) for folder in sorted(left, key=_progress, reverse=True)):
        if again and os.path.isdir(published):
            return renamed(published, work)
        try:
            os.mkdir(work)
        except OSError as error:
            if not has_moved(error):
                raise
            return False  # another process has just removed .work together with its last folder
    if not again and _is_there(published):
        shutil.rmtree(work, ignore_errors=True)
        return False
    return True


def _is_there(published: Path) -> bool:
    """Whether a run has been published. Asks the file server, because this host may not see a new folder yet."""
    if is_ended(published):  # also if it is compacted and has no folder
        return True
    with suppress(FileExistsError):
        os.mkdir(published)
    try:
        os.rmdir(published)  # refused unless it is empty
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR) and not has_moved(error):
            raise
        return True
    return False


def _adopt(folder: Path, work: Path) -> bool:
    """Go on from the folder of a former owner; False if it is gone."""
    owner = owner_of(folder)
    if owner == FREE or processes.is_here(owner):  # its owner writes no more
        return renamed(folder, work)
    beside = work.with_name(f"{COPY}{uuid.uuid4().hex}")
    try:
        names = [name for name in os.listdir(folder) if not name.startswith(".")]
        os.mkdir(beside)
        # Rows are appended before the checkpoint that counts on them. So the checkpoint is copied first.
        for name in sorted(names, key=lambda name: name != CHECKPOINT):
            with suppress(FileNotFoundError):
                shutil.copyfile(folder / name, beside / name)
        os.rename(beside, work)
    except OSError as error:
        shutil.rmtree(beside, ignore_errors=True)
        if not has_moved(error):
            raise
        return False
    remove(folder)
    return True


def _progress(folder: Path) -> tuple[bool, bool]:
    """How far a run has come, to choose among several folders of it."""
    return is_ended(folder), os.path.isfile(folder / CHECKPOINT)


def is_lost(work: Path) -> bool:
    """Whether another process has taken over the folder of a run. Asks the file server, by a write."""
    probe = work / f".probe-{uuid.uuid4().hex}"
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        return has_moved(error)
    return False


def wait_a_moment() -> None:
    """Wait before the next look at runs that other processes own.

    The time is random, so that processes do not come at the same moment again and again.
    """
    time.sleep(random.uniform(0.2, 0.8))
