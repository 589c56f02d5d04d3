"""Read the runs of a study from their files, and name those that cannot be used, with the reason."""

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import pandas as pd

from study.analysis.reading import index
from study.analysis.reading.csv_files import DamagedError, Rows, read_tables
from study.analysis.reading.entries import entry_of, joined
from study.analysis.reading.facts import facts_of
from study.analysis.reading.index import Entry, Identity, identity_of
from study.analysis.reading.partial import GROWING, partial_entries, state_of
from study.analysis.reading.seals import FITS, checking, heed_seals
from study.analysis.reading.study import ALL_PRUNED, CORRECT, DAMAGED, Study, Unused
from study.errors import StudyError
from study.records.compacted import COMPACTED, compacted_runs
from study.records.contract import ANALYSIS, CONTRACT, FILES, LEDGER, LOGGERS, PRUNED, STATUS
from study.records.status import read_status
from study.records.unfinished import work_folders
from study.seeds import SOURCES, of_label
from study.tasks import TASKS

FINAL = ("val.csv", "sparsity.csv", "pruning.csv", "invariants.csv")  # complete runs have them
# For example, trials of a tuned study have no test.csv, and runs of earlier versions no ranks.csv.
OPTIONAL = ("test.csv", "label_noise.csv", "ranks.csv", "calibration.csv", "pruning_curve.csv")
TABLES = (*GROWING, *FINAL, *OPTIONAL)
BATCH = 5000  # runs whose status.json is in memory at once


def collect(folder: Path, allow_changed: bool = False, partial: bool = False) -> Study:
    """Read a study's folder. Unchanged runs that an earlier analysis has read come from its index.

    Args:
        folder: outputs/<name>.
        allow_changed: whether to read runs whose files have changed since they ended. If not, they are left out and
            named.
        partial: whether to read the epochs so far of runs that have not ended. Their `partial` in `runs` is true.

    Raises:
        StudyError: there is no such folder, or no usable run in it, or its runs are of several tasks.
    """
    if not folder.is_dir():
        beside = (
            sorted(path.name for path in folder.parent.glob("*/") if path.is_dir()) if folder.parent.is_dir() else []
        )
        there = f"studies here: {', '.join(beside)}" if beside else "there are no studies here"
        raise StudyError(
            f"{folder} does not exist; {there}. Name a study with name=..., in the folder that contains outputs/"
        )
    known, entries, unread = index.load(folder), {}, []
    left_out: list[Unused] = []
    damaged: dict[Traversable, str | DamagedError] = {}
    compacted = compacted_runs(folder)
    for path in [*sorted(folder.iterdir()), *compacted.values()]:
        if path.name in (ANALYSIS, LEDGER, COMPACTED, LOGGERS) or path.name.startswith("."):
            continue
        identity = identity_of(path, FILES)
        if identity is not None and path.name in known and known[path.name].identity == identity:
            entries[path.name] = known[path.name]
        elif path.is_file():
            if path.name.endswith(".csv"):
                damaged[path] = "is not a file of this study; move it elsewhere"
        else:
            unread.append((path, identity))
    batches = (unread[first : first + BATCH] for first in range(0, len(unread), BATCH))
    following = _next_ended(batches, left_out, damaged)
    while following:
        ended = following
        with checking([(path, status) for path, _, status in ended]) as checked:
            entries |= _read(ended, damaged)
            following = _next_ended(batches, left_out, damaged)  # while other processes still check
            of_runs = list(zip([path for path, *_ in ended], checked(), strict=True))
        found = {path: changes for path, (changes, _) in of_runs}
        for path, (_, bits) in of_runs:
            if (
                bits is not None
                and (entry := entries.get(path.name)) is not None
                and len(entry.tables.get("test.csv", ()))
            ):
                entries[path.name] = replace(entry, tables={**entry.tables, CORRECT: bits})
        heed_seals(found, allow_changed, entries, damaged)
    _leave_out_twins(folder, entries, damaged)
    unfinished: dict[str, Path] = {}
    if partial:
        under_way, unfinished = partial_entries(folder, entries, left_out)
        entries |= under_way
    for path in [] if partial else work_folders(folder):
        left_out.append(Unused(folder / path.name.rpartition("@")[0], state_of(path)))
    left_out = _pruned_together(folder, left_out)
    problems = [Unused(path, DAMAGED, str(damaged[path])) for path in sorted(damaged, key=lambda path: path.name)]
    if not entries:
        reasons = "; ".join(map(str, [*problems, *left_out])) or "it is empty"
        raise StudyError(f"{folder} has no run to analyze: {reasons}")
    entries = {run: entries[run] for run in sorted(entries)}
    of_task = {entry.facts["task"]: run for run, entry in entries.items()}
    if len(of_task) > 1:
        listed = " and ".join(f"{task} ({run})" for task, run in sorted(of_task.items()))
        raise StudyError(
            f"{folder} has runs of {listed}, and their scores cannot be compared. Move the runs of one task elsewhere"
        )
    table = pd.DataFrame([entry.facts for entry in entries.values()]).drop(columns="parameters")
    if partial:
        table["partial"] = table["run"].isin(unfinished)
    table["penalized"] = table["reg"] != "none"  # variants without a regularizer come first
    table, of_seed = with_sources(table)
    table = table.sort_values(["penalized", "reg", "lam", "variant", *of_seed]).drop(columns="penalized")
    return Study(
        folder,
        table.reset_index(drop=True),
        {name: joined(entries, name) for name in TABLES},
        (*left_out, *problems),
        entries,
        compacted,
        known,
        unfinished,
    )


