"""Faults of the machine: a full disk, memory that runs out, a device that is lost.

A fault is never the result of a run, because the same run would end well on a machine that works. The next run would
meet the same fault, so a sweep that continued would mark all its runs as failed. Therefore the sweep stops. Its runs
stay as their last checkpoints left them, and the same command resumes them.

Faults are recognized by their error number, or, if they have none, by the words of torch's message. A device error that
comes from a mistake in a program (an assertion, an illegal address) is not a fault.
"""

import errno
import re
from pathlib import Path

from study.errors import StudyError

MEMORY = "Free memory, use fewer workers, or leave out that run"
PROCESSES = "Raise the limit on processes (ulimit -u), or use fewer workers"
# What to do, by the name of the error number. Not every system has all of them.
ADVICE = {
    "ENOSPC": "Make room",
    "EDQUOT": "Make room in your quota",
    "EFBIG": "Raise the limit on the size of a file (ulimit -f)",
    "EROFS": "Make the disk writable",
    **dict.fromkeys(("EIO", "ENXIO", "ENODEV", "ESTALE", "ENOTCONN", "EREMOTEIO", "EUCLEAN"), "Check the disk"),
    **dict.fromkeys(("EMFILE", "ENFILE"), "Raise the limit on open files (ulimit -n), or use fewer workers"),
    "EAGAIN": PROCESSES,
    "ENOMEM": MEMORY,
}
BY_NUMBER = {getattr(errno, name): advice for name, advice in ADVICE.items() if hasattr(errno, name)}
OUT_OF_MEMORY = "out of memory|can't allocate memory|cannot allocate memory|not enough memory|bad_alloc|ALLOC_FAILED"
LOST = (  # messages of CUDA and ROCm about a lost or missing device
    r"busy or unavailable|device is detected|device (is |was )?lost|GPU is lost|ECC error|NVLink error|hardware error"
    "|hardware stack error|launch timed out|initialization error|system not yet initialized|driver shutting down"
    "|MPS (client|server)|unknown error"
)
BY_WORDS = (  # words in the message of a RuntimeError, and what to do
    (OUT_OF_MEMORY, MEMORY),
    (rf"(CUDA|HIP|NVML).*({LOST})|no (CUDA|MPS) device on this machine", "Check the device"),
    ("can't start new thread", PROCESSES),
)
UNDER_WAY = re.compile(r"/\.work/([^/@]+)@[^/]+")  # a run's folder during training; messages name its final folder


class MachineFaultError(StudyError):
    """A fault of the machine. The message says what happened, that the sweep has stopped, and what to do."""


def is_fault(error: BaseException) -> bool:
    """Whether an error, or an error that caused it, is a fault of the machine."""
    return isinstance(error, MachineFaultError) or _origin(error) is not None


def told(error: BaseException, where: Path | str = "this machine", stopped: str = "") -> str:
    """Return the message for a fault, one line: where it happened, what happened, and what to do.

    Args:
        error: a fault, or an error of the file system that prevents access to a run's files.
        where: the place to name if the error names no file.
        stopped: a sentence that says what was stopped.
    """
    if isinstance(error, MachineFaultError):
        return str(error)
    origin = _origin(error) or error
    place = UNDER_WAY.sub(r"/\1", str(getattr(origin, "filename", None) or where))
    sentences = [f"{place}: {_in_words(origin)}", stopped, _advice(origin) or "Fix that"]
    return ". ".join(filter(None, sentences)) + ", then give the same command again."


def stopping(error: BaseException, where: Path | str = "this machine") -> MachineFaultError:
    """Return the error that ends a sweep because of a fault; for the arguments see `told`."""
    return MachineFaultError(told(error, where, "The sweep has stopped and its runs can be resumed"))


def out_of_memory_kills() -> int:
    """Return how many processes the system has killed because memory ran out; 0 if it does not count them."""
    try:
        found = re.search(r"^oom_kill (\d+)$", Path("/proc/vmstat").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found else 0


def _origin(error: BaseException | None) -> BaseException | None:
    """Return the first fault in the chain from an error to its causes; None if there is none."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if _advice(error):
            return error
        seen.add(id(error))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return None


def _advice(error: BaseException) -> str | None:
    """Return what to do about a fault; None for any other error."""
    if isinstance(error, OSError):
        return BY_NUMBER.get(error.errno)
    if isinstance(error, MemoryError):
        return MEMORY
    if isinstance(error, RuntimeError):
        return next((advice for words, advice in BY_WORDS if re.search(words, str(error), re.IGNORECASE)), None)
    return None


def _in_words(error: BaseException) -> str:
    """Return the message of an error without the hints that torch adds."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    first = re.sub(r"^\[enforce fail[^]]*\] [^.]*\. ", "", (str(error).strip() or type(error).__name__).splitlines()[0])
    return ". ".join(first.split(". ")[:2]).rstrip(".")
