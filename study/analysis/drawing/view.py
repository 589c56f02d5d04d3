"""The data that a figure can draw: its runs, their numbers, and the looks of its variants."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd

from study.analysis.drawing.looks import Look, OptionLook, group_looks, looks
from study.analysis.drawing.style import Style
from study.analysis.reading.study import Study
from study.analysis.statistics.gaps import with_gaps
from study.analysis.statistics.inference import INTERVALS_FROM
from study.analysis.statistics.seed_design import shares_seeds
from study.errors import ConfigError
from study.measures.catalog import MEASURES, NATS, Measure, in_task, measures_of
from study.tasks import CLASSIFICATION

NORMS = {"weights_l1": "$\\Sigma|w|$", "weights_l2": "$\\|w\\|_2$"}  # the fonts of some venues lack the character ₂
LABELS = {
    **NORMS,
    "epoch": "Epoch",
    "lam": "$\\lambda$",
    "train_images": "Training images",
    "label_noise": "Flipped training labels (%)",
    "penalty": "Penalty",
    "objective": "Objective",
    "gradient_ratio": "Gradient of penalty / gradient of data loss",
    "learning_rate": "Learning rate",
}


@dataclass(frozen=True)
class View:
    """The data of one figure.

    Attributes:
        study: the runs that are shown.
        rows: one row per run, from `gaps.at_epoch`.
        looks: the look of each variant, in the order in which variants are shown.
        style: the style of the venue.
        contrasts: differences to the baseline, from `contrasts.contrasts`; empty without a baseline.
        primary: the measure that was fixed before the runs.
        best_of_n: table of a tuned study, from `tuning.best_of_n`; empty for other studies.
        trials: table of a tuned study, from `tuning.trial_table`; empty for other studies.
        notes: sentences that belong to every result, such as exceptions that were allowed.
        options: the look of each option of `reg`; None: those of conf/style/looks/.
        ranks: table of a suite, from `suite.rank_table`; empty for other studies.
        pairs: table of a suite, from `suite.pair_table`; empty for other studies.
        about: the notes below these two tables, by `ranks` and `pairs`.
        components: variance components, from `crossed_runs.variance_tables`; empty unless seeds are crossed.
        interactions: the table `interaction`, from `interaction.interaction`; empty without several settings.
        answers: the table `hypotheses`, from `hypotheses.answers`; empty without questions.
    """

    study: Study
    rows: pd.DataFrame
    looks: Mapping[str, Look]
    style: Style
    contrasts: pd.DataFrame = field(default_factory=pd.DataFrame)
    primary: str = "val_accuracy"
    best_of_n: pd.DataFrame = field(default_factory=pd.DataFrame)
    trials: pd.DataFrame = field(default_factory=pd.DataFrame)
    options: Mapping[str, OptionLook] | None = None
    notes: Sequence[str] = ()
    ranks: pd.DataFrame = field(default_factory=pd.DataFrame)
    pairs: pd.DataFrame = field(default_factory=pd.DataFrame)
    about: Mapping[str, Sequence[str]] = field(default_factory=dict)
    components: pd.DataFrame = field(default_factory=pd.DataFrame)
    interactions: pd.DataFrame = field(default_factory=partial(pd.DataFrame, columns=["variant"]))
    answers: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def task(self) -> str:
        """`classification` or `regression`, the same in all rows."""
        return str(self.rows["task"].iloc[0]) if "task" in self.rows else CLASSIFICATION

    @property
    def measures(self) -> Mapping[str, Measure]:
        """The measures of the study's task by name."""
        return measures_of(self.task)

    def in_task(self, column: str, key: str) -> str:
        """Return the column that a figure draws for a column that it names: for regression, the loss for an accuracy.

        Raises:
            ConfigError: it is a measure of the other task alone.
        """
        found = in_task(column, self.task)
        if found in MEASURES and found not in self.measures:
            raise ConfigError(
                f"{key}: {found} is a measure of {MEASURES[found].task}, and this is a {self.task}. Allowed:"
                f" {', '.join(self.measures)}"
            )
        return found

    def label(self, column: str) -> str:
        """Return the axis label of a column, with the unit that it has in this study; see `label`."""
        return label(column, self.task)

    @cached_property
    def per_epoch(self) -> pd.DataFrame:
        """One row per run and epoch: metrics, gaps, and the columns of runs.csv."""
        facts = self.study.runs.drop(columns=["variant", "seed", "lam"])
        return with_gaps(self.study.metrics).merge(facts, on="run")

    def looks_by(self, column: str, values: Sequence[Any] | None = None) -> dict[Any, Look]:
        """Return the look of each value of a column such as `reg`; None: of all values in the study's runs."""
        values = list(self.study.runs[column].unique()) if values is None else values
        return group_looks(values, column, self.study.runs, self.options)

    @property
    def margin(self) -> float | None:
        """The margin of equivalence of the primary measure, in displayed units; None if the study has none."""
        if "margin" not in self.contrasts:
            return None
        margins = self.contrasts.loc[self.contrasts["measure"] == self.primary, "margin"]
        return None if margins.empty else float(margins.iloc[0]) * self.measures[self.primary].factor

    def has_interval(self, values: Sequence[float] | np.ndarray | pd.Series) -> bool:
        """Return whether values over seeds have an interval: there are enough, and the seeds are independent."""
        return len(values) >= INTERVALS_FROM and not shares_seeds(self.rows)

    def complete(self) -> pd.DataFrame:
        """Return one row per complete run."""
        return self.rows[self.rows["state"] == "complete"]

    def filtered(self, wanted: Mapping[str, Any]) -> "View":
        """Return the view of the runs that pass a filter; see `matches`."""
        if not wanted:
            return self
        kept = self.rows[matches(self.rows, wanted)]
        if kept.empty:
            raise ConfigError(f"filter={dict(wanted)}: matches no run in {self.study.folder}")
        variants = set(kept["variant"])
        contrasts = self.contrasts[self.contrasts["variant"].isin(variants)]
        return replace(
            self,
            study=self.study.of_runs(self.study.runs["run"].isin(kept["run"])),
            rows=kept.reset_index(drop=True),
            looks={variant: look for variant, look in self.looks.items() if variant in variants},
            contrasts=contrasts.reset_index(drop=True),
            interactions=self.interactions[self.interactions["variant"].isin(variants)],
        )


