"""Ridgeline plots of the densities of the weights: over the epochs of a variant, or over λ of a regularizer."""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from study.analysis.drawing.histograms import absolute, extent, spread, zero_share
from study.analysis.drawing.labels import power
from study.analysis.drawing.layout import grid_shape, wrapped
from study.analysis.drawing.looks import shades_of
from study.analysis.drawing.scaling import chosen
from study.analysis.drawing.view import View
from study.errors import ConfigError
from study.measures.weights import is_histogram_epoch

READS_HISTOGRAMS = True
COLUMNS = 3
BINS = 121
SMALLEST = 1e-6  # lower limit of |w| on a logarithmic axis
OVERLAP = 1.6  # height of a ridge, in steps between ridges
EPOCH, LAM, NONE = "epoch", "lam", "none"


def ridgeline(view: View, over: str = EPOCH, parameter: str = r"hidden\.0\.weight", logarithmic: bool = True) -> Figure:
    """Draw densities of one parameter tensor, each scaled to its own maximum.

    Exact zeros are not part of a density. If they are 1 % or more, their fraction is written beside the ridge.

    Args:
        view: the runs.
        over: `epoch`: a panel per variant, a ridge per epoch of histogram.csv. `lam`: a panel per regularizer, a ridge
            per λ; runs without a regularizer are the lowest ridge.
        parameter: a regular expression that must match the whole name of one parameter.
        logarithmic: whether to draw the density of log|w| (shows narrow peaks as well) or that of w.

    Raises:
        ConfigError: `parameter` matches no name or several, `over` is not allowed, or no regularizer has two λ.
    """
    if over not in (EPOCH, LAM):
        raise ConfigError(f"over={over}: must be {EPOCH} or {LAM}")
    panels = _over_epochs(view) if over == EPOCH else _over_lam(view)
    if not panels:
        raise ConfigError(
            "figures: ridgeline with over=lam requires a regularizer with at least two λ. Or set over=epoch"
        )
    drawn = [
        (title, [(name, colour, _one_parameter(view, rows, parameter)) for name, colour, rows in ridges])
        for title, ridges in panels
    ]
    tables = [table for _, ridges in drawn for *_, table in ridges]
    name = tables[0]["parameter"].iloc[0]
    limit = max(extent(table, 1.0 if logarithmic else 0.999) for table in tables)
    edges = np.geomspace(SMALLEST, limit, BINS + 1) if logarithmic else np.linspace(-limit, limit, BINS + 1)
    rows, columns = grid_shape(len(drawn), COLUMNS)
    most = max(len(ridges) for _, ridges in drawn)
    width = view.style.double * min(1.0, columns / COLUMNS + 0.1)
    size = (width, (0.2 * most * view.style.size / 9 + 0.6) * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, sharex=True)
    for axis in axes.ravel()[len(drawn) :]:
        axis.set_axis_off()
    title_width = int(26 * (width / columns / 2.3) * 9 / view.style.size)
    for number, (title, ridges) in enumerate(drawn):
        axis = axes.ravel()[number]
        _draw(axis, ridges, edges)
        if logarithmic:
            axis.set_xscale("log")
        axis.set_title(wrapped(title, title_width))
        if number % columns == 0:
            axis.set_ylabel("Epoch" if over == EPOCH else "$\\lambda$")
        if number >= len(drawn) - columns:
            axis.set_xlabel(f"{'|w|' if logarithmic else 'w'} of {name}")
            axis.tick_params(labelbottom=True)
    return figure


Ridge = tuple[str, str, pd.DataFrame]  # name, colour, and a table
Panel = tuple[str, list[Ridge]]  # title and ridges, with the rows for `Study.histograms`


def _over_epochs(view: View) -> list[Panel]:
    """Return a panel per variant, with a ridge per epoch of histogram.csv."""
    found = []
    for variant, look in view.looks.items():
        own = view.rows[view.rows["variant"] == variant]
        last = int(own["epoch"].min())
        epochs = [epoch for epoch in range(last + 1) if is_histogram_epoch(epoch, int(own["epochs"].iloc[0]))]
        found.append((look.label, [(str(epoch), look.colour, own.assign(epoch=epoch)) for epoch in epochs]))
    return found


def _over_lam(view: View) -> list[Panel]:
    """Return a panel per regularizer, with a ridge per λ."""
    rows, styles = view.complete(), view.looks_by("reg")
    none = rows[rows["reg"] == NONE]
    found: list[Panel] = []
    for reg, own in rows[rows["takes_lam"]].groupby("reg", sort=False):
        if own["lam"].nunique() > 1:
            ridges = [("0", styles[NONE].colour, none)] if len(none) else []
            shades = shades_of(styles[reg].colour, own["lam"].nunique())
            of_lam = zip(own.groupby("lam"), shades, strict=True)
            ridges += [(power(lam), shade, rows_of_lam) for (lam, rows_of_lam), shade in of_lam]
            found.append((styles[reg].label, ridges))
    return found


def _one_parameter(view: View, rows: pd.DataFrame, parameter: str) -> pd.DataFrame:
    table = chosen(view.study.histograms(rows), parameter)
    names = table["parameter"].unique()
    if len(names) > 1:
        raise ConfigError(f"parameter={parameter}: matches {', '.join(names)}. It must match exactly one")
    return table


def _draw(axis: Axes, ridges: list[Ridge], edges: np.ndarray) -> None:
    """Draw ridges on bins of equal width on the axis; if all edges are positive, the bins are those of |w|."""
    centres = (edges[1:] + edges[:-1]) / 2
    for place, (_, colour, table) in reversed(list(enumerate(ridges))):
        zeros = zero_share(table)
        height = spread(absolute(table) if edges[0] > 0 else table, edges)
        height = OVERLAP * height / height.max() if height.max() > 0 else height
        axis.fill_between(
            centres, place, place + height, color=colour, alpha=0.35, linewidth=0, zorder=2 * (len(ridges) - place)
        )
        axis.plot(centres, place + height, color=colour, linewidth=0.7, zorder=2 * (len(ridges) - place) + 1)
        if zeros >= 0.01:
            text = f"{100 * zeros:.0f} % zero"
            axis.annotate(
                text, (0.99, place + 0.08), xycoords=("axes fraction", "data"), ha="right", fontsize="x-small"
            )
    axis.set_yticks(range(len(ridges)), [name for name, *_ in ridges])
    axis.set_ylim(-0.1, len(ridges) - 1 + OVERLAP + 0.1)
    axis.set_xlim(edges[0], edges[-1])
    axis.grid(visible=False)
    axis.spines["left"].set_visible(False)
    axis.tick_params(left=False)
