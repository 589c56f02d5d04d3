"""Answers to the questions that were fixed before a study's first run."""

import json
import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from study.analysis.drawing.labels import option_label
from study.analysis.drawing.view import View, listed
from study.analysis.text.escaping import mathtext, plain
from study.analysis.text.formats import signed
from study.errors import ConfigError
from study.measures.catalog import Measure, described

ALL_VARIANTS = ("hypotheses",)
MINUS = " − "  # between the two regularizers of a contrast
ROW, TITLE, AXIS = 0.2, 0.3, 0.45  # heights at 9 points, in inches
BELOW = 0.28  # of its row, in rows, are the estimates of settings
LETTERS = 62  # of a title in a line


def hypotheses(view: View, questions: Sequence[str] | None = None) -> Figure:
    """Draw a panel per question, a row per contrast: the estimate, its interval, and those of the settings or seeds.

    Args:
        view: the study.
        questions: names of questions; None: all.

    Raises:
        ConfigError: the study has no questions, or none with such a name.
    """
    panels = [own for _, own in chosen(view.answers, questions).groupby("hypothesis", sort=False)]
    scale = view.style.size / 9
    heights = [scale * (ROW * len(own) + TITLE + AXIS) for own in panels]
    figure, axes = plt.subplots(
        len(panels), figsize=(view.style.double, sum(heights)), height_ratios=heights, squeeze=False
    )
    for axis, own in zip(axes[:, 0], panels, strict=True):
        _panel(axis, own, view)
    return figure


def _panel(axis: plt.Axes, own: pd.DataFrame, view: View) -> None:
    """Draw the rows of one question."""
    first = own.iloc[0]
    measure, is_contrast = described(first["measure"], view.task), MINUS in first["compared"]
    factor = measure.factor if is_contrast else 1
    axis.axvline(0, color="#777777", linewidth=0.8, zorder=1)
    if pd.notna(first["margin"]):
        margin = factor * first["margin"]
        axis.axvspan(-margin, margin, color="#777777", alpha=0.15, linewidth=0, zorder=0)
    for place, row in enumerate(own.to_dict("records")):
        each = factor * np.array(list(json.loads(row["each"]).values()), float)
        axis.plot(each, np.full(len(each), place + BELOW), "o", color="#888888", markersize=2, linewidth=0, zorder=2)
        axis.plot([factor * row["ci_low"], factor * row["ci_high"]], [place, place], color="black", zorder=3)
        axis.plot(factor * row["estimate"], place, "D", color="black", markersize=3.5, zorder=4)
    axis.set_yticks(range(len(own)), [_row_label(compared, view.task) for compared in own["compared"]])
    axis.set_ylim(len(own) - 0.4, -0.6)
    right = axis.secondary_yaxis("right")
    right.set_yticks(range(len(own)), list(own["answer"]))
    right.tick_params(length=0)
    right.spines[:].set_visible(False)
    axis.set_title("\n".join(textwrap.wrap(mathtext(first["question"]), LETTERS)), loc="left", fontsize="medium")
    if not is_contrast:
        axis.set_xlim(-1, 1)
    axis.set_xlabel(_difference(first["compared"], measure, view.task) if is_contrast else "Rank correlation")


def _row_label(compared: str, task: str) -> str:
    """What is compared with the baseline; of an association, the two measures."""
    first, is_contrast, _ = compared.partition(MINUS)
    if is_contrast:
        return option_label(first)
    one, other = (described(side, task) for side in compared.split(" with "))
    return mathtext(f"{one.label}\nand {other.words}")


def _difference(compared: str, measure: Measure, task: str) -> str:
    """The label of the axis: to what the differences are, in which measure, at what."""
    baseline, at, matched = compared.partition(MINUS)[2].partition(" at equal ")
    to = "no regularizer" if baseline == "none" else option_label(baseline)
    of = f"{measure.words}{at}{described(matched, task).words if at else ''}"
    unit = f" ({measure.difference_unit})" if measure.difference_unit else ""
    return mathtext(f"Difference to {to} in {of}{unit}")


def chosen(answers: pd.DataFrame, questions: Sequence[str] | None) -> pd.DataFrame:
    """The rows of some questions, or of all.

    Raises:
        ConfigError: see `hypotheses`.
    """
    if answers.empty:
        raise ConfigError(
            "figures: hypotheses requires questions, and the study has none. See docs/how-to/questions.md"
        )
    there = list(dict.fromkeys(answers["hypothesis"]))
    names = listed(questions, "questions") if questions is not None else there
    for name in names:
        if name not in there:
            raise ConfigError(f"questions: there is no {name}. Allowed: {', '.join(there)}")
    return answers[answers["hypothesis"].isin(names)]


def in_words(view: View, questions: Sequence[str] | None = None) -> str:
    """Return the answers as sentences."""
    parts = []
    for row in chosen(view.answers, questions).itertuples():
        factor = described(row.measure, view.task).factor if MINUS in row.compared else 1
        parts.append(f"{row.hypothesis}, {plain(row.compared)}: {signed(factor * row.estimate, 2)}, {row.answer}")
    return f"{'; '.join(parts)}."
