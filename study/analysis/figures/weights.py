"""Distributions of the weights: a panel per parameter tensor, and in it a row per variant."""

from typing import Any

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from study.analysis.drawing.histograms import parts
from study.analysis.drawing.layout import legend_below, wrapped
from study.analysis.drawing.ridges import Ridge, draw_ridges, keys
from study.analysis.drawing.scaling import RAW, chosen, in_rms
from study.analysis.drawing.view import View
from study.measures.weights import NEAR_ZERO

READS_HISTOGRAMS = True
COLUMNS = 2
LINEAR_RMS = 0.03  # linear part of the axis for values divided by their root mean square
NUMBERS = (("near_zero_fraction", "|w| <\n0.001", 100, ".1f", " %"), ("abs_max", "max\n|w|", 1, ".2f", ""))
PLACES = (1.03, 1.2)  # of the columns of numbers, in widths of a panel


def weights(view: View, parameters: str = "weights", scale: str = RAW) -> Figure:
    """Draw the density of each parameter tensor over signed-logarithmic w, a row per variant.

    All seeds of a variant are pooled, and each density is scaled to its own maximum. The initialized weights are behind
    it in grey. Beside a row are the fraction of |w| < 0.001 and the largest |w|, means over seeds.

    Args:
        view: the runs; each is drawn with its latest histogram up to its epoch.
        parameters: `all`, `weights`, `biases`, or a regular expression that must match whole names.
        scale: `raw`, or `rms`: each tensor divided by its root mean square, which compares shapes only.

    Raises:
        StudyError: no run has a histogram.
        ConfigError: `parameters` matches no name, or `scale` is not allowed.
    """
    of_part = parts(chosen(in_rms(view, view.rows, scale), parameters))
    start = parts(chosen(in_rms(view, view.rows.assign(epoch=0), scale), parameters))
    names = list(dict.fromkeys(parameter for _, parameter in of_part))
    columns = min(len(names), COLUMNS)
    rows = -(-len(names) // columns)
    most = max(sum((variant, name) in of_part for variant in view.looks) for name in names)
    width = view.style.double if columns > 1 else 0.75 * view.style.double
    title_width = int(24 * width / 7 * 9 / view.style.size)
    labels = {variant: wrapped(look.label, title_width) for variant, look in view.looks.items()}
    lines = max(label.count("\n") + 1 for label in labels.values())
    size = (width, rows * (max(0.36, 0.19 * lines) * most + 0.75) * view.style.size / 9)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for axis in axes.ravel()[len(names) :]:
        axis.set_axis_off()
    for number, (axis, name) in enumerate(zip(axes.ravel(), names, strict=False)):
        drawn = [variant for variant in view.looks if (variant, name) in of_part]
        ridges = [Ridge(view.looks[v], of_part[v, name], start.get((v, name))) for v in drawn]
        draw_ridges(axis, ridges, NEAR_ZERO if scale == RAW else LINEAR_RMS)
        beside = [labels[variant] if number % columns == 0 else "" for variant in reversed(drawn)]
        axis.set_yticks(range(len(drawn)), beside)
        axis.tick_params(axis="y", pad=2)
        axis.set_title(name, loc="left", family="monospace")
        if number >= len(names) - columns:
            axis.set_xlabel("w / RMS" if scale != RAW else "w")
        if scale == RAW:
            _numbers(view, axis, name, drawn)
    legend_below(figure, *keys())
    return figure


def _numbers(view: View, axis: Axes, name: str, drawn: list[str]) -> None:
    """Write the numbers of each variant beside its row, under headings."""
    table = view.study.weights.merge(view.rows[["run", "epoch"]], on=["run", "epoch"])
    means = table[table["parameter"] == name].groupby("variant")[[column for column, *_ in NUMBERS]].mean()
    for (column, heading, factor, form, unit), place in zip(NUMBERS, PLACES, strict=True):
        text: dict[str, Any] = {"fontsize": "x-small", "ha": "left", "va": "center"}
        axis.text(place, 1.0, heading, transform=axis.transAxes, **{**text, "va": "bottom"})
        for row, variant in enumerate(drawn):
            value = f"{factor * means.loc[variant, column]:{form}}{unit}" if variant in means.index else "–"
            at = (place, len(drawn) - 1 - row + 0.2)
            axis.text(*at, value, transform=axis.get_yaxis_transform(), **text)
