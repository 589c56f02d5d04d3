"""Reliability diagrams: how often predictions of a given confidence are correct."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from study.analysis.drawing.layout import grid_shape, legend_below, wrapped
from study.analysis.drawing.view import View
from study.errors import ConfigError

COLUMNS = 4
SPLITS = ("val", "test")


def reliability(view: View, split: str = "val") -> Figure:
    """Draw accuracy against confidence, a panel per variant, with the expected calibration error (Guo et al. 2017).

    Confidence is the probability of the predicted class. A point is a bin of equal width; all seeds are pooled. Bars at
    the bottom show the fraction of predictions in each bin. The error is a mean over seeds.

    Args:
        view: the runs.
        split: `val` or `test`.

    Raises:
        ConfigError: `split` is not allowed, or no run has calibration.csv for it.
    """
    if split not in SPLITS:
        raise ConfigError(f"split={split}: allowed: {', '.join(SPLITS)}")
    table = view.study.tables["calibration.csv"]
    table = table[(table["split"] == split) & table["run"].isin(view.complete()["run"])]
    if table.empty:
        raise ConfigError(
            f"figures: reliability requires calibration.csv with split={split}, which classifications have that are"
            " trained by this version. Train the study again under another name=..."
        )
    variants = [variant for variant in view.looks if variant in set(table["variant"])]
    rows, columns = grid_shape(len(variants), COLUMNS)
    width = view.style.double * min(1.0, (columns + 0.3) / COLUMNS)
    size = (width, (width / columns * 1.02 + 0.1) * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, sharex=True, sharey=True)
    for axis in axes.ravel()[len(variants) :]:
        axis.set_axis_off()
    title_width = int(19 * (width / columns / 1.75) * 9 / view.style.size)
    for number, (axis, variant) in enumerate(zip(axes.ravel(), variants, strict=False)):
        look, own = view.looks[variant], table[table["variant"] == variant]
        bins = _pooled(own)
        axis.plot([0, 100], [0, 100], color="#777777", linewidth=0.8, label="Perfect calibration")
        axis.plot(bins["confidence"], bins["accuracy"], color=look.colour, marker="o", label=None)
        axis.fill_between(bins["confidence"], bins["confidence"], bins["accuracy"], color=look.colour, alpha=0.15)
        bar: dict[str, Any] = {"align": "edge", "alpha": 0.3, "linewidth": 0, "color": look.colour}
        axis.bar(bins["bin_left"], bins["share"], width=bins["bin_right"] - bins["bin_left"], **bar)
        errors = _ece(own)
        text = f"ECE {errors.mean():.1f}" + (f" ± {errors.std(ddof=1):.1f} %" if len(errors) > 1 else " %")
        axis.text(0.05, 0.95, text, transform=axis.transAxes, va="top", fontsize="small")
        axis.set_title(wrapped(look.label, title_width))
        axis.set_xlim(0, 100)
        axis.set_ylim(0, 100)
        axis.set_aspect("equal")
        axis.xaxis.set_major_locator(MultipleLocator(50))
        axis.yaxis.set_major_locator(MultipleLocator(50))
        if number % columns == 0:
            axis.set_ylabel("Accuracy (%)")
        if number >= len(variants) - columns:
            axis.set_xlabel("Confidence (%)")
            axis.tick_params(labelbottom=True)
    legend_below(figure, *axes[0, 0].get_legend_handles_labels())
    return figure


def _pooled(own: pd.DataFrame) -> pd.DataFrame:
    """Return the bins of all seeds together in percent, with the fraction of predictions in each."""
    weighted = own.assign(**{key: own[key] * own["count"] for key in ("confidence", "accuracy")})
    sums = weighted.groupby(["bin_left", "bin_right"], as_index=False)[["count", "confidence", "accuracy"]].sum()
    percent = 100 * sums[["confidence", "accuracy"]].div(sums["count"], axis=0)
    edges = 100 * sums[["bin_left", "bin_right"]]
    return pd.concat([edges, percent, (100 * sums["count"] / sums["count"].sum()).rename("share")], axis=1)


def _ece(own: pd.DataFrame) -> np.ndarray:
    """Return the expected calibration error of each run, in percent."""
    excess = (own["accuracy"] - own["confidence"]).abs() * own["count"]
    by_run = excess.groupby(own["run"]).sum() / own.groupby("run")["count"].sum()
    return 100 * by_run.to_numpy(float)
