"""Tune, freeze, rerun: choose a λ for each regularizer with some seeds, and compare the choices on fresh ones.

The winner of many trials is partly a lucky one, so its score is too high. Only runs of the winners on seeds that had
no part in the choice are compared, and how many these are is fixed beforehand (as in AlgoPerf's protocol).
"""

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from study.errors import ConfigError, StudyError
from study.grid import Point, as_override
from study.recording import write_whole

MANIFEST = "manifest.json"  # in a study's folder: which runs belong to which phase, and what was chosen
LEARNING_RATE = "optimizer.lr"


@dataclass(frozen=True)
class Tuning:
    """What `tune:` and `select` in a study's YAML say.

    Attributes:
        spaces: by regularizer the values of each key that is tried; all combinations of them are.
        seeds: number of tuning seeds, 0, 1, ...
        fresh: number of fresh seeds, which follow on these.
        select: measure that decides, its mean over the tuning seeds.
        extend: how many values a space may get beyond its edges where the winner lies on one.
        per: settings for each combination of which the choice is made apart.
    """

    spaces: Mapping[str, Mapping[str, Sequence[Any]]]
    seeds: int
    fresh: int
    select: str
    extend: int = 2
    per: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    @property
    def tuning_seeds(self) -> list[int]:
        """Seeds that choose."""
        return list(range(self.seeds))

    @property
    def fresh_seeds(self) -> list[int]:
        """Seeds that compare."""
        return list(range(self.seeds, self.seeds + self.fresh))


@dataclass(frozen=True)
class Candidate:
    """One regularizer with values for what is tuned, in one context (a combination of `per`)."""

    reg: str
    values: Mapping[str, Any]
    context: Mapping[str, Any]

    def point(self, seed: int) -> Point:
        """Overrides of its run with a seed."""
        settings = {"reg": self.reg, **self.context, **self.values, "seed": seed}
        return [f"{key}={as_override(value)}" for key, value in settings.items()]


def read_tuning(base: DictConfig) -> Tuning | None:
    """The checked `tune:` of a config; None where nothing is tuned.

    Raises:
        ConfigError: a key or value is not allowed.
    """
    if base.tune is None:
        return None
    if not isinstance(base.tune, DictConfig):
        raise ConfigError(f"tune={base.tune}: a mapping with spaces, seeds and fresh is allowed; see experiment=tuned")
    given = OmegaConf.to_container(base.tune, resolve=True)
    known = ("spaces", "seeds", "fresh", "extend", "per")
    for key in given:
        if key not in known:
            raise ConfigError(f"tune.{key} is no key of tune; allowed: {', '.join(known)}")
    for key in ("spaces", "seeds", "fresh"):
        if key not in given:
            raise ConfigError(f"tune.{key} is missing: spaces, seeds and fresh are needed")
    for key in ("spaces", "per"):
        content = given.get(key) or {}
        if not isinstance(content, dict) or (
            key == "spaces" and not all(s is None or isinstance(s, dict) for s in content.values())
        ):
            raise ConfigError(f"tune.{key}={content}: a mapping is allowed; see experiment=tuned")
    for key, low in {"seeds": 1, "fresh": 1, "extend": 0}.items():
        value = given.get(key, low)
        if not isinstance(value, int) or isinstance(value, bool) or value < low:
            raise ConfigError(f"tune.{key}={value}: a whole number of at least {low} is allowed")
    if base.seeds is not None or base.variants:
        raise ConfigError("tune makes its own seeds and variants: leave seeds and variants out, set tune.seeds")
    if base.data.split == "textbook":
        raise ConfigError("data.split=textbook: val is the official test set there, and must not choose; use holdout")
    spaces = {reg: space or {} for reg, space in given["spaces"].items()}
    tuning = Tuning(**{**given, "spaces": spaces, "select": base.select})
    _check_spaces(tuning)
    return tuning


def _check_spaces(tuning: Tuning) -> None:
    """Every regularizer gets equally many trainings; `none` may do with one, its learning rate being fixed then."""
    sizes = {}
    for reg, space in tuning.spaces.items():
        for key, values in space.items():
            if not isinstance(values, list) or not values or len(set(map(str, values))) < len(values):
                raise ConfigError(f"tune.spaces.{reg}.{key}={values}: a list of different values is allowed")
        sizes[reg] = math.prod(len(values) for values in space.values())
    others = {size for reg, size in sizes.items() if reg != "none"}
    if len(others) > 1 or (others and sizes.get("none", 1) not in (1, *others)):
        listed = ", ".join(f"{reg} {size}" for reg, size in sizes.items())
        raise ConfigError(
            f"tune.spaces: each regularizer must get equally many trials, and none one or as many; here: {listed}"
        )


