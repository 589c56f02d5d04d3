"""Lines of a measure against the epoch, λ, the size of the training set, or any other numeric column of runs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from study.analysis.drawing.bands import RANGE, draw_band, summarized
from study.analysis.drawing.labels import reference_label
from study.analysis.drawing.layout import grid_shape, is_logarithmic, legend_below
from study.analysis.drawing.looks import Look
from study.analysis.drawing.view import View, known, label, listed, shown
from study.analysis.text.escaping import mathtext
from study.errors import ConfigError

COLUMNS = 3  # panels side by side
VARIANT, NONE = "variant", "none"
SIGNED = ("accuracy_gap", "loss_gap")  # measures with a line at zero


def lines(
    view: View,
    x: str,
    y: Sequence[str],
    colour: str = VARIANT,
    panel: str | None = None,
    band: str = RANGE,
) -> Figure:
    """Draw a panel for each measure and each value of `panel`, with a line for each value of `colour`.

    Against λ, runs without a regularizer are a horizontal reference line. Only complete runs
    are drawn, except against the epoch.

    Args:
        view: the runs.
        x: a column of metrics.csv (`epoch`), or of runs.csv (`lam`, `train_images`, `label_noise`, ...).
        y: columns of the same table; each has one row of panels. For regression, the loss takes the place of accuracy.
        colour: the column with one line per value: `variant`, `reg`, ...
        panel: the column with one panel per value, side by side; None means one panel.
        band: `range`: from the minimum to the maximum over seeds. `interval`: the pointwise 95 % t-interval of the
            mean.

    Raises:
        ConfigError: a column does not exist or cannot be drawn, or a line would average variants.
    """
    y = list(dict.fromkeys(view.in_task(name, f"y[{i}]") for i, name in enumerate(listed(y, "y"))))
    table = view.per_epoch if x == "epoch" else view.complete()
    for key, column in {"x": x, "colour": colour, **{f"y[{i}]": name for i, name in enumerate(y)}}.items():
        known(table, column, key)
    table = table[pd.to_numeric(table[x], errors="coerce").notna()]
    if x == "lam" and (table["reg"] == NONE).all():
        raise ConfigError("x: lam has no values: no run has a regularizer. Choose another column or another filter")
    panels = sorted(table[known(table, panel, "panel")].unique()) if panel else [None]
    styles = view.looks if colour == VARIANT else _group_looks(view, table, colour)
    none = view.looks_by("reg", [NONE])[NONE]
    axes, figure = _grid(view, len(y), len(panels))
    for row, measure in enumerate(y):
        for place, value in enumerate(panels):
            axis = axes[row][place]
            own = table if value is None else table[table[panel] == value]
            _draw(axis, own, x, measure, colour, styles, band, none)
            axis.set_xlabel(view.label(x))
            if place == 0 or panel is None:
                axis.set_ylabel(view.label(measure))
            if panel is not None and row == 0:
                axis.set_title(f"{label(panel)}: {mathtext(str(value))}")
    legend_below(figure, *_handles(axes))
    return figure


def _grid(view: View, measures: int, panels: int) -> tuple[list[list[Axes]], Figure]:
    """Return axes by measure and panel, and the figure; with one panel, measures are side by side."""
    if panels == 1:
        rows, columns = grid_shape(measures, COLUMNS)
        width = view.style.double if columns > 1 else view.style.single
        size = (width, width / columns * 0.92 * rows)
        figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
        flat = list(axes.ravel())
        for axis in flat[measures:]:
            axis.set_axis_off()
        return [[axis] for axis in flat[:measures]], figure
    size = (view.style.double, view.style.double / panels * 0.85 * measures)
    figure, axes = plt.subplots(measures, panels, figsize=size, squeeze=False, sharex=True, sharey="row")
    return [list(row) for row in axes], figure


def _group_looks(view: View, table: pd.DataFrame, column: str) -> Mapping[Any, Look]:
    order = table[column].unique() if column == "reg" else sorted(table[column].unique())
    everything = view.study.runs[column].unique() if column in view.study.runs else order
    styles = view.looks_by(column, list(dict.fromkeys([*everything, *order])))
    return {value: styles[value] for value in order}


def _draw(
    axis: Axes,
    table: pd.DataFrame,
    x: str,
    measure: str,
    colour: str,
    styles: Mapping[Any, Look],
    band: str,
    none: Look,
) -> None:
    reference = table[table["reg"] == NONE] if x == "lam" else table.iloc[:0]
    for value, look in styles.items():
        own = table[(table[colour] == value) & ~table.index.isin(reference.index)]
        if len(own):
            _refuse_pooling(own, x, look.label)
            arguments = {**look.line(), "marker": look.marker}
            if x == "epoch":
                arguments["markevery"] = 0.12
            draw_band(
                axis, pd.Series(shown(own[x], x)), pd.Series(shown(own[measure], measure)), band, arguments, look.label
            )
    if len(reference):
        name = reference_label(reference)
        _refuse_pooling(reference, x, name)
        level = summarized(pd.Series(np.zeros(len(reference))), pd.Series(shown(reference[measure], measure)), band)
        axis.axhline(level["mean"].iloc[0], **none.line(), linewidth=0.9, label=name, zorder=1.5)
        if len(reference) > 1:
            axis.axhspan(level["low"].iloc[0], level["high"].iloc[0], color=none.colour, alpha=0.1, linewidth=0)
    if measure in SIGNED:
        axis.axhline(0, color="#777777", linewidth=0.8, zorder=1)
    values = shown(table.drop(reference.index)[x], x)
    if x != "epoch" and is_logarithmic(values.tolist()):
        axis.set_xscale("log")
    elif x == "epoch":
        axis.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))


def _refuse_pooling(own: pd.DataFrame, x: str, name: str) -> None:
    """Refuse a line that would average variants. Only seeds are repetitions of one another."""
    variants = own.groupby(x)["variant"].unique()
    if (several := variants[variants.map(len) > 1]).size:
        listed = ", ".join(several.iloc[0][:4])
        raise ConfigError(
            f"the line {name} would average the variants {listed}. Use colour: variant, a panel, or a filter"
        )


def _handles(axes: list[list[Axes]]) -> tuple[list[Any], list[str]]:
    """Return the handles and labels of all panels, each label once."""
    found: dict[str, Any] = {}
    for axis in [axis for row in axes for axis in row]:
        for handle, text in zip(*axis.get_legend_handles_labels(), strict=True):
            found.setdefault(text, handle)
    return list(found.values()), list(found)
