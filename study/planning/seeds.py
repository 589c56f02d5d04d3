"""How many seeds find a difference, and how small a difference any number of seeds can show."""

import math

from scipy import special

from study.analysis.statistics.inference import STARS_FROM, power, seeds_needed

LEVEL, WANTED = 0.05, 0.8  # of the tests of all contrasts together; the power
MOST = 10_000  # seeds that are looked for


def seeds_to_find(difference: float, sd: float, contrasts: int) -> int:
    """The number of seeds with which a paired t-test finds a difference with 80 % power; at least 6, as a star needs.

    The level is divided by the number of contrasts, which is the first step of Holm's correction.

    Args:
        difference: above 0.
        sd: the standard deviation of the paired differences, above 0, in the same unit.
        contrasts: their number.
    """
    return max(STARS_FROM, math.ceil(seeds_needed(difference / sd, WANTED, LEVEL / contrasts) - 1e-9))


def seeds_for_new_data(difference: float, sd: float, contrasts: int, share: float) -> int | None:
    """The same for the test that also covers another draw of the data; None if no number of seeds is enough.

    In its variance, 1/n becomes 1/n + share (Nadeau and Bengio 2003).

    Args:
        difference: above 0.
        sd: the standard deviation of the paired differences, above 0, in the same unit.
        contrasts: their number.
        share: n_val / n_train.
    """

    def enough(n: int) -> bool:
        return power(difference / sd / math.sqrt(1 + n * share), n, LEVEL / contrasts) >= WANTED

    if difference <= smallest_on_new_data(sd, contrasts, share) or not enough(MOST):
        return None
    low, high = STARS_FROM - 1, MOST
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def smallest_on_new_data(sd: float, contrasts: int, share: float) -> float:
    """The difference that the same test finds with 80 % power with infinitely many seeds.

    Val has only so many images, and training too, so the variance of the mean difference stays above share · sd².
    """
    z = special.ndtri(1 - LEVEL / contrasts / 2) + special.ndtri(WANTED)
    return float(z * math.sqrt(share) * sd)
