"""Adaptive searches of equal variants: the choices are compared on fresh seeds, so a search makes no difference."""

import numpy as np
from validation.rates import LEVEL, rate

from study.analysis.statistics import inference
from study.config.tuning.protocol import Candidate, choose
from study.config.tuning.rounds import Told, search_of
from study.config.tuning.search import dimension

STUDIES, SEEDS, FRESH, TRIALS, BUDGET = 300, 3, (5, 7, 10), 14, 9
SD_SEED, SD = 0.5, 0.4  # points: of what the variants of a seed share, and of each run
RANGE = dimension("lr", {"log": [1e-4, 1e-2]}, "tpe")
STEEP = 1.0  # points that a learning rate ten times too large or too small costs


def adaptive_search(generator: np.random.Generator) -> list[list[str]]:
    """Return the rates at which the paired t-test on fresh seeds rejects for two equal variants, tuned apart.

    On a flat surface all settings are equally good, so each rejection is false. Where the learning rate matters, the
    two choices really differ by what their searches found, and a rejection may be right. This has no level.
    """
    lines = []
    for search in ("tpe", "hyperband"):
        for steep, what in ((0.0, "all settings equal"), (STEEP, "choices differ in learning rate")):
            each = [_differences(generator, search, steep, seed) for seed in range(STUDIES)]
            for n in FRESH:
                hits = np.array([inference.paired_t(differences[:n])[1] for differences in each]) <= LEVEL
                level = None if steep else LEVEL
                lines.append([f"{search}, {what}, {n} fresh seeds: paired t", *rate(hits, level)])
    return lines


def _differences(generator: np.random.Generator, search: str, steep: float, seed: int) -> np.ndarray:
    """Tune two equal variants; return the differences of their choices on fresh seeds, in points."""
    of_seeds = generator.normal(0, SD_SEED, SEEDS)
    rates = [_chosen(generator, search, steep, seed, name, of_seeds) for name in ("one", "other")]
    each = [_score(lr, steep) + generator.normal(0, SD, max(FRESH)) for lr in rates]
    return each[1] - each[0]


def _chosen(
    generator: np.random.Generator, search: str, steep: float, seed: int, name: str, of_seeds: np.ndarray
) -> float:
    """The learning rate that a search chooses by the mean over the tuning seeds."""
    own = search_of(search, {"optimizer.lr": RANGE}, {}, TRIALS, BUDGET, seed, name)
    told: list[list[Told]] = []
    noise: dict[int, float] = {}  # of a trial: a run that goes on is the same run
    while len(told) < len(own.rounds):
        asked = own.ask(told)
        for a in asked:
            noise.setdefault(a.trial, float((of_seeds + generator.normal(0, SD, SEEDS)).mean()))
        told.append([Told(a, _score(a.values["optimizer.lr"], steep) + noise[a.trial]) for a in asked])
    whole = [t for each in told for t in each if t.asked.epochs == BUDGET]
    tried = [(Candidate("none", t.asked.values, {}, t.asked.trial), t.score) for t in whole]
    return float(choose(tried).values["optimizer.lr"])


def _score(lr: float, steep: float) -> float:
    """The true score of a learning rate, in points: best at 1e-3."""
    return -steep * abs(np.log10(lr / 1e-3))
