"""Further checks of a run that has no seal, or has changed since it was sealed.

They find values that would stop the analysis later, or could be mistaken for a result. They do not find a number that
was edited with care.
"""

from importlib.resources.abc import Traversable

import numpy as np

from study.analysis.reading.csv_files import AGAIN, DamagedError, Rows, read_correct, read_predictions
from study.analysis.reading.entries import histogram_of
from study.analysis.reading.index import Entry
from study.records.contract import PREDICTIONS, columns_of
from study.tasks import REGRESSION

KEYS = {  # columns that identify a row of a file
    "weights.csv": ("epoch", "parameter"),
    "val.csv": ("split",),
    "test.csv": ("split",),
    "sparsity.csv": ("parameter",),
    "pruning.csv": ("threshold",),
    "invariants.csv": ("measure", "parameter"),
    "label_noise.csv": ("epoch", "labels"),
}


def check_unsealed(run: Traversable, entry: Entry, histogram: Rows | DamagedError) -> None:
    """Check the files of a run that has no valid seal.

    Args:
        run: the run's folder, or what answers like one.
        entry: the run's CSVs.
        histogram: the whole histogram.csv.

    Raises:
        DamagedError: a file holds something that the run cannot have written.
    """
    for name, table in entry.tables.items():
        _check_rows(name, table, entry.facts["task"])
    histogram_of(histogram, entry.facts)
    if entry.facts["state"] == "complete":
        for split in ("val", "test"):
            _check_predictions(run, split, entry.tables.get(f"{split}.csv", np.empty((0, 0))), entry.facts["task"])


def _check_rows(name: str, table: np.ndarray, task: str) -> None:
    """Check that no row occurs twice, and that accuracies are fractions; for regression, that R² is at most 1."""
    names = columns_of(name, task)
    columns = dict(zip(names, table.T, strict=True))
    if name in KEYS:
        keys = table[:, [names.index(column) for column in KEYS[name]]]
        if len(np.unique(keys, axis=0)) < len(keys):
            raise DamagedError(f"has a duplicate row in {name}; {AGAIN}")
    for column, values in columns.items():
        if task == REGRESSION:
            if column.endswith("r2") and (values > 1).any():
                raise DamagedError(f"has a {column} above 1 in {name}; {AGAIN}")
            continue
        if column.endswith("accuracy") and not ((values >= 0) & (values <= 1)).all():
            raise DamagedError(f"has a {column} outside [0, 1] in {name}; {AGAIN}")


def _check_predictions(run: Traversable, split: str, table: np.ndarray, task: str) -> None:
    """Check that predictions.npz gives the same accuracy as the CSV of a split; for regression, the same error."""
    name = f"{split}.csv"
    for row in table:
        of_split = dict(zip(columns_of(name, task), row, strict=True))
        if task == REGRESSION:
            label, predicted = read_predictions(run, split, dimensions=(1, 2))
            mae = np.abs(label.astype(float) - predicted).mean()
            if len(label) != of_split["count"] or not np.isclose(mae, of_split["mae"], rtol=1e-3):  # float32 is stored
                raise DamagedError(f"has different {split} errors in {PREDICTIONS} and {name}; {AGAIN}")
            continue
        right = read_correct(run, split)
        if len(right) != of_split["count"] or right.sum() != round(of_split["accuracy"] * of_split["count"]):
            raise DamagedError(f"has different {split} accuracies in {PREDICTIONS} and {name}; {AGAIN}")
