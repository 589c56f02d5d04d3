"""How a command ends: mistakes of the user in one line each, bugs with a traceback, and the exit status of each."""

import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from study.cli.signals import ToldToEndError, ended_by_signals
from study.errors import USER_ERRORS, ConfigError, StudyError, faults, one_line
from study.errors.wording import told_of_hydra


def exit_with(command: Callable[[], int]) -> NoReturn:
    """Run a command and exit with the status that it returns; with 1 after a mistake, 128 plus the number of a signal.

    Raises:
        SystemExit: always, but for a bug.
    """
    try:
        with ended_by_signals():
            raise SystemExit(command())
    except KeyboardInterrupt as end:
        number = end.number if isinstance(end, ToldToEndError) else signal.SIGINT
        how = "interrupted" if number == signal.SIGINT else f"ended by {signal.Signals(number).name}"
        with suppress(OSError):  # the terminal may be gone
            print(f"study: {how}; the same command resumes", file=sys.stderr, flush=True)
        raise SystemExit(128 + number) from None
    except Exception as error:
        lines = _lines(error)
        if lines is None:
            raise
        for line in lines:
            print(f"study: error: {line}", file=sys.stderr)
        raise SystemExit(1) from None


def _lines(error: Exception) -> list[str] | None:
    """What is printed of an error; None for a bug."""
    if isinstance(error, ConfigError):
        return str(error).splitlines()
    if isinstance(error, (*USER_ERRORS, MemoryError, RuntimeError)):
        if faults.is_fault(error) and not isinstance(error, StudyError):
            return [faults.told(error)]
        if not isinstance(error, RuntimeError):
            return [one_line(error)]
    line = told_of_hydra(error)
    return None if line is None else [line]
