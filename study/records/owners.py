"""Which process owns a run. On shared folders, the file server decides, and not what a host believes to see.

An owned run has the folder outputs/<name>/.owners/<digits of the run id>/, and in it one empty folder, which has the
name of the owner. All that decides is one operation that a file server does as a whole, and for one process alone:

- To own a free run, a process makes a folder with its own name in it, and renames the folder to .owners/<digits>. The
  server refuses that if a folder with a name in it is there already.
- To take over from an owner that is gone, a process renames the owner's folder to its own name. Of several processes
  only one finds the old name.
- An owner shows that it is alive by touching its folder.

What a host reads may be old. NFS keeps names and attributes for up to a minute. So reading only decides what a process
tries, and how long it waits. docs/explanation/shared_folders.md has the whole protocol.
"""

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from study.records import processes

OWNERS = ".owners"
HEARTBEAT = 10.0  # seconds between heartbeats
# Seconds without a new heartbeat after which an owner on another host counts as gone. A host may see a heartbeat a
# minute late, because it keeps attributes that long; another minute is for a server that does not answer.
LEASE = 120.0

_seen: dict[Path, tuple[int, float]] = {}  # of owners on other hosts: the last heartbeat, and when it was first seen


@dataclass(frozen=True)
class Ownership:
    """The ownership of a run.

    Attributes:
        folder: the empty folder with the name of the owner.
    """

    folder: Path

    @contextmanager
    def heartbeat(self) -> Iterator[None]:
        """Send heartbeats while the block runs."""
        done = Event()

        def beat() -> None:
            while not done.wait(HEARTBEAT):
                try:
                    os.utime(self.folder)
                except OSError as error:
                    if has_moved(error):  # another process took over: the next write reports it
                        return

        thread = Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()

    def release(self) -> None:
        """Give up the run, if this process still owns it."""
        for folder in (self.folder, self.folder.parent, self.folder.parents[1]):
            with suppress(OSError):  # not empty: others own runs
                os.rmdir(folder)


def own(study_folder: Path, digits: str, owner: str) -> Ownership | None:
    """Become the owner of a run that is free, or whose owner is gone.

    Args:
        study_folder: outputs/<name>.
        digits: of the run id, as in the run's name.
        owner: a name from `processes.new_owner`.

    Returns:
        None if the run has another owner, or this host does not see yet what has changed: call again.

    Raises:
        OSError: because of a fault of the machine, for example.
    """
    place = study_folder / OWNERS / digits
    holder = _holder_of(place)
    if holder is None:
        won = _own_free(place, owner)
    else:
        won = not is_alive(place / holder) and renamed(place / holder, place / owner)
    return Ownership(place / owner) if won else None


def _holder_of(place: Path) -> str | None:
    """The owner of a run as far as this host sees it."""
    try:
        return next(iter(sorted(os.listdir(place))), None)
    except OSError as error:
        if has_moved(error):
            return None
        raise


def _own_free(place: Path, owner: str) -> bool:
    beside = place.with_name(f".{owner}")
    with suppress(FileExistsError):
        os.mkdir(place.parent)
    try:
        os.mkdir(beside)
        os.mkdir(beside / owner)
    except OSError as error:
        if has_moved(error):  # another process has just removed .owners, which was empty
            return False
        raise
    with suppress(OSError):  # Windows renames nothing to a folder that exists, even an empty one
        os.rmdir(place)
    if renamed(beside, place):
        return True
    os.rmdir(beside / owner)
    os.rmdir(beside)
    return False


def is_alive(folder: Path) -> bool:
    """Whether an owner is alive: by its process on this host, by its heartbeats on another host.

    Of an owner on another host, this process must have seen the same heartbeat for LEASE seconds. No clock of another
    machine counts.

    Args:
        folder: the owner's folder.
    """
    if processes.is_here(folder.name):
        return not processes.is_gone(folder.name)
    now = time.monotonic()  # before the look, because this process may be suspended between the two
    try:
        beat = os.stat(folder).st_mtime_ns
    except OSError as error:
        if not has_moved(error):
            raise
        return True  # it has just changed; the next look tells
    last, since = _seen.get(folder, (None, 0.0))
    if beat != last:
        _seen[folder] = (beat, time.monotonic())
        return True
    return now - since < LEASE


def renamed(source: Path, target: Path) -> bool:
    """Rename a folder to a name that is free.

    Returns:
        False if there is no such folder any more, or the name is taken.

    Raises:
        OSError: for any other reason.
    """
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR) and not has_moved(error):
            raise
        return False
    return True


def has_moved(error: BaseException) -> bool:
    """Whether an error means that another process has just moved the folder. ESTALE: it did so on another host."""
    return isinstance(error, OSError) and error.errno in (errno.ENOENT, errno.ESTALE)
