"""The learning curves of every run that figures show."""

from typing import Any

import numpy as np
import pandas as pd

from study.analysis.drawing.view import View, shown
from study.analysis.page.rounding import rounded
from study.analysis.text.escaping import plain
from study.tasks import CLASSIFICATION, REGRESSION

MOST_POINTS = 40_000  # epochs × runs; with more, some epochs are left out
# By task: what a reader can choose, and the measures that are then drawn on the left and on the right.
CHOICES = {
    CLASSIFICATION: (
        ("Validation", "val_accuracy", "val_loss"),
        ("Training", "train_accuracy", "train_loss"),
        ("Gap", "accuracy_gap", "loss_gap"),
        ("Penalty", "penalty", "gradient_ratio"),
    ),
    REGRESSION: (
        ("Validation", "val_loss", "val_r2"),
        ("Training", "train_loss", "train_r2"),
        ("Gap", "loss_gap", ""),
        ("Penalty", "penalty", "gradient_ratio"),
    ),
}


def curves(view: View) -> dict[str, Any]:
    """Return the measures of each run over the epochs.

    Returns:
        `choices` (`name, measures`), `measures` (`name, label`), `epochs` (all epochs), `runs` (for each run `run,
        variant, seed`, and by measure its values at `epochs`; trailing values are left out where a run has ended),
        `note` on what is left out.
    """
    table = view.per_epoch
    table = table[table["variant"].isin(list(view.looks))]
    choices = [
        {"name": name, "measures": [m for m in measures if m and m in table and table[m].notna().any()]}
        for name, *measures in CHOICES[view.task]
    ]
    choices = [choice for choice in choices if choice["measures"]]
    names = list(dict.fromkeys(measure for choice in choices for measure in choice["measures"]))
    epochs, note = _kept_epochs(table)
    table = table[table["epoch"].isin(epochs)].sort_values("epoch", kind="stable")
    places = np.searchsorted(epochs, table["epoch"].to_numpy())
    columns = {name: shown(table[name], name) for name in names}
    rows_of = table.groupby("run", sort=False).indices  # of each run, in the order of epochs
    return {
        "choices": choices,
        "measures": [{"name": name, "label": plain(view.label(name))} for name in names],
        "epochs": epochs,
        "runs": [
            {
                **{
                    "run": row.run,
                    "variant": row.variant,
                    "seed": row.seed if isinstance(row.seed, str) else int(row.seed),
                },
                **{name: _at(places[rows_of[row.run]], column[rows_of[row.run]]) for name, column in columns.items()},
            }
            for row in view.study.runs[["run", "variant", "seed"]].itertuples()
            if row.run in rows_of
        ],
        "note": note,
    }


def _kept_epochs(table: pd.DataFrame) -> tuple[list[int], str]:
    """Return the epochs that are drawn, with a note if some are left out."""
    epochs = np.sort(table["epoch"].unique())
    runs = max(table["run"].nunique(), 1)
    most = max(MOST_POINTS // runs, 8)
    if len(epochs) <= most:
        return [int(epoch) for epoch in epochs], ""
    kept = np.unique(np.round(np.linspace(0, len(epochs) - 1, most)).astype(int))
    note = f"{len(kept)} of {len(epochs)} epochs are drawn, because there are {runs} runs. metrics.csv has all epochs."
    return [int(epoch) for epoch in epochs[kept]], note


def _at(places: np.ndarray, values: np.ndarray) -> list[float | None]:
    """Return rounded values at their places; there is none where an epoch is missing."""
    found = np.full(places[-1] + 1, np.nan)
    found[places] = values
    return rounded(found)
