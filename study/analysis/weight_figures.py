"""The distribution of the weights, drawn from histogram.csv alone."""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from study.analysis.collect import Study
from study.analysis.style import legend_below, looks
from study.errors import StudyError

MOST_BINS = 121  # odd: zero lies in the middle of a bin


def weights(study: Study, rows: pd.DataFrame) -> Figure:
    """Histograms of every parameter tensor, all variants on one axis: linear counts beside logarithmic ones.

    The bins of histogram.csv are spread over equal bins that all variants share, each count evenly over its bin;
    counts are means over seeds. Exact zeros are no part of a bin: they are a mark of their own at zero.

    Args:
        study: the runs.
        rows: one row per run, from `gaps.at_epoch`: the epoch that is drawn is the latest recorded up to its `epoch`.

    Raises:
        StudyError: no run has a histogram.
    """
    styles = looks(study.runs)
    histograms = study.histograms(rows)
    if histograms.empty:
        raise StudyError(f"{study.folder}: every run diverged before its first histogram; there is nothing to draw")
    parameters = list(histograms["parameter"].unique())
    figure, axes = plt.subplots(len(parameters), 2, figsize=(7.0, 1.75 * len(parameters) + 0.3), squeeze=False)
    for (linear, log), parameter in zip(axes, parameters, strict=True):
        of_parameter = histograms[histograms["parameter"] == parameter]
        drawn = [(s, of_parameter[of_parameter["variant"] == v]) for v, s in styles.items()]
        drawn = [(style, table) for style, table in drawn if len(table)]
        extent = max(_extent(table, 1.0) for _, table in drawn)
        bulk = min(extent, 1.15 * max(_extent(table, 0.998) for _, table in drawn))
        size = drawn[0][1]["count"].sum() / drawn[0][1]["runs"].iloc[0]
        bins = min(MOST_BINS, 2 * round(np.sqrt(size) / 2) + 21)  # few bins for few weights
        for axis, limit in ((linear, bulk), (log, extent)):
            edges = np.linspace(-limit, limit, bins + 1)
            for style, table in drawn:
                runs = table["runs"].iloc[0]
                counts = spread(table, edges) / runs
                look = {"color": style.colour, "linestyle": style.dash, "linewidth": 1.2}
                axis.stairs(counts, edges, label=style.label, **look)
                zeros = table.loc[(table["bin_left"] == 0) & (table["bin_right"] == 0), "count"].sum() / runs
                if zeros:
                    axis.plot([0], [zeros], marker=style.marker, color=style.colour, markersize=5, clip_on=False)
            axis.set_xlim(-limit, limit)
            axis.xaxis.set_major_locator(MaxNLocator(5))
        _log_counts(log)
        linear.set_ylim(bottom=0)
        linear.set_ylabel("Weights per bin")
        linear.set_title(parameter, loc="left", family="monospace")
    for axis in axes[-1]:
        axis.set_xlabel("Value")
    axes[0, 1].set_title("all weights, log count", loc="left")
    legend_below(figure, *axes[0, 0].get_legend_handles_labels())
    return figure


def _log_counts(axis: Axes) -> None:
    axis.set_yscale("log")
    axis.set_ylim(bottom=0.2)
    axis.yaxis.set_major_locator(LogLocator(numticks=5))
    axis.yaxis.set_minor_formatter(NullFormatter())


def _finite_edges(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Bin edges with the open ends closed at twice their inner edge."""
    left, right = table["bin_left"].to_numpy(float), table["bin_right"].to_numpy(float)
    return np.where(np.isinf(left), 2 * right, left), np.where(np.isinf(right), 2 * left, right)


def _extent(table: pd.DataFrame, share: float) -> float:
    """The smallest |value| that at least this share of the weights does not exceed, to the bin."""
    left, right = _finite_edges(table)
    magnitude = np.maximum(np.abs(left), np.abs(right))
    order = np.argsort(magnitude)
    covered = np.cumsum(table["count"].to_numpy()[order])
    at = np.searchsorted(covered, share * covered[-1] * (1 - 1e-12))
    return float(magnitude[order][min(at, len(order) - 1)]) or 1e-6


def spread(table: pd.DataFrame, edges: np.ndarray) -> np.ndarray:
    """Counts on other bins, each count spread evenly over its own bin; exact zeros are left out.

    Args:
        table: rows with `bin_left`, `bin_right`, `count`.
        edges: increasing edges of the new bins, (bins + 1,).

    Returns:
        Counts, (bins,), all runs of the table together; what lies beyond the edges is not counted.
    """
    table = table[table["bin_left"] < table["bin_right"]]
    table = table.groupby(["bin_left", "bin_right"], as_index=False)["count"].sum()  # sorted, and each bin once
    left, right = _finite_edges(table)
    # The cumulative count, linear within a bin and flat between bins, read off at the new edges.
    positions, cumulative = np.stack([left, right], 1).ravel(), np.cumsum(table["count"].to_numpy())
    values = np.stack([cumulative - table["count"].to_numpy(), cumulative], 1).ravel()
    return np.diff(np.interp(edges, positions, values, left=0.0, right=float(cumulative[-1]) if len(table) else 0.0))
