"""The protocol of a tuned study: everyone tuned alike, choices frozen, compared on fresh seeds.

The winner of many trials is partly a lucky one, so its score is too high. Only runs of the winners on seeds that had
no part in the choice are compared, and how many these are is fixed beforehand (as in AlgoPerf's protocol).
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from omegaconf import DictConfig, OmegaConf

from study.config.points.grid import ENGINE_KEYS, Point, as_override
from study.config.tuning.search import COLUMNS, SEARCHES, Dimension, dimension, flattened, points
from study.errors import ConfigError

LEARNING_RATE = "optimizer.lr"
SHARED = {LEARNING_RATE: {"log": [1e-4, 1e-2]}}  # what every variant tunes unless tune.shared says otherwise
TRIALS = 16
MOST_TRIALS = 10_000  # which would take months; a slip of the keyboard rather than a wish
ALLOWED = ("tuning",)  # words of `allow` for a command that trains
# What a trial may not change: the task, the budget, and what the protocol itself sets.
NOT_TUNED = ("reg", "seed", "epochs", "budget", "data", "model", "optimizer", "experiment", *ENGINE_KEYS)


@dataclass(frozen=True)
class Tuning:
    """What `tune:` and `select` in a study's YAML say.

    Attributes:
        shared: what every variant tunes: the range of each key, as YAML has it.
        spaces: by regularizer what it tunes besides.
        search: how trials are drawn, one of `search.SEARCHES`.
        trials: how many trials each variant gets; None for a grid, which has all combinations.
        seed: of the search.
        seeds: number of tuning seeds, 0, 1, ...
        fresh: number of fresh seeds, which follow on these.
        select: measure that decides, its mean over the tuning seeds.
        per: settings for each combination of which the choice is made apart.
    """

    shared: Mapping[str, Any]
    spaces: Mapping[str, Mapping[str, Any]]
    search: str
    trials: int | None
    seed: int
    seeds: int
    fresh: int
    select: str
    per: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    @property
    def tuning_seeds(self) -> list[int]:
        """Seeds that choose."""
        return list(range(self.seeds))

    @property
    def fresh_seeds(self) -> list[int]:
        """Seeds that compare."""
        return list(range(self.seeds, self.seeds + self.fresh))

    def space_of(self, reg: str) -> dict[str, Dimension]:
        """What a regularizer tunes: the shared keys, then its own."""
        return {**self._dimensions("shared", self.shared), **self._dimensions(f"spaces.{reg}", self.spaces[reg])}

    def points_of(self, reg: str) -> list[dict[str, Any]]:
        """The values of each of a regularizer's trials."""
        shared = self._dimensions("shared", self.shared)
        own = self._dimensions(f"spaces.{reg}", self.spaces[reg])
        return points(shared, own, self.search, self.trials or 0, self.seed)

    def _dimensions(self, where: str, space: Mapping[str, Any]) -> dict[str, Dimension]:
        return {key: dimension(f"tune.{where}.{key}", given, self.search) for key, given in space.items()}


@dataclass(frozen=True)
class Candidate:
    """One trial of a regularizer in one context (a combination of `per`): its number and the values that it tries."""

    reg: str
    values: Mapping[str, Any]
    context: Mapping[str, Any]
    trial: int = 0

    def points(self, seeds: Sequence[int], fixed: Mapping[str, str]) -> list[Point]:
        """Overrides of its run with each seed; `fixed` are further overrides of all runs, by key."""
        settings = {"reg": self.reg, **self.context, **self.values}
        own = [f"{key}={as_override(value)}" for key, value in settings.items()]
        return [[*own, f"seed={seed}", *fixed.values()] for seed in seeds]


