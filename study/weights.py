"""What a parameter tensor looks like: summary statistics and a histogram on a grid that all runs share."""

import numpy as np

NEAR_ZERO = 1e-3
QUANTILES = {
    "q001": 0.001,
    "q01": 0.01,
    "q05": 0.05,
    "q25": 0.25,
    "q50": 0.50,
    "q75": 0.75,
    "q95": 0.95,
    "q99": 0.99,
    "q999": 0.999,
}
STATISTICS = (
    *("count", "mean", "std", "min", "max", "l1", "l2", "abs_max"),
    *("zero_fraction", "near_zero_fraction", "kurtosis"),
    *QUANTILES,
)

# Bin edges for |w|: 40 a decade from 1e-6 to 100, about 6 % wide each. Below and above lie open end bins.
# Six digits each, so that the edges in the files are these edges and no rounded ones.
EDGES = np.array([float(f"{10 ** (k / 40):.6g}") for k in range(-6 * 40, 2 * 40 + 1)])


def summarize(w: np.ndarray) -> dict[str, float]:
    """Statistics of one parameter tensor, the columns of weights.csv.

    Args:
        w: the values, any shape. Non-finite values are allowed and show in the statistics.

    Returns:
        count; mean and population standard deviation; min, max; l1 = Σ|w|, l2 = √Σw²; the largest |w|; the share of
        exact zeros and of |w| < 1e-3 (zeros included); excess kurtosis (NaN for a constant tensor); quantiles,
        linearly interpolated.
    """
    flat = np.asarray(w, dtype=np.float64).ravel()
    magnitude = np.abs(flat)
    with np.errstate(all="ignore"):  # a diverged run has infinities: its statistics say so
        centred = flat - flat.mean()
        squared = centred * centred
        variance = squared.mean()
        values = {
            "count": flat.size,
            "mean": flat.mean(),
            "std": np.sqrt(variance),
            "min": flat.min(),
            "max": flat.max(),
            "l1": magnitude.sum(),
            "l2": np.sqrt(np.dot(flat, flat)),
            "abs_max": magnitude.max(),
            "zero_fraction": np.mean(flat == 0),
            "near_zero_fraction": np.mean(magnitude < NEAR_ZERO),
            "kurtosis": np.mean(squared * squared) / variance**2 - 3 if variance > 0 else np.nan,
        }
        values |= zip(QUANTILES, np.quantile(w, list(QUANTILES.values())).astype(np.float64), strict=True)
    return {key: value.item() if isinstance(value, np.generic) else value for key, value in values.items()}


def histogram(w: np.ndarray) -> list[tuple[float, float, int]]:
    """Counts of one parameter tensor on the signed-logarithmic grid, occupied bins only, from left to right.

    A positive bin (left, right] has the mirrored negative bin [-right, -left). Exact zeros are a bin of their own,
    (0, 0). The innermost bins reach to 0, the outermost to infinity.

    Args:
        w: finite values, any shape.

    Returns:
        (bin_left, bin_right, count) rows; the counts add up to the number of values.
    """
    flat = np.asarray(w, dtype=np.float64).ravel()
    edges = np.concatenate([[0.0], EDGES, [np.inf]])

    def one_side(magnitude: np.ndarray) -> list[tuple[float, float, int]]:
        counts = np.bincount(np.searchsorted(EDGES, magnitude, side="left"), minlength=len(EDGES) + 1)
        occupied = np.flatnonzero(counts)
        return [(float(edges[i]), float(edges[i + 1]), int(counts[i])) for i in occupied]

    negative = [(0.0 - right, 0.0 - left, count) for left, right, count in reversed(one_side(-flat[flat < 0]))]
    zeros = int(np.count_nonzero(flat == 0))
    return [*negative, *([(0.0, 0.0, zeros)] if zeros else []), *one_side(flat[flat > 0])]


def is_histogram_epoch(epoch: int, last: int) -> bool:
    """Whether histogram.csv has this epoch: 0, then 1, 2, 3, 5 times powers of ten, and the last."""
    return epoch in (0, last) or str(epoch).rstrip("0") in ("1", "2", "3", "5")
