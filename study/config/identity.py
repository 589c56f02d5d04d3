"""Compute the ids that tell whether two runs are the same experiment.

A run's id is a hash of its canonical scientific config. Defaults are part of it, so a changed default makes new runs.
Settings that only affect where or how fast a run is trained are no part of it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from study.config.build import build_dataset, build_regularizer, knows_length, locate, reg_parts
from study.config.names import settings
from study.config.options import source_checksum
from study.config.run_config import ResolvedRun, RunConfig, arguments
from study.data import DataSet
from study.regularizers import Regularizer
from study.seeds import Seed

# A maintainer raises it when the same config gives other numbers than before, and says so in the changelog.
NUMERICS = 8


@dataclass(frozen=True)
class GroupFacts:
    """Facts about a config's groups that only their code knows.

    Attributes:
        checksums: SHA-256 of the data set's content.
        places: options of the data set that say where it is.
        sources: SHA-256 of the source files of the user's own code.
        acting: for each regularizer, whether it acts in training. One that only sets options of the model does not.
        set_by_reg: options of the model that regularizers set.
        takes_lam: whether all regularizers use λ.
        may_grow: whether a longer run starts with the same epochs as this one. This requires that nothing depends on
            the number of epochs, and that no regularizer chooses an epoch.
        task: that of the data set.
    """

    checksums: Mapping[str, str]
    places: Sequence[str]
    sources: Sequence[str]
    acting: Sequence[bool]
    set_by_reg: Sequence[str]
    takes_lam: bool
    may_grow: bool
    task: str


@dataclass(frozen=True)
class WithoutSeed:
    """The runs of all seeds of one config.

    Attributes:
        run: the run of one of the seeds.
        around: its canonical config as JSON: what comes before the seed, and what comes after.
        budget_free: the same without the epochs.
    """

    run: ResolvedRun
    around: tuple[str, str]
    budget_free: tuple[str, str]

    def of_seed(self, seed: Seed) -> ResolvedRun:
        """The run of a seed."""
        text = json.dumps(seed, sort_keys=True)
        return replace(
            self.run,
            config=replace(self.run.config, seed=seed),
            run_id=_sha256(text.join(self.around)),
            budget_free_id=_sha256(text.join(self.budget_free)),
        )


def identify(config: RunConfig) -> ResolvedRun:
    """Compute the ids and settings of a checked config that was read from a run's folder.

    Raises:
        ConfigError: code that the config names does not exist any more, or fails.
    """
    parts = reg_parts(config)
    dataset, regularizers = build_dataset(config.data), [build_regularizer(part) for part in parts]
    groups = (config.data, config.model, config.optimizer, config.schedule)
    facts = facts_of(*groups, parts, dataset, regularizers, options_set(parts, regularizers))
    return without_seed(config, facts).of_seed(config.seed)


def without_seed(config: RunConfig, facts: GroupFacts) -> WithoutSeed:
    """Compute what the ids and settings of a checked config have in common for all seeds.

    Args:
        config: the config, with any seed.
        facts: the facts of its groups.
    """
    content = canonical(config, facts)
    all_settings = settings(config, facts.set_by_reg)
    run = ResolvedRun(
        config,
        run_id="",
        variant_id=_sha256(_as_json({key: value for key, value in content.items() if key != "seed"})),
        budget_free_id="",
        settings=all_settings,
        setting={key: value for key, value in all_settings.items() if not key.startswith("reg.")},
        takes_lam=config.lam is not None and facts.takes_lam,
        may_grow=facts.may_grow,
        task=facts.task,
    )
    without_epochs = {key: value for key, value in content.items() if key != "epochs"}
    return WithoutSeed(run, _around_seed(content), _around_seed(without_epochs))


def facts_of(
    data: Mapping[str, Any],
    model: Mapping[str, Any],
    optimizer: Mapping[str, Any],
    schedule: Mapping[str, Any],
    parts: Sequence[Mapping[str, Any]],
    dataset: DataSet,
    regularizers: Sequence[Regularizer],
    set_by_reg: Sequence[str],
) -> GroupFacts:
    """Collect the facts of checked groups.

    Args:
        data: the group `data`.
        model: the group `model`.
        optimizer: the group `optimizer`.
        schedule: the group `schedule`.
        parts: as `build.reg_parts` lists them.
        dataset: built from `data`.
        regularizers: built from `parts`, in the same order.
        set_by_reg: options of the model that they set; see `options_set`.
    """
    acting = [regularizer.acts for regularizer in regularizers]
    targets = [("data", data), ("model", model), ("optimizer", optimizer), ("schedule", schedule)]
    targets += [("reg", part) for part, acts in zip(parts, acting, strict=True) if acts]
    sources = [source_checksum(locate(group, content["_target_"])) for group, content in targets]
    each = list(zip(parts, regularizers, strict=True))
    return GroupFacts(
        checksums=dict(dataset.checksums),
        places=tuple(dataset.places),
        sources=[checksum for checksum in sources if checksum],
        acting=acting,
        set_by_reg=set_by_reg,
        takes_lam=all(regularizer.takes_lam for regularizer in regularizers),
        may_grow=not knows_length(schedule)
        and all(part["schedule"] == "constant" and not regularizer.selects for part, regularizer in each),
        task=dataset.task,
    )


def options_set(parts: Sequence[Mapping[str, Any]], regularizers: Sequence[Regularizer]) -> list[str]:
    """The options of the model that regularizers set at their λ."""
    each = zip(parts, regularizers, strict=True)
    return [key for part, regularizer in each for key in regularizer.model_options(part["lam"])]


def canonical(config: RunConfig, facts: GroupFacts) -> dict[str, Any]:
    """The scientific content of a config. Two runs are the same experiment if it is equal."""
    parts = [part for part, acts in zip(reg_parts(config), facts.acting, strict=True) if acts]
    # Keys that came later are part of the content where they are set, so that earlier runs keep their identity.
    # `standardize_target` is None for classification.
    later = {key: config.data.get(key) for key in ("standardize_target", "val_size")}
    return {
        "numerics": NUMERICS,
        "seed": config.seed,
        "epochs": config.epochs,
        "batch_size": config.batch_size,
        "budget": config.budget,
        "data": {
            **{key: value for key, value in _content(config.data).items() if key not in facts.places},
            "split": config.data["split"],
            "train_size": config.data["train_size"],
            "label_noise": config.data["label_noise"],
            "standardize": config.data.get("standardize", "none"),
            **{key: value for key, value in later.items() if value is not None},
            "checksums": dict(facts.checksums),
        },
        "model": _content(config.model),
        "optimizer": _content(config.optimizer),
        "schedule": _content(config.schedule),
        "clip_norm": config.clip_norm,
        "precision": config.precision,
        "score_train": config.score_train,
        # A regularizer that only sets options of the model gives the same run as these options given by name.
        "reg": [
            {**_content(part), **{key: part[key] for key in ("lam", "scope", "schedule", "ramp")}} for part in parts
        ],
        "sources": list(facts.sources),
    }


def _content(group: Mapping[str, Any]) -> dict[str, Any]:
    return {"_target_": group["_target_"], **arguments(group)}


def _as_json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, allow_nan=False)


def _around_seed(content: Mapping[str, Any]) -> tuple[str, str]:
    """Split the JSON of a canonical config at the value of its seed."""
    before = _as_json({key: value for key, value in content.items() if key < "seed"}).removesuffix("}")
    after = _as_json({key: value for key, value in content.items() if key > "seed"}).removeprefix("{")
    return f'{before}, "seed": ', f", {after}"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
