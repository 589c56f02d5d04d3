"""Statistics over seeds: estimates, intervals and tests. From arrays to numbers; nothing here knows files or figures.

The unit of inference is the seed. A difference is taken within a seed, which both variants share, so its variance is
that of the difference alone.

Distributions are those of `scipy.special`, by its names: `stdtr` and `stdtrit` are Student's t and its inverse,
`chdtri` the inverse of χ²'s upper tail, `betaincinv` that of the beta distribution, `ndtr` the normal one.
`scipy.stats` has better names, and takes longer to import than a small study to be analyzed.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy  # whose modules are imported where they are used first
from scipy import special

LEVEL = 0.95  # of intervals
EXACT = 15  # seeds up to which all sign flips are counted
SAMPLED = 100_000  # sign flips beyond
# Gauss-Legendre on (0, 1), for a mean over a distribution by its quantiles.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(200)
NODES, NODE_WEIGHTS = (_NODES + 1) / 2, _WEIGHTS / 2
INTERVALS_FROM = 3  # seeds below which an interval would say nothing but that
STARS_FROM = 6  # seeds below which nothing can be significant enough to be marked


@dataclass(frozen=True)
class Interval:
    """An estimate with the interval around it; NaN where the seeds are too few for one."""

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
        values: (n,); without n ≥ 2 there is no interval.
        level: of the interval.
    """
    mean = float(np.mean(values)) if len(values) else float("nan")
    if len(values) < 2:
        return Interval(mean, float("nan"), float("nan"))
    return _around(mean, float(np.var(values, ddof=1)) / len(values), len(values) - 1, level)


def _around(mean: float, variance: float, df: float, level: float = LEVEL) -> Interval:
    half = float(special.stdtrit(df, 0.5 + level / 2)) * math.sqrt(variance)
    return Interval(mean, mean - half, mean + half)


def half_width_factor(n: np.ndarray, level: float = LEVEL) -> np.ndarray:
    """What a standard deviation of n values is multiplied by for half of their mean's t-interval; NaN for n < 2."""
    n = np.asarray(n, float)
    known = np.where(n > 1, n, np.nan)
    return special.stdtrit(known - 1, 0.5 + level / 2) / np.sqrt(known)


def new_data_interval(differences: np.ndarray, share: float) -> tuple[Interval, float]:
    """The interval that covers another draw of the data, not just of the split: 1/n becomes 1/n + n_val/n_train
    (Nadeau and Bengio 2003, the corrected resampled t-test).

    Args:
        differences: (n,).
        share: n_val / n_train.

    Returns:
        The interval, and the p-value of its t-test.
    """
    n, mean = len(differences), float(np.mean(differences))
    if n < 2:
        return Interval(mean, float("nan"), float("nan")), float("nan")
    variance = (1 / n + share) * float(np.var(differences, ddof=1))
    p = 2 * special.stdtr(n - 1, -abs(mean) / math.sqrt(variance)) if variance > 0 else float("nan")
    return _around(mean, variance, n - 1), float(p)


def no_spread(differences: np.ndarray) -> bool:
    """Whether all differences are equal, up to the rounding of differences of fractions."""
    return bool(np.ptp(differences) <= 1e-12 + 1e-9 * np.abs(differences).max())


def paired_t(differences: np.ndarray) -> tuple[float, float]:
    """t and the two-sided p-value of the paired t-test; both undefined, NaN, where all differences are equal."""
    if len(differences) < 2 or no_spread(differences):
        return float("nan"), float("nan")
    n = len(differences)
    t = float(np.mean(differences)) / math.sqrt(float(np.var(differences, ddof=1)) / n)
    return t, float(2 * special.stdtr(n - 1, -abs(t)))


def sign_flip(differences: np.ndarray) -> float:
    """Two-sided p-value of the sign-flip test of the mean (Fisher 1935): the share of sign patterns whose |mean| is at
    least the one found, ties with a tolerance; all 2ⁿ patterns up to n = 15, a fixed sample of them beyond.
    """
    n = len(differences)
    if n == 0:
        return float("nan")
    values = np.asarray(differences, float)
    if n <= EXACT:
        signs = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
    else:  # the pattern found counts as one of the sample, or p could be 0
        signs = np.random.default_rng(n).choice([-1, 1], size=(SAMPLED, n))
        signs[0] = 1
    sums = np.abs(signs @ values)
    return float(np.mean(sums >= abs(values.sum()) - 1e-9 * np.abs(values).sum()))


def smallest_p(n: int) -> float:
    """The smallest p-value that the sign-flip test can give with n seeds: all differences of one sign."""
    return min(1.0, 2.0 ** (1 - n))


def seeds_for(contrasts: int, level: float = 0.05) -> int:
    """Seeds with which a sign-flip test can reach a level after Holm's correction over so many contrasts."""
    n = 1
    while smallest_p(n) * contrasts > level:
        n += 1
    return n


