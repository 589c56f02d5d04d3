"""The index: what the analysis has read of each run, saved so that the next analysis reads only new runs.

Inode, size and times of change show whether a run's files are the same. You may delete the index at any time.
"""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import numpy as np

from study.records.compacted import CompactedRun

HISTOGRAM = "histogram:"  # prefix of the names of histograms in the index; the requested epoch follows
INDEX = ".analysis-index.npz"  # in a study's folder
VERSION = 9
SETTLED = 2.0  # seconds: a newer file may change again without a new time, within one tick of the file system's clock

Identity = list[list[int] | None]  # one item per file; None if the file does not exist


@dataclass(frozen=True)
class Entry:
    """One run as it was read.

    Attributes:
        identity: identity of the run's files, or of its row among the compacted runs; None for a run that must be read
            again each time.
        facts: the run's row of `collect.Study.runs`, and `parameters`, the names for the codes used below.
        tables: CSVs by name, each float64 (rows, columns), with words such as `parameter` as codes.
        histograms: by requested epoch, int32 (rows, 3): parameter code, position in `weights.BINS`, count.
    """

    identity: Identity | None
    facts: Mapping[str, Any]
    tables: Mapping[str, np.ndarray]
    histograms: Mapping[int, np.ndarray] = field(default_factory=dict)


def identity_of(run: Traversable, names: tuple[str, ...]) -> Identity | None:
    """The identity of a run's files, which changes with them; None if the first is missing, or one is very new."""
    if isinstance(run, CompactedRun):
        return run.identity(SETTLED)
    found: Identity = []
    now = time.time()
    for name in names:
        try:
            stat = os.stat(f"{run}/{name}")
        except OSError:
            found.append(None)
            continue
        if now - max(stat.st_mtime, stat.st_ctime) < SETTLED:
            return None
        found.append([stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns])
    return found if found[0] is not None else None


def load(study_folder: Path) -> dict[str, Entry]:
    """The entries by run folder; empty if there is no readable index."""
    try:
        with np.load(study_folder / INDEX, allow_pickle=False) as arrays:
            head = json.loads(arrays["head"].tobytes())
            if head["version"] != VERSION:
                return {}
            return _entries(head, {key: arrays[key] for key in arrays if key != "head"})
    except Exception:  # any fault of the index costs only time: the runs can be read again
        return {}


def _entries(head: Mapping[str, Any], stored: Mapping[str, np.ndarray]) -> dict[str, Entry]:
    """The entries, from the arrays that `save` has concatenated."""
    entries, begin = {}, dict.fromkeys(stored, 0)

    def cut(name: str, length: int) -> np.ndarray:
        first = begin[name]
        begin[name] += length
        return stored[name][first : first + length]

    for run, lengths, identity, facts in head["runs"]:
        parts = {name: cut(name, length) for name, length in lengths.items()}
        tables = {name: part for name, part in parts.items() if not name.startswith(HISTOGRAM)}
        histograms = {int(name.removeprefix(HISTOGRAM)): parts[name] for name in parts.keys() - tables.keys()}
        entries[run] = Entry(identity, facts, tables, histograms)
    return entries


def save(study_folder: Path, entries: Mapping[str, Entry]) -> None:
    """Write the index beside its place, then rename it. If that fails, the next analysis only takes longer."""
    kept = {run: entry for run, entry in entries.items() if entry.identity is not None}
    if not kept:
        return
    parts = {
        run: {**entry.tables, **{f"{HISTOGRAM}{epoch}": rows for epoch, rows in entry.histograms.items()}}
        for run, entry in kept.items()
    }
    head = [
        [run, {name: len(table) for name, table in parts[run].items()}, entry.identity, dict(entry.facts)]
        for run, entry in kept.items()
    ]
    names = {name for tables in parts.values() for name in tables}
    beside = study_folder / f"{INDEX}.part"
    try:
        with open(beside, "wb") as file:
            np.savez(
                file,
                head=np.frombuffer(json.dumps({"version": VERSION, "runs": head}).encode(), np.uint8),
                **{name: np.concatenate([part[name] for part in parts.values() if name in part]) for name in names},  # type: ignore[arg-type]
            )
        beside.replace(study_folder / INDEX)
    except OSError:
        pass
    finally:
        beside.unlink(missing_ok=True)
