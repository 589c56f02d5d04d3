"""seeds=auto: claims without a true difference, coverage of the intervals that end a study, and the seeds it takes."""

import numpy as np
from scipy import special
from validation.rates import LEVEL, rate

from study.analysis.statistics import inference
from study.analysis.statistics.in_rounds import Testing
from study.sequential import Round, rounds

STUDIES = 10_000
MOST = 30  # max_seeds
SEEDS = rounds(MOST)
SPREADS = (0.1, 0.3, 0.5, 1.0)  # standard deviation of a paired difference, for a half-width of 0.3 points
HALF_WIDTH = 0.3


def _studies(scores: np.ndarray) -> dict[str, np.ndarray]:
    """Follow many studies through their rounds.

    Args:
        scores: in points, (studies, seeds, variants); the first variant is the baseline.

    Returns:
        Of each study: the round that ends it, and, by rounds, the p-values for all rounds `p` and for this round alone
        `once` (rounds, studies, contrasts), and whether all intervals cover zero.
    """
    differences = scores[:, :, 1:] - scores[:, :, :1]
    contrasts = differences.shape[2]
    p, once, covered, narrow = [], [], [], []
    for number, n in enumerate(SEEDS, start=1):
        testing = Testing(Round(SEEDS, number), contrasts, HALF_WIDTH)
        seen = differences[:, :n]
        mean, error = seen.mean(axis=1), seen.std(axis=1, ddof=1) / np.sqrt(n)
        half = special.stdtrit(n - 1, 0.5 + testing.confidence(contrasts) / 2) * error
        once.append(2 * special.stdtr(n - 1, -np.abs(mean / error)))
        p.append(testing.p(once[-1]))
        covered.append((np.abs(mean) <= half).all(axis=1))
        narrow.append((half <= HALF_WIDTH).all(axis=1))
    narrow[-1][:] = True  # max_seeds
    ends = np.argmax(narrow, axis=0)
    return {"p": np.array(p), "once": np.array(once), "covered": np.array(covered), "ends": ends}


def _starred(p: np.ndarray) -> np.ndarray:
    """Whether a contrast of a study gets a star; p: (studies, contrasts)."""
    return np.array([(inference.holm(own) < LEVEL).any() for own in p])


def sequential(generator: np.random.Generator) -> list[list[str]]:
    """Return rows with the rates of false claims and of missed truths, and the mean number of seeds."""
    lines = []

    def skewed(*size: int) -> np.ndarray:
        scores = np.sqrt(2) * (generator.exponential(size=size) - 1)
        scores[..., 0] = 0.0  # of the baseline: the difference of two exponential values would be symmetric
        return scores

    draws = {
        "normal": lambda *size: generator.normal(size=size),
        "heavy tails (Laplace)": lambda *size: generator.exponential(size=size),
        "skewed (exponential)": skewed,
    }
    for contrasts in (1, 4):
        for name, draw in draws.items():
            for sd in SPREADS:
                found = _studies(draw(STUDIES, MOST, contrasts + 1) * sd / np.sqrt(2))
                every, ends = np.arange(STUDIES), found["ends"]
                seeds = np.array(SEEDS)[ends].mean()
                at_end = _starred(found["p"][ends, every])
                peeked = np.any([_starred(p) for p in found["p"]], axis=0)
                level = LEVEL if name == "normal" else None  # no t-test guarantees the level for other values
                counted = f"{contrasts} contrast{'s' if contrasts > 1 else ''}"
                what = f"seeds=auto, {counted}, {name}, sd {sd:g}, half-width {HALF_WIDTH:g} points"
                lines.append([f"{what}: a star at the end ({seeds:.1f} seeds)", *rate(at_end, level)])
                lines.append([f"{what}: a star after any round", *rate(peeked, level)])
                if sd == HALF_WIDTH and name == "normal":
                    careless = np.any([_starred(p) for p in found["once"]], axis=0)
                    lines.append([f"{what}: a star after any round, without correction for rounds", *rate(careless)])
                missed = ~found["covered"][ends, every]
                lines.append([f"{what}: an interval at the end misses the truth", *rate(missed, level)])
    return lines
