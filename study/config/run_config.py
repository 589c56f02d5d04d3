"""The typed, frozen config of a run, and the resolved run: the config with its ids."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from omegaconf import OmegaConf

from study.errors import ConfigError
from study.seeds import Seed
from study.tasks import CLASSIFICATION

GROUPS = ("data", "model", "optimizer", "schedule", "reg")
# of every data set
DATA_KEYS = ("root", "split", "val_size", "train_size", "label_noise", "standardize", "standardize_target")
HOLDOUT = "holdout"
SPLITS = (HOLDOUT, "textbook")
ON_FAILURE = ("continue", "stop")
BUDGETS = ("epochs", "steps")
PRECISIONS = ("float32", "bfloat16", "float64")
WARMUP_UNITS = ("epochs", "steps")
LOOPS = ("common", "fastest", "lockstep", "general")

# The schedule of runs of earlier versions, which had none.
CONSTANT = {
    "option": "constant",
    "_target_": "study.optimizers.schedules.constant",
    "warmup": 0,
    "warmup_unit": "epochs",
}


@dataclass(frozen=True)
class RunConfig:
    """The full config of one run, as config.yaml of the run's folder holds it.

    Each group is a mapping with `option` (the name of its YAML file), `_target_`, and the target's arguments. `reg`
    also has `scope`, `schedule` and `ramp`. A `reg` that combines several options has `option` and `parts` only. Each
    part is a mapping like a single `reg`, with a `lam` of its own.
    """

    name: str
    seed: Seed  # a number, or a mapping with one for each source of randomness
    epochs: int
    batch_size: int
    budget: str  # "epochs": `epochs` passes over the images used. "steps": the steps of as many passes over all images
    lam: float | None  # None if `reg` has parts, because each part has its own λ
    data: Mapping[str, Any]
    model: Mapping[str, Any]
    optimizer: Mapping[str, Any]
    reg: Mapping[str, Any]
    device: str  # auto, cpu, cuda or mps. Which card trains the run is no part of its config
    threads: int
    schedule: Mapping[str, Any] = field(default_factory=lambda: CONSTANT)  # of the learning rate
    clip_norm: float | None = None
    precision: str = "float32"
    score_train: int | None = None  # number of training images that are scored after each epoch; None: all
    checkpoint_every: float = 30.0  # seconds
    keep_checkpoint: bool = False
    keep_model: bool = False
    test: bool = True  # whether the test set is scored; False for the trials of a tuned study

    def to_yaml(self) -> str:
        """The config as YAML."""
        return "".join(_section(json.dumps({key: value})) for key, value in vars(self).items())


@lru_cache(maxsize=1_000)
def _section(content: str) -> str:
    """One key of a config, given as JSON, as YAML. Kept, because it takes milliseconds and most runs share theirs."""
    return OmegaConf.to_yaml(OmegaConf.create(json.loads(content)))


@dataclass(frozen=True)
class ResolvedRun:
    """A checked config with the ids and settings that `identity.identify` computes from it.

    Attributes:
        config: the run's config.
        run_id: SHA-256 of the canonical config, 64 hex digits.
        variant_id: the same without the seed, so equal for all runs of one variant.
        budget_free_id: the same without the number of epochs, so equal for a run and a longer one that continues it.
        settings: the settings that may differ between variants of a study; see `names.settings`.
        setting: the same without those of `reg`, as status.json has them.
        takes_lam: whether the regularizer uses the config's λ.
        may_grow: whether a longer run starts with the same epochs as this one.
        task: `classification` or `regression`.
    """

    config: RunConfig
    run_id: str
    variant_id: str
    budget_free_id: str
    settings: Mapping[str, Any]
    setting: Mapping[str, Any]
    takes_lam: bool
    may_grow: bool
    task: str = CLASSIFICATION


def arguments(group: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a group that are arguments of its `_target_`."""
    of_reg = ("lam", "scope", "schedule", "ramp", "parts")
    general = ("option", "_target_", *DATA_KEYS, *of_reg)
    return {key: value for key, value in group.items() if key not in general}


def check_name(name: str) -> str:
    """Check a study's name, and return it. It becomes the name of a folder below outputs/.

    Raises:
        ConfigError: the name is not valid as the name of one folder on all systems.
    """
    if not re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_-])?", name) or ".." in name:
        raise ConfigError(
            f"name={name}: must be letters, digits, '_', '-' and single dots between them, without '/' and '..'."
            " A study is one folder below outputs/. Example: name=book"
        )
    if re.fullmatch(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", name, re.IGNORECASE):
        raise ConfigError(f"name={name}: is the name of a device on Windows. Give another name")
    return name
