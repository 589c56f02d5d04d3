"""Variants over the settings of a suite: mean ranks, and probabilities of the Bayesian signed-rank test."""

import re
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from study.analysis.drawing.layout import legend_below
from study.analysis.drawing.looks import Look
from study.analysis.drawing.view import View, suite_looks
from study.analysis.statistics.ranks import LEVEL, cliques, critical_difference
from study.analysis.statistics.suite import against_of, probabilities
from study.errors import ConfigError

OF_SUITE = {"ranks": "ranks", "rope": "pairs"}  # by figure, the table of a suite that it shows
TESTS = ("wilcoxon", "nemenyi")
ROW = 0.2  # height of a row, in inches at 9 points
STATED = 0.12  # smallest probability that is written into its bar


def ranks(view: View, test: str = "wilcoxon") -> Figure:
    """Draw the critical-difference diagram: mean ranks over the settings of a suite, the best on the left.

    A bar above joins variants of which no two differ significantly. Demšar (2006) has the form; here each name has a
    row of its own.

    Args:
        view: the runs.
        test: `wilcoxon`: signed-rank tests of all pairs, corrected by Holm. `nemenyi`: Nemenyi's critical difference,
            which is drawn as well.

    Raises:
        ConfigError: the study is no suite, or there is no such test.
    """
    if test not in TESTS:
        raise ConfigError(f"test={test}: allowed: {', '.join(TESTS)}")
    table, styles = of_suite(view, "ranks"), suite_looks(view)
    means, count = table["mean_rank"].to_numpy(float), len(table)
    critical = critical_difference(count, int(view.pairs["n"].iloc[0]))
    different = np.abs(means[:, None] - means) >= critical if test == "nemenyi" else _significant(view, table)
    groups = cliques(different)
    row = ROW * view.style.size / 9
    above = 0.55 * len(groups) + (1.2 if test == "nemenyi" else 0)
    figure, axis = plt.subplots(figsize=(view.style.single, row * (count + above + 0.6) + 0.5))
    for place, variant in enumerate(table["variant"]):
        look = styles[variant]
        axis.plot([means[place]] * 2, [-above, place], color=look.colour, linewidth=0.8, zorder=2)
        axis.plot(means[place], place, look.marker, color=look.colour, zorder=3)
    for number, (first, last) in enumerate(groups):
        ends = (means[first] - 0.04, means[last] + 0.04)
        axis.plot(ends, [-0.55 * (number + 1)] * 2, color="#444444", linewidth=2.5, solid_capstyle="butt", zorder=4)
    if test == "nemenyi":
        height = 0.4 - above
        axis.errorbar(1 + critical / 2, height, xerr=critical / 2, capsize=2, ecolor="black", elinewidth=0.8)
        axis.text(1 + critical + 0.08, height, f"CD = {critical:.2f}", va="center", fontsize="small")
    axis.set_xlim(0.9, count + 0.1)
    axis.set_ylim(count - 0.4, -above - 0.1)
    axis.set_yticks(range(count), [styles[variant].label for variant in table["variant"]])
    axis.tick_params(axis="y", length=0)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axis.set_xlabel("Mean rank (1 is best)")
    axis.grid(visible=False, axis="x")
    axis.spines["left"].set_visible(False)
    return figure


def rope(view: View, against: str | None = None) -> Figure:
    """Draw for each variant the probabilities that it is practically worse, equivalent, or better than one variant.

    Args:
        view: the runs.
        against: that variant; None: the baseline, or without one the variant with the best mean rank.

    Raises:
        ConfigError: the study is no suite, or has no such variant.
    """
    table, styles = of_suite(view, "rope"), suite_looks(view)
    chosen = against_of(table, against)
    names = [variant for variant in table["variant"] if variant != chosen]
    height = ROW * view.style.size / 9 * (1.3 * len(names) + 0.6) + 0.55
    figure, axis = plt.subplots(figsize=(view.style.single, height))
    for place, variant in enumerate(names):
        look, left = styles[variant], 0.0
        for part, probability in zip(_parts(look), probabilities(view.pairs, variant, chosen), strict=True):
            axis.barh(place, probability, left=left, height=0.7, linewidth=0.6, **part)
            if probability >= STATED:
                colour = "white" if _lightness(part["facecolor"]) < 0.5 else "black"
                where = (left + probability / 2, place)
                axis.annotate(
                    f"{probability:.2f}", where, ha="center", va="center", color=colour, fontsize="small"
                ).set_bbox({"facecolor": part["facecolor"], "linewidth": 0, "pad": 0.8})
            left += probability
    axis.set_xlim(0, 1)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.set_yticks(range(len(names)), [styles[variant].label for variant in names])
    axis.tick_params(axis="y", length=0)
    axis.set_xlabel(f"Probability, relative to {re.sub('^No ', 'no ', styles[chosen].label)}")
    axis.grid(visible=False)
    axis.spines["left"].set_visible(False)
    handles = [Patch(linewidth=0.6, **part) for part in _parts(Look("", "#666666", "solid", "o"))]
    legend_below(figure, handles, ["worse", f"equivalent ({rope_text(view)})", "better"])
    return figure


def rope_text(view: View) -> str:
    """Return the region of practical equivalence with its unit, such as `within ±1 points`."""
    measure = view.measures[view.primary]
    return f"within ±{view.pairs['rope'].iloc[0] * measure.factor:.6g} {measure.difference_unit}".rstrip()


def of_suite(view: View, name: str) -> pd.DataFrame:
    """Return the mean ranks of a suite.

    Raises:
        ConfigError: the study is no suite.
    """
    if view.ranks.empty:
        raise ConfigError(
            f"figures: {name} requires a suite with scores of two variants in two settings. Example: experiment=suite"
        )
    return view.ranks


def _parts(look: Look) -> list[dict[str, Any]]:
    """Return the appearance of the bars of worse, equivalent and better; hatches tell them apart without colour."""
    return [
        {"facecolor": "white", "edgecolor": look.colour, "hatch": "////"},
        {"facecolor": "#d5d5d5", "edgecolor": look.colour},
        {"facecolor": look.colour, "edgecolor": look.colour},
    ]


def _lightness(colour: str) -> float:
    """Return how light a colour looks, from 0 for black to 1 for white (the luma of ITU-R BT.601)."""
    return float(np.dot([0.299, 0.587, 0.114], to_rgb(colour)))


def _significant(view: View, table: pd.DataFrame) -> np.ndarray:
    """Return which variants differ significantly after Holm's correction, in the order of the table."""
    places = {variant: place for place, variant in enumerate(table["variant"])}
    different = np.zeros((len(places), len(places)), bool)
    for row in view.pairs.itertuples():
        one, other = places[row.variant], places[row.other]
        different[one, other] = different[other, one] = row.p_holm < LEVEL
    return different