def holm(p: np.ndarray) -> np.ndarray:
    """P-values corrected for all of them together (Holm 1979), in their order; NaN stays NaN and is not counted."""
    p = np.asarray(p, float)
    corrected = np.full(len(p), np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    steps = p[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(steps)) if len(order) else steps
    return corrected


def wins(differences: np.ndarray, larger_is_better: bool = True) -> tuple[float, Interval]:
    """Seeds in which the variant is better, ties counting half, and the share of them with its exact interval
    (Clopper and Pearson 1934).
    """
    signed = np.asarray(differences, float) * (1 if larger_is_better else -1)
    n, count = len(signed), float((signed > 0).sum() + 0.5 * (signed == 0).sum())
    tail = (1 - LEVEL) / 2
    low = float(special.betaincinv(count, n - count + 1, tail)) if count > 0 else 0.0
    high = float(special.betaincinv(count + 1, n - count, 1 - tail)) if count < n else 1.0
    return count, Interval(count / n, low, high)


def crossed(differences: np.ndarray) -> Crossed:
    """The variance of a mean over seeds and examples, both drawn at random.

    It is (MS_seeds + MS_examples − MS_residual)/(ab), never below MS_seeds/(ab), which is that of the seeds alone;
    degrees of freedom by Satterthwaite (1946).

    Args:
        differences: of each seed and example, (a, b), both at least 2.
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


def new_images_interval(differences: np.ndarray) -> Interval:
    """The interval of a mean that covers other seeds and other examples; see `crossed`.

    Args:
        differences: (seeds, examples).
    """
    if min(differences.shape) < 2:
        return Interval(float(differences.mean()), float("nan"), float("nan"))
    found = crossed(differences)
    return _around(float(differences.mean()), found.variance, found.df)


def power(effect: float, n: float, level: float = 0.05) -> float:
    """Probability that a two-sided paired t-test finds an effect, in standard deviations of the difference.

    The noncentral t-distribution as a mean over the estimated standard deviation, whose square has a χ²-distribution;
    SciPy's own is undefined for large effects and few seeds.
    """
    critical, shift = special.stdtrit(n - 1, 1 - level / 2), effect * math.sqrt(n)
    estimated = critical * np.sqrt(special.chdtri(n - 1, 1 - NODES) / (n - 1))
    return float(np.dot(NODE_WEIGHTS, special.ndtr(shift - estimated) + special.ndtr(-shift - estimated)))


def seeds_needed(effect: float, wanted: float = 0.8) -> float:
    """Seeds with which an effect is found with some probability, at least 2, not rounded.

    Args:
        effect: in standard deviations of the difference.
        wanted: the probability.
    """
    enough = 2.0
    while power(effect, enough) < wanted:
        enough *= 2
    return 2.0 if enough == 2 else float(scipy.optimize.brentq(lambda n: power(effect, n) - wanted, enough / 2, enough))


def detectable(sd: float, n: int, wanted: float = 0.8, level: float = 0.05) -> float:
    """The smallest effect that a t-test at some level finds with some probability from n seeds, in the unit of sd."""
    return sd * _detectable_effect(n, wanted, level)


@lru_cache(maxsize=256)
def _detectable_effect(n: int, wanted: float, level: float) -> float:
    """The same in standard deviations."""
    if n < 2:
        return float("nan")
    enough = 0.5
    while power(enough, n, level) < wanted:
        enough *= 1.5
    return float(scipy.optimize.brentq(lambda effect: power(effect, n, level) - wanted, 0.0, enough))


def sd_upper(sd: float, n: int, level: float = 0.8) -> float:
    """The one-sided upper bound of a standard deviation of normal values, from n of them."""
    return sd * math.sqrt((n - 1) / float(special.chdtri(n - 1, level))) if n > 1 else float("nan")


def best_of(scores: np.ndarray) -> np.ndarray:
    """The expected best of n trials, for n from 1 to all of them.

    It is the mean over all choices of n, which is unbiased (Tang et al. 2020); Dodge et al. (2019) draw with
    replacement, and so estimate too low.

    Args:
        scores: of each trial, larger being better, (N,).

    Returns:
        (N,); the last ones rest on few choices.
    """
    ordered, total = np.sort(np.asarray(scores, float)), len(scores)
    ranks = np.arange(total)  # trials below each one
    expected = []
    for n in range(1, total + 1):
        chances = special.comb(ranks, n - 1) / special.comb(total, n)
        expected.append(float(np.dot(chances, ordered)))
    return np.array(expected)


def leave_one_seed_out(scores: np.ndarray) -> float:
    """What the best of several candidates is worth: each seed scores the one that the other seeds choose.

    Without this the best of many noisy means is too high (the winner's curse).

    Args:
        scores: larger being better, (candidates, seeds), ties to the later candidate.
    """
    candidates, seeds = scores.shape
    if seeds < 2:
        return float("nan")
    values = []
    for seed in range(seeds):
        others = np.delete(scores, seed, axis=1).mean(axis=1)
        values.append(scores[candidates - 1 - int(np.argmax(others[::-1])), seed])
    return float(np.mean(values))
