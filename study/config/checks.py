"""Check options, ranges, scope and precision of a config before any data is read or any run is trained."""

import inspect
import json
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch
from torch import nn

from study.config.build import (
    asked_facts,
    build_dataset,
    build_model,
    build_optimizer,
    build_regularizer,
    build_schedule,
    errors_of_target,
    locate,
    reg_parts,
    steps_per_epoch,
)
from study.config.data_checks import check_sizes, checked_data, checked_task
from study.config.devices import kind_here
from study.config.group_checks import KEPT, checked_group, typed
from study.config.identity import GroupFacts, WithoutSeed, facts_of, options_set, without_seed
from study.config.options import checked_arguments
from study.config.reg_checks import check_value, checked_part, with_options
from study.config.run_config import WARMUP_UNITS, ResolvedRun, RunConfig
from study.data import DataSet
from study.errors import ConfigError, one_line
from study.optimizers.hidden_decay import refuse_shrinking
from study.regularizers.combined import check_together
from study.regularizers.scope import in_scope
from study.tasks import CLASSIFICATION, REGRESSION


def checked(config: RunConfig, task: str | None = None) -> ResolvedRun:
    """Check a config, convert the arguments of every option to their types, fill in defaults, and identify the run.

    A regularizer that does not use λ gets λ = 0, whatever was given. One that does not use a scope gets none.

    Args:
        config: the config, as composed.
        task: the task that was asked for; None: that of the data set.

    Raises:
        ConfigError: a value is not allowed.
    """
    return _checked_without_seed(json.dumps([{**vars(config), "seed": 0}, task])).of_seed(config.seed)


def forget() -> None:
    """Forget what was checked before. A process with several commands calls it: files may have changed."""
    for check in (_checked_without_seed, _checked_together, _checked_dataset, _checked_network, _checked_model, typed):
        check.cache_clear()


@lru_cache(maxsize=KEPT)
def _checked_without_seed(content: str) -> WithoutSeed:
    """Check a config with any seed, and identify its runs. `content`: the config and the task, as JSON."""
    values, task = json.loads(content)
    config = RunConfig(**values)
    given_data = json.dumps(config.data)
    data, _ = _checked_dataset(given_data, task)
    model = _checked_model(json.dumps(config.model))
    optimizer = checked_group("optimizer", config.optimizer, supplied=1)
    checked_parts = [checked_part(part, config.epochs) for part in reg_parts(config)]
    parts, regularizers = [part for part, _ in checked_parts], [regularizer for _, regularizer in checked_parts]
    for part, regularizer in checked_parts:
        model = with_options(model, part, regularizer)
    groups = {"model": model, "optimizer": optimizer, "schedule": dict(config.schedule)}
    without_lam = [{key: value for key, value in part.items() if key != "lam"} for part in parts]
    steps = [config.epochs, config.batch_size, config.budget]
    schedule, facts = _checked_together(json.dumps([given_data, task, groups, without_lam, *steps]))
    if config.precision == "float64" and kind_here(config.device) == "mps":
        raise ConfigError("precision=float64: device=mps has no such numbers. Allowed: float32, bfloat16")
    lam, reg = None, {"option": config.reg["option"], "parts": parts}
    if "parts" not in config.reg:
        lam, reg = parts[0]["lam"], {key: value for key, value in parts[0].items() if key != "lam"}
    complete: dict[str, Any] = {"data": data, "model": model, "optimizer": optimizer, "schedule": schedule, "reg": reg}
    facts = replace(facts, set_by_reg=options_set(parts, regularizers))
    return without_seed(replace(config, **complete, lam=lam), facts)


@lru_cache(maxsize=KEPT)
def _checked_dataset(content: str, task: str | None) -> tuple[dict[str, Any], DataSet]:
    """Check the group `data`, given as JSON; return it and its data set."""
    data = checked_data(json.loads(content), task)
    dataset = build_dataset(data)
    data |= checked_task(data, dataset, task)
    check_sizes(data, dataset)
    return data, dataset


@lru_cache(maxsize=KEPT)
def _checked_model(content: str) -> Mapping[str, Any]:
    """Check the arguments of the group `model`, given as JSON."""
    model = json.loads(content)
    return checked_group("model", model, supplied=asked_facts(locate("model", model["_target_"])) or 2)


@lru_cache(maxsize=KEPT)
def _checked_network(content: str, given_data: str, task: str | None) -> nn.Module:
    """Build a checked group `model`, given as JSON, on the meta device, and check the network."""
    model, (_, dataset) = json.loads(content), _checked_dataset(given_data, task)
    with torch.device("meta"):
        network = build_model(model, dataset)
    if not any(True for _ in network.parameters()):
        raise ConfigError(f"model={model['option']}: {model['_target_']} must have parameters to train")
    _check_logits(model, network, dataset)
    return network


