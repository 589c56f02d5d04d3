"""What the seals of a study's runs say; of many runs other processes find it out while this one reads the tables."""

import multiprocessing
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from study.analysis.reading.csv_files import DamagedError, read_tables
from study.analysis.reading.index import Entry
from study.analysis.reading.unsealed import check_unsealed
from study.records.changes import MAY_GO, MEND, changes, described
from study.records.contract import SEALED

FITS, UNSEALED, CHANGED = "fits", "none", "changed"  # what a run's seal says
READ = tuple(name for name in SEALED if name not in MAY_GO)  # whose checksums are taken
MANY = 200  # runs from which on another process pays
MOST_PROCESSES = 4

Changes = Sequence[list[str] | None]


@contextmanager
def checking(runs: Sequence[tuple[Path, Mapping[str, Any]]]) -> Iterator[Callable[[], Changes]]:
    """Begin to compare files with their seals.

    Args:
        runs: folders, each with its status.

    Yields:
        What waits for the changes in each run, in their order; see `changes.changes`.
    """
    if len(runs) < MANY or sys.platform != "linux":  # elsewhere a process does not begin where this one is
        yield lambda: [_changes(run) for run in runs]
        return
    workers = min(MOST_PROCESSES, max(1, len(os.sched_getaffinity(0)) - 1))
    # A forked process has the runs already: nothing of them has to be sent.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("fork"), _take_over, (runs,)) as pool:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # threads of the BLAS, which takes part in forks
            found = pool.map(_changes_of, range(len(runs)), chunksize=MANY // 4)
        yield lambda: _waited(found, runs)


def _waited(found: Iterator[list[str] | None], runs: Sequence[tuple[Path, Mapping[str, Any]]]) -> Changes:
    try:
        return list(found)
    except BrokenProcessPool:  # a process was killed
        return [_changes(run) for run in runs]


def _changes(run: tuple[Path, Mapping[str, Any]]) -> list[str] | None:
    return changes(*run, READ)


_RUNS: list[tuple[Path, Mapping[str, Any]]] = []  # of the process that checks


def _take_over(runs: Sequence[tuple[Path, Mapping[str, Any]]]) -> None:
    _RUNS[:] = runs


def _changes_of(number: int) -> list[str] | None:
    return _changes(_RUNS[number])


def heed_seals(
    found: Mapping[Path, list[str] | None],
    allow_changed: bool,
    entries: dict[str, Entry],
    damaged: dict[Path, str | DamagedError],
) -> None:
    """Leave out runs that have changed, unless allowed, and look more closely at those that no seal vouches for.

    Args:
        found: changes by folder, None where there is no seal.
        allow_changed: whether runs that have changed are read.
        entries: by run, what was read; what is left out goes from here ...
        damaged: ... to here, by folder, with the reason.
    """
    doubtful = []
    for path, of_run in found.items():
        if of_run and not allow_changed:
            damaged[path] = f"{described(of_run)}; {MEND}; allow=[{CHANGED}] analyzes it as it is"
            entries.pop(path.name, None)
        elif path.name in entries and of_run != []:
            entry, seal = entries[path.name], UNSEALED if of_run is None else CHANGED
            identity = entry.identity if of_run is None else None  # of a changed one nothing is remembered
            entries[path.name] = replace(entry, identity=identity, facts={**entry.facts, "seal": seal})
            doubtful.append(path)
    for path, histogram in zip(doubtful, read_tables(doubtful, "histogram.csv"), strict=True):
        try:
            check_unsealed(path, entries[path.name], histogram)
        except DamagedError as problem:
            damaged[path] = problem
            del entries[path.name]
