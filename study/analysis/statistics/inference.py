"""Statistics over seeds: estimates, intervals and tests. Functions take arrays and return numbers.

The unit of inference is the seed. Both variants share a seed, and their difference is taken within it. What a seed does
to both of them alike therefore adds nothing to the variance.

Distributions come from `scipy.special`: `stdtr` and `stdtrit` are Student's t and its inverse, `chdtri` is the inverse
of the upper tail of χ², `betaincinv` the inverse of the beta distribution, `ndtr` the normal distribution.
`scipy.stats` has clearer names, but its import takes longer than the analysis of a small study.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy  # imports its modules on first use
from scipy import special

LEVEL = 0.95  # of intervals
EXACT = 15  # the sign-flip test counts all patterns up to this number of seeds
SAMPLED = 100_000  # sign patterns sampled with more seeds
TESTS, PATTERNS = 256, 4096  # sign-flip tests and patterns computed together, in 8 MB
# Gauss-Legendre nodes on (0, 1), to average over a distribution through its quantiles.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(200)
NODES, NODE_WEIGHTS = (_NODES + 1) / 2, _WEIGHTS / 2
DIGITS = 12  # means over seeds that differ by less are ties
INTERVALS_FROM = 3  # fewest seeds for an interval: with two it is too wide to be useful
STARS_FROM = 6  # fewest seeds for a star: with fewer, the sign-flip test cannot reach p < .05


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval; NaN if there are too few seeds for an interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Crossed:
    """Seeds crossed with examples: mean squares, and the variance of the mean with its degrees of freedom."""

    seeds: float
    examples: float
    residual: float
    variance: float
    df: float


def mean_interval(values: np.ndarray, level: float = LEVEL) -> Interval:
    """The mean and its t-interval (Student 1908).

    Args:
        values: (n,); an interval needs n ≥ 2.
        level: the confidence level.
    """
    mean = float(np.mean(values)) if len(values) else float("nan")
    if len(values) < 2:
        return Interval(mean, float("nan"), float("nan"))
    return _around(mean, float(np.var(values, ddof=1)) / len(values), len(values) - 1, level)


def _around(mean: float, variance: float, df: float, level: float = LEVEL) -> Interval:
    half = float(special.stdtrit(df, 0.5 + level / 2)) * math.sqrt(variance)
    return Interval(mean, mean - half, mean + half)


def half_width_factor(n: np.ndarray, level: float = LEVEL) -> np.ndarray:
    """The factor from the standard deviation of n values to the half-width of their t-interval; NaN for n < 2."""
    n = np.asarray(n, float)
    known = np.where(n > 1, n, np.nan)
    return special.stdtrit(known - 1, 0.5 + level / 2) / np.sqrt(known)


def new_data_interval(differences: np.ndarray, share: float, level: float = LEVEL) -> tuple[Interval, float]:
    """The interval that also covers another draw of the data, not only of the split.

    In the variance, 1/n becomes 1/n + n_val/n_train (Nadeau and Bengio 2003, the corrected resampled t-test).

    Args:
        differences: (n,).
        share: n_val / n_train.
        level: the confidence level.

    Returns:
        The interval, and the p-value of its t-test.
    """
    n, mean = len(differences), float(np.mean(differences))
    if n < 2:
        return Interval(mean, float("nan"), float("nan")), float("nan")
    variance = (1 / n + share) * float(np.var(differences, ddof=1))
    p = 2 * special.stdtr(n - 1, -abs(mean) / math.sqrt(variance)) if variance > 0 else float("nan")
    return _around(mean, variance, n - 1, level), float(p)


def no_spread(differences: np.ndarray) -> bool:
    """Whether all differences are equal, up to rounding."""
    return bool(np.ptp(differences) <= 1e-12 + 1e-9 * np.abs(differences).max())


def paired_t(differences: np.ndarray) -> tuple[float, float]:
    """t and the two-sided p-value of the paired t-test; both NaN for n < 2 or if all differences are equal."""
    if len(differences) < 2 or no_spread(differences):
        return float("nan"), float("nan")
    n = len(differences)
    t = float(np.mean(differences)) / math.sqrt(float(np.var(differences, ddof=1)) / n)
    return t, float(2 * special.stdtr(n - 1, -abs(t)))


def sign_flip(differences: np.ndarray) -> float:
    """Two-sided p-value of the sign-flip test of the mean (Fisher 1935).

    It is the fraction of sign patterns whose |mean| is at least the observed one, up to rounding. Up to n = 15, all 2ⁿ
    patterns are counted; beyond that, a fixed sample of them.
    """
    return sign_flips([differences])[0]


def sign_flips(each: Sequence[np.ndarray]) -> list[float]:
    """P-values of many sign-flip tests; see `sign_flip`. Tests with equally many differences are computed together."""
    found = [float("nan")] * len(each)
    places: dict[int, list[int]] = {}
    for place, differences in enumerate(each):
        if len(differences):
            places.setdefault(len(differences), []).append(place)
    for n, of_size in places.items():
        signs = _signs(n, exact=n <= EXACT)
        for first in range(0, len(of_size), TESTS):
            some = of_size[first : first + TESTS]
            values = np.array([each[place] for place in some], float).T
            least = np.abs(values.sum(0)) - 1e-9 * np.abs(values).sum(0)
            count = np.zeros(len(some), int)
            for begin in range(0, len(signs), PATTERNS):
                sums = signs[begin : begin + PATTERNS].astype(float) @ values
                count += (np.abs(sums) >= least).sum(0)
            for place, p in zip(some, count / len(signs), strict=True):
                found[place] = float(p)
    return found


@lru_cache(maxsize=4)
def _signs(n: int, exact: bool) -> np.ndarray:
    """Sign patterns, int8 (patterns, n): all of them, or a fixed sample."""
    if exact:
        return (1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)).astype(np.int8)
    signs = np.random.default_rng(n).choice([-1, 1], size=(SAMPLED, n)).astype(np.int8)
    signs[0] = 1  # the sample includes the observed pattern, because p must not be 0
    return signs


def smallest_p(n: int) -> float:
    """The smallest p-value of the sign-flip test with n seeds, reached if all differences have one sign."""
    return min(1.0, 2.0 ** (1 - n))


def seeds_for(contrasts: int, level: float = 0.05) -> int:
    """The number of seeds with which a sign-flip test can reach a level after Holm's correction for the contrasts."""
    n = 1
    while smallest_p(n) * contrasts > level:
        n += 1
    return n