@lru_cache(maxsize=KEPT)
def _checked_together(content: str) -> tuple[dict[str, Any], GroupFacts]:
    """Check what depends on several groups, but not on λ; return the schedule and the facts of the groups.

    Args:
        content: as JSON, the given `data`, the task, `model`, `optimizer` and `schedule`, the parts of `reg` without
            λ, the epochs, the batch size and the budget.
    """
    given_data, task, groups, parts, epochs, batch_size, budget = json.loads(content)
    data, dataset = _checked_dataset(given_data, task)
    regularizers = [build_regularizer(part) for part in parts]
    ours = all(part["_target_"].startswith("study.") for part in parts)
    build = _checked_network if ours else _checked_network.__wrapped__  # another's check may change the network
    network = build(json.dumps(groups["model"]), given_data, task)
    if batch_size == 1 and any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules()):
        raise ConfigError("batch_size=1: batch normalization requires batches of at least 2 images")
    steps = _checked_optimizer(groups["optimizer"], network)
    schedule = _checked_schedule(groups["schedule"])
    build_schedule(schedule, steps, epochs, steps_per_epoch(data, dataset, batch_size, budget))
    for part, regularizer in zip(parts, regularizers, strict=True):
        scoped = in_scope(network, part["scope"] if part["scope"] is not None else "all")
        try:
            with errors_of_target("reg", part):
                regularizer.check_examples(tuple(dataset.image_shape))
                if dataset.task == REGRESSION and regularizer.classification_only:
                    raise ConfigError(f"{regularizer.classification_only}, and data={data['option']} is for regression")
                regularizer.check(network, steps, scoped)
        except ConfigError as reason:
            raise ConfigError(f"reg={part['option']} cannot be used here: {reason}") from None
        check_value(part, regularizer, scoped)
    check_together([part["option"] for part in parts], regularizers)
    return schedule, facts_of(data, groups["model"], groups["optimizer"], schedule, parts, dataset, regularizers, ())


def _checked_optimizer(group: Mapping[str, Any], network: nn.Module) -> torch.optim.Optimizer:
    """Build the optimizer for trial parameters, and check that it does not decay weights.

    An optimizer of this package gets one parameter. Any other gets parameters of the network's names and shapes.

    Raises:
        ConfigError: it cannot be built, or decays weights.
    """
    if _is_ours("optimizer", group):  # these have no weight decay
        return build_optimizer(group, {"": nn.Parameter(torch.zeros(1))})
    parameters = {
        name: nn.Parameter(torch.ones(w.shape, dtype=w.dtype), w.requires_grad)
        for name, w in network.named_parameters()
    }
    optimizer = build_optimizer(group, parameters)
    refuse_shrinking(group, optimizer, parameters)
    return optimizer


def _is_ours(group: str, given: Mapping[str, Any]) -> bool:
    """Whether a group names a function or class of this package."""
    return (locate(group, given["_target_"]).__module__ or "").startswith("study.")


def _checked_schedule(given: Mapping[str, Any]) -> dict[str, Any]:
    """Check a schedule's arguments and its warm-up. A unit that is not used is set to the default."""
    of_warmup = {key: value for key, value in given.items() if key in ("warmup", "warmup_unit")}
    found = checked_arguments("schedule", _warmup_keys, of_warmup)
    if found["warmup"] < 0:
        raise ConfigError(f"schedule.warmup={found['warmup']}: must be a whole number ≥ 0")
    if found["warmup_unit"] not in WARMUP_UNITS:
        raise ConfigError(f"schedule.warmup_unit={found['warmup_unit']}: allowed: {', '.join(WARMUP_UNITS)}")
    if not found["warmup"]:
        found["warmup_unit"] = WARMUP_UNITS[0]
    elif given["_target_"] == "study.optimizers.schedules.onecycle":
        raise ConfigError("schedule.warmup: schedule=onecycle rises by itself. Leave warmup out, and set schedule.rise")
    own = {key: value for key, value in given.items() if key not in of_warmup}
    target = locate("schedule", given["_target_"])
    supplied = (next(iter(inspect.signature(target).parameters), ""), "total_steps", "steps_per_epoch")
    return {**checked_group("schedule", own, supplied), **found}


def _warmup_keys(warmup: int = 0, warmup_unit: str = "epochs") -> None:
    """The keys that every schedule has, as a signature. `checked_arguments` checks them against it."""


def _check_logits(model: Mapping[str, Any], network: nn.Module, dataset: DataSet) -> None:
    """Refuse a model that makes no logits (or outputs, for regression) of the data set's examples.

    It is tried on torch's meta device, for which torch imports its compiler, in two seconds. Models of this package
    fit by construction and are not tried; those of torchvision may be too deep for small images.
    """
    if _is_ours("model", model) and type(network).__module__.startswith("study.models."):
        return
    where = f"model={model['option']}: {model['_target_']}"
    examples = torch.zeros(2, *dataset.image_shape, device="meta")
    try:
        with torch.no_grad():
            logits = network(examples)
    except NotImplementedError:
        return
    except Exception as error:  # a user's code may raise anything
        if "meta" in str(error):  # code that looks at numbers cannot be tried without any
            return
        raise ConfigError(
            f"{where} fails on examples of shape {tuple(dataset.image_shape)} ({type(error).__name__}:"
            f" {one_line(error)})"
        ) from None
    found = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
    what = "logits" if dataset.task == CLASSIFICATION else "outputs"
    if found != (len(examples), dataset.classes):
        raise ConfigError(
            f"{where} returns {found} for {len(examples)} examples. It must return {what} of shape"
            f" ({len(examples)}, {dataset.classes})"
        )
