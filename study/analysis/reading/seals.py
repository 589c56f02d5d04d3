"""Check the seals of a study's runs. With many runs, other processes check while this one reads the tables.

A process that has the predictions of a run at hand also counts which test images it classifies correctly.
"""

import multiprocessing
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from importlib.resources.abc import Traversable
from typing import Any

import numpy as np

from study.analysis.reading.csv_files import DamagedError, correct_bits, read_tables
from study.analysis.reading.index import Entry
from study.analysis.reading.unsealed import check_unsealed
from study.records.changes import MAY_GO, MEND, changes, described
from study.records.compacted import GROUP_RUNS
from study.records.contract import SEALED
from study.tasks import CLASSIFICATION

FITS, UNSEALED, CHANGED = "fits", "none", "changed"  # results of the check of a run's seal
READ = tuple(name for name in SEALED if name not in MAY_GO)  # files whose checksums are compared
MANY = 200  # number of runs from which other processes save time
MOST_PROCESSES = 4

Checked = Sequence[tuple[list[str] | None, np.ndarray | None]]


@contextmanager
def checking(runs: Sequence[tuple[Traversable, Mapping[str, Any]]]) -> Iterator[Callable[[], Checked]]:
    """Start to compare files with their seals.

    Args:
        runs: folders, or what answers like them, each with its status.

    Yields:
        A function that waits for the result. For each run, in order, it returns the changes (see `changes.changes`),
        and the correctly classified test images (see `csv_files.correct_bits`) of an unchanged run that has any.
    """
    if len(runs) < MANY or sys.platform != "linux":  # other systems do not fork, or not safely
        yield lambda: [_checked(run) for run in runs]
        return
    workers = min(MOST_PROCESSES, max(1, len(os.sched_getaffinity(0)) - 1))
    # A forked process already has the runs in memory, so they need not be sent.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("fork"), _take_over, (runs,)) as pool:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # about threads of the BLAS, which handles forks
            found = pool.map(
                _checked_of, range(len(runs)), chunksize=MANY // 4 if len(runs) < 10 * MANY else GROUP_RUNS
            )
        yield lambda: _waited(found, runs)


def _waited(
    found: Iterator[tuple[list[str] | None, np.ndarray | None]], runs: Sequence[tuple[Traversable, Mapping[str, Any]]]
) -> Checked:
    try:
        return list(found)
    except BrokenProcessPool:  # a process was killed
        return [_checked(run) for run in runs]


def _checked(run: tuple[Traversable, Mapping[str, Any]]) -> tuple[list[str] | None, np.ndarray | None]:
    place, status = run
    found = changes(place, status, READ)
    scored = found == [] and status["state"] == "complete" and "test.csv" in status["seal"]
    try:
        return found, correct_bits(place) if scored and status.get("task", CLASSIFICATION) == CLASSIFICATION else None
    except DamagedError:  # for example, the test set serves as validation set
        return found, None


_RUNS: list[tuple[Traversable, Mapping[str, Any]]] = []  # the runs, in a process that checks


def _take_over(runs: Sequence[tuple[Traversable, Mapping[str, Any]]]) -> None:
    _RUNS[:] = runs


def _checked_of(number: int) -> tuple[list[str] | None, np.ndarray | None]:
    return _checked(_RUNS[number])


def heed_seals(
    found: Mapping[Traversable, list[str] | None],
    allow_changed: bool,
    entries: dict[str, Entry],
    damaged: dict[Traversable, str | DamagedError],
) -> None:
    """Leave out changed runs, unless they are allowed. Check runs without a valid seal more closely.

    Args:
        found: changes by folder; None for a run without a seal.
        allow_changed: whether to keep changed runs.
        entries: what was read, by run. Runs that are left out are removed from it.
        damaged: reasons by folder. Runs that are left out are added to it.
    """
    doubtful = []
    for path, of_run in found.items():
        if of_run and not allow_changed:
            damaged[path] = f"{described(of_run)}; {MEND}, or analyze it as it is with allow=[{CHANGED}]"
            entries.pop(path.name, None)
        elif path.name in entries and of_run != []:
            entry, seal = entries[path.name], UNSEALED if of_run is None else CHANGED
            identity = entry.identity if of_run is None else None  # changed runs are not kept in the index
            entries[path.name] = replace(entry, identity=identity, facts={**entry.facts, "seal": seal})
            doubtful.append(path)
    for path, histogram in zip(doubtful, read_tables(doubtful, "histogram.csv"), strict=True):  # equal in both tasks
        try:
            check_unsealed(path, entries[path.name], histogram)
        except DamagedError as problem:
            damaged[path] = problem
            del entries[path.name]
