"""Comparison of variants over several data sets by ranks (Demšar 2006).

Within each data set the variants are ranked, the best one first; ties share the mean of their ranks. Scores of
different data sets are never added, because a point of accuracy means something else in each. The unit of inference is
the data set.
"""

import math
from dataclasses import dataclass

import numpy as np
import scipy  # imports its modules on first use

from study.analysis.statistics import inference

LEVEL = 0.05
SAMPLES = 20_000  # permutations
BLOCK = 1_000_000  # ranks that are permuted together, in 8 MB


@dataclass(frozen=True)
class Friedman:
    """The test of Friedman and its correction by Iman and Davenport.

    Attributes:
        chi2: Friedman's statistic, corrected for ties, and `p` its p-value.
        df: its degrees of freedom, k − 1.
        f: the statistic of Iman and Davenport, and `p_f` its p-value.
        df_error: the second degrees of freedom of F, (k − 1)(N − 1).
    """

    chi2: float
    p: float
    df: int
    f: float
    p_f: float
    df_error: int


def ranks(scores: np.ndarray) -> np.ndarray:
    """The rank of each variant in each data set, 1 for the highest score; ties share the mean of their ranks.

    Args:
        scores: larger is better, (data sets, variants).
    """
    return np.asarray(scipy.stats.rankdata(-np.round(scores, inference.DIGITS), axis=1), float)


def friedman(ranked: np.ndarray, ties: bool = True) -> Friedman:
    """Test whether all variants have the same mean rank (Friedman 1937; Iman and Davenport 1980).

    χ² = (k − 1) Σⱼ(Rⱼ − N(k+1)/2)² / (A − Nk(k+1)²/4) with the sums of ranks Rⱼ and the sum A of all squared ranks
    (Conover 1999). F = (N − 1)χ² / (N(k − 1) − χ²) is less conservative, but rejects too often with few data sets: 7 %
    instead of 5 % with five. `permuted` keeps the level. If all data sets rank the variants alike, F is infinite; then
    p is the fraction of rankings that do so, k!^(1−N).

    Args:
        ranked: (N data sets, k variants), both at least 2.
        ties: whether to correct for ties. Without, A is that of ranks without ties, as in Demšar (2006).

    Returns:
        Statistics of 0 and p-values of 1 if every data set ranks all variants equal.
    """
    n, k = ranked.shape
    df, df_error = k - 1, (k - 1) * (n - 1)
    squares = float(np.square(ranked).sum()) if ties else n * k * (k + 1) * (2 * k + 1) / 6
    spread = squares - n * k * (k + 1) ** 2 / 4
    if spread <= 1e-9:
        return Friedman(0.0, 1.0, df, 0.0, 1.0, df_error)
    chi2 = df * float(np.square(ranked.sum(axis=0) - n * (k + 1) / 2).sum()) / spread
    left = n * df - chi2
    p = float(scipy.special.chdtrc(df, chi2))
    if left <= 1e-9:
        return Friedman(chi2, p, df, math.inf, math.factorial(k) ** (1.0 - n), df_error)
    f = (n - 1) * chi2 / left
    return Friedman(chi2, p, df, f, float(scipy.special.fdtrc(df, df_error, f)), df_error)


def permuted(ranked: np.ndarray, samples: int = SAMPLES) -> float:
    """The p-value of Friedman's statistic over permutations of the ranks within each data set.

    If the variants do not differ, all permutations are equally probable, so the test keeps its level with any number of
    data sets. It is the fraction of sampled permutations, the observed one included, whose statistic is at least the
    observed one (Phipson and Smyth 2010). The samples are the same in each call.

    Args:
        ranked: (N data sets, k variants).
        samples: the number of permutations.
    """
    generator = np.random.default_rng(0)
    least = float(np.square(ranked.sum(axis=0)).sum()) - 1e-9
    count, done = 1, 0
    while done < samples:
        some = min(samples - done, max(1, BLOCK // ranked.size))
        drawn = generator.permuted(np.broadcast_to(ranked, (some, *ranked.shape)), axis=2)
        count += int((np.square(drawn.sum(axis=1)).sum(axis=1) >= least).sum())
        done += some
    return count / (samples + 1)


def wilcoxon(differences: np.ndarray) -> float:
    """Two-sided p-value of the signed-rank test (Wilcoxon 1945), exact also with ties.

    Differences of zero are ranked and then left out (Pratt 1959). The p-value is the fraction of sign patterns whose
    sum of signed ranks is at least as far from 0 as the observed one; see `inference.sign_flip`.

    Args:
        differences: of two variants, one per data set.
    """
    rounded = np.round(differences, inference.DIGITS)
    return inference.sign_flip(np.sign(rounded) * scipy.stats.rankdata(np.abs(rounded)))


def critical_difference(variants: int, data_sets: int, level: float = LEVEL) -> float:
    """The difference of mean ranks that is significant in Nemenyi's test (Demšar 2006): q √(k(k+1)/6N).

    q is the upper quantile of the studentized range for k groups and infinite degrees of freedom, divided by √2.
    """
    q = float(scipy.stats.studentized_range.ppf(1 - level, variants, np.inf)) / math.sqrt(2)
    return q * math.sqrt(variants * (variants + 1) / (6 * data_sets))


def cliques(different: np.ndarray) -> list[tuple[int, int]]:
    """The groups of variants of which no two differ significantly: first and last place in the order of ranks.

    A group has all variants between its ends, and is part of no larger group. A group of one is none.

    Args:
        different: whether the variants at two places differ significantly, (k, k).
    """
    found: list[tuple[int, int]] = []
    count = len(different)
    for first in range(count):
        last = first
        while last + 1 < count and not different[first : last + 2, first : last + 2].any():
            last += 1
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found
