"""A command that is told to end (SIGTERM, SIGHUP) ends as by Ctrl-C: runs are given back, temporary files removed."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class ToldToEndError(KeyboardInterrupt):
    """A signal has told the process to end at once; `number` is the signal's."""

    def __init__(self, number: int):
        super().__init__(number)
        self.number = number


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let signals that would kill this process end the block by ToldToEndError; those ignored by nohup stay so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = [number for number in SIGNALS if signal.getsignal(number) is signal.SIG_DFL]

    def end(number: int, _: Any) -> None:
        for other in ours:  # a terminal that closes and a system that stops send several; cleaning up is under way
            signal.signal(other, signal.SIG_IGN)
        raise ToldToEndError(number)

    for number in ours:
        signal.signal(number, end)
    try:
        yield
    except ToldToEndError:  # further signals stay ignored until the process has ended
        raise
    except BaseException:
        _restore(ours)
        raise
    else:
        _restore(ours)


def _restore(numbers: list[int]) -> None:
    for number in numbers:
        signal.signal(number, signal.SIG_DFL)
