"""What a figure may draw: the runs that it shows, their numbers, and how its variants look."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from study.analysis.drawing.style import Look, Style
from study.analysis.reading.collect import Study
from study.analysis.statistics.gaps import with_gaps
from study.errors import ConfigError
from study.measures.catalog import MEASURES

LABELS = {
    **{
        name: f"{measure.label} ({measure.shown_unit})" if measure.shown_unit else measure.label
        for name, measure in MEASURES.items()
    },
    "weights_l1": "$\\Sigma|w|$",
    "weights_l2": "$\\|w\\|_2$",  # fonts of venues have no subscript two
    "epoch": "Epoch",
    "lam": "$\\lambda$",
    "train_images": "Training images",
    "label_noise": "Flipped training labels (%)",
    "penalty": "Penalty (nats)",
    "objective": "Objective (nats)",
    "gradient_ratio": "Gradient of penalty / gradient of data loss",
    "learning_rate": "Learning rate",
}


@dataclass(frozen=True)
class View:
    """A study as one figure shows it.

    Attributes:
        study: the runs that are shown.
        rows: one row per run, from `gaps.at_epoch`.
        looks: how each variant is drawn, in the order in which they are shown.
        style: of the venue.
        contrasts: differences to the baseline, from `contrasts.contrasts`; empty without a baseline.
        primary: the measure that was fixed before the runs.
        best_of_n: of a tuned study, from `tuning.best_of_n`; empty for others.
        trials: of a tuned study, from `tuning.trial_table`; empty for others.
    """

    study: Study
    rows: pd.DataFrame
    looks: Mapping[str, Look]
    style: Style
    contrasts: pd.DataFrame
    primary: str
    best_of_n: pd.DataFrame
    trials: pd.DataFrame

    @cached_property
    def per_epoch(self) -> pd.DataFrame:
        """A row per run and epoch: metrics, gaps and the facts of the run."""
        facts = self.study.runs.drop(columns=["variant", "seed", "lam"])
        return with_gaps(self.study.metrics).merge(facts, on="run")

    def complete(self) -> pd.DataFrame:
        """One row per complete run."""
        return self.rows[self.rows["state"] == "complete"]

    def filtered(self, wanted: Mapping[str, Any]) -> "View":
        """The same with some runs only; see `matches`."""
        if not wanted:
            return self
        kept = self.rows[matches(self.rows, wanted)]
        if kept.empty:
            raise ConfigError(f"filter={dict(wanted)} matches no run of {self.study.folder}")
        variants = set(kept["variant"])
        contrasts = self.contrasts[self.contrasts["variant"].isin(variants)]
        return replace(
            self,
            study=self.study.of_runs(self.study.runs["run"].isin(kept["run"])),
            rows=kept.reset_index(drop=True),
            looks={variant: look for variant, look in self.looks.items() if variant in variants},
            contrasts=contrasts.reset_index(drop=True),
        )


def matches(rows: pd.DataFrame, wanted: Mapping[str, Any]) -> pd.Series:
    """Which rows have, for each column, one of the values that are wanted; `none` passes every filter of λ.

    Args:
        rows: one row per run.
        wanted: by column a value or a list of values.

    Raises:
        ConfigError: there is no such column, or a λ is no number.
    """
    mask = pd.Series(True, rows.index)
    for column, values in wanted.items():
        known(rows, column, "filter")
        values = list(values) if isinstance(values, list | tuple) else [values]
        fits = rows[column].isin(values)
        if column == "lam":
            if not all(isinstance(value, int | float) for value in values):
                raise ConfigError(f"filter.lam={values}: numbers are allowed")
            fits = np.isclose(rows["lam"].to_numpy(float)[:, None], np.array(values, float), rtol=1e-9, atol=0).any(1)
            fits |= rows["reg"] == "none"
        mask &= fits
    return mask


def known(table: pd.DataFrame, column: str, key: str) -> str:
    """A column's name.

    Raises:
        ConfigError: the table has no such column; the message lists those that it has.
    """
    if column not in table.columns:
        raise ConfigError(f"{key}: {column} is not a column. Allowed: {', '.join(table.columns)}")
    return column


def listed(values: str | Sequence[str], key: str) -> list[str]:
    """Names as a list, of which one is as good as a list of it.

    Raises:
        ConfigError: they are something else, or none.
    """
    names = [values] if isinstance(values, str) else values
    if not (isinstance(names, list | tuple) and names and all(isinstance(name, str) for name in names)):
        raise ConfigError(f"{key}={values}: must be a name or a list of names")
    return list(names)


def shown(values: pd.Series | Sequence[float], column: str) -> np.ndarray:
    """Values of a column in the unit of its axis.

    Raises:
        ConfigError: they are no numbers.
    """
    factor = MEASURES[column].factor if column in MEASURES else 100 if column == "label_noise" else 1
    try:
        return factor * np.asarray(values, float)
    except (TypeError, ValueError):
        raise ConfigError(f"{column} holds text, and a column of numbers is needed. Example: val_accuracy") from None


def label(column: str) -> str:
    """What an axis of a column is called."""
    return LABELS.get(column, column.replace("_", " ").capitalize())
