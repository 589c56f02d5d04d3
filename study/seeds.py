"""The seed of a run: one number for everything random, or a number for each source of randomness.

Bouthillier et al. (2021, Accounting for Variance in Machine Learning Benchmarks) separate these sources, to measure how
much each of them moves the scores.
"""

from collections.abc import Mapping
from typing import Any

from study.errors import ConfigError

BASE = "base"  # in what a user writes: the seed of the sources that have none of their own
SOURCES = {
    "split": "validation set, training images used (data.train_size), flipped labels",
    "init": "initial weights",
    "order": "order of the batches",
    "dropout": "whatever a regularizer draws: dropout, noise, augmentation, cutout, cutmix, mixup",
}

Seed = int | Mapping[str, int]  # a mapping has all SOURCES, not all equal


def seed_of(seed: Seed, source: str) -> int:
    """Return the seed of one source of randomness."""
    return seed if isinstance(seed, int) else seed[source]


def by_source(seed: Seed) -> dict[str, int]:
    """Return the seed of each source."""
    return {source: seed_of(seed, source) for source in SOURCES}


def checked_seed(given: Any) -> Seed:
    """Return `seed` in its only form: a number if all sources have the same, else a mapping with all of them.

    Args:
        given: a number, or a mapping of some sources, and perhaps `base`, to numbers.

    Raises:
        ConfigError: it is neither, or a number is not allowed.
    """
    if not isinstance(given, Mapping):
        return _whole("seed", given)
    for key in given:
        if key not in (BASE, *SOURCES):
            allowed = ", ".join(f"seed.{source}" for source in (*SOURCES, BASE))
            raise ConfigError(f"seed.{key}: there is no such source of randomness. Allowed: {allowed}")
    base = _whole(f"seed.{BASE}", given.get(BASE, 0))
    seeds = {s: _whole(f"seed.{s}", given[s]) if given.get(s) is not None else base for s in SOURCES}
    return seeds if len(set(seeds.values())) > 1 else seeds["split"]


def _whole(key: str, value: Any) -> int:
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        more = f" A list of seeds is swept with -m {key}=0,1,2, or {key}s=[0,1,2]." if isinstance(value, list) else ""
        raise ConfigError(f"{key}={value}: a whole number is allowed.{more if key == 'seed' else ''} Example: {key}=3")
    if value < 0:
        raise ConfigError(f"{key}={value}: must be a whole number ≥ 0")
    return value


def label_of(seed: Seed) -> int | str:
    """Return the number, or a text such as `0-init3`: the most frequent number, then the sources that have another."""
    if isinstance(seed, int):
        return seed
    numbers = [seed[source] for source in SOURCES]
    base = max(numbers, key=numbers.count)  # of equally frequent ones, the first
    return "-".join([str(base), *(f"{s}{n}" for s, n in zip(SOURCES, numbers, strict=True) if n != base)])


def of_label(label: int | str) -> dict[str, int]:
    """Return the seed of each source, from what `label_of` returns."""
    base, *others = str(label).split("-")
    own = {
        source: int(other.removeprefix(source)) for other in others for source in SOURCES if other.startswith(source)
    }
    return {source: own.get(source, int(base)) for source in SOURCES}


def crossed(levels: int) -> list[Seed]:
    """Return levels² seeds in which every two sources meet in each combination exactly once.

    Sources are rows, columns, and the symbols of two orthogonal Latin squares (an orthogonal array of strength 2).

    Args:
        levels: number of seeds of each source, odd. With 3, nothing would be left to estimate the residual from.

    Raises:
        ConfigError: the number is not allowed.
    """
    if not isinstance(levels, int) or isinstance(levels, bool) or levels < 5 or levels % 2 == 0 or levels > 99:
        raise ConfigError(
            f"seeds={{crossed: {levels}}}: must be an odd number from 5 to 99. It is the number of seeds of each"
            " source, and its square the number of runs of a variant. Example: seeds={crossed: 7}"
        )
    places = [(i, j) for i in range(levels) for j in range(levels)]
    return [
        checked_seed({"split": i, "init": j, "order": (i + j) % levels, "dropout": (i + 2 * j) % levels})
        for i, j in places
    ]
