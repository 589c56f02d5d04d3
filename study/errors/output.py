"""Standard output that nobody reads any more, as in `study --help | head -3`. It is no mistake and no fault."""

import os
import select
import sys


def is_closed(error: BaseException) -> bool:
    """Whether an error, or one that caused it, says that the reader of standard output has gone."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, BrokenPipeError):
        cause = cause.__cause__
    return cause is not None and _has_no_reader()


def discard() -> None:
    """Let standard output lead nowhere, so that what is still printed raises no further error."""
    target = os.open(os.devnull, os.O_WRONLY)
    os.dup2(target, sys.stdout.fileno())
    os.close(target)


def _has_no_reader() -> bool:
    """Whether standard output is a pipe without a reader. A connection of another kind may be broken as well."""
    if not hasattr(select, "poll"):  # Windows
        return True
    try:
        waiting = select.poll()
        waiting.register(sys.stdout.fileno(), 0)  # errors are always reported
        return any(events & (select.POLLERR | select.POLLHUP) for _, events in waiting.poll(0))
    except (OSError, ValueError):  # it is no file
        return False
