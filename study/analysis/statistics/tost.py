"""Two one-sided tests (TOST): whether differences are smaller than a margin, and which margins seeds can show."""

import math
from functools import lru_cache

import numpy as np
import scipy.optimize
from scipy import special

from study.analysis.statistics.inference import NODE_WEIGHTS, NODES


def p_value(mean: float, sd: float, n: int, margin: float) -> float:
    """The p-value of two one-sided paired t-tests that a mean lies within ± margin (TOST: Schuirmann 1987).

    It is the larger of the p-values of "the mean is at most −margin" and "the mean is at least margin". Each test has
    n − 1 degrees of freedom, as the t-interval has. If all differences are equal (sd = 0), one-sided sign-flip tests
    take the place of the t-tests: p is 2⁻ⁿ within the margin, else 1.

    Args:
        mean: of the differences.
        sd: their sample standard deviation.
        n: their number.
        margin: above 0, in the unit of the differences.

    Returns:
        The p-value; NaN for n < 2.
    """
    if n < 2:
        return float("nan")
    if sd == 0:
        return 2.0**-n if abs(mean) < margin else 1.0
    return float(special.stdtr(n - 1, (abs(mean) - margin) / (sd / math.sqrt(n))))


def provable_margin(sd: float, n: int, wanted: float = 0.8, level: float = 0.05) -> float:
    """The smallest margin within which `p_value` finds a true difference of zero, with probability `wanted`.

    The mean of n normal differences must be less than margin − t·s/√n from zero. As in `power`, the probability is
    averaged over the estimated standard deviation s.

    Args:
        sd: the standard deviation of the differences.
        n: their number.
        wanted: the probability.
        level: of the tests.
    """
    return sd * _provable_margin(n, wanted, level)


@lru_cache(maxsize=256)
def _provable_margin(n: int, wanted: float, level: float) -> float:
    """The same margin in standard deviations."""
    if n < 2:
        return float("nan")
    estimated = special.stdtrit(n - 1, 1 - level) * np.sqrt(special.chdtri(n - 1, 1 - NODES) / (n - 1))

    def chance(margin: float) -> float:
        return float(np.dot(NODE_WEIGHTS, np.maximum(0, 2 * special.ndtr(margin * math.sqrt(n) - estimated) - 1)))

    enough = 0.5
    while chance(enough) < wanted:
        enough *= 1.5
    return float(scipy.optimize.brentq(lambda margin: chance(margin) - wanted, 0.0, enough))
