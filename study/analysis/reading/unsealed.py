"""Further checks of a run that has no seal, or has changed since it was sealed.

They find values that would stop the analysis later, or could be mistaken for a result. They do not find a number that
was edited with care.
"""

from pathlib import Path

import numpy as np

from study.analysis.reading.csv_files import AGAIN, DamagedError, Rows, read_correct
from study.analysis.reading.entries import histogram_of
from study.analysis.reading.index import Entry
from study.records.contract import COLUMNS, PREDICTIONS

KEYS = {  # columns that identify a row of a file
    "weights.csv": ("epoch", "parameter"),
    "val.csv": ("split",),
    "test.csv": ("split",),
    "sparsity.csv": ("parameter",),
    "pruning.csv": ("threshold",),
    "invariants.csv": ("measure", "parameter"),
    "label_noise.csv": ("epoch", "labels"),
}


def check_unsealed(run: Path, entry: Entry, histogram: Rows | DamagedError) -> None:
    """Check the files of a run that has no valid seal.

    Args:
        run: the run's folder.
        entry: the run's CSVs.
        histogram: the whole histogram.csv.

    Raises:
        DamagedError: a file holds something that the run cannot have written.
    """
    for name, table in entry.tables.items():
        _check_rows(name, table)
    histogram_of(histogram, entry.facts)
    if entry.facts["state"] == "complete":
        for split in ("val", "test"):
            _check_predictions(run, split, entry.tables.get(f"{split}.csv", np.empty((0, 0))))


def _check_rows(name: str, table: np.ndarray) -> None:
    """Check that no row occurs twice, and that accuracies are fractions."""
    columns = dict(zip(COLUMNS[name], table.T, strict=True))
    if name in KEYS:
        keys = table[:, [COLUMNS[name].index(column) for column in KEYS[name]]]
        if len(np.unique(keys, axis=0)) < len(keys):
            raise DamagedError(f"has a duplicate row in {name}; {AGAIN}")
    for column, values in columns.items():
        if column.endswith("accuracy") and not ((values >= 0) & (values <= 1)).all():
            raise DamagedError(f"has a {column} outside [0, 1] in {name}; {AGAIN}")


def _check_predictions(run: Path, split: str, table: np.ndarray) -> None:
    """Check that predictions.npz gives the same accuracy as the CSV of a split."""
    name = f"{split}.csv"
    for row in table:
        of_split = dict(zip(COLUMNS[name], row, strict=True))
        right = read_correct(run, split)
        if len(right) != of_split["count"] or right.sum() != round(of_split["accuracy"] * of_split["count"]):
            raise DamagedError(f"has different {split} accuracies in {PREDICTIONS} and {name}; {AGAIN}")
