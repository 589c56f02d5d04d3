"""Runs that have not ended: their epochs so far, in the form of runs that ended there."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from study.analysis.reading.csv_files import DamagedError, Rows, read_tables
from study.analysis.reading.entries import entry_of
from study.analysis.reading.facts import facts_of
from study.analysis.reading.index import Entry
from study.analysis.reading.study import Unused
from study.records.status import read_status
from study.records.unfinished import work_folders

GROWING = ("metrics.csv", "weights.csv")  # every run has them; histogram.csv is read only for figures that need it


def partial_entries(
    study_folder: Path, ended: Collection[str], left_out: list[Unused]
) -> tuple[dict[str, Entry], dict[str, Path]]:
    """Read the unfinished runs of a study that have trained an epoch.

    A run writes metrics.csv and weights.csv one after the other, so an epoch counts once both have it.

    Args:
        study_folder: outputs/<name>.
        ended: the runs that have ended; a folder of the same run is left out.
        left_out: gets each unfinished run that has no epoch yet or cannot be read.

    Returns:
        The entries by run, with `partial` among the facts, and the folders by run.
    """
    entries, folders = {}, {}
    for path in work_folders(study_folder):
        run = path.name.rpartition("@")[0]
        if run in ended or run in entries:
            continue
        try:
            entries[run] = _entry(run, path)
            folders[run] = path
        except DamagedError as reason:
            left_out.append(Unused(study_folder / run, state_of(path), str(reason)))
    return entries, folders


def state_of(work_folder: Path) -> str:
    """The state of a run that has not ended. Whether it still runs is not checked here."""
    status = read_status(work_folder)
    return "interrupted" if status and status["state"] == "interrupted" else "running or stale"


def _entry(run: str, path: Path) -> Entry:
    status = read_status(path)
    if status is None:
        raise DamagedError("it has no epoch yet")
    try:
        facts: dict[str, Any] = facts_of(path, status) | {"run": run, "partial": True}
    except DamagedError:
        raise DamagedError("it has no epoch yet") from None
    tables: dict[str, Rows] = {}
    for name in GROWING:
        (table,) = read_tables([path], name, facts["task"])
        if isinstance(table, DamagedError):  # the run is writing the file at this moment, or has just begun
            raise DamagedError("it has no epoch yet, or is writing one")
        tables[name] = table
    last = int(min(table.values[:, 0].max(initial=-1) for table in tables.values()))
    if last < 1:
        raise DamagedError("it has no epoch yet")
    whole = {name: _until(table, last) for name, table in tables.items()}
    return entry_of(None, facts | {"state": "complete", "epochs_trained": last, "scored_epoch": last}, whole)


def _until(table: Rows, last: int) -> Rows:
    return replace(table, values=table.values[table.values[:, 0] <= last])
