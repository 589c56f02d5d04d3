"""Sequential designs: after how many seeds a study tests its differences, and at which level each time.

A study that adds seeds in rounds until its intervals are narrow tests its differences after each round. Each round
spends a part of the 5 %, so that the probability of a false claim after any of them is 5 % in all (group-sequential
tests: Pocock 1977, Lan and DeMets 1983). The interval of a round is the t-interval at the level of its test. The
intervals of all rounds together cover the truth with 95 %, whatever stops the study (repeated confidence intervals:
Jennison and Turnbull 1989).

The levels are exact for paired t-tests of normal differences with unknown variance, also with few seeds. Without a true
difference, the t-statistics of growing numbers of seeds are a Markov chain, whose law does not depend on the variance.
Let S be the sum of n differences and R the sum of their squares. Then u = S/√(nR) determines t. The next difference X
enters as y = X/√R, where y√n has Student's t-distribution with n degrees of freedom, independent of u.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import special

FIRST = 6  # seeds of the first round: with fewer, no difference gets a star
FEWEST_ADDED = 3  # seeds of a later round
MOST_SEEDS = 100
LEVEL = 0.05
# Cells of the chain: |z|, where z is the normal score of a t-test's p-value. Their width makes levels 1 % too low.
EDGES = np.linspace(0.0, 6.6, 221)
CENTERS = (EDGES[1:] + EDGES[:-1]) / 2
LEVELS = np.geomspace(1e-6, 1.0, 61)  # for which the tests of each round are tabulated


def rounds(most: int) -> tuple[int, ...]:
    """The numbers of seeds after each round. A round adds a third of the seeds, and the last one ends at `most`.

    Args:
        most: the largest number of seeds, at least FIRST.
    """
    found = [FIRST]
    while (following := found[-1] + _added(found[-1])) <= most - _added(following) / 2:
        found.append(following)
    return (*found, most) if most - found[-1] >= FEWEST_ADDED else (*found[:-1], most)


def _added(n: int) -> int:
    """The number of seeds that a round adds to n seeds."""
    return max(FEWEST_ADDED, math.ceil(n / 3))


def spent(fraction: float, level: float) -> float:
    """The part of a level that is spent after a fraction of the seeds: each seed spends the same (Kim, DeMets 1987)."""
    return level * fraction


@dataclass(frozen=True)
class Round:
    """The last complete round of a study.

    Attributes:
        seeds: the numbers of seeds after each round of the design, later rounds included.
        number: the number of complete rounds.
    """

    seeds: tuple[int, ...]
    number: int

    @property
    def n(self) -> int:
        """The number of seeds so far; 0 before the end of the first round."""
        return self.seeds[self.number - 1] if self.number else 0

    def nominal(self, level: float = LEVEL) -> float:
        """The two-sided level of the t-test of this round, where the tests of all rounds together have `level`.

        The t-interval of confidence 1 − nominal is the interval of this round. NaN before the end of the first round.
        """
        return levels(self.seeds, level)[self.number - 1] if self.number else float("nan")

    def over_rounds(self, p: np.ndarray) -> np.ndarray:
        """Turn two-sided p-values of this round's tests into p-values for all rounds together.

        Each is the smallest level at which the design rejects in this round, but at least 1e-6. NaN stays NaN; all are
        NaN before the end of the first round.
        """
        p = np.asarray(p, float)
        if not self.number:
            return np.full(p.shape, np.nan)
        nominal = _tabulated(self.seeds)[:, self.number - 1]
        least = np.maximum(p, nominal[0])
        found = np.exp(np.interp(np.log(least), np.log(nominal), np.log(LEVELS)))
        return np.where(np.isnan(p), np.nan, np.where(p >= nominal[-1], 1.0, found))


@lru_cache(maxsize=256)
def levels(seeds: tuple[int, ...], level: float) -> tuple[float, ...]:
    """The two-sided level of the t-test of each round, so that the tests of all rounds together have a level.

    Args:
        seeds: the numbers of seeds after each round, increasing.
        level: of all rounds together.
    """
    inside = np.diff(special.erf(EDGES / math.sqrt(2)))  # probabilities of the cells: |z| of one test is half-normal
    found, before = [], 0.0
    for number, n in enumerate(seeds):
        if number:
            inside = inside @ _transition(seeds[number - 1], n)
        now = spent(n / seeds[-1], level)
        z = _boundary(inside, now - before)
        found.append(float(2 * special.ndtr(-z)))
        inside = inside * np.clip((z - EDGES[:-1]) / np.diff(EDGES), 0, 1)
        before = now
    return tuple(found)


def _boundary(inside: np.ndarray, tail: float) -> float:
    """The |z| above which a probability lies, among what has not been rejected in an earlier round."""
    beyond = np.append(np.cumsum(inside[::-1])[::-1], 0.0)  # the probability above each edge
    if tail >= beyond[0]:
        return 0.0
    cell = np.flatnonzero(beyond > tail)[-1]
    share = (beyond[cell] - tail) / (beyond[cell] - beyond[cell + 1])
    return float(EDGES[cell] + share * (EDGES[cell + 1] - EDGES[cell]))


@lru_cache(maxsize=64)
def _tabulated(seeds: tuple[int, ...]) -> np.ndarray:
    """`levels` for each of LEVELS, increasing along the first axis; (levels, rounds)."""
    return np.maximum.accumulate([levels(seeds, float(level)) for level in LEVELS])


@lru_cache(maxsize=64)
def _transition(n: int, following: int) -> np.ndarray:
    """The probability of each cell with `following` seeds, given the cell with n seeds; (cells, cells)."""
    steps = np.eye(len(CENTERS))
    for size in range(n, following):
        steps = steps @ _one_seed(size)
    return steps


@lru_cache(maxsize=MOST_SEEDS)
def _one_seed(n: int) -> np.ndarray:
    """The same for one more seed.

    With n + 1 seeds, |u| is at most x if |u√n + y| ≤ x√(n + 1)√(1 + y²), a quadratic inequality in y.
    """
    a = _u(CENTERS, n)[:, None] * math.sqrt(n)
    q = _u(EDGES, n + 1)[None, :] ** 2 * (n + 1)
    # (1 − q)y² + 2ay + a² − q ≤ 0: for q < 1 between the roots, for q > 1 outside of them.
    scale = np.where(np.abs(1 - q) < 1e-9, 1e-9, 1 - q)
    root = np.sqrt(np.maximum(q * (1 + a**2 - q), 0.0))
    ends = _student(n, np.stack([-a - root, -a + root]) / scale * math.sqrt(n))
    between = np.abs(ends[1] - ends[0])
    cumulative = np.where(scale > 0, between, np.where(q >= 1 + a**2, 1.0, 1 - between))
    return np.diff(cumulative, axis=1)


def _student(n: int, t: np.ndarray) -> np.ndarray:
    """The distribution function of Student's t with n degrees of freedom, interpolated: that is ten times faster."""
    known = np.linspace(-15.0, 15.0, 6001)
    return np.interp(np.arcsinh(t), known, special.stdtr(n, np.sinh(known)))


def _u(z: np.ndarray, n: int) -> np.ndarray:
    """|u| of n seeds, from the normal score of the p-value of their t-test."""
    squared = special.stdtrit(n - 1, special.ndtr(-z)) ** 2
    return np.sqrt(squared / (squared + n - 1))
