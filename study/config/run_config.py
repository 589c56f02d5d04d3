"""A run's config as it is typed and frozen, and the same with what follows from it."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from omegaconf import OmegaConf

from study.errors import ConfigError

GROUPS = ("data", "model", "optimizer", "reg")
SPLITS = ("holdout", "textbook")
ON_FAILURE = ("continue", "stop")
BUDGETS = ("epochs", "steps")
LOOPS = ("common", "fastest", "general")


@dataclass(frozen=True)
class RunConfig:
    """One run, fully resolved: what config.yaml of a run folder holds.

    Each group is a mapping with `option` (the name of its YAML file), `_target_`, and the target's arguments. `reg` has
    `scope`, `schedule` and `ramp` as well; or, where it combines several options, `parts` instead of all this, each of
    which has all this and `lam`.
    """

    name: str
    seed: int
    epochs: int
    batch_size: int
    budget: str  # what `epochs` counts: passes over the images trained on, or as many steps as a pass over all would be
    lam: float | None  # None where `reg` has parts, which have a λ each
    data: Mapping[str, Any]
    model: Mapping[str, Any]
    optimizer: Mapping[str, Any]
    reg: Mapping[str, Any]
    device: str
    threads: int
    checkpoint_every: int = 1
    keep_checkpoint: bool = False
    keep_model: bool = False
    test: bool = True  # whether the test set is scored: not by trials of a tuned study

    def to_yaml(self) -> str:
        """The config as YAML."""
        return OmegaConf.to_yaml(OmegaConf.create(asdict(self)))


@dataclass(frozen=True)
class ResolvedRun:
    """A checked config with what follows from it; see `identity.identify`.

    Attributes:
        config: of the run.
        run_id: SHA-256 of the canonical config, 64 hex digits.
        variant_id: the same without the seed: equal for all runs of one variant.
        budget_free_id: the same without the number of epochs: equal for runs of which one is the beginning of another.
        settings: what may tell variants of a study apart; see `names.settings`.
        takes_lam: whether the config's λ has a meaning.
        may_grow: whether a longer run begins as this one did.
    """

    config: RunConfig
    run_id: str
    variant_id: str
    budget_free_id: str
    settings: Mapping[str, Any]
    takes_lam: bool
    may_grow: bool


def arguments(group: Mapping[str, Any]) -> dict[str, Any]:
    """What of a group is handed to its `_target_`."""
    of_data = ("root", "split", "train_size", "label_noise", "standardize")
    of_reg = ("lam", "scope", "schedule", "ramp", "parts")
    general = ("option", "_target_", *of_data, *of_reg)
    return {key: value for key, value in group.items() if key not in general}


def check_name(name: str) -> str:
    """A study's name, which becomes a folder below outputs/.

    Raises:
        ConfigError: the name would lead elsewhere.
    """
    if not re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_-])?", name) or ".." in name:
        raise ConfigError(
            f"name={name}: letters, digits, '_', '-' and single dots within are allowed, no '/' and no '..':"
            " a study is one folder below outputs/"
        )
    if re.fullmatch(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", name, re.IGNORECASE):
        raise ConfigError(f"name={name}: Windows has a device of this name. Give another name")
    return name
