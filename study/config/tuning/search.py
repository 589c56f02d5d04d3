"""Search spaces of a tuned study: the range of each key, and the points of the trials.

Every variant takes its trials from one sequence of points in the unit cube. Shared keys use the first columns, and a
variant's own keys use the next ones. So trial k has the same learning rate for all variants, and another variant does
not change the trials of the others.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from study.errors import ConfigError

SEARCHES = ("sobol", "random", "grid", "tpe", "hyperband")
COLUMNS = 16  # of the sequence, and so the largest number of keys that a variant can tune
DIGITS = 4  # significant digits of a drawn value: enough to tune, and short in the names of runs
EDGE = 0.05  # fraction of a range: beyond a choice this close to an end, a better value may lie
EXAMPLES = "{log: [1e-4, 1e-2]}, {linear: [0, 0.5]}, {choice: [a, b]}"


class Dimension(Protocol):
    """The values that a search can try for one key."""

    def value(self, u: float) -> Any:
        """The value at a position u in [0, 1)."""

    def near_end(self, value: Any) -> bool:
        """Whether a value lies at an end of the range, so that a better one may lie beyond it."""

    def words(self) -> str:
        """The range in words."""


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, uniform on a linear or a logarithmic scale."""

    low: float
    high: float
    log: bool

    def value(self, u: float) -> float:
        """The number at a position u in [0, 1), rounded to four significant digits."""
        begin, end = self._scaled(self.low), self._scaled(self.high)
        place = begin + u * (end - begin)
        return self.rounded(math.exp(place) if self.log else place)

    def rounded(self, number: float) -> float:
        """A number with four significant digits, within the range."""
        return min(max(float(f"{number:.{DIGITS}g}"), self.low), self.high)

    def near_end(self, value: float) -> bool:
        """Whether a number lies within 5 % of an end of the range, on its linear or logarithmic scale."""
        begin, end = self._scaled(self.low), self._scaled(self.high)
        u = (self._scaled(value) - begin) / (end - begin)
        return not EDGE <= u <= 1 - EDGE

    def words(self) -> str:
        """The range in words: `0.0001 to 0.01 (log)`."""
        return f"{self.low:g} to {self.high:g} ({'log' if self.log else 'linear'})"

    def _scaled(self, number: float) -> float:
        return math.log(number) if self.log else number


@dataclass(frozen=True)
class Choice:
    """The values of a list. `ordered`: they are the numbers of a grid, so the list has ends."""

    values: tuple[Any, ...]
    ordered: bool = False

    def value(self, u: float) -> Any:
        """The value at a position u in [0, 1)."""
        return self.values[int(u * len(self.values))]

    def near_end(self, value: Any) -> bool:
        """Whether a value is the smallest or the largest of several numbers."""
        return self.ordered and len(self.values) > 1 and value in (min(self.values), max(self.values))

    def words(self) -> str:
        """The values, separated by commas."""
        return ", ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in self.values)


def dimension(key: str, given: Any, search: str) -> Dimension:
    """Read the range of a key from YAML.

    Args:
        key: the whole key, for messages.
        given: for a grid a list of values; for other searches `{log: [low, high]}`, `{linear: [low, high]}` or
            `{choice: [...]}`.
        search: one of SEARCHES.

    Raises:
        ConfigError: `given` has another form.
    """
    if search == "grid":
        if not _distinct(given):
            raise ConfigError(f"{key}={given}: must be a list of different values. Example: [1e-4, 1e-3]")
        return Choice(tuple(given), ordered=all(_is_number(v) for v in given))
    if not isinstance(given, Mapping) or len(given) != 1 or not set(given) <= {"log", "linear", "choice"}:
        raise ConfigError(f"{key}={given}: must be a range or a choice with search={search}. Examples: {EXAMPLES}")
    ((kind, content),) = given.items()
    if kind == "choice":
        if not _distinct(content):
            raise ConfigError(f"{key}.choice={content}: must be a list of different values. Example: [a, b]")
        return Choice(tuple(content))
    if not isinstance(content, list) or len(content) != 2 or not all(map(_is_number, content)):
        raise ConfigError(f"{key}.{kind}={content}: must be two finite numbers. Example: [1e-4, 1e-2]")
    low, high = map(float, content)
    if not low < high or (kind == "log" and low <= 0):
        above = "above 0 and " if kind == "log" else ""
        raise ConfigError(f"{key}.{kind}={content}: the first number must be {above}below the second")
    return Range(low, high, kind == "log")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _distinct(given: Any) -> bool:
    return isinstance(given, list) and bool(given) and len(set(map(str, given))) == len(given)


def flattened(space: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the keys of a space with their ranges. Nested keys are joined by dots."""
    for key, content in space.items():
        is_dimension = not isinstance(content, Mapping) or set(content) & {"log", "linear", "choice"}
        if is_dimension or not content:
            yield f"{prefix}{key}", content
        else:
            yield from flattened(content, f"{prefix}{key}.")


def points(
    shared: Mapping[str, Dimension], own: Mapping[str, Dimension], search: str, trials: int, seed: int
) -> list[dict[str, Any]]:
    """The trials of one variant: the value of each key, shared keys first.

    Args:
        shared: the keys that every variant tunes.
        own: the keys that this variant tunes besides.
        search: `sobol`, `random`, or `grid` for all combinations.
        trials: number of trials; not used for a grid.
        seed: the seed of the sequence.

    Returns:
        The trials in the order of the sequence; a single one if there is nothing to tune.
    """
    space = {**shared, **own}
    if search == "grid":
        listed = [d.values for d in space.values() if isinstance(d, Choice)]  # all are; see `dimension`
        return [dict(zip(space, values, strict=True)) for values in itertools.product(*listed)]
    rows = unit_points(search, trials, seed) if space else np.zeros((1, COLUMNS))
    return [
        {key: d.value(float(u)) for (key, d), u in zip(space.items(), row[: len(space)], strict=True)} for row in rows
    ]


def unit_points(search: str, trials: int, seed: int) -> np.ndarray:
    """The first points of the sequence in the unit cube, float64 (trials, COLUMNS).

    `sobol` gives a scrambled Sobol' sequence (Owen 1998), which covers the cube more evenly than random points.
    `random` gives independent uniform points.
    """
    if search == "random":
        return np.random.default_rng(seed).random((trials, COLUMNS))
    from scipy.stats import qmc  # takes a second to import

    sequence = qmc.Sobol(d=COLUMNS, scramble=True, rng=seed)
    return sequence.random_base2(max(0, math.ceil(math.log2(trials))))[:trials]


def edges(space: Mapping[str, Dimension]) -> list[dict[str, Any]]:
    """Points at the ends of the dimensions: together they have both ends of each range, and all values of a choice."""
    each = [d.values if isinstance(d, Choice) else (d.value(0.0), d.value(1.0)) for d in space.values()]
    longest = max(map(len, each), default=1)
    return [dict(zip(space, (values[min(i, len(values) - 1)] for values in each), strict=True)) for i in range(longest)]


def near_ends(space: Mapping[str, Dimension], values: Mapping[str, Any]) -> Sequence[str]:
    """The keys whose chosen value lies near an end of its range."""
    return [key for key, d in space.items() if d.near_end(values[key])]
