"""Search spaces of a tuned study: what each key may be, and the points that are tried.

Every variant reads its trials from one sequence of points in the unit cube: shared keys take the first columns, a
variant's own keys the following ones. So trial k has the same learning rate for all variants, and a further variant
changes no other's trials.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from study.errors import ConfigError

SEARCHES = ("sobol", "random", "grid")
COLUMNS = 16  # of the sequence: the most keys that a variant can tune
DIGITS = 4  # significant digits of a value that is drawn: enough to tune, and short in the names of runs
EDGE = 0.05  # of a range: a choice as close to an end may have a better one beyond
EXAMPLES = "{log: [1e-4, 1e-2]}, {linear: [0, 0.5]}, {choice: [a, b]}"


class Dimension(Protocol):
    """What one key may be."""

    def value(self, u: float) -> Any:
        """The value at a position u in [0, 1)."""

    def near_end(self, value: Any) -> bool:
        """Whether a value lies at an end of what is tried, beyond which a better one may lie."""

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
        drawn = float(f"{math.exp(place) if self.log else place:.{DIGITS}g}")
        return min(max(drawn, self.low), self.high)

    def near_end(self, value: float) -> bool:
        """Whether a number lies within 5 % of an end, on the range's own scale."""
        begin, end = self._scaled(self.low), self._scaled(self.high)
        u = (self._scaled(value) - begin) / (end - begin)
        return not EDGE <= u <= 1 - EDGE

    def words(self) -> str:
        """`0.0001 to 0.01 (log)`."""
        return f"{self.low:g} to {self.high:g} ({'log' if self.log else 'linear'})"

    def _scaled(self, number: float) -> float:
        return math.log(number) if self.log else number


@dataclass(frozen=True)
class Choice:
    """Values of a list; `ordered` ones are numbers of a grid, which has ends."""

    values: tuple[Any, ...]
    ordered: bool = False

    def value(self, u: float) -> Any:
        """The value at a position u in [0, 1)."""
        return self.values[int(u * len(self.values))]

    def near_end(self, value: Any) -> bool:
        """Whether a number is the least or the greatest of several."""
        return self.ordered and len(self.values) > 1 and value in (min(self.values), max(self.values))

    def words(self) -> str:
        """The values, separated by commas."""
        return ", ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in self.values)


def dimension(key: str, given: Any, search: str) -> Dimension:
    """What a key may be, from YAML.

    Args:
        key: the whole key, for messages.
        given: a list of values for a grid; `{log: [low, high]}`, `{linear: [low, high]}` or `{choice: [...]}` else.
        search: one of SEARCHES.

    Raises:
        ConfigError: it is something else.
    """
    if search == "grid":
        if not _distinct(given):
            raise ConfigError(f"{key}={given}: search=grid takes a list of different values. Example: [1e-4, 1e-3]")
        return Choice(tuple(given), ordered=all(_is_number(v) for v in given))
    if not isinstance(given, Mapping) or len(given) != 1 or not set(given) <= {"log", "linear", "choice"}:
        raise ConfigError(f"{key}={given}: search={search} takes a range or a choice. Examples: {EXAMPLES}")
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
    """The keys of a space with what they may be: nested mappings name the same keys as dotted ones."""
    for key, content in space.items():
        is_dimension = not isinstance(content, Mapping) or set(content) & {"log", "linear", "choice"}
        if is_dimension or not content:
            yield f"{prefix}{key}", content
        else:
            yield from flattened(content, f"{prefix}{key}.")


def points(
    shared: Mapping[str, Dimension], own: Mapping[str, Dimension], search: str, trials: int, seed: int
) -> list[dict[str, Any]]:
    """The trials of one variant: the value of each key, shared ones first.

    Args:
        shared: what every variant tunes.
        own: what this one tunes besides.
        search: `sobol`, `random`, or `grid`, which has all combinations.
        trials: how many; a grid has as many as there are combinations.
        seed: of the sequence.

    Returns:
        Trials in the order of the sequence; a single one where there is nothing to tune.
    """
    space = {**shared, **own}
    if search == "grid":
        listed = [d.values for d in space.values() if isinstance(d, Choice)]  # all are: see `dimension`
        return [dict(zip(space, values, strict=True)) for values in itertools.product(*listed)]
    rows = unit_points(search, trials, seed) if space else np.zeros((1, COLUMNS))
    return [
        {key: d.value(float(u)) for (key, d), u in zip(space.items(), row[: len(space)], strict=True)} for row in rows
    ]


def unit_points(search: str, trials: int, seed: int) -> np.ndarray:
    """The first points of the sequence in the unit cube, float64 (trials, COLUMNS).

    `sobol`: a scrambled Sobol' sequence (Owen 1998), which covers the cube more evenly than chance does; `random`:
    independent uniform points.
    """
    if search == "random":
        return np.random.default_rng(seed).random((trials, COLUMNS))
    from scipy.stats import qmc  # takes a second to import

    sequence = qmc.Sobol(d=COLUMNS, scramble=True, rng=seed)
    return sequence.random_base2(max(0, math.ceil(math.log2(trials))))[:trials]


def near_ends(space: Mapping[str, Dimension], values: Mapping[str, Any]) -> Sequence[str]:
    """The keys whose chosen value lies at an end of its range."""
    return [key for key, d in space.items() if d.near_end(values[key])]
