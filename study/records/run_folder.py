"""The folder of one run while it is written."""

import json
import os
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future, wait
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import numpy as np

from study.config.run_config import RunConfig
from study.measures import weights
from study.measures.described import Described
from study.records.contract import (
    CONFIG,
    CONTRACT,
    FILES,
    GROWING,
    LABEL_NOISE,
    LOG,
    PART,
    PRUNED,
    SEALED,
    STATUS,
    WITH_RESULT,
    columns_of,
)
from study.records.files import append_whole, as_csv, now, write_table, write_whole
from study.records.seal import OWN, seal_of, with_own_sum
from study.records.status import read_status, versions
from study.tasks import CLASSIFICATION

BIN_TEXT = [tuple(map(repr, edges)) for edges in weights.BINS]  # computed once, because it is written many times


class RunFolder:
    """The folder of one run while it is written."""

    def __init__(
        self,
        path: Path,
        config: RunConfig,
        status: Mapping[str, Any],
        sizes: Mapping[str, int] | None = None,
        rows: Mapping[str, bytes] | None = None,
    ):
        """Start or resume a run.

        Args:
            path: the folder; created if missing.
            config: the resolved config.
            status: entries of status.json besides state, times, versions and owner.
            sizes: to resume, the size of each growing CSV in bytes; later rows are cut off. None starts a new run and
                deletes the files of an earlier attempt.
            rows: the initial content of a new run's growing CSVs; the default is their header.
        """
        self.path = path
        self._writer: Executor | None = None
        self._pending: list[Future[None]] = []
        self.growing = GROWING + ((LABEL_NOISE,) if config.data["label_noise"] else ())
        self.began = time.perf_counter()
        path.mkdir(parents=True, exist_ok=True)
        earlier = read_status(path) if sizes is not None else None
        for name in FILES if sizes is None else ():
            (path / name).unlink(missing_ok=True)
        for part in path.glob(f".*{PART}"):  # left by a process that was killed during a write
            part.unlink()
        self._status = {
            "contract": CONTRACT,
            "state": "running",
            **status,
            "started": (earlier or {}).get("started", now()),
            "resumed": (earlier or {}).get("resumed", 0) + (earlier is not None),
            "ended": None,
            "versions": versions(),
            "owner": {"host": socket.gethostname(), "pid": os.getpid()},
        }
        self._write_status()
        write_whole(path / CONFIG, config.to_yaml())
        for name in self.growing:
            if sizes is None:
                header = columns_of(name, status.get("task", CLASSIFICATION))
                write_whole(path / name, (rows or {}).get(name) or as_csv([header]))
            else:
                os.truncate(path / name, sizes[name])

    def write_beside(self, writer: Executor) -> None:
        """Add rows in a thread from now on, in their order. A write that fails raises its error at a later call."""
        self._writer = writer

    def flush(self) -> None:
        """Wait until all rows are written.

        Raises:
            OSError: a write failed.
        """
        pending, self._pending = self._pending, []
        wait(pending)
        for write in pending:
            write.result()

    def _write(self, write: Callable[[], None]) -> None:
        if self._writer is None:
            write()
            return
        done, self._pending = [w for w in self._pending if w.done()], [w for w in self._pending if not w.done()]
        for earlier in done:
            earlier.result()
        self._pending.append(self._writer.submit(write))

    def sizes(self) -> dict[str, int]:
        """The current size of each growing CSV in bytes."""
        self.flush()
        return {name: (self.path / name).stat().st_size for name in self.growing}

    def log(self, line: str) -> None:
        """Add a line to run.log."""
        entry = f"{now()}  {line}\n".encode()
        self._write(lambda: append_whole(self.path / LOG, entry))

    def append(self, name: str, rows: Sequence[Sequence[Any]]) -> None:
        """Add rows to a CSV."""
        self._write(lambda: append_whole(self.path / name, as_csv(rows).encode()))

    def write_table(self, name: str, rows: Iterable[Sequence[Any]]) -> None:
        """Write a whole CSV, one that does not grow during training."""
        write_table(self.path, name, rows)

    def append_weights(self, epoch: int, parameters: Iterable[Described]) -> None:
        """Add the statistics of every parameter at one epoch, and the histograms and effective ranks that it has."""
        described = list(parameters)
        self._write(lambda: self._append_weights(epoch, described))

    def _append_weights(self, epoch: int, described: Sequence[Described]) -> None:
        statistics, bins, ranks = [], [], []
        for of in described:
            statistics.append([epoch, of.name, *of.summary.values()])
            if of.rank is not None:
                ranks.append([epoch, of.name, of.rank])
            if of.counts is not None:
                occupied = np.flatnonzero(of.counts).tolist()
                counts = of.counts[occupied].tolist()
                bins += [(epoch, of.name, *BIN_TEXT[i], n) for i, n in zip(occupied, counts, strict=True)]
        for name, rows in (("weights.csv", statistics), ("ranks.csv", ranks), ("histogram.csv", bins)):
            if rows:
                append_whole(self.path / name, as_csv(rows).encode())

    def note(self, **facts: Any) -> None:
        """Keep entries for status.json; they are written when the run ends, or by `write_notes`."""
        self._status |= facts

    def write_notes(self) -> None:
        """Write the entries kept so far, for readers of a run that has not ended."""
        self._write_status()

    def finish(self, state: str, cause: str | None = None, traceback: str | None = None) -> None:
        """Write to status.json how the run ended. Only this write makes a run complete.

        A run with a result (complete or diverged), or a pruned one, also gets the seal of its files.
        """
        has_result = state in (*WITH_RESULT, PRUNED)
        with nullcontext() if has_result else suppress(OSError):  # the checkpoint says which rows count
            self.flush()
        self._status |= {"state": state, "ended": now()}
        if cause:
            self._status["cause"] = cause
        if traceback:
            self._status["traceback"] = traceback
        for key in ("seal", OWN):  # from an earlier call whose write failed
            self._status.pop(key, None)
        if has_result:
            self._status = with_own_sum({**self._status, "seal": seal_of(self.path, SEALED)})
        self._write_status()

    def _write_status(self) -> None:
        write_whole(self.path / STATUS, json.dumps(self._status, indent=2) + "\n")
