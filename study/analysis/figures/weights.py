"""Distributions of the weights: histograms of each parameter tensor, with the same bins for all variants."""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from study.analysis.drawing.histograms import density, extent, parts, zero_share
from study.analysis.drawing.layout import legend_below
from study.analysis.drawing.scaling import RAW, chosen, in_rms
from study.analysis.drawing.view import View

READS_HISTOGRAMS = True
MOST_BINS = 121  # odd, so that zero is the centre of a bin
FEW_ZEROS = 1e-3  # fraction up to which zeros get no panel: it would show nothing
START = {"color": "#999999", "linewidth": 0.8, "linestyle": "solid"}


def weights(view: View, parameters: str = "all", scale: str = RAW) -> Figure:
    """Draw the density of every parameter tensor, linear and logarithmic, and the fraction of exact zeros.

    All variants share equal bins: each count of histogram.csv is spread evenly over its bin. All seeds of a variant are
    pooled. Exact zeros are in no bin. A separate panel shows their fraction if it exceeds 0.001 in some tensor. The
    initialized model is drawn in grey as a reference.

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
    with_zeros = any(zero_share(table) > FEW_ZEROS for table in of_part.values())
    ratios = [1.0, 1.0, 0.28] if with_zeros else [1.0, 1.0]
    size = (view.style.double, (0.25 * len(names) + 0.05) * view.style.double)
    figure, axes = plt.subplots(len(names), len(ratios), figsize=size, squeeze=False, width_ratios=ratios)
    for row, name in zip(axes, names, strict=True):
        drawn = {variant: of_part[variant, name] for variant in view.looks if (variant, name) in of_part}
        first = [table for (_, parameter), table in start.items() if parameter == name]
        _densities(view, row[:2], drawn, pd.concat(first) if first else None)
        row[0].set_ylabel("Density")
        row[0].set_title(name, loc="left", family="monospace")
        if with_zeros:
            _zeros(view, row[2], drawn)
    for axis in axes[-1, :2]:
        axis.set_xlabel("Value / RMS" if scale != RAW else "Value")
    axes[0, 1].set_title("All values, logarithmic", loc="left")
    legend_below(figure, *axes[0, 0].get_legend_handles_labels())
    return figure


def _densities(view: View, axes: np.ndarray, drawn: dict[str, pd.DataFrame], start: pd.DataFrame | None) -> None:
    widest = max(extent(table, 1.0) for table in drawn.values())
    bulk = min(widest, 1.15 * max(extent(table, 0.998) for table in drawn.values()))
    one = next(iter(drawn.values()))
    size = one["count"].sum() / one["runs"].iloc[0]
    bins = min(MOST_BINS, 2 * round(np.sqrt(size) / 2) + 21)  # few bins for few weights
    lowest = 0.5 / max(table["count"].sum() for table in drawn.values()) / (2 * widest / bins)
    for axis, limit in zip(axes, (bulk, widest), strict=True):
        edges = np.linspace(-limit, limit, bins + 1)
        if start is not None:
            axis.stairs(density(start, edges), edges, label="Before training", **START)
        for variant, table in drawn.items():
            look = view.looks[variant]
            axis.stairs(density(table, edges), edges, label=look.label, **look.line())
        axis.set_xlim(-limit, limit)
        axis.xaxis.set_major_locator(MaxNLocator(5))
    axes[0].set_ylim(bottom=0)
    _logarithmic(axes[1], lowest)


def _logarithmic(axis: Axes, lowest: float) -> None:
    axis.set_yscale("log")
    axis.set_ylim(bottom=lowest)
    axis.yaxis.set_major_locator(LogLocator(numticks=5))
    axis.yaxis.set_minor_formatter(NullFormatter())


def _zeros(view: View, axis: Axes, drawn: dict[str, pd.DataFrame]) -> None:
    for place, (variant, table) in enumerate(drawn.items()):
        look = view.looks[variant]
        axis.plot(place, 100 * zero_share(table), look.marker, color=look.colour, clip_on=False)
    axis.set_xticks([])
    axis.set_xlim(-0.7, len(drawn) - 0.3)
    axis.set_ylim(0, 100)
    axis.set_title("w = 0 (%)")
    axis.grid(visible=False, axis="x")
