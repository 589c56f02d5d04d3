"""Names of processes that tell them apart on all hosts, and whether a process of this host still runs."""

import functools
import hashlib
import os
import socket
import uuid
from pathlib import Path

from study.errors.faults import is_fault

PROC = Path("/proc")  # Linux only
MACHINE = (Path("/etc/machine-id"), Path("/proc/self/ns/pid"))  # tell apart machines, and containers, of one name


def this_process() -> str:
    """Host, number and start time of this process, as one name."""
    return f"{host()}~{os.getpid()}~{start_of(os.getpid())}"


def new_owner(pid: int) -> str:
    """A name for a process of this host as the owner of one run; another one with every call."""
    return f"{host()}~{pid}~{start_of(pid)}~{uuid.uuid4().hex[:8]}"


def is_here(process: str) -> bool:
    """Whether a process, by its name, is one of this host."""
    return process.partition("~")[0] == host()


def is_gone(process: str) -> bool:
    """Whether a process of this host has ended; False for a process of another host, whose state is unknown.

    Args:
        process: a name from `this_process` or `new_owner`.

    Raises:
        ValueError: it is no such name.
    """
    name, pid, start = process.split("~")[:3]
    return name == host() and start_of(int(pid)) != start


@functools.cache
def host() -> str:
    """The name of this host, with six digits that tell apart machines and containers of the same name."""
    name = socket.gethostname().replace("@", "_").replace("~", "_").replace("/", "_")
    found = hashlib.sha256()
    for source in MACHINE:
        try:
            found.update((os.readlink(source) if source.is_symlink() else source.read_text()).encode())
        except OSError:  # not on this system
            continue
    return f"{name}.{found.hexdigest()[:6]}"


def start_of(pid: int) -> str:
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
