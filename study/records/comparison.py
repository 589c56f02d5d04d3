"""Which files of a run have the same bytes whenever it is trained on one machine, and whether they have."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from study.records.contract import PREDICTIONS

COMPARED = (
    *("metrics.csv", "weights.csv", "histogram.csv", "label_noise.csv", "val.csv", "test.csv"),
    *("sparsity.csv", "pruning.csv", "invariants.csv", PREDICTIONS),
)


def differing(run: Path, other: Path) -> list[str]:
    """Names of the files in which two folders of one run differ; a file that only one has differs."""
    return [name for name in COMPARED if _content(run / name) != _content(other / name)]


def _content(file: Path) -> bytes | Mapping[str, bytes] | None:
    """What of a file must be the same; None where there is no file."""
    if not file.is_file():
        return None
    if file.name == PREDICTIONS:  # a zip file, which holds times of its own
        try:
            with np.load(file, allow_pickle=False) as arrays:
                return {name: arrays[name].tobytes() for name in arrays}
        except Exception:  # numpy, zipfile and zlib each have their own for bytes that are not theirs
            return file.read_bytes()
    if file.name == "metrics.csv":  # the last column is seconds
        return b"\n".join(line.rpartition(b",")[0] for line in file.read_bytes().splitlines())
    return file.read_bytes()
