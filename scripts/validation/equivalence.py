"""Equivalence: claims where the true difference is exactly the margin, so that each is false, and where it is zero."""

import numpy as np
import pandas as pd
from validation.rates import DRAWS, LEVEL, MARGIN, SIZES, rate

from study.analysis.statistics import inference, tost, verdicts
from study.tasks import CLASSIFICATION

VARIANTS = 5  # of a study, with the baseline


def verdicts_on(differences: np.ndarray, margin: float = MARGIN) -> list[str]:
    """Return the verdict on each contrast of a study.

    Args:
        differences: in points, (seeds, contrasts).
        margin: the margin of equivalence, in points.
    """
    each = differences.T / 100
    p = [inference.sign_flip(d) if inference.no_spread(d) else inference.paired_t(d)[1] for d in each]
    table = pd.DataFrame({"measure": "val_accuracy", "n": len(differences), "p_holm": inference.holm(np.array(p))})
    table["mean_difference"] = each.mean(axis=1)
    table["sd"] = [0.0 if inference.no_spread(d) else d.std(ddof=1) for d in each]
    return list(verdicts.with_verdicts(table, "val_accuracy", margin, CLASSIFICATION)["verdict"])


def equivalence(generator: np.random.Generator, sd: float) -> list[list[str]]:
    """Return rows with the rates of false and of true claims of equivalence."""

    def found(draws: np.ndarray, margin: float) -> np.ndarray:
        each = zip(draws.mean(axis=1), draws.std(axis=1, ddof=1), strict=True)
        return np.array([tost.p_value(mean, own, draws.shape[1], margin) < LEVEL for mean, own in each])

    lines = []
    for n in SIZES:
        for spread in (sd / 3, sd, 3 * sd):
            draws = generator.normal(MARGIN, spread, size=(DRAWS, n))
            what = f"True difference = margin, n = {n}, sd {spread:g} points: equivalent"
            lines.append([what, *rate(found(draws, MARGIN), LEVEL)])
        for sign, tail in ((1, "towards zero"), (-1, "away from zero")):
            draws = MARGIN - sign * sd * (generator.exponential(size=(DRAWS, n)) - 1)
            what = f"True difference = margin, n = {n}, skewed {tail}, sd {sd:g} points: equivalent"
            lines.append([what, *rate(found(draws, MARGIN))])
        margin = tost.provable_margin(sd, n)
        draws = generator.normal(0, sd, size=(DRAWS, n))
        what = f"No true difference, n = {n}, sd {sd:g} points, margin {margin:.2f} points: equivalent"
        lines.append([what, *rate(found(draws, margin)), "0.800", ""])
    for n in (6, 7, 10):
        for name, shifts in (
            ("all at the margin", np.full(VARIANTS - 1, MARGIN)),
            ("half at the margin, half without a difference", MARGIN * (np.arange(VARIANTS - 1) % 2)),
        ):
            false = []
            for _ in range(DRAWS // 2):  # variants share the baseline, so contrasts are correlated
                scores = generator.normal(0, sd / np.sqrt(2), size=(n, VARIANTS))
                said = verdicts_on(scores[:, 1:] - scores[:, :1] + shifts)
                false.append(any(v == verdicts.EQUIVALENT and s > 0 for v, s in zip(said, shifts, strict=True)))
            what = f"{VARIANTS - 1} contrasts, {name}, n = {n}: false equivalent (Holm)"
            lines.append([what, *rate(np.array(false), LEVEL)])
    return lines
