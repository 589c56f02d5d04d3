"""Densities, tails and cumulative fractions of the weights, from the rows of histogram.csv."""

import numpy as np
import pandas as pd


def parts(histograms: pd.DataFrame) -> dict[tuple[str, str], pd.DataFrame]:
    """Return the rows of each variant and parameter, in the order of `Study.histograms`."""
    return dict(tuple(histograms.groupby(["variant", "parameter"], sort=False)))


def zero_share(table: pd.DataFrame) -> float:
    """Return the fraction of exact zeros."""
    return float(table.loc[_is_zero(table), "count"].sum() / table["count"].sum())


def _is_zero(table: pd.DataFrame) -> pd.Series:
    return (table["bin_left"] == 0) & (table["bin_right"] == 0)


def finite_edges(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the left and right edges of the bins; each open end bin is closed at twice its inner edge."""
    left, right = table["bin_left"].to_numpy(float), table["bin_right"].to_numpy(float)
    return np.where(np.isinf(left), 2 * right, left), np.where(np.isinf(right), 2 * left, right)


def extent(table: pd.DataFrame, share: float) -> float:
    """Return the smallest bin edge t such that at least this fraction of the weights has |w| ≤ t."""
    left, right = finite_edges(table)
    magnitude = np.maximum(np.abs(left), np.abs(right))
    order = np.argsort(magnitude)
    covered = np.cumsum(table["count"].to_numpy()[order])
    at = np.searchsorted(covered, share * covered[-1] * (1 - 1e-12))
    return float(magnitude[order][min(at, len(order) - 1)]) or 1e-6


def spread(table: pd.DataFrame, edges: np.ndarray) -> np.ndarray:
    """Return counts on new bins; each count is spread evenly over its old bin, exact zeros are omitted.

    Args:
        table: rows with `bin_left`, `bin_right`, `count`.
        edges: increasing edges of the new bins, (bins + 1,).

    Returns:
        Counts, (bins,), summed over all runs of the table. Values beyond the edges are not counted.
    """
    table = table[table["bin_left"] < table["bin_right"]]
    if table.empty:
        return np.zeros(len(edges) - 1)
    table = table.groupby(["bin_left", "bin_right"], as_index=False)["count"].sum()  # sorted, each bin once
    left, right = finite_edges(table)
    # The cumulative count is linear within a bin and flat between bins; it is evaluated at the new edges.
    positions, cumulative = np.stack([left, right], 1).ravel(), np.cumsum(table["count"].to_numpy())
    values = np.stack([cumulative - table["count"].to_numpy(), cumulative], 1).ravel()
    return np.diff(np.interp(edges, positions, values, left=0.0, right=float(cumulative[-1])))


def absolute(table: pd.DataFrame) -> pd.DataFrame:
    """Return the histogram of |w| with one row for each bin of w; exact zeros are kept."""
    left, right = table["bin_left"].abs(), table["bin_right"].abs()
    return table.assign(bin_left=np.minimum(left, right), bin_right=np.maximum(left, right))


def density(table: pd.DataFrame, edges: np.ndarray) -> np.ndarray:
    """Return the probability density on the given bins, (bins,).

    Its integral over all values is the fraction of weights that are not exact zeros.
    """
    return spread(table, edges) / np.diff(edges) / table["count"].sum()


def share_above(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the exact fraction of weights with |w| > t at each edge t of the bins.

    Returns:
        t, increasing from 0, and the fraction at each t.
    """
    left, right = table["bin_left"].to_numpy(float), table["bin_right"].to_numpy(float)
    inner = np.minimum(np.abs(left), np.abs(right))
    counts, total = table["count"].to_numpy(float), table["count"].sum()
    edges = np.unique(np.concatenate([[0.0], inner, np.maximum(np.abs(left), np.abs(right))]))
    edges = edges[np.isfinite(edges)]
    inner = np.where(_is_zero(table).to_numpy(), -1.0, inner)  # a zero is above no t, not even t = 0
    order = np.argsort(inner)
    below = np.concatenate([[0.0], np.cumsum(counts[order])])
    return edges, 1 - below[np.searchsorted(inner[order], edges, side="left")] / total