def suite_looks(view: View) -> dict[str, Look]:
    """Return the look of each variant of a suite, without its setting."""
    return looks(view.ranks, view.options)


def matches(rows: pd.DataFrame, wanted: Mapping[str, Any]) -> pd.Series:
    """Return which rows pass a filter: each filtered column has one of the wanted values.

    Runs with `reg=none` pass every filter of λ.

    Args:
        rows: one row per run.
        wanted: a value or a list of values, by column.

    Raises:
        ConfigError: a column does not exist, or a λ is not a number.
    """
    mask = pd.Series(True, rows.index)
    for column, values in wanted.items():
        known(rows, column, "filter")
        values = list(values) if isinstance(values, list | tuple) else [values]
        if column == "seed" and isinstance(rows[column].iloc[0], str):  # a run has seeds of single sources
            values = list(map(str, values))
        fits = rows[column].isin(values)
        if column == "lam":
            if not all(isinstance(value, int | float) for value in values):
                raise ConfigError(f"filter.lam={values}: must be a number or a list of them. Example: filter.lam=1e-4")
            fits = np.isclose(rows["lam"].to_numpy(float)[:, None], np.array(values, float), rtol=1e-9, atol=0).any(1)
            fits |= rows["reg"] == "none"
        mask &= fits
    return mask


def known(table: pd.DataFrame, column: str, key: str) -> str:
    """Return the name of a column after checking that the table has it.

    Raises:
        ConfigError: the table has no such column; the message lists the existing ones.
    """
    if column not in table.columns:
        raise ConfigError(f"{key}: {column} is not a column. Allowed: {', '.join(table.columns)}")
    return column


def listed(values: str | Sequence[str], key: str) -> list[str]:
    """Return a name or a list of names as a list.

    Raises:
        ConfigError: the value is neither, or the list is empty.
    """
    names = [values] if isinstance(values, str) else values
    if not (isinstance(names, list | tuple) and names and all(isinstance(name, str) for name in names)):
        raise ConfigError(f"{key}={values}: must be a name or a list of names")
    return list(names)


def shown(values: pd.Series | Sequence[float], column: str) -> np.ndarray:
    """Return the values of a column in the unit of its axis.

    Raises:
        ConfigError: the column does not hold numbers.
    """
    factor = MEASURES[column].factor if column in MEASURES else 100 if column == "label_noise" else 1
    try:
        return factor * np.asarray(values, float)
    except (TypeError, ValueError):
        raise ConfigError(f"{column} holds text: a column of numbers is required. Example: val_accuracy") from None


def label(column: str, task: str = CLASSIFICATION) -> str:
    """Return the axis label of a column. The task decides the unit of losses: nats, or MSE for regression."""
    if column in ("penalty", "objective") and task == CLASSIFICATION:
        return f"{LABELS[column]} ({NATS})"
    if column in MEASURES and column not in LABELS:
        measure = measures_of(task).get(column, MEASURES[column])
        return f"{measure.label} ({measure.shown_unit})" if measure.shown_unit else measure.label
    return LABELS.get(column, column.replace("_", " ").capitalize())


def in_sentence(words: str) -> str:
    """Return a label as it stands within other words: without its capital, unless it begins with a symbol."""
    return words[0].lower() + words[1:] if words[0].isascii() else words


def difference_label(measure: str, separator: str = " ", task: str = CLASSIFICATION) -> str:
    """Return the axis label of differences in a measure of a task, with a separator before the unit."""
    unit = measures_of(task)[measure].difference_unit
    name = NORMS.get(measure, MEASURES[measure].label)
    return f"Δ {in_sentence(name)}" + (f"{separator}({unit})" if unit else "")
