"""Further checks of a run whose files no seal vouches for: it has none, or was changed since.

They find what would stop the analysis later, or be taken for a result; a number that was edited with care is not found.
"""

from pathlib import Path

import numpy as np

from study.analysis.reading.csv_files import AGAIN, DamagedError, Rows, read_correct
from study.analysis.reading.entries import histogram_of
from study.analysis.reading.index import Entry
from study.records.contract import COLUMNS, PREDICTIONS

KEYS = {  # columns that tell the rows of a file apart
    "weights.csv": ("epoch", "parameter"),
    "val.csv": ("split",),
    "test.csv": ("split",),
    "sparsity.csv": ("parameter",),
    "pruning.csv": ("threshold",),
    "invariants.csv": ("measure", "parameter"),
    "label_noise.csv": ("epoch", "labels"),
}


def check_unsealed(run: Path, entry: Entry, histogram: Rows | DamagedError) -> None:
    """Check what a seal would vouch for.

    Args:
        run: its folder.
        entry: its CSVs.
        histogram: all of histogram.csv.

    Raises:
        DamagedError: something of it cannot be what the run wrote.
    """
    for name, table in entry.tables.items():
        _check_rows(name, table)
    histogram_of(histogram, entry.facts)
    if entry.facts["state"] == "complete":
        for split in ("val", "test"):
            _check_predictions(run, split, entry.tables.get(f"{split}.csv", np.empty((0, 0))))


def _check_rows(name: str, table: np.ndarray) -> None:
    """No row stands twice, and accuracies are fractions."""
    columns = dict(zip(COLUMNS[name], table.T, strict=True))
    if name in KEYS:
        keys = table[:, [COLUMNS[name].index(column) for column in KEYS[name]]]
        if len(np.unique(keys, axis=0)) < len(keys):
            raise DamagedError(f"has a row twice in {name}; {AGAIN}")
    for column, values in columns.items():
        if column.endswith("accuracy") and not ((values >= 0) & (values <= 1)).all():
            raise DamagedError(f"has a {column} outside 0 to 1 in {name}; {AGAIN}")


def _check_predictions(run: Path, split: str, table: np.ndarray) -> None:
    """predictions.npz gives the accuracy that the CSV of a split has."""
    name = f"{split}.csv"
    for row in table:
        of_split = dict(zip(COLUMNS[name], row, strict=True))
        right = read_correct(run, split)
        if len(right) != of_split["count"] or right.sum() != round(of_split["accuracy"] * of_split["count"]):
            raise DamagedError(f"has another {split} accuracy in {PREDICTIONS} than in {name}; {AGAIN}")
