"""Comparison of two trainings of one run: which files must have the same bytes on one machine, and which differ."""

import io
from collections.abc import Mapping
from importlib.resources.abc import Traversable
from pathlib import Path

import numpy as np

from study.records.compacted import located
from study.records.contract import PREDICTIONS

COMPARED = (
    *("metrics.csv", "weights.csv", "histogram.csv", "label_noise.csv", "val.csv", "test.csv"),
    *("sparsity.csv", "pruning.csv", "invariants.csv", PREDICTIONS),
)


def differing(run: Traversable, other: Traversable) -> list[str]:
    """Names of the files that differ between two trainings of one run; a file that only one has differs.

    Args:
        run: a folder, or what answers like one. If the folder does not exist, the compacted run of that name.
        other: the same of the other training.
    """
    one, two = (located(place) if isinstance(place, Path) else place for place in (run, other))
    return [name for name in COMPARED if _content(one / name) != _content(two / name)]


def without_column(content: bytes, name: bytes) -> bytes:
    """A CSV whose cells have no commas, without one of its columns."""
    rows = [line.split(b",") for line in content.splitlines()]
    place = rows[0].index(name) if rows and name in rows[0] else len(content)
    return b"\n".join(b",".join(row[:place] + row[place + 1 :]) for row in rows)


def _content(file: Traversable) -> bytes | Mapping[str, bytes] | None:
    """The part of a file that must be the same; None if there is no file."""
    if not file.is_file():
        return None
    if file.name == PREDICTIONS:  # a zip file: it stores times, so only the arrays are compared
        try:
            with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as arrays:
                return {name: arrays[name].tobytes() for name in arrays}
        except Exception:  # for damaged bytes, numpy, zipfile and zlib raise different exceptions
            return file.read_bytes()
    if file.name == "metrics.csv":  # the column seconds differs every time
        return without_column(file.read_bytes(), b"seconds")
    return file.read_bytes()
