"""The Bayesian signed-rank test with a region of practical equivalence (rope).

Benavoli et al. (2014), "A Bayesian Wilcoxon signed-rank test based on the Dirichlet process"; Benavoli, Corani, Demšar
and Zaffalon (2017), "Time for a change". It answers how probable it is that one variant is practically better than
another on a further data set like these, or that the two are practically equivalent.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

STRENGTH = 0.5  # of the prior: the weight of one further difference of zero, which is inside the region
SAMPLES = 50_000
SEED = 0


@dataclass(frozen=True)
class Probabilities:
    """The posterior probabilities that differences are below, inside and above the region; they add up to 1."""

    below: float
    inside: float
    above: float


def signed_rank(differences: np.ndarray, rope: float) -> Probabilities:
    """The posterior probabilities of the three outcomes.

    The posterior is a Dirichlet process with the prior DP(0.5, δ₀). A sample of it gives the observed differences, and
    one of 0, the weights w ~ Dirichlet(0.5, 1, ..., 1). In it, Σᵢⱼ wᵢwⱼ over the pairs whose mean (zᵢ + zⱼ)/2 is above
    the region is the chance of `above`, and so for the others. The most probable outcome of the sample counts; equally
    probable ones share it. The samples are the same in each call, so the result is deterministic.

    Args:
        differences: one per data set, (n,).
        rope: half the width of the region around 0, at least 0. A mean on its edge is inside.
    """
    z = np.concatenate([[0.0], differences])
    means = (z[:, None] + z) / 2
    edge = rope + 1e-12 * max(1.0, float(np.abs(z).max()))
    weights = _weights(len(z))
    below = np.einsum("si,ij,sj->s", weights, (means < -edge).astype(float), weights, optimize=True)
    above = np.einsum("si,ij,sj->s", weights, (means > edge).astype(float), weights, optimize=True)
    chances = np.round(np.stack([below, 1 - below - above, above], 1), 12)
    best = chances == chances.max(axis=1, keepdims=True)
    shares = (best / best.sum(axis=1, keepdims=True)).mean(axis=0)
    return Probabilities(*map(float, shares))


@lru_cache(maxsize=4)
def _weights(count: int) -> np.ndarray:
    """Samples of the weights of the prior's difference and the others, (SAMPLES, count)."""
    return np.random.default_rng(SEED).dirichlet([STRENGTH, *[1.0] * (count - 1)], size=SAMPLES)
