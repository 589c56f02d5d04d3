"""Ridges: a row per variant with the density of its weights, on an axis that is linear near zero, else logarithmic."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from study.analysis.drawing.histograms import extent, finite_edges, spread
from study.analysis.drawing.looks import Look
from study.measures.weights import NEAR_ZERO

MOST_BINS = 161
HEIGHT = 0.78  # of a ridge, in rows
START = "#c8c8c8"  # colour of the density before training
BULK, BODY = (0.01, 0.99), (0.25, 0.75)  # quantiles between which the thin and the thick line run


@dataclass(frozen=True)
class Ridge:
    """One row: the look of a variant, its histogram, and that of its weights before training."""

    look: Look
    table: pd.DataFrame
    start: pd.DataFrame | None


def draw_ridges(axis: Axes, ridges: Sequence[Ridge], linear: float = NEAR_ZERO) -> None:
    """Draw the ridges, the first at the top. Each density is scaled to its own maximum.

    The axis shows asinh(w / linear): equal steps are equal differences for |w| ≪ linear, equal ratios for |w| ≫ linear.
    Densities are those of the shown coordinate. Each count of histogram.csv is spread evenly over its bin; exact zeros
    are in the bin around zero. Lines below a ridge extend over quantiles of all weights; marks are at the extremes.

    Args:
        axis: where to draw.
        ridges: the rows.
        linear: the |w| below which the axis is about linear; the band up to it is shaded.
    """
    limit = 1.15 * max(extent(ridge.table, 1.0) for ridge in ridges)
    limit = max(limit, 3 * linear)
    sizes = [ridge.table["count"].sum() / ridge.table["runs"].iloc[0] for ridge in ridges]
    bins = min(MOST_BINS, 2 * round(np.sqrt(max(sizes)) / 2) + 21)
    end = np.arcsinh(limit / linear)
    edges = linear * np.sinh(np.linspace(-end, end, bins + 1))
    axis.set_xscale("asinh", linear_width=linear)
    axis.axvspan(-linear, linear, color="#eeeeee", linewidth=0, zorder=0)
    for row, ridge in enumerate(ridges):
        base = len(ridges) - 1 - row
        if ridge.start is not None:
            _fill(axis, _heights(ridge.start, edges), edges, base, color=START, linewidth=0, zorder=1)
        heights = _heights(ridge.table, edges)
        _fill(axis, heights, edges, base, color=ridge.look.colour, alpha=0.55, linewidth=0, zorder=2)
        axis.stairs(base + heights, edges, baseline=base, color=ridge.look.colour, linewidth=0.7, zorder=3)
        _quantiles(axis, ridge.table, base - 0.1, ridge.look.colour)
    axis.set_xlim(-limit, limit)
    axis.set_ylim(-0.25, len(ridges) - 1 + HEIGHT + 0.12)
    axis.grid(visible=False, axis="y")
    axis.spines["left"].set_visible(False)
    axis.tick_params(left=False)
    _ticks(axis, limit, linear)


def keys() -> tuple[list[Any], list[str]]:
    """Return handles and labels that explain the parts of a ridge."""
    grey = "#555555"
    handles = [
        Patch(color=START, label="Before training"),
        Line2D([], [], color=grey, linewidth=2.4, label="25 to 75 %"),
        Line2D([], [], color=grey, linewidth=0.8, label="1 to 99 %"),
        Line2D([], [], color=grey, marker="|", linestyle="none", label="Minimum, maximum"),
    ]
    return handles, [str(handle.get_label()) for handle in handles]


def _heights(table: pd.DataFrame, edges: np.ndarray) -> np.ndarray:
    """Return the density of the shown coordinate on the bins, which are equally wide there; its maximum is HEIGHT."""
    counts = spread(table, edges)
    zeros = (table["bin_left"] == 0) & (table["bin_right"] == 0)
    counts[len(counts) // 2] += table.loc[zeros, "count"].sum()
    return HEIGHT * counts / counts.max() if counts.max() > 0 else counts


def _fill(axis: Axes, heights: np.ndarray, edges: np.ndarray, base: float, **look: Any) -> None:
    axis.stairs(base + heights, edges, baseline=base, fill=True, **look)


def _quantiles(axis: Axes, table: pd.DataFrame, height: float, colour: str) -> None:
    left, right = finite_edges(table)
    order = np.argsort(left)
    middle, shares = ((left + right) / 2)[order], np.cumsum(table["count"].to_numpy()[order]) / table["count"].sum()
    at = {q: float(middle[np.searchsorted(shares, q)]) for q in (*BULK, *BODY)}
    axis.plot([at[q] for q in BULK], [height, height], color=colour, linewidth=0.8, solid_capstyle="butt", zorder=4)
    axis.plot([at[q] for q in BODY], [height, height], color=colour, linewidth=2.4, solid_capstyle="butt", zorder=4)
    axis.plot([middle[0], middle[-1]], [height, height], "|", color=colour, markersize=4, zorder=4)


def _ticks(axis: Axes, limit: float, linear: float) -> None:
    """Set ticks at zero and at powers of ten beyond the linear part, where they are evenly spaced."""
    exponents = range(int(np.ceil(np.log10(10 * linear) - 1e-9)), int(np.floor(np.log10(limit))) + 1)
    if not exponents:
        exponents = range(int(np.floor(np.log10(limit))), int(np.floor(np.log10(limit))) + 1)
    powers = [10.0**exponent for exponent in exponents]
    names = [f"10^{{{exponent}}}" if exponent not in (0, 1) else f"{10**exponent}" for exponent in exponents]
    axis.xaxis.set_major_locator(FixedLocator([*(-power for power in reversed(powers)), 0.0, *powers]))
    if len(names) > 1:  # labels of neighbours would overlap: every second one, the largest included
        names = [name if (len(names) - 1 - place) % 2 == 0 else "" for place, name in enumerate(names)]
    labels = [*(name and f"$-{name}$" for name in reversed(names)), "0", *(name and f"${name}$" for name in names)]
    axis.xaxis.set_major_formatter(FixedFormatter(labels))
    axis.xaxis.set_minor_locator(NullLocator())