def holm(p: np.ndarray) -> np.ndarray:
    """P-values corrected for multiple tests (Holm 1979), in the given order; NaN stays NaN and is not counted."""
    p = np.asarray(p, float)
    corrected = np.full(len(p), np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    steps = p[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(steps)) if len(order) else steps
    return corrected


def wins(differences: np.ndarray, larger_is_better: bool = True) -> tuple[float, Interval]:
    """The number of seeds in which the variant is better, and its fraction with the exact interval.

    A tie counts as half a win. The interval is that of Clopper and Pearson (1934).
    """
    signed = np.asarray(differences, float) * (1 if larger_is_better else -1)
    n, count = len(signed), float((signed > 0).sum() + 0.5 * (signed == 0).sum())
    tail = (1 - LEVEL) / 2
    low = float(special.betaincinv(count, n - count + 1, tail)) if count > 0 else 0.0
    high = float(special.betaincinv(count + 1, n - count, 1 - tail)) if count < n else 1.0
    return count, Interval(count / n, low, high)


def crossed(differences: np.ndarray) -> Crossed:
    """The variance of a mean over seeds and examples, both drawn at random.

    It is (MS_seeds + MS_examples − MS_residual)/(ab), but at least MS_seeds/(ab), the variance of the seeds alone. The
    degrees of freedom follow Satterthwaite (1946).

    Args:
        differences: one per seed and example, (a, b), a and b at least 2.
    """
    a, b = differences.shape
    mean, by_seed, by_example = differences.mean(), differences.mean(axis=1), differences.mean(axis=0)
    seeds = b * float(np.square(by_seed - mean).sum()) / (a - 1)
    examples = a * float(np.square(by_example - mean).sum()) / (b - 1)
    rest = differences - by_seed[:, None] - by_example + mean
    residual = float(np.square(rest).sum()) / ((a - 1) * (b - 1))
    total = seeds + examples - residual
    if total <= seeds:
        return Crossed(seeds, examples, residual, seeds / (a * b), a - 1)
    spread = seeds**2 / (a - 1) + examples**2 / (b - 1) + residual**2 / ((a - 1) * (b - 1))
    return Crossed(seeds, examples, residual, total / (a * b), total**2 / spread)


def new_images_interval(differences: np.ndarray, level: float = LEVEL) -> Interval:
    """The interval of a mean that covers both other seeds and other examples; see `crossed`.

    Args:
        differences: (seeds, examples).
        level: the confidence level.
    """
    if min(differences.shape) < 2:
        return Interval(float(differences.mean()), float("nan"), float("nan"))
    found = crossed(differences)
    return _around(float(differences.mean()), found.variance, found.df, level)


def power(effect: float, n: float, level: float = 0.05) -> float:
    """Probability that a two-sided paired t-test finds an effect.

    This averages over the estimated standard deviation, whose square has a χ²-distribution. The noncentral
    t-distribution of SciPy is not used, because it returns NaN for large effects with few seeds.

    Args:
        effect: in standard deviations of the difference.
        n: the number of seeds.
        level: the level of the test.
    """
    critical, shift = special.stdtrit(n - 1, 1 - level / 2), effect * math.sqrt(n)
    estimated = critical * np.sqrt(special.chdtri(n - 1, 1 - NODES) / (n - 1))
    return float(np.dot(NODE_WEIGHTS, special.ndtr(shift - estimated) + special.ndtr(-shift - estimated)))


def seeds_needed(effect: float, wanted: float = 0.8, level: float = 0.05) -> float:
    """The number of seeds that a t-test needs to find an effect with some probability; at least 2, not rounded.

    Args:
        effect: in standard deviations of the difference.
        wanted: the probability.
        level: of the test.
    """
    enough = 2.0
    while power(effect, enough, level) < wanted:
        enough *= 2
    if enough == 2:
        return 2.0
    return float(scipy.optimize.brentq(lambda n: power(effect, n, level) - wanted, enough / 2, enough))


def detectable(sd: float, n: int, wanted: float = 0.8, level: float = 0.05) -> float:
    """The smallest effect that a t-test finds with n seeds, with probability `wanted`, in the unit of sd."""
    return sd * _detectable_effect(n, wanted, level)


@lru_cache(maxsize=256)
def _detectable_effect(n: int, wanted: float, level: float) -> float:
    """The same effect in standard deviations."""
    if n < 2:
        return float("nan")
    enough = 0.5
    while power(enough, n, level) < wanted:
        enough *= 1.5
    return float(scipy.optimize.brentq(lambda effect: power(effect, n, level) - wanted, 0.0, enough))


def sd_upper(sd: float, n: int, level: float = 0.8) -> float:
    """The one-sided upper bound of the standard deviation of normal values, from the sd of n values."""
    return sd * math.sqrt((n - 1) / float(special.chdtri(n - 1, level))) if n > 1 else float("nan")


def best_of(scores: np.ndarray) -> np.ndarray:
    """The expected best of n trials, for n from 1 to N.

    It is the mean over all choices of n trials, an unbiased estimate (Tang et al. 2020). Dodge et al. (2019) draw with
    replacement, so their estimate is too low.

    Args:
        scores: one per trial, larger is better, (N,).

    Returns:
        (N,); the last values average over few choices.
    """
    ordered, total = np.sort(np.asarray(scores, float)), len(scores)
    ranks = np.arange(total)  # trials below each one
    expected = []
    for n in range(1, total + 1):
        chances = special.comb(ranks, n - 1) / special.comb(total, n)
        expected.append(float(np.dot(chances, ordered)))
    return np.array(expected)


def leave_one_seed_out(scores: np.ndarray) -> float:
    """The score of the best candidate without selection bias: each seed scores the candidate that the others choose.

    The best of many noisy means is too high (the winner's curse).

    Args:
        scores: (candidates, seeds), larger is better; in a tie, the later candidate is chosen.

    Returns:
        The mean over seeds; NaN for fewer than two seeds.
    """
    candidates, seeds = scores.shape
    if seeds < 2:
        return float("nan")
    values = []
    for seed in range(seeds):
        others = np.round(np.delete(scores, seed, axis=1).mean(axis=1), DIGITS)
        values.append(scores[candidates - 1 - int(np.argmax(others[::-1])), seed])
    return float(np.mean(values))