def read_tuning(base: DictConfig) -> Tuning | None:
    """The checked `tune:` of a config; None where nothing is tuned.

    Raises:
        ConfigError: a key or value is not allowed, or variants are not tuned alike and `allow` does not hold `tuning`.
    """
    allow = _allowed(base)
    if base.tune is None:
        return None
    if not isinstance(base.tune, DictConfig):
        raise ConfigError(
            f"tune={base.tune}: must be a mapping with spaces, seeds and fresh. Example: experiment=tuned"
        )
    given: Any = OmegaConf.to_container(base.tune, resolve=True)
    known = ("search", "trials", "seed", "seeds", "fresh", "shared", "spaces", "per")
    for key in given:
        if key not in known:
            raise ConfigError(f"tune.{key} is not a key of tune. Allowed: {', '.join(known)}.")
    for key in ("spaces", "seeds", "fresh"):
        if given.get(key) is None:
            raise ConfigError(f"tune.{key} is missing: spaces, seeds and fresh are required")
    search = given.get("search", "sobol")
    if search not in SEARCHES:
        raise ConfigError(f"tune.search={search}: allowed: {', '.join(SEARCHES)}")
    if search == "grid" and given.get("trials") is not None:
        raise ConfigError(f"tune.trials={given['trials']}: search=grid trains all combinations. Set tune.trials=null")
    if search != "grid":
        given["trials"] = TRIALS if given.get("trials") is None else given["trials"]
    for key, low in {"seeds": 1, "fresh": 1, "seed": 0, "trials": 1}.items():
        value = given.get(key, low)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < low):
            raise ConfigError(f"tune.{key}={value}: must be a whole number of at least {low}")
    if (given.get("trials") or 0) > MOST_TRIALS:
        raise ConfigError(f"tune.trials={given['trials']}: at most {MOST_TRIALS} are allowed")
    if base.seeds is not None or base.variants:
        raise ConfigError("tune makes its own seeds and variants: leave seeds and variants out, set tune.seeds")
    if base.data.split == "textbook":
        raise ConfigError("data.split=textbook: val is the official test set there, and must not choose; use holdout")
    for key in ("shared", "spaces", "per"):
        if not isinstance(given.get(key) or {}, dict):
            raise ConfigError(f"tune.{key}={given[key]}: must be a mapping. Example: experiment=tuned")
    spaces = {str(reg): _space(f"spaces.{reg}", space) for reg, space in given["spaces"].items()}
    if not spaces:
        raise ConfigError("tune.spaces is empty: name the regularizers to compare. Example: {none: {}, l1: {...}}")
    tuning = Tuning(
        shared=_space("shared", SHARED if given.get("shared") is None else given["shared"]),
        spaces=spaces,
        search=search,
        trials=given.get("trials"),
        seed=given.get("seed", 0),
        seeds=given["seeds"],
        fresh=given["fresh"],
        select=base.select,
        per=given.get("per") or {},
    )
    _check(tuning)
    unequal = inequalities(tuning)
    if unequal and "tuning" not in allow:
        raise ConfigError(
            f"{unequal[0]}. All variants must be tuned alike, or the difference may come from the tuning. Change it, or"
            " give allow=[tuning], which every table then says"
        )
    return tuning


def _allowed(base: DictConfig) -> list[str]:
    """The words of `allow`."""
    given = base.get("allow")
    words = [given] if isinstance(given, str) else list(given or [])
    for word in words:
        if word not in ALLOWED:
            raise ConfigError(f"allow={words}: allowed when runs are trained: {', '.join(ALLOWED)}")
    return words


def _space(where: str, space: Any) -> dict[str, Any]:
    """A space by whole keys."""
    if space is not None and not isinstance(space, Mapping):
        raise ConfigError(
            f"tune.{where}={space}: must be a mapping of keys to what is tried. Example: experiment=tuned"
        )
    flat = list(flattened(space or {}))
    if len(flat) > len(dict(flat)):
        raise ConfigError(f"tune.{where} names a key twice: {', '.join(key for key, _ in flat)}")
    return dict(flat)


def _check(tuning: Tuning) -> None:
    """Refuse what cannot be searched: unknown forms of a range, keys that belong to the task, one key in two places."""
    for key, values in tuning.per.items():
        if not isinstance(values, list) or not values:
            raise ConfigError(f"tune.per.{key}={values}: must be a list of values")
    for reg, own in tuning.spaces.items():
        for where, space in (("shared", tuning.shared), (f"spaces.{reg}", own)):
            for key in space:
                if key in NOT_TUNED or key.startswith("data."):
                    raise ConfigError(
                        f"tune.{where}.{key}: a trial may not change the task, the budget or the seed. Allowed: lam,"
                        " batch_size, options of reg, optimizer and model. tune.per makes a choice for each setting"
                    )
        twice = [key for key in own if key in tuning.shared or key in tuning.per]
        if twice:
            raise ConfigError(f"tune.spaces.{reg}.{twice[0]}: it is in tune.shared or tune.per already. Leave one out")
        if len(tuning.space_of(reg)) > COLUMNS:
            raise ConfigError(f"tune.spaces.{reg}: at most {COLUMNS} keys can be tuned, the shared ones included")


def inequalities(tuning: Tuning) -> list[str]:
    """In what the variants of a protocol are tuned unequally, a line each; none where everyone is tuned alike."""
    lines = []
    counts = {reg: len(tuning.points_of(reg)) for reg in tuning.spaces}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{reg} {count}" for reg, count in counts.items())
        lines.append(f"tune: the variants get unequal numbers of trials: {listed}")
    for reg, own in tuning.spaces.items():
        lines += [
            f"tune.spaces.{reg}.{key}: every variant can tune {key}, which belongs in tune.shared"
            for key in own
            if key != "lam" and not key.startswith("reg.")
        ]
    return lines


def candidates(tuning: Tuning) -> list[Candidate]:
    """All trials: of each regularizer in each context."""
    contexts = [dict(zip(tuning.per, values, strict=True)) for values in itertools.product(*tuning.per.values())]
    return [
        Candidate(reg, values, context, trial)
        for context in contexts
        for reg in tuning.spaces
        for trial, values in enumerate(tuning.points_of(reg))
    ]


def choose(tried: Sequence[tuple[Candidate, float]]) -> Candidate:
    """The candidate of the highest score; of equal ones the earliest trial, which is the same rule for all variants.

    Args:
        tried: candidates of one regularizer and context, with their scores, larger being better.
    """
    return max(tried, key=lambda pair: (pair[1], -pair[0].trial))[0]
