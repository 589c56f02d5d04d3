"""Who trains which run, so that several commands, on one host or several, can share a sweep.

A run is written in a folder of its own, outputs/<name>/.work/<run>@<owner>, and moved to outputs/<name>/<run> when
it has ended. The owner is a process: its host, number and start. Taking over from an owner that is gone renames the
folder; only one process can succeed in that, and an owner that was merely asleep finds its folder gone. An owner
shows that it is alive by touching the folder.
"""

import errno
import os
import random
import shutil
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from study.errors.faults import is_fault
from study.records.status import is_ended

WORK = ".work"
LEASE = 60.0  # seconds without a sign of life after which an owner on another host counts as gone
HEARTBEAT = 10.0  # seconds between signs of life
PROC = Path("/proc")  # of Linux
FREE = "free"  # instead of an owner: given back, to be taken by anyone


class LostClaimError(Exception):
    """Another process has taken the run over: this one must not write any more."""


@dataclass(frozen=True)
class Claim:
    """A run's folder while one process owns it.

    Attributes:
        work: the folder that is written.
        published: where it goes when the run has ended.
    """

    work: Path
    published: Path

    def publish(self) -> bool:
        """Move the folder to its place; False where the same run is there already, and ours was trained in vain.

        Raises:
            LostClaimError: another process has taken the run over.
        """
        if is_ended(self.published):
            return False
        if not self.work.is_dir():
            raise LostClaimError(self.work)
        try:
            os.rename(self.work, self.published)
        except OSError:
            if not is_ended(self.published):
                raise
            return False
        self._leave()
        return True

    def drop(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.work, ignore_errors=True)
        self._leave()

    def _leave(self) -> None:
        with suppress(OSError):  # others may still be at work there
            self.work.parent.rmdir()

    def give_back(self) -> None:
        """Leave the run, as it is, to whoever takes it next."""
        with suppress(OSError):
            os.rename(self.work, self.work.with_name(f"{_run(self.work)}@{FREE}"))

    @contextmanager
    def heartbeat(self) -> Iterator[None]:
        """Show signs of life while the block runs."""
        done = Event()

        def beat() -> None:
            while not done.wait(HEARTBEAT):
                try:
                    os.utime(self.work)
                except OSError as error:
                    if _has_moved(error):  # taken over; the next write finds out
                        return

        thread = Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()


def work_folders(study_folder: Path, run_digits: str = "") -> list[Path]:
    """The folders under way in a study, of one run or of all; owned, given back, or left by the dead."""
    work = study_folder / WORK
    try:
        return sorted(work.glob(f"*{run_digits}@*"))
    except FileNotFoundError:  # it has gone with the last of them
        return []


def is_held(work: Path, now: float | None = None) -> bool:
    """Whether the owner of a folder is alive: by its process on this host, by its signs of life elsewhere.

    Args:
        work: a folder under way.
        now: seconds since the epoch; None asks the clock of the file system, which takes a write.
    """
    owner = work.name.rpartition("@")[2]
    if owner == FREE:
        return False
    host, pid, start, _ = owner.split("~")
    if host == _host():
        return _start_of(int(pid)) == start
    try:
        return (now or _file_system_time(work.parent)) - work.stat().st_mtime < LEASE
    except OSError as error:
        if not _has_moved(error):
            raise
        return True


def claim(published: Path, run_digits: str, pid: int) -> Claim | None:
    """Take a run for a process, with what an owner who is gone has left of it.

    Args:
        published: the run's place in the study's folder.
        run_digits: the digits of the run id that its folder's name ends with.
        pid: the process, on this host, that will train it.

    Returns:
        The claim; None where another process has the run, or has just ended it or another one: to be asked again.

    Raises:
        OSError: the run cannot be taken, by a fault of the machine for example.
    """
    study_folder = published.parent
    owner = f"{_host()}~{pid}~{_start_of(pid)}~{uuid.uuid4().hex[:8]}"
    target = study_folder / WORK / f"{published.name}@{owner}"
    study_folder.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        target.parent.mkdir()
    under_way = work_folders(study_folder, run_digits)
    if under_way:
        if any(is_held(folder) for folder in under_way):
            return None
        return _moved(under_way[0], target, published)
    if published.exists():  # failed, and to be tried again
        return _moved(published, target, published)
    try:
        target.mkdir()
    except FileNotFoundError:  # the folder of all that is under way has gone with the last of them
        return None
    others = [folder for folder in work_folders(study_folder, run_digits) if folder != target]
    if others or is_ended(published):  # two came at once: both step back, and come again
        shutil.rmtree(target, ignore_errors=True)
        return None
    return Claim(target, published)


def _moved(source: Path, target: Path, published: Path) -> Claim | None:
    try:
        os.utime(source)  # the old sign of life must not make the new owner look dead
        os.rename(source, target)
    except OSError as error:
        if not _has_moved(error):
            raise
        return None  # another process was faster
    return Claim(target, published)


def _has_moved(error: OSError) -> bool:
    """Whether a folder was not found since another process has just moved it; on another host, if it is stale."""
    return error.errno in (errno.ENOENT, errno.ESTALE)


def _run(work: Path) -> str:
    return work.name.rpartition("@")[0]


def this_process() -> str:
    """This process's host, number and start."""
    return f"{_host()}~{os.getpid()}~{_start_of(os.getpid())}"


def is_gone(process: str) -> bool:
    """Whether a process of this host, as `this_process` names it, has ended; of another host it is not known.

    Raises:
        ValueError: it is no such name.
    """
    host, pid, start = process.split("~")
    return host == _host() and _start_of(int(pid)) != start


def _host() -> str:
    return socket.gethostname().replace("@", "_").replace("~", "_").replace("/", "_")


def _start_of(pid: int) -> str:
    """When a process of this host started, so that a number used again is not taken for the same; '' if none runs."""
    try:
        state, *rest = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return "" if state == "Z" else rest[18]
    except OSError as error:
        if is_fault(error):  # which says nothing of that process
            raise
        if (PROC / "self").is_dir():
            return ""
    import psutil  # comes along where there is no /proc

    try:
        process = psutil.Process(pid)
        return "" if process.status() == psutil.STATUS_ZOMBIE else str(int(100 * process.create_time()))
    except psutil.NoSuchProcess:
        return ""
    except psutil.AccessDenied:
        return "0"


def _file_system_time(folder: Path) -> float:
    """The time by the clock of the file system, which may be another host's."""
    probe = folder / f".time-{uuid.uuid4().hex}"
    try:
        probe.touch()
        return probe.stat().st_mtime
    finally:
        probe.unlink(missing_ok=True)


def wait_a_moment() -> None:
    """Between two looks at runs that other processes hold; at random, or two that step back would do so for ever."""
    time.sleep(random.uniform(0.2, 0.8))