def candidates(tuning: Tuning) -> list[Candidate]:
    """All that is tried at first."""
    contexts = [dict(zip(tuning.per, values, strict=True)) for values in itertools.product(*tuning.per.values())]
    return [
        Candidate(reg, dict(zip(space, values, strict=True)), context)
        for context in contexts
        for reg, space in tuning.spaces.items()
        for values in itertools.product(*space.values())
    ]


def choose(tried: Mapping[Candidate, float] | Sequence[tuple[Candidate, float]]) -> Candidate:
    """The candidate of the highest score; of equal ones that of the larger λ, which is the simpler model.

    Args:
        tried: candidates of one regularizer and context, with their scores, larger being better.
    """
    return max(tried, key=lambda pair: (pair[1], float(pair[0].values.get("lam", 0.0))))[0]


def beyond(winner: Candidate, tried: Sequence[Candidate]) -> list[Candidate]:
    """What is tried next where a winner lies at the edge of its space: the next value outwards, in the same ratio.

    Args:
        winner: the best so far.
        tried: all candidates of its regularizer and context, itself among them.
    """
    result = []
    for key, value in winner.values.items():
        if not isinstance(value, int | float) or isinstance(value, bool):
            continue
        values = sorted({c.values[key] for c in tried if _but(c, key) == _but(winner, key)})
        if len(values) < 2 or values[0] <= 0:
            continue
        if value == values[-1]:
            following = value * values[-1] / values[-2]
        elif value == values[0]:
            following = value * values[0] / values[1]
        else:
            continue
        result.append(Candidate(winner.reg, {**winner.values, key: float(f"{following:.6g}")}, winner.context))
    return result


def _but(candidate: Candidate, key: str) -> dict[str, Any]:
    return {k: v for k, v in candidate.values.items() if k != key}


def write_manifest(
    study_folder: Path,
    tuning: Tuning,
    begun: Sequence[str],
    trials: Sequence[Mapping[str, Any]] = (),
    winners: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Write the protocol, which runs belong to which phase, and what was chosen.

    Args:
        study_folder: outputs/<name>, which is made if it is not there.
        tuning: the protocol.
        begun: ids of the first candidate's runs, by which a change of other settings is known.
        trials: of each candidate `reg, values, context, runs` (ids by seed) and `scores` (by seed; null if it
            diverged); none before all have ended.
        winners: of each choice `reg, values, context`, and `runs`, the ids of its fresh runs by seed.
    """
    content = {
        "tuning": {**asdict(tuning), "tuning_seeds": tuning.tuning_seeds, "fresh_seeds": tuning.fresh_seeds},
        "begun": list(begun),
        "fixed_learning_rate": LEARNING_RATE not in tuning.spaces.get("none", {}),
        "trials": list(trials),
        "winners": list(winners),
    }
    study_folder.mkdir(parents=True, exist_ok=True)
    write_whole(study_folder / MANIFEST, json.dumps(content, indent=1) + "\n")


def read_manifest(study_folder: Path) -> dict[str, Any] | None:
    """The manifest of a study; None where it has none.

    Raises:
        StudyError: it cannot be read.
    """
    try:
        return json.loads((study_folder / MANIFEST).read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        file = study_folder / MANIFEST
        raise StudyError(f"{file} cannot be read ({error}); the study's command writes it again") from None


def check_fixed(study_folder: Path, tuning: Tuning, begun: Sequence[str]) -> bool:
    """Refuse another protocol, or other settings, than the study has begun with.

    Args:
        study_folder: outputs/<name>.
        tuning: the protocol.
        begun: ids of the first candidate's runs.

    Returns:
        Whether the study has begun.

    Raises:
        StudyError: they differ.
    """
    earlier = read_manifest(study_folder)
    if earlier is None:
        return False
    elsewhere = "must not be chosen after seeing results; give another study name=..."
    for key in ("seeds", "fresh", "select", "spaces", "extend", "per"):
        if earlier["tuning"][key] != json.loads(json.dumps(getattr(tuning, key))):
            name = key if key == "select" else f"tune.{key}"
            raise StudyError(f"{name} was fixed at {earlier['tuning'][key]} when {study_folder} began, and {elsewhere}")
    if earlier["begun"] != list(begun):
        raise StudyError(f"the settings of {study_folder} were fixed when it began, and {elsewhere}")
    return True
