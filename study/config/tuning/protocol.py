"""The protocol of a tuned study: tune all variants alike, freeze the choices, compare them on fresh seeds.

The best of many trials is partly best by luck, so its score is too high. So only runs of the choices on fresh seeds,
which had no part in the choice, are compared. Their number is fixed beforehand, as in the protocol of AlgoPerf.
"""

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from omegaconf import DictConfig, OmegaConf

from study.config.points.grid import ENGINE_KEYS, Point, Setting, as_override, check_apart
from study.config.tuning import tpe
from study.config.tuning.brackets import LEAST_EPOCHS
from study.config.tuning.rounds import ADAPTIVE, HYPERBAND, Search, search_of
from study.config.tuning.search import COLUMNS, SEARCHES, Dimension, dimension, edges, flattened
from study.errors import ConfigError

LEARNING_RATE = "optimizer.lr"
SHARED = {LEARNING_RATE: {"log": [1e-4, 1e-2]}}  # default of tune.shared, which every variant tunes
TRIALS = 16
MOST_TRIALS = 10_000  # more would take months, and are probably a typing error
ALLOWED = ("tuning",)  # words of `allow` for a command that trains
# Keys that a trial may not change: the task, the budget, and the keys that the protocol itself sets.
CHOICES = ("reg", "data", "model", "optimizer", "schedule", "experiment")
NOT_TUNED = (*CHOICES, "task", "seed", "epochs", "budget", "precision", *ENGINE_KEYS)