def with_sources(runs: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Add a column for the seed of each source of randomness, if a run has seeds of single sources.

    Returns:
        The runs, in which seeds are then texts, and the columns that give their order.
    """
    if not any(isinstance(seed, str) for seed in runs["seed"]):
        return runs, ["seed"]
    columns = [f"seed_{source}" for source in SOURCES]
    each = [of_label(seed) for seed in runs["seed"]]
    found = pd.DataFrame([list(seeds.values()) for seeds in each], index=runs.index, columns=columns)
    return pd.concat([runs.assign(seed=runs["seed"].astype(str)), found], axis=1), columns


def _pruned_together(folder: Path, left_out: Sequence[Unused]) -> list[Unused]:
    """The same with one entry for all pruned runs: a search prunes most of its trials."""
    others = [unused for unused in left_out if unused.state != PRUNED]
    count = len(left_out) - len(others)
    return others + ([Unused(folder, ALL_PRUNED, f"{count} runs")] if count else [])


def _next_ended(
    batches: Iterator[Sequence[tuple[Traversable, Identity | None]]],
    left_out: list[Unused],
    damaged: dict[Traversable, str | DamagedError],
) -> list[tuple[Traversable, Identity | None, dict[str, Any]]]:
    """The runs with a result of the next batch that has any, each with its status; empty if no batch is left."""
    ended: list[tuple[Traversable, Identity | None, dict[str, Any]]] = []
    for batch in batches:
        for path, identity in batch:
            try:
                status = _read_ended(path, left_out)
            except DamagedError as problem:
                damaged[path] = problem
                continue
            if status is not None:
                ended.append((path, identity, status))
        if ended:
            break
    return ended


def _read_ended(path: Traversable, left_out: list[Unused]) -> dict[str, Any] | None:
    """The status of a run; None if it has not ended, or failed."""
    status = read_status(path)
    if status is None and _is_passing(path):
        return None
    if status is None:
        raise DamagedError(f"has no readable {STATUS}, so it is not a run of this project; move it elsewhere")
    if status.get("contract") != CONTRACT:
        raise DamagedError(
            f"has contract {status.get('contract')}, but this version reads {CONTRACT}; use the version that wrote it"
        )
    state = status["state"]
    if state not in ("complete", "diverged"):
        left_out.append(Unused(path, state, status.get("cause") or ""))
        return None
    return status


def _is_passing(path: Traversable) -> bool:
    """Whether a folder is empty, or gone again: a process that claims the run makes it for a moment."""
    try:
        return not any(path.iterdir())
    except FileNotFoundError:
        return not os.path.islink(str(path))
    except OSError:
        return False


def _read(
    ended: Sequence[tuple[Traversable, Identity | None, Mapping[str, Any]]],
    damaged: dict[Traversable, str | DamagedError],
) -> dict[str, Entry]:
    """The config and tables of runs, by run. Runs that are not valid go to `damaged`."""
    facts, found = {}, {}
    for path, _, status in ended:
        try:
            facts[path] = facts_of(path, status)
        except DamagedError as problem:
            damaged[path] = problem
    tables: dict[Traversable, dict[str, Rows | DamagedError]] = {path: {} for path in facts}
    for name, task in itertools.product(TABLES, TASKS):
        of_task = [path for path in facts if facts[path]["task"] == task]
        paths = [path for path in of_task if _has(path, name, facts[path]["state"])]
        for path, table in zip(paths, read_tables(paths, name, task), strict=True):
            tables[path][name] = table
    for path, identity, _ in ended:
        if path in facts:
            try:
                found[path.name] = entry_of(identity, facts[path], tables[path])
            except DamagedError as problem:
                damaged[path] = problem
    return found


def _has(path: Traversable, name: str, state: str) -> bool:
    """Whether a run must have a file, or has one that is optional."""
    return name in GROWING or (name in FINAL and state == "complete") or (name in OPTIONAL and (path / name).is_file())


def _leave_out_twins(folder: Path, entries: dict[str, Entry], damaged: dict[Traversable, str | DamagedError]) -> None:
    """Leave out a second run of the same variant and seed, because both would count. Keep a run with a valid seal."""
    seen: dict[tuple[str, int], str] = {}
    for run in sorted(entries, key=lambda run: (entries[run].facts["seal"] != FITS, run)):
        variant, seed = key = entries[run].facts["variant"], entries[run].facts["seed"]
        if key in seen:
            damaged[folder / run] = f"has variant {variant} and seed {seed}, like {seen[key]}; move one elsewhere"
            del entries[run]
        else:
            seen[key] = run
