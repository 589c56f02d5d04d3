"""End a command: print a user's mistake in one line and a bug with its traceback, and exit with a status."""

import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from study.cli.signals import ToldToEndError, ended_by_signals
from study.errors import USER_ERRORS, ConfigError, StudyError, faults, one_line, output
from study.errors.wording import told_of_hydra


def exit_with(command: Callable[[], int]) -> NoReturn:
    """Run a command and exit.

    The exit status is the one that the command returns, 1 after a mistake, and 128 plus the number after a signal. It
    is 1, without a message, if nobody reads the output any more.

    Raises:
        SystemExit: always, except after a bug: then the bug's own exception.
    """
    try:
        with ended_by_signals():
            status = command()
            sys.stdout.flush()
            raise SystemExit(status)
    except KeyboardInterrupt as end:
        number = end.number if isinstance(end, ToldToEndError) else signal.SIGINT
        how = "interrupted" if number == signal.SIGINT else f"ended by {signal.Signals(number).name}"
        with suppress(OSError):  # the terminal may be gone
            print(f"study: {how}; the same command resumes", file=sys.stderr, flush=True)
        raise SystemExit(128 + number) from None
    except Exception as error:
        if output.is_closed(error):
            output.discard()
            raise SystemExit(1) from None
        lines = _lines(error)
        if lines is None:
            raise
        for line in lines:
            print(f"study: error: {line}", file=sys.stderr)
        raise SystemExit(1) from None


def _lines(error: Exception) -> list[str] | None:
    """Return the lines to print for an error; None for a bug."""
    if isinstance(error, ConfigError):
        return str(error).splitlines()
    if isinstance(error, (*USER_ERRORS, MemoryError, RuntimeError)):
        if faults.is_fault(error) and not isinstance(error, StudyError):
            return [faults.told(error)]
        if not isinstance(error, RuntimeError):
            return [one_line(error)]
    line = told_of_hydra(error)
    return None if line is None else [line]