@dataclass(frozen=True)
class Tuning:
    """The protocol: the keys `tune` and `select` of a study.

    Attributes:
        shared: the range of each key that every variant tunes, as in YAML.
        spaces: for each regularizer, the range of each key that it tunes besides.
        search: how trials are drawn, one of `search.SEARCHES`.
        trials: number of trials of each variant; None for a grid, which has all combinations. For hyperband, which
            trains most trials for fewer epochs, their budget in whole runs.
        seed: the seed of the search.
        seeds: number of tuning seeds: 0, 1, ...
        fresh: number of fresh seeds, which come after the tuning seeds.
        select: the measure that chooses, by its mean over the tuning seeds. Until the runs are known, it may be empty,
            for the default of their task.
        per: lists of settings. A separate choice is made for each of their combinations.
        epochs: of a whole run; 0 in a manifest of an earlier version.
        suite: the settings of a suite. A separate choice is made in each, for each combination of `per`.
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
    epochs: int = 0
    suite: Sequence[Setting] = ()

    @property
    def tuning_seeds(self) -> list[int]:
        """The seeds of the trials, by which the choice is made."""
        return list(range(self.seeds))

    @property
    def fresh_seeds(self) -> list[int]:
        """The seeds on which the choices are compared."""
        return list(range(self.seeds, self.seeds + self.fresh))

    def space_of(self, reg: str) -> dict[str, Dimension]:
        """The dimensions that a regularizer tunes: the shared keys, then its own."""
        return {**self._dimensions("shared", self.shared), **self._dimensions(f"spaces.{reg}", self.spaces[reg])}

    @property
    def contexts(self) -> list[dict[str, Any]]:
        """The settings of which each has choices of its own: those of the suite, with each combination of `per`."""
        combinations = [dict(zip(self.per, values, strict=True)) for values in itertools.product(*self.per.values())]
        return [{**setting, **own} for setting in self.suite or [{}] for own in combinations]

    @property
    def is_adaptive(self) -> bool:
        """Whether later trials depend on the scores of earlier ones."""
        return self.search in ADAPTIVE

    def is_whole(self, epochs: int) -> bool:
        """Whether a trial with this last epoch is trained to its end. With other searches than hyperband, all are."""
        return self.search != HYPERBAND or epochs >= self.epochs

    def search_of(self, reg: str, context: Mapping[str, Any]) -> Search:
        """The search of a regularizer in a context."""
        shared = self._dimensions("shared", self.shared)
        own = self._dimensions(f"spaces.{reg}", self.spaces[reg])
        name, epochs = json.dumps([reg, context]), int(context.get("epochs", self.epochs))
        return search_of(self.search, shared, own, self.trials or 0, epochs, self.seed, name)

    def _dimensions(self, where: str, space: Mapping[str, Any]) -> dict[str, Dimension]:
        return {key: dimension(f"tune.{where}.{key}", given, self.search) for key, given in space.items()}


@dataclass(frozen=True)
class Candidate:
    """One trial of a regularizer in one context (see `Tuning.contexts`): its number and its values."""

    reg: str
    values: Mapping[str, Any]
    context: Mapping[str, Any]
    trial: int = 0

    def points(self, seeds: Sequence[int], fixed: Mapping[str, str]) -> list[Point]:
        """The overrides of its run with each seed. `fixed`: further overrides of all runs, by key."""
        settings = {"reg": self.reg, **self.context, **self.values}
        own = [f"{key}={as_override(value)}" for key, value in settings.items()]
        return [[*own, f"seed={seed}", *fixed.values()] for seed in seeds]


def read_tuning(base: DictConfig, suite: Sequence[Setting] = ()) -> Tuning | None:
    """Check and return the protocol of a config; None if nothing is tuned.

    Args:
        base: the config.
        suite: the settings of a suite, from `suite.read_suite`.

    Raises:
        ConfigError: a key or value is not allowed. Or variants are not tuned alike, and `allow` does not permit it.
    """
    allow = _allowed(base)
    if base.tune is None:
        return None
    if not isinstance(base.tune, DictConfig):
        raise ConfigError(
            f"tune={base.tune}: must be a mapping with the keys spaces, seeds and fresh. Example: experiment=tuned"
        )
    given: Any = OmegaConf.to_container(base.tune, resolve=True)
    known = ("search", "trials", "seed", "seeds", "fresh", "shared", "spaces", "per")
    for key in given:
        if key not in known:
            raise ConfigError(f"tune.{key} is not a key of tune. Allowed: {', '.join(known)}")
    for key in ("spaces", "seeds", "fresh"):
        if given.get(key) is None:
            raise ConfigError(f"tune.{key} is missing. tune must have the keys spaces, seeds and fresh")
    search = given.get("search", "sobol")
    if search not in SEARCHES:
        raise ConfigError(f"tune.search={search}: allowed: {', '.join(SEARCHES)}")
    if search == "grid" and given.get("trials") is not None:
        raise ConfigError(f"tune.trials={given['trials']}: search=grid trains all combinations. Set tune.trials=null")
    if search in ADAPTIVE:
        tpe.require_optuna(f"tune.search={search}")
    if search != "grid":
        given["trials"] = TRIALS if given.get("trials") is None else given["trials"]
    for key, low in {"seeds": 1, "fresh": 1, "seed": 0, "trials": 1}.items():
        value = given.get(key, low)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < low):
            raise ConfigError(f"tune.{key}={value}: must be a whole number ≥ {low}")
    if (given.get("trials") or 0) > MOST_TRIALS:
        raise ConfigError(f"tune.trials={given['trials']}: must be at most {MOST_TRIALS}")
    if base.seeds is not None or base.variants:
        raise ConfigError("tune makes its own seeds and variants. Leave seeds and variants out, and set tune.seeds")
    if "textbook" in (base.data.split, *(setting.get("data.split") for setting in suite)):
        raise ConfigError(
            "data.split=textbook: the validation set is the official test set then, and tuning must not use it. Give"
            " data.split=holdout"
        )
    for key in ("shared", "spaces", "per"):
        if not isinstance(given.get(key) or {}, dict):
            raise ConfigError(f"tune.{key}={given[key]}: must be a mapping. Example: experiment=tuned")
    spaces = {str(reg): _space(f"spaces.{reg}", space) for reg, space in given["spaces"].items()}
    if not spaces:
        raise ConfigError("tune.spaces is empty. Name the regularizers to compare. Example: {none: {}, l1: {...}}")
    tuning = Tuning(
        shared=_space("shared", SHARED if given.get("shared") is None else given["shared"]),
        spaces=spaces,
        search=search,
        trials=given.get("trials"),
        seed=given.get("seed", 0),
        seeds=given["seeds"],
        fresh=given["fresh"],
        select=base.select or "",
        per=given.get("per") or {},
        epochs=base.epochs,
        suite=suite,
    )
    _check(tuning)
    unequal = inequalities(tuning)
    if unequal and "tuning" not in allow:
        raise ConfigError(
            f"{unequal[0]}. All variants must be tuned alike, or a difference may come from the tuning. Change it, or"
            " give allow=[tuning]. Every table then says so"
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
    """A space with nested keys joined by dots."""
    if space is not None and not isinstance(space, Mapping):
        raise ConfigError(f"tune.{where}={space}: must be a mapping of keys to ranges. Example: experiment=tuned")
    flat = list(flattened(space or {}))
    if len(flat) > len(dict(flat)):
        raise ConfigError(f"tune.{where} names a key twice: {', '.join(key for key, _ in flat)}. Leave one out")
    return dict(flat)


def _check(tuning: Tuning) -> None:
    """Refuse unknown forms of a range, keys that belong to the task, and a key in two places."""
    check_apart(tuning.suite, "tune.per", tuning.per)
    check_apart(tuning.suite, "tune.shared", tuning.shared)
    for reg, own in tuning.spaces.items():
        check_apart(tuning.suite, f"tune.spaces.{reg}", own)
    for key, values in tuning.per.items():
        if not isinstance(values, list) or not values:
            raise ConfigError(f"tune.per.{key}={values}: must be a list of values")
    for where, keys in (("tune.per.epochs", tuning.per), *(("suite: epochs", setting) for setting in tuning.suite)):
        if tuning.search == HYPERBAND and "epochs" in keys:
            raise ConfigError(
                f"{where}: search=hyperband needs one number of epochs. Take another search, or give epochs"
            )
    if tuning.search == HYPERBAND and tuning.epochs < LEAST_EPOCHS:
        raise ConfigError(
            f"epochs={tuning.epochs}: search=hyperband stops trials early, so it needs epochs ≥ {LEAST_EPOCHS}. Give"
            " more epochs, or tune.search=tpe"
        )
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
            raise ConfigError(f"tune.spaces.{reg}.{twice[0]}: tune.shared or tune.per has the same key. Leave one out")
        if len(tuning.space_of(reg)) > COLUMNS:
            raise ConfigError(f"tune.spaces.{reg}: at most {COLUMNS} keys can be tuned, including those of tune.shared")


def inequalities(tuning: Tuning) -> list[str]:
    """List how the variants of a protocol are tuned unequally, one line each; empty if all are tuned alike."""
    lines = []
    searches = {reg: tuning.search_of(reg, {}) for reg in tuning.spaces}
    if len({search.epochs for search in searches.values()}) > 1:
        listed = ", ".join(f"{reg} {search.trials}" for reg, search in searches.items())
        epochs = ", ".join(f"{reg} {search.epochs}" for reg, search in searches.items())
        lines.append(f"tune: the variants get unequal numbers of trials: {listed}; epochs for each seed: {epochs}")
    for reg, own in tuning.spaces.items():
        lines += [
            f"tune.spaces.{reg}.{key}: every variant can tune {key}, so it belongs in tune.shared"
            for key in own
            if key != "lam" and not key.startswith("reg.")
        ]
    return lines


def at_the_ends(tuning: Tuning) -> list[Candidate]:
    """Candidates at the ends of the ranges, for a search that chooses its trials later.

    If a range has values that are not allowed, one of these has such a value.
    """
    return [
        Candidate(reg, values, context)
        for context in tuning.contexts
        for reg in tuning.spaces
        for values in edges(tuning.space_of(reg))
    ]


def choose(tried: Sequence[tuple[Candidate, float]]) -> Candidate:
    """Return the candidate with the highest score; of equal ones, that of the earliest trial.

    The rule for equal scores is the same for all variants.

    Args:
        tried: candidates of one regularizer and context that were trained to their end, with their scores; higher is
            better.
    """
    return max(tried, key=lambda pair: (pair[1], -pair[0].trial))[0]


def in_words(values: Mapping[str, Any]) -> str:
    """Keys and their values as text, separated by commas."""
    return ", ".join(
        f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}" for key, value in values.items()
    )
