"""Faults of the machine: a full disk, memory that runs out, a device that is lost.

They are never the result of a run. A run that meets one has not failed: on a machine that works it ends as it would
have. Whatever runs next meets the same fault, so a sweep that goes on marks all of its runs as failed. So the sweep
stops, its runs stay as their last checkpoints left them, and the same command resumes them.

Errors are told apart by their number, or, where they have none, by the words of torch. A device error that a program's
own mistake causes (an assertion, an illegal address) is none of these.
"""

import errno
import re
from pathlib import Path

from study.errors import StudyError

MEMORY = "Free memory, give fewer workers, or leave that run out"
PROCESSES = "Raise the limit on processes (ulimit -u), or give fewer workers"
# What to do, by the name of an error number; some systems do not have all of them.
ADVICE = {
    "ENOSPC": "Make room",
    "EDQUOT": "Make room in your quota",
    "EFBIG": "Raise the limit on the size of a file (ulimit -f)",
    "EROFS": "Make the disk writable",
    **dict.fromkeys(("EIO", "ENXIO", "ENODEV", "ESTALE", "ENOTCONN", "EREMOTEIO", "EUCLEAN"), "Check the disk"),
    **dict.fromkeys(("EMFILE", "ENFILE"), "Raise the limit on open files (ulimit -n), or give fewer workers"),
    "EAGAIN": PROCESSES,
    "ENOMEM": MEMORY,
}
BY_NUMBER = {getattr(errno, name): advice for name, advice in ADVICE.items() if hasattr(errno, name)}
OUT_OF_MEMORY = "out of memory|can't allocate memory|cannot allocate memory|not enough memory|bad_alloc|ALLOC_FAILED"
LOST = (  # what CUDA and ROCm say of a device that is lost, or not there
    r"busy or unavailable|device is detected|device (is |was )?lost|GPU is lost|ECC error|NVLink error|hardware error"
    "|hardware stack error|launch timed out|initialization error|system not yet initialized|driver shutting down"
    "|MPS (client|server)|unknown error"
)
BY_WORDS = (  # of a RuntimeError
    (OUT_OF_MEMORY, MEMORY),
    (rf"(CUDA|HIP|NVML).*({LOST})|no (CUDA|MPS) device on this machine", "Check the device"),
    ("can't start new thread", PROCESSES),
)
UNDER_WAY = re.compile(r"/\.work/([^/@]+)@[^/]+")  # a run's folder while it is written; users know the run by its place


class MachineFaultError(StudyError):
    """What happened to the machine, that the sweep has stopped, and what to do."""


def is_fault(error: BaseException) -> bool:
    """Whether an error, or one that it arose from, is a fault of the machine."""
    return isinstance(error, MachineFaultError) or _origin(error) is not None


def told(error: BaseException, where: Path | str = "this machine", stopped: str = "") -> str:
    """A fault in one line: where, what, and what to do.

    Args:
        error: a fault, or an error of the file system that keeps a run from its own files.
        where: what was worked on, for an error that names no file.
        stopped: a sentence that says what has been given up.
    """
    if isinstance(error, MachineFaultError):
        return str(error)
    origin = _origin(error) or error
    place = UNDER_WAY.sub(r"/\1", str(getattr(origin, "filename", None) or where))
    sentences = [f"{place}: {_in_words(origin)}", stopped, _advice(origin) or "Fix that"]
    return ". ".join(filter(None, sentences)) + ", then give the same command again."


def stopping(error: BaseException, where: Path | str = "this machine") -> MachineFaultError:
    """The error that ends a sweep because of a fault; see `told`."""
    return MachineFaultError(told(error, where, "The sweep has stopped and its runs can be resumed"))


def out_of_memory_kills() -> int:
    """How many processes the system has killed since it ran out of memory; 0 where it does not count them."""
    try:
        found = re.search(r"^oom_kill (\d+)$", Path("/proc/vmstat").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found else 0


def _origin(error: BaseException | None) -> BaseException | None:
    """The first fault on the way from an error to what it arose from; None if there is none."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if _advice(error):
            return error
        seen.add(id(error))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return None


def _advice(error: BaseException) -> str | None:
    """What to do about a fault; None for any other error."""
    if isinstance(error, OSError):
        return BY_NUMBER.get(error.errno)
    if isinstance(error, MemoryError):
        return MEMORY
    if isinstance(error, RuntimeError):
        return next((advice for words, advice in BY_WORDS if re.search(words, str(error), re.IGNORECASE)), None)
    return None


def _in_words(error: BaseException) -> str:
    """What has happened, without the hints that torch adds."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    first = re.sub(r"^\[enforce fail[^]]*\] [^.]*\. ", "", (str(error).strip() or type(error).__name__).splitlines()[0])
    return ". ".join(first.split(". ")[:2]).rstrip(".")
