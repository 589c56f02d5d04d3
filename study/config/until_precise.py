"""Seeds that a study adds in rounds until its intervals are narrow: the keys seeds=auto, half_width and max_seeds."""

import math
from dataclasses import dataclass

from omegaconf import DictConfig

from study.errors import ConfigError
from study.sequential import FIRST, MOST_SEEDS, rounds

AUTO = "auto"  # the value of `seeds`
MAX_SEEDS = 30  # default of max_seeds


@dataclass(frozen=True)
class UntilPrecise:
    """When a study stops adding seeds.

    Attributes:
        half_width: of every interval of the primary measure, in the unit of displayed differences.
        max_seeds: the largest number of seeds.
    """

    half_width: float
    max_seeds: int

    @property
    def rounds(self) -> tuple[int, ...]:
        """The numbers of seeds after each round."""
        return rounds(self.max_seeds)


def read_until(base: DictConfig) -> UntilPrecise | None:
    """Check and return the rule of a config; None if its number of seeds is fixed.

    Raises:
        ConfigError: a key is missing, has a value that is not allowed, or cannot be combined.
    """
    half_width, most = base.half_width, base.max_seeds
    if base.seeds != AUTO:
        for key, value in {"half_width": half_width, "max_seeds": most}.items():
            if value is not None:
                raise ConfigError(f"{key}={value:g}: it has no meaning without seeds=auto. Add it, or leave {key} out")
        return None
    if half_width is None:
        raise ConfigError(
            "seeds=auto: half_width is missing: how narrow the intervals must be. Example: half_width=0.2"
        )
    if not 0 < half_width < math.inf:
        raise ConfigError(f"half_width={half_width:g}: must be a finite number above 0. Example: half_width=0.2")
    most = MAX_SEEDS if most is None else most
    if not FIRST <= most <= MOST_SEEDS:
        raise ConfigError(
            f"max_seeds={most}: must be from {FIRST}, the seeds of the first round, to {MOST_SEEDS}. Example:"
            f" max_seeds={MAX_SEEDS}"
        )
    if not base.wait:
        raise ConfigError("wait=false: with seeds=auto this command decides after each round. Leave it out")
    return UntilPrecise(half_width, most)
