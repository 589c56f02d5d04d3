"""Follow a run with its loggers. One that fails is off for the rest of the run, which goes on."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.resources.abc import Traversable
from types import TracebackType
from typing import Protocol

from study.errors import faults, one_line
from study.loggers.choice import TOOLS
from study.loggers.logged import LoggedRun, Row, final_scores, rows_of


class Logger(Protocol):
    """The record of one run in one tool."""

    def epoch(self, row: Row) -> None:
        """Add an epoch."""

    def end(self, state: str, scores: Mapping[str, float]) -> None:
        """Add the state and the final scores of a run that has ended or paused, and close the record."""


class Loggers:
    """The loggers of one run, as a context that closes them."""

    def __init__(self, names: Sequence[str], run: LoggedRun, files: Traversable, warn: Callable[[str], None]):
        """Prepare the loggers; they start with `start`.

        Args:
            names: keys of `choice.TOOLS`.
            run: the run.
            files: where its files are now: a folder, or what answers like one.
            warn: called with one line for each logger that fails.
        """
        self.names, self.run, self.files, self.warn = names, run, files, warn
        self.following: dict[str, Logger] = {}

    def __enter__(self) -> "Loggers":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        failed = isinstance(error, Exception | SystemExit) and not faults.is_fault(error)
        self.end("failed" if failed else "interrupted")

    def start(self) -> None:
        """Start the records, each with the epochs that the run has: of a resumed run, those up to its checkpoint."""
        for name in self.names:
            self._guarded(name, partial(self._start, name))

    def _start(self, name: str) -> None:
        self.following[name] = importlib.import_module(TOOLS[name].module).start(self.run, rows_of(self.files))

    def epoch(self, row: Row) -> None:
        """Add an epoch to each record."""
        for name, logger in list(self.following.items()):
            self._guarded(name, partial(logger.epoch, row))

    def end(self, state: str) -> None:
        """Close each record, with the final scores of a run that has a result. Further calls do nothing."""
        for name, logger in list(self.following.items()):
            self._guarded(name, partial(self._end, logger, state))
        self.following.clear()

    def _end(self, logger: Logger, state: str) -> None:
        logger.end(state, final_scores(self.files, state))

    def _guarded(self, name: str, call: Callable[[], None]) -> None:
        try:
            call()
        except (Exception, SystemExit) as error:
            self.following.pop(name, None)
            reason = one_line(error) if isinstance(error, OSError) else f"{type(error).__name__}: {one_line(error)}"
            self.warn(f"logger={name} failed and is off for this run, which goes on ({reason[:300]})")
