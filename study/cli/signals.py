"""End a command on SIGTERM or SIGHUP as on Ctrl-C: it releases its runs and removes temporary files."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class ToldToEndError(KeyboardInterrupt):
    """The process got a signal to end at once; `number` is the number of the signal."""

    def __init__(self, number: int):
        super().__init__(number)
        self.number = number


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Raise ToldToEndError in the block on a signal that would kill the process.

    Signals that are ignored already, as under nohup, stay ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = [number for number in SIGNALS if signal.getsignal(number) is signal.SIG_DFL]

    def end(number: int, _: Any) -> None:
        for other in ours:  # a closing terminal or a shutdown sends several; the first one starts the clean-up
            signal.signal(other, signal.SIG_IGN)
        raise ToldToEndError(number)

    for number in ours:
        signal.signal(number, end)
    try:
        yield
    except ToldToEndError:  # further signals stay ignored until the process ends
        raise
    except BaseException:
        _restore(ours)
        raise
    else:
        _restore(ours)


def _restore(numbers: list[int]) -> None:
    for number in numbers:
        signal.signal(number, signal.SIG_DFL)
