"""What the analysis has read of each run, kept so that the next analysis reads only what is new.

A run's files are known by their inode, size and time of change. The index may be deleted at any time.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

INDEX = ".analysis-index.npz"  # in a study's folder
VERSION = 1
SETTLED = 2.0  # seconds: a file that changed just before it was read may change again within one tick of its clock

Identity = list[list[int]]


@dataclass(frozen=True)
class Entry:
    """One run as it was read.

    Attributes:
        identity: of status.json, config.yaml, metrics.csv and weights.csv.
        facts: what `collect.Study.runs` says of the run, and `parameters`, the names by the codes used below.
        metrics: metrics.csv, float64 (epochs, columns).
        weights: weights.csv, float64 (rows, columns), `parameter` as a code.
        histogram_identity: of histogram.csv.
        histogram_epoch: the epoch that was asked for.
        histogram: int32 (rows, 3), parameter code, position in `weights.BINS` and count; None if not read yet.
    """

    identity: Identity
    facts: Mapping[str, Any]
    metrics: np.ndarray
    weights: np.ndarray
    histogram_identity: Identity | None = None
    histogram_epoch: int = -1
    histogram: np.ndarray | None = None


def identity_of(run: Path, names: tuple[str, ...]) -> Identity | None:
    """What tells a run's files from later versions of them; None where one is missing, or has only just changed."""
    try:
        found = [(run / name).stat() for name in names]
    except OSError:
        return None
    if any(time.time() - stat.st_mtime < SETTLED for stat in found):
        return None
    return [[stat.st_ino, stat.st_size, stat.st_mtime_ns] for stat in found]


def load(study_folder: Path) -> dict[str, Entry]:
    """The entries by run folder; none where there is no index that can be read."""
    try:
        with np.load(study_folder / INDEX, allow_pickle=False) as arrays:
            head = json.loads(arrays["head"].tobytes())
            metrics, weights, histograms = (arrays[key] for key in ("metrics", "weights", "histograms"))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return {}
    if head["version"] != VERSION:
        return {}
    entries, begin = {}, np.zeros(3, int)
    for run, lengths, *rest in head["runs"]:
        end = begin + [length or 0 for length in lengths]
        parts = [table[a:b] for table, a, b in zip((metrics, weights, histograms), begin, end, strict=True)]
        identity, facts, histogram_identity, epoch = rest
        histogram = None if lengths[2] is None else parts[2]
        entries[run] = Entry(identity, facts, parts[0], parts[1], histogram_identity, epoch, histogram)
        begin = end
    return entries


def save(study_folder: Path, entries: Mapping[str, Entry]) -> None:
    """Write the index, beside its place and then renamed; without it the next analysis merely takes longer."""
    kept = {run: entry for run, entry in entries.items() if entry.identity is not None}
    if not kept:
        return
    kept = {
        run: entry if entry.histogram_identity is not None else replace(entry, histogram=None)
        for run, entry in kept.items()
    }
    head = [
        [
            run,
            [len(e.metrics), len(e.weights), None if e.histogram is None else len(e.histogram)],
            *(e.identity, dict(e.facts), e.histogram_identity, e.histogram_epoch),
        ]
        for run, e in kept.items()
    ]
    none = np.empty((0, 3), np.int32)
    beside = study_folder / f"{INDEX}.part"
    try:
        with open(beside, "wb") as file:
            np.savez(
                file,
                head=np.frombuffer(json.dumps({"version": VERSION, "runs": head}).encode(), np.uint8),
                metrics=np.concatenate([entry.metrics for entry in kept.values()]),
                weights=np.concatenate([entry.weights for entry in kept.values()]),
                histograms=np.concatenate(
                    [none, *(entry.histogram for entry in kept.values() if entry.histogram is not None)]
                ),
            )
        beside.replace(study_folder / INDEX)
    except OSError:
        pass
    finally:
        beside.unlink(missing_ok=True)
