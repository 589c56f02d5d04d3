"""Suites: false and true claims over simulated data sets, with and without a difference between variants.

A simulated suite has N data sets and four variants. Each data set has a level of accuracy and a noise of its own. If a
variant is better, its effect varies over data sets. Scores are rounded to 0.01 points, so that there are ties.
"""

import itertools

import numpy as np
from validation.rates import DRAWS, LEVEL, rate

from study.analysis.statistics import inference, ranks
from study.analysis.statistics.signed_rank import signed_rank

VARIANTS = 4
SIZES = (5, 6, 8, 12, 15)
SD = 0.5  # of a mean over seeds, in points
ROPE = 1.0  # points
SURE = 0.95  # posterior probability from which a decision is made
PERMUTATIONS = 999
FEWER = 8  # the Bayesian test is slow: an eighth of the simulated suites


def suites(generator: np.random.Generator) -> list[list[str]]:
    """Return rows with the rates of false and of true claims."""
    lines = []
    for n in SIZES:
        scores = [_scores(generator, n, np.zeros(VARIANTS)) for _ in range(DRAWS // 2)]
        ranked = [ranks.ranks(one) for one in scores]
        each = [ranks.friedman(one) for one in ranked]
        what = f"Suite, N = {n}, no difference:"
        lines.append([f"{what} Friedman", *rate(np.array([found.p < LEVEL for found in each]), LEVEL)])
        # F is no exact test: the report gives it beside the permutations, which decide.
        lines.append([f"{what} Iman and Davenport", *rate(np.array([found.p_f < LEVEL for found in each]))])
        decided = np.array([ranks.permuted(one, PERMUTATIONS) <= LEVEL for one in ranked])
        lines.append([f"{what} permutations of ranks", *rate(decided, LEVEL)])
        pairs = np.array([holm_of_pairs(one).min() < LEVEL for one in scores])
        lines.append([f"{what} a pair of {VARIANTS} variants (signed-rank, Holm)", *rate(pairs, LEVEL)])
        critical = ranks.critical_difference(VARIANTS, n)
        apart = np.array([np.ptp(ranks.ranks(one).mean(axis=0)) >= critical for one in scores])
        lines.append([f"{what} a pair of {VARIANTS} variants (Nemenyi)", *rate(apart, LEVEL)])
    for n in SIZES:
        effects = np.array([0.0, 0.0, 0.0, 2.0])
        scores = [_scores(generator, n, effects, varying=1.0) for _ in range(DRAWS // 4)]
        what = f"Suite, N = {n}, one of {VARIANTS} variants better by 2 ± 1 points:"
        found = [ranks.permuted(ranks.ranks(one), PERMUTATIONS) <= LEVEL for one in scores]
        lines.append([f"{what} permutations of ranks", *rate(np.array(found))])
        corrected = np.array([holm_of_pairs(one) for one in scores]) < LEVEL
        last = np.array([VARIANTS - 1 in pair for pair in itertools.combinations(range(VARIANTS), 2)])
        lines.append([f"{what} all three pairs (signed-rank, Holm)", *rate(corrected[:, last].all(axis=1))])
        lines.append([f"{what} a false pair (signed-rank, Holm)", *rate(corrected[:, ~last].any(axis=1), LEVEL)])
    return lines + bayesian(generator)


def bayesian(generator: np.random.Generator) -> list[list[str]]:
    """Return rows with the rates of decisions of the Bayesian signed-rank test, P > 0.95, on one pair."""
    lines = []
    for n in SIZES:
        for effect, varying, words in (
            (0.0, 0.0, "no difference"),
            (ROPE, 0.0, "a difference on the edge of the region"),
            (2 * ROPE, 1.0, "better by 2 ± 1 points"),
        ):
            found = []
            for _ in range(DRAWS // FEWER):
                scores = _scores(generator, n, np.array([0.0, effect]), varying)
                found.append(signed_rank(scores[:, 1] - scores[:, 0], ROPE))
            what = f"Bayesian signed-rank, N = {n}, {words}:"
            false = np.array([p.below > SURE or (p.above > SURE and effect == 0) for p in found])
            lines.append([f"{what} a false better or worse", *rate(false, LEVEL)])
            lines.append([f"{what} equivalent", *rate(np.array([p.inside > SURE for p in found]))])
            if effect:
                lines.append([f"{what} better", *rate(np.array([p.above > SURE for p in found]))])
    return lines


def holm_of_pairs(scores: np.ndarray) -> np.ndarray:
    """Return the corrected p-values of the signed-rank tests of all pairs of variants.

    Args:
        scores: larger is better, (data sets, variants).
    """
    pairs = itertools.combinations(range(scores.shape[1]), 2)
    return inference.holm(np.array([ranks.wilcoxon(scores[:, a] - scores[:, b]) for a, b in pairs]))


def _scores(generator: np.random.Generator, n: int, effects: np.ndarray, varying: float = 0.0) -> np.ndarray:
    """Return mean accuracies in points, (data sets, variants).

    Args:
        generator: draws them.
        n: the number of data sets.
        effects: the mean advantage of each variant over data sets.
        varying: its standard deviation over data sets, for variants that have an effect.
    """
    level = generator.uniform(60, 95, size=(n, 1))
    spread = generator.gamma(4, SD / 4, size=(n, 1))  # data sets differ in how noisy they are
    own = effects + varying * (effects > 0) * generator.normal(size=(n, len(effects)))
    return np.round(level + own + spread * generator.normal(size=(n, len(effects))), 2)
