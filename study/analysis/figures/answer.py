"""The answer of a study on one page: curves, gap against accuracy, densities and sizes of the weights."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from study.analysis.drawing.bands import RANGE, draw_band
from study.analysis.drawing.histograms import parts, share_above
from study.analysis.drawing.layout import legend_below
from study.analysis.drawing.ridges import Ridge, draw_ridges
from study.analysis.drawing.scaling import RAW, chosen, in_rms
from study.analysis.drawing.view import View, shown
from study.errors import ConfigError
from study.measures.catalog import MAIN, MEASURES
from study.tasks import CLASSIFICATION

READS_HISTOGRAMS = True
MOST = 6  # variants that can be told apart at 8 cm
SMALLER = 2.0  # points by which text is smaller than the style's: five panels share one column
CURVE = {CLASSIFICATION: ("accuracy", "accuracy (%)", 100)}
REGRESSION_CURVE = ("loss", "loss (MSE)", 1)


def answer(view: View, parameters: str = "weights", most: int = MOST) -> Figure:
    """Draw the training and validation curves, the gap, and the weights of up to six variants on one column.

    Small points are seeds, large ones means. Curves are means over seeds, bands extend from the smallest to the largest
    value. Of more variants, the best of each regularizer by validation accuracy are shown (for regression: loss), and
    the variants without a regularizer.

    Args:
        view: the runs.
        parameters: `all`, `weights`, `biases`, or a regular expression that must match whole names: whose densities and
            sizes are shown, all together.
        most: the largest number of variants.

    Raises:
        StudyError: no run has a histogram.
        ConfigError: `parameters` matches no name, or `most` is below 1.
    """
    if most < 1:
        raise ConfigError(f"answer: most={most}: must be at least 1. Example: most: {MOST}")
    variants = shown_variants(view, most)
    size = max(view.style.size - SMALLER, 4.0)
    small: dict[Any, Any] = {
        **dict.fromkeys(("font.size", "axes.titlesize", "axes.labelsize"), size),
        **dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), size - 0.5),
        "lines.linewidth": 0.9 * view.style.line,
        "lines.markersize": 2.2 * view.style.line,
    }
    with plt.rc_context(small):
        width = view.style.single
        height = width * (1.08 + 0.055 * len(variants))
        figure = plt.figure(figsize=(width, height))
        grid = figure.add_gridspec(3, 2, height_ratios=[1, 1, 0.25 + 0.17 * len(variants)])
        first = figure.add_subplot(grid[0, 0])
        _curves(view, variants, (first, figure.add_subplot(grid[0, 1], sharey=first)))
        _gap(view, variants, figure.add_subplot(grid[1, 0]))
        _sizes(view, variants, figure.add_subplot(grid[1, 1]), parameters)
        _densities(view, variants, figure.add_subplot(grid[2, :]), parameters)
        if len(variants) < len(view.looks):
            figure.suptitle(_selection(view, variants), fontsize=size)
        looks = [view.looks[variant] for variant in variants]
        handles = [Line2D([], [], **look.line(), marker=look.marker) for look in looks]
        legend_below(figure, handles, [look.label for look in looks])
    return figure


def shown_variants(view: View, most: int = MOST) -> list[str]:
    """Return the variants to show: all, or those without a regularizer and the best of each regularizer."""
    rows, main = view.complete(), MAIN[view.task].val
    if rows.empty:  # every run diverged
        return list(view.looks)[:most]
    there = [variant for variant in view.looks if variant in set(rows["variant"])]
    if len(there) <= most:
        return there
    scores = MEASURES[main].better * rows.groupby("variant")[main].mean()
    reg = rows.drop_duplicates("variant").set_index("variant")["reg"]
    references = [variant for variant in there if reg[variant] == "none"][:most]
    best = scores.drop(references).groupby(reg).idxmax()
    chosen_ones = {*references, *scores[best].nlargest(most - len(references)).index}
    return [variant for variant in there if variant in chosen_ones]


def _selection(view: View, variants: Sequence[str]) -> str:
    best = f"best of each regularizer by {MAIN[view.task].words}"
    return f"{len(variants)} of {len(view.looks)} variants: {best}"


def _curves(view: View, variants: Sequence[str], axes: tuple[Axes, Axes]) -> None:
    kind, words, factor = CURVE.get(view.task, REGRESSION_CURVE)
    table = view.per_epoch[view.per_epoch["epoch"] > 0]
    for axis, split, name in zip(axes, ("train", "val"), ("Training", "Validation"), strict=True):
        for variant in variants:
            own = table[table["variant"] == variant]
            look = {**view.looks[variant].line(), "markevery": 0.2, "marker": view.looks[variant].marker}
            draw_band(axis, own["epoch"], factor * own[f"{split}_{kind}"], RANGE, look, view.looks[variant].label)
        axis.set_xlabel("Epoch")
        axis.set_title(f"{name} {words}", loc="left")
        axis.xaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]))
    axes[1].tick_params(labelleft=False)
    values = factor * table.loc[table["variant"].isin(variants), [f"train_{kind}", f"val_{kind}"]].to_numpy()
    if (values := values[np.isfinite(values)]).size:
        low, high = np.quantile(values, [0.01, 1.0] if kind == "accuracy" else [0.0, 0.99])
        margin = 0.06 * (high - low) or 0.5
        axes[0].set_ylim(low - margin, high + margin)


def _gap(view: View, variants: Sequence[str], axis: Axes) -> None:
    main = MAIN[view.task].val
    gap = "accuracy_gap" if view.task == CLASSIFICATION else "loss_gap"
    _points(view, variants, axis, view.complete(), main, gap)
    axis.axhline(0, color="#777777", linewidth=0.7, zorder=1)
    axis.set_xlabel(view.label(main))
    axis.set_title(view.label(gap), loc="left")


def _sizes(view: View, variants: Sequence[str], axis: Axes, parameters: str) -> None:
    table = view.complete().assign(beyond=lambda rows: _beyond(view, rows, parameters))
    weights = chosen(view.study.weights, parameters).merge(table[["run", "epoch"]], on=["run", "epoch"])
    table["largest"] = table["run"].map(weights.groupby("run")["abs_max"].max())
    _points(view, variants, axis, table, "beyond", "largest")
    axis.set_xlabel("Beyond initial range (%)")
    axis.set_title("Largest |w|", loc="left")
    axis.set_ylim(0, 1.1 * axis.get_ylim()[1])  # room for marks, also if all variants have nearly the same maximum


def _points(view: View, variants: Sequence[str], axis: Axes, table: pd.DataFrame, x: str, y: str) -> None:
    """Draw a small point per seed and a large one at the means."""
    for variant in variants:
        look, own = view.looks[variant], table[table["variant"] == variant]
        if own.empty:
            continue
        across, up = shown(own[x], x), shown(own[y], y)
        if len(own) > 1:
            axis.plot(across, up, look.marker, color=look.colour, alpha=0.45, markersize=1.8, markeredgewidth=0)
        axis.plot(across.mean(), up.mean(), look.marker, color=look.colour, markersize=4.2)
    axis.margins(0.12)
    axis.xaxis.set_major_locator(MaxNLocator(4))
    axis.yaxis.set_major_locator(MaxNLocator(5))


def _beyond(view: View, rows: pd.DataFrame, parameters: str) -> list[float]:
    """Return for each run the percentage of weights whose |w| exceeds the largest |w| of their tensor before training.

    The fraction is exact at the edges of histogram.csv, and interpolated between them.
    """
    at_start = chosen(view.study.weights, parameters).query("epoch == 0").set_index(["run", "parameter"])["abs_max"]
    found = []
    for index in rows.index:
        row = rows.loc[[index]]
        above, count = 0.0, 0
        for (_, parameter), table in parts(chosen(view.study.histograms(row), parameters)).items():
            t, share = share_above(table)
            size = int(table["count"].sum())
            above += size * float(np.interp(at_start[row["run"].iloc[0], parameter], t, share))
            count += size
        found.append(100 * above / count)
    return found


def _densities(view: View, variants: Sequence[str], axis: Axes, parameters: str) -> None:
    table = _pooled(chosen(in_rms(view, view.rows, RAW), parameters))
    start = _pooled(chosen(view.study.histograms(view.rows.assign(epoch=0)), parameters))
    draw_ridges(axis, [Ridge(view.looks[v], table[v], start.get(v)) for v in variants if v in table])
    axis.set_yticks([])
    axis.set_title("Density of w (grey: before training)", loc="left")


def _pooled(histograms: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the histogram of all parameters together, by variant."""
    keys = ["variant", "runs", "bin_left", "bin_right"]
    return dict(tuple(histograms.groupby(keys, as_index=False, sort=False)["count"].sum().groupby("variant")))
