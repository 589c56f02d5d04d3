"""Summary statistics of a parameter tensor, and its histogram on a grid that all runs share."""

import itertools

import numpy as np

NEAR_ZERO = 1e-3
# A threshold partly measures the optimizer. With Adam, the subgradient of an L1 penalty does not set weights to zero:
# they move around zero by about the learning rate. Exact zeros are therefore counted separately.
THRESHOLDS = (1e-4, 1e-3, 1e-2)
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
ALL = "all"  # in sparsity.csv, in place of a parameter's name: all parameters together
STATISTICS = (
    *("count", "mean", "std", "min", "max", "l1", "l2", "abs_max"),
    *("zero_fraction", "near_zero_fraction", "kurtosis"),
    *QUANTILES,
)

# Bin edges for |w|: 40 per decade from 1e-6 to 100, about 6 % wide each. Open end bins lie below and above.
# Edges have six digits, so that files hold exactly these edges without rounding.
EDGES = np.array([float(f"{10 ** (k / 40):.6g}") for k in range(-6 * 40, 2 * 40 + 1)])
_POSITIVE = list(itertools.pairwise([0.0, *EDGES.tolist(), float("inf")]))
# (bin_left, bin_right) of all bins, from left to right. Each positive bin (left, right] has a mirrored negative bin
# [-right, -left). Exact zeros have a bin of their own. The innermost bins end at 0, the outermost at infinity.
BINS = [*((0.0 - right, 0.0 - left) for left, right in reversed(_POSITIVE)), (0.0, 0.0), *_POSITIVE]


def ordered(w: np.ndarray) -> np.ndarray:
    """The values of one parameter tensor of any shape in ascending order, float64 (n,); NaNs last, -0 becomes 0.

    The functions below need this order: they read values by position, or count them by bisection.
    """
    return np.sort(w, axis=None).astype(np.float64) + 0.0


def summarize(values: np.ndarray) -> dict[str, float]:
    """Statistics of one parameter tensor, the columns of weights.csv.

    Args:
        values: as `ordered` returns them. Non-finite values are allowed; the statistics show them.

    Returns:
        count; mean and population standard deviation; min, max; l1 = Σ|w|, l2 = √Σw²; the largest |w|; the fraction of
        exact zeros, and of |w| < 1e-3 (zeros included); excess kurtosis (NaN for a constant tensor); quantiles,
        linearly interpolated.
    """
    count = values.size
    highest = values[-1]  # NaN if any value is NaN
    lowest = highest if np.isnan(highest) else values[0]
    with np.errstate(all="ignore"):  # a diverged run has infinities, and its statistics show them
        mean = values.mean()
        squared = np.square(values - mean)
        variance = squared.mean()
        return {
            "count": count,
            "mean": float(mean),
            "std": float(np.sqrt(variance)),
            "min": float(lowest),
            "max": float(highest),
            "l1": float(np.abs(values).sum()),
            "l2": float(np.sqrt(np.dot(values, values))),
            "abs_max": float(np.maximum(-lowest, highest)),
            "zero_fraction": _between(values, 0.0, 0.0) / count,
            "near_zero_fraction": _between(values, np.nextafter(-NEAR_ZERO, 0), np.nextafter(NEAR_ZERO, 0)) / count,
            "kurtosis": float(np.dot(squared, squared) / count / variance**2 - 3) if variance > 0 else np.nan,
            **{name: _quantile(values, share) for name, share in QUANTILES.items()},
        }


def _between(values: np.ndarray, low: float, high: float) -> int:
    """Count the values in [low, high]."""
    return int(np.searchsorted(values, high, side="right") - np.searchsorted(values, low, side="left"))


def _quantile(values: np.ndarray, share: float) -> float:
    """A quantile by definition 7 of Hyndman and Fan (1996), NumPy's default."""
    if np.isnan(values[-1]):
        return float("nan")
    position = share * (values.size - 1)
    below = int(position)
    left, right = values[below], values[min(below + 1, values.size - 1)]
    return float(left if left == right else left + (position - below) * (right - left))


def histogram(values: np.ndarray) -> np.ndarray:
    """Count the values of one parameter tensor in each of BINS.

    Args:
        values: as `ordered` returns them; finite.

    Returns:
        int (len(BINS),); the counts add up to the number of values.
    """
    edges = np.concatenate([[0.0], EDGES, [np.inf]])
    above = np.diff(np.searchsorted(values, edges, side="right"))
    below = np.diff(np.searchsorted(values, 0.0 - edges[::-1], side="left"))
    return np.concatenate([below, [_between(values, 0.0, 0.0)], above])


def is_histogram_epoch(epoch: int, last: int) -> bool:
    """Whether histogram.csv has this epoch: 0; 1, 2, 3 and 5 times powers of ten; and the last epoch."""
    return epoch in (0, last) or str(epoch).rstrip("0") in ("1", "2", "3", "5")
