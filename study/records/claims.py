"""Which process trains which run, so that several commands, on one host or several, can share a sweep.

A process writes a run in the folder outputs/<name>/.work/<run>@<owner>. When the run ends, the folder is moved to
outputs/<name>/<run>. The owner is a process, named by its host, process number and start time. It touches the folder
at intervals to show that it is alive. To take over from an owner that is gone, another process renames the folder. Only
one process can succeed in that. An owner that was only suspended finds that its folder is gone.
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
LEASE = 60.0  # seconds without a heartbeat after which an owner on another host counts as gone
HEARTBEAT = 10.0  # seconds between heartbeats
PROC = Path("/proc")  # Linux only
FREE = "free"  # in place of an owner: the run was given back, and any process may take it


class LostClaimError(Exception):
    """Another process has taken over the run: this process must stop writing."""


@dataclass(frozen=True)
class Claim:
    """A run's folder while one process owns it.

    Attributes:
        work: the folder that the owner writes to.
        published: the folder's path after the run has ended.
    """

    work: Path
    published: Path

    def publish(self) -> bool:
        """Move the folder to its final path.

        Returns:
            False if the same run is already there. This one was then trained for nothing.

        Raises:
            LostClaimError: another process has taken over the run.
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
        with suppress(OSError):  # not empty while other runs are being trained
            self.work.parent.rmdir()

    def give_back(self) -> None:
        """Release the run as it is, for any process to take."""
        with suppress(OSError):
            os.rename(self.work, self.work.with_name(f"{_run(self.work)}@{FREE}"))

    @contextmanager
    def heartbeat(self) -> Iterator[None]:
        """Send heartbeats while the block runs."""
        done = Event()

        def beat() -> None:
            while not done.wait(HEARTBEAT):
                try:
                    os.utime(self.work)
                except OSError as error:
                    if _has_moved(error):  # another process took over: the next write reports it
                        return

        thread = Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()


def work_folders(study_folder: Path, run_digits: str = "") -> list[Path]:
    """The folders of unfinished runs of a study: owned, given back, or left by a process that is gone.

    Args:
        study_folder: outputs/<name>.
        run_digits: the digits of a run id at the end of the run's name; "" finds all runs.
    """
    work = study_folder / WORK
    try:
        return sorted(work.glob(f"*{run_digits}@*"))
    except FileNotFoundError:  # .work is removed together with its last folder
        return []


def is_held(work: Path, now: float | None = None) -> bool:
    """Whether the owner of a folder is alive: by its process on this host, by its heartbeats on another host.

    Args:
        work: the folder of an unfinished run.
        now: seconds since the epoch; None asks the clock of the file system, which needs a write.
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
    """Claim a run for a process, together with the files of an owner that is gone.

    Args:
        published: the run's final path in the study's folder.
        run_digits: the digits of the run id at the end of its folder's name.
        pid: the process, on this host, that will train it.

    Returns:
        The claim. None if another process owns the run, or changed the study's folder at the same moment: call again.

    Raises:
        OSError: the run cannot be claimed, for example because of a fault of the machine.
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
    if published.exists():  # a failed run, which is trained again
        return _moved(published, target, published)
    try:
        target.mkdir()
    except FileNotFoundError:  # another process just removed .work together with its last folder
        return None
    others = [folder for folder in work_folders(study_folder, run_digits) if folder != target]
    if others or is_ended(published):  # two claims at once: both withdraw and try again
        shutil.rmtree(target, ignore_errors=True)
        return None
    return Claim(target, published)


def _moved(source: Path, target: Path, published: Path) -> Claim | None:
    try:
        os.utime(source)  # with the old heartbeat, the new owner would count as gone
        os.rename(source, target)
    except OSError as error:
        if not _has_moved(error):
            raise
        return None  # another process was faster
    return Claim(target, published)


def _has_moved(error: OSError) -> bool:
    """Whether an error means that another process has just moved the folder. ESTALE: it did so on another host."""
    return error.errno in (errno.ENOENT, errno.ESTALE)


def _run(work: Path) -> str:
    return work.name.rpartition("@")[0]


def this_process() -> str:
    """Host, number and start time of this process, as one name."""
    return f"{_host()}~{os.getpid()}~{_start_of(os.getpid())}"


def is_gone(process: str) -> bool:
    """Whether a process of this host has ended; False for a process of another host, whose state is unknown.

    Args:
        process: a name from `this_process`.

    Raises:
        ValueError: it is no such name.
    """
    host, pid, start = process.split("~")
    return host == _host() and _start_of(int(pid)) != start


def _host() -> str:
    return socket.gethostname().replace("@", "_").replace("~", "_").replace("/", "_")


def _start_of(pid: int) -> str:
    """Start time of a process of this host; '' if it does not run. The time tells apart processes with one number."""
    try:
        state, *rest = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return "" if state == "Z" else rest[18]
    except OSError as error:
        if is_fault(error):  # the fault does not mean that the process has ended
            raise
        if (PROC / "self").is_dir():
            return ""
    import psutil  # a dependency only on systems without /proc

    try:
        process = psutil.Process(pid)
        return "" if process.status() == psutil.STATUS_ZOMBIE else str(int(100 * process.create_time()))
    except psutil.NoSuchProcess:
        return ""
    except psutil.AccessDenied:
        return "0"


def _file_system_time(folder: Path) -> float:
    """The time by the clock of the file system, which may belong to another host."""
    probe = folder / f".time-{uuid.uuid4().hex}"
    try:
        probe.touch()
        return probe.stat().st_mtime
    finally:
        probe.unlink(missing_ok=True)


def wait_a_moment() -> None:
    """Wait before the next look at runs that other processes own.

    The time is random. With equal times, two processes that withdraw their claims would do so forever.
    """
    time.sleep(random.uniform(0.2, 0.8))
