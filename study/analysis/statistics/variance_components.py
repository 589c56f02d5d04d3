"""Which source of randomness moves a score how much: variance components of crossed seeds, with intervals.

Every source is a random effect (Searle, Casella and McCulloch 1992, Variance Components). Estimates are those of the
analysis of variance, which are unbiased; they may be negative, and then stand for zero. Intervals are the modified
large-sample ones for sums and differences of mean squares (Ting, Burdick, Graybill, Jeyaratnam and Lu 1990, J. Stat.
Comput. Simul. 35; Burdick and Graybill 1992, Confidence Intervals on Variance Components). For a single mean square
they are the exact χ²-intervals.

In an orthogonal array, any two seeds meet once. An interaction of sources, drawn anew for each combination, then is
independent in all runs. So the residual is the sum of all interactions, and does not bias the other components.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from study.analysis.statistics.inference import LEVEL, Interval
from study.analysis.statistics.seed_design import ARRAY, FACTORIAL, INDEPENDENT, design_of, varying

INTERACTION, TOTAL = "interaction", "total"


@dataclass(frozen=True)
class Anova:
    """Mean squares of crossed seeds, and what they estimate.

    Attributes:
        mean: of all runs.
        runs: their number.
        squares: mean squares, (m,).
        df: degrees of freedom of each, (m,).
        components: for each source that varies, for `interaction` and for `total` (one run with all of these sources
            drawn anew) the factors of the mean squares whose sum is the variance, (m,).
        of_mean: the same for the variance of the mean over all runs.
    """

    mean: float
    runs: int
    squares: np.ndarray
    df: np.ndarray
    components: Mapping[str, np.ndarray]
    of_mean: np.ndarray

    def variance(self, component: str) -> float:
        """The estimate of a component, which may be negative."""
        return float(self.components[component] @ self.squares)

    def interval(self, component: str, level: float = LEVEL) -> Interval:
        """The variance of a component and its interval, whose ends are at least 0."""
        found = combined_interval(self.components[component], self.squares, self.df, level)
        return Interval(found.mean, max(0.0, found.low), max(0.0, found.high))

    def mean_interval(self, level: float = LEVEL) -> Interval:
        """The mean and its interval, for other seeds of all sources that vary.

        The degrees of freedom follow Satterthwaite (1946). The variance is at least that from the largest mean square.
        """
        terms = self.of_mean * self.squares
        largest = int(np.argmax(np.where(self.of_mean > 0, terms, -np.inf)))
        variance, df = float(terms.sum()), 0.0
        if variance > terms[largest]:
            df = variance**2 / float((terms**2 / self.df).sum())
        else:
            variance, df = float(terms[largest]), float(self.df[largest])
        half = float(special.stdtrit(df, 0.5 + level / 2)) * math.sqrt(variance)
        return Interval(self.mean, self.mean - half, self.mean + half)


def anova(values: np.ndarray, seeds: pd.DataFrame) -> Anova | None:
    """The analysis of variance of crossed seeds; None if the sources do not vary in a design that it knows.

    Args:
        values: a score of each run, (runs,), none missing.
        seeds: the seed of each source, (runs, sources).
    """
    sources, design = varying(seeds), design_of(seeds)
    if not sources or (design == INDEPENDENT and len(sources) > 1):
        return None
    if design == INDEPENDENT:
        square, n = np.array([values.var(ddof=1)]), len(values)
        one = np.ones(1)
        return Anova(float(values.mean()), n, square, np.array([n - 1.0]), {sources[0]: one, TOTAL: one}, one / n)
    if design == ARRAY:
        return _of_array(values, seeds[sources])
    return _of_factorial(values, seeds[sources]) if design == FACTORIAL else None


def _of_array(values: np.ndarray, seeds: pd.DataFrame) -> Anova | None:
    runs, sources = len(values), list(seeds.columns)
    levels, count, mean = math.isqrt(runs), len(sources), float(values.mean())
    df = np.array([levels - 1.0] * count + [runs - 1.0 - count * (levels - 1)])
    if df[-1] < 1:
        return None
    sums = [levels * float(np.square(_means(values, seeds[source]) - mean).sum()) for source in sources]
    rest = max(0.0, float(np.square(values - mean).sum()) - sum(sums))
    unit = np.eye(count + 1)
    components = {source: (unit[place] - unit[-1]) / levels for place, source in enumerate(sources)}
    components[INTERACTION] = unit[-1]
    total = np.sum(list(components.values()), axis=0)
    of_mean = (unit[:-1].sum(axis=0) - (count - 1) * unit[-1]) / runs
    return Anova(mean, runs, np.array([*sums, rest]) / df, df, {**components, TOTAL: total}, of_mean)


def _means(values: np.ndarray, seeds: pd.Series) -> np.ndarray:
    return pd.Series(values).groupby(seeds.to_numpy()).mean().to_numpy()


def _of_factorial(values: np.ndarray, seeds: pd.DataFrame) -> Anova:
    """A full factorial with one run of each combination. The highest interaction includes all other noise."""
    sources = list(seeds.columns)
    shape = [seeds[source].nunique() for source in sources]
    cube = pd.Series(values, pd.MultiIndex.from_frame(seeds)).sort_index().to_numpy().reshape(shape)
    axes = range(len(sources))
    effects = [subset for size in range(1, len(sources) + 1) for subset in itertools.combinations(axes, size)]
    parts: dict[tuple[int, ...], np.ndarray] = {(): np.asarray(cube.mean(keepdims=True))}
    squares, df = [], []
    for effect in effects:
        others = tuple(axis for axis in axes if axis not in effect)
        below = [part for smaller, part in parts.items() if set(smaller) < set(effect)]
        parts[effect] = cube.mean(axis=others, keepdims=True) - sum(below)
        degrees = math.prod(shape[axis] - 1 for axis in effect)
        squares.append(float(np.square(parts[effect]).sum()) * _product(shape, others) / degrees)
        df.append(float(degrees))
    variances = {effect: _factors(effect, effects, shape) for effect in effects}
    components = {sources[effect[0]]: factors for effect, factors in variances.items() if len(effect) == 1}
    components[INTERACTION] = np.sum([f for effect, f in variances.items() if len(effect) > 1], axis=0)
    total = np.sum(list(variances.values()), axis=0)
    of_mean = np.sum([factors / _product(shape, effect) for effect, factors in variances.items()], axis=0)
    return Anova(
        float(cube.mean()), len(values), np.array(squares), np.array(df), {**components, TOTAL: total}, of_mean
    )


def _factors(effect: tuple[int, ...], effects: Sequence[tuple[int, ...]], shape: Sequence[int]) -> np.ndarray:
    """The factors of the mean squares whose sum is the variance of an effect, from their expectations."""
    others = [axis for axis in range(len(shape)) if axis not in effect]
    signs = [(-1) ** (len(other) - len(effect)) if set(effect) <= set(other) else 0 for other in effects]
    return np.array(signs) / _product(shape, others)


def _product(shape: Sequence[int], axes: Sequence[int]) -> int:
    return math.prod(shape[axis] for axis in axes)


def combined_interval(factors: np.ndarray, squares: np.ndarray, df: np.ndarray, level: float = LEVEL) -> Interval:
    """The modified large-sample interval of a sum of mean squares with factors of either sign (Ting et al. 1990).

    Args:
        factors: of the mean squares, (m,).
        squares: the mean squares, (m,).
        df: their degrees of freedom, (m,).
        level: the confidence level.
    """
    tail = (1 - level) / 2
    plus, minus = np.flatnonzero(factors > 0), np.flatnonzero(factors < 0)
    terms = np.abs(factors) * squares
    estimate = float(terms[plus].sum() - terms[minus].sum())
    below = _spread(plus, minus, terms, df, tail)
    above = _spread(minus, plus, terms, df, tail)  # the upper end is the lower end of the negative sum
    return Interval(estimate, estimate - math.sqrt(max(0.0, below)), estimate + math.sqrt(max(0.0, above)))


def _spread(plus: np.ndarray, minus: np.ndarray, terms: np.ndarray, df: np.ndarray, tail: float) -> float:
    """The square of the distance from the estimate to the lower end."""
    to_low = 1 - df / special.chdtri(df, tail)  # G: of a positive term
    to_high = df / special.chdtri(df, 1 - tail) - 1  # H: of a negative term
    found = float(np.square(to_low[plus] * terms[plus]).sum() + np.square(to_high[minus] * terms[minus]).sum())
    for one, other in itertools.product(plus, minus):
        f = float(special.fdtri(df[one], df[other], 1 - tail))
        mixed = ((f - 1) ** 2 - (to_low[one] * f) ** 2 - to_high[other] ** 2) / f
        found += mixed * terms[one] * terms[other]
    for one, other in itertools.combinations(plus, 2):
        both = df[one] + df[other]
        together = (1 - both / float(special.chdtri(both, tail))) ** 2 * both**2 / (df[one] * df[other])
        own = to_low[one] ** 2 * df[one] / df[other] + to_low[other] ** 2 * df[other] / df[one]
        found += (together - own) / (len(plus) - 1) * terms[one] * terms[other]
    return found


def mean_sd(found: Anova, seeds: int, only: str | None = None) -> float:
    """The standard deviation of a mean over seeds.

    Args:
        found: the components.
        seeds: number of runs that the mean is taken over.
        only: the source that alone has other seeds in these runs; None: all sources have. All interactions are counted
            as if they changed with it, so that the deviation is at least this.
    """
    total = max(0.0, found.variance(TOTAL))
    if only is None:
        return math.sqrt(total / seeds)
    parts = (found.variance(name) for name in (only, INTERACTION) if name in found.components)
    changing = min(total, sum(max(0.0, part) for part in parts))
    return math.sqrt(total - changing + changing / seeds)
