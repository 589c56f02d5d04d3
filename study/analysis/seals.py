"""What the seals of a study's runs say; of many runs other processes find it out while this one reads the tables."""

import multiprocessing
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from study.changes import MAY_GO, changes
from study.recording import SEALED

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
    with ProcessPoolExecutor(workers, multiprocessing.get_context("fork")) as pool:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # threads of the BLAS, which takes part in forks
            sealed = [(run, {"seal": status.get("seal")}) for run, status in runs]
            found = pool.map(_changes, sealed, chunksize=MANY // 4)
        yield lambda: list(found)


def _changes(run: tuple[Path, Mapping[str, Any]]) -> list[str] | None:
    return changes(*run, READ)
