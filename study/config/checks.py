"""Check options, ranges, scope and precision of a config before any data is read or any run is trained."""

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch
from torch import nn

from study.config.build import (
    asked_facts,
    asks_for_root,
    build_dataset,
    build_model,
    build_optimizer,
    build_regularizer,
    build_schedule,
    errors_of_target,
    locate,
    neutral_option,
    reads_either_task,
    reg_parts,
    steps_per_epoch,
)
from study.config.devices import kind_here
from study.config.identity import GroupFacts, WithoutSeed, facts_of, options_set, without_seed
from study.config.options import checked_arguments
from study.config.run_config import DATA_KEYS, SPLITS, WARMUP_UNITS, ResolvedRun, RunConfig
from study.data import DataSet
from study.data.splits import available_count
from study.errors import ConfigError, one_line
from study.optimizers.hidden_decay import refuse_shrinking
from study.regularizers import Penalty, Regularizer, Scoped
from study.regularizers.combined import SCHEDULES, check_together
from study.regularizers.scope import in_scope
from study.tasks import CLASSIFICATION, REGRESSION, TASKS

STANDARDIZE = ("none", "dataset", "feature")
REG_KEYS = ("option", "_target_", "lam", "scope", "schedule", "ramp")


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
    for check in (_checked_without_seed, _checked_together, _checked_dataset, _checked_network, _checked_model, _typed):
        check.cache_clear()


# Points of a sweep share most of their content, and a check takes milliseconds. So each part is checked once and kept,
# by its content as JSON.
KEPT = 10_000


@lru_cache(maxsize=KEPT)
def _checked_without_seed(content: str) -> WithoutSeed:
    """Check a config with any seed, and identify its runs. `content`: the config and the task, as JSON."""
    values, task = json.loads(content)
    config = RunConfig(**values)
    given_data = json.dumps(config.data)
    data, _ = _checked_dataset(given_data, task)
    model = _checked_model(json.dumps(config.model))
    optimizer = _checked_group("optimizer", config.optimizer, supplied=1)
    checked_parts = [_checked_part(part, config.epochs) for part in reg_parts(config)]
    parts, regularizers = [part for part, _ in checked_parts], [regularizer for _, regularizer in checked_parts]
    for part, regularizer in checked_parts:
        model = _with_options(model, part, regularizer)
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
    data = _checked_data(json.loads(content), task)
    dataset = build_dataset(data)
    data |= _checked_task(data, dataset, task)
    if data["train_size"] is not None:
        _check_train_size(data, dataset)
    return data, dataset


@lru_cache(maxsize=KEPT)
def _checked_model(content: str) -> Mapping[str, Any]:
    """Check the arguments of the group `model`, given as JSON."""
    model = json.loads(content)
    return _checked_group("model", model, supplied=asked_facts(locate("model", model["_target_"])) or 2)


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
        _check_value(part, regularizer, scoped)
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


def _checked_group(group: str, given: Mapping[str, Any], supplied: int | tuple[str, ...]) -> dict[str, Any]:
    rest = {key: value for key, value in given.items() if key not in ("option", "_target_")}
    return {
        "option": given["option"],
        "_target_": given["_target_"],
        **_typed(group, str(given["_target_"]), json.dumps(rest), supplied),
    }


@lru_cache(maxsize=KEPT)
def _typed(group: str, path: str, given: str, supplied: int | tuple[str, ...]) -> dict[str, Any]:
    """The arguments of a target, given as JSON; see `checked_arguments`. The result must not be changed."""
    return checked_arguments(group, locate(group, path), json.loads(given), supplied, path)


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
    return {**_checked_group("schedule", own, supplied), **found}


def _warmup_keys(warmup: int = 0, warmup_unit: str = "epochs") -> None:
    """The keys that every schedule has, as a signature. `checked_arguments` checks them against it."""


def _checked_data(given: Mapping[str, Any], task: str | None) -> dict[str, Any]:
    general = checked_arguments("data", _data_keys, {k: v for k, v in given.items() if k in DATA_KEYS})
    if general["split"] not in SPLITS:
        raise ConfigError(f"data.split={general['split']}: allowed: {', '.join(SPLITS)}")
    if not 0 <= general["label_noise"] < 1:
        raise ConfigError(
            f"data.label_noise={general['label_noise']}: must be at least 0 and below 1. Example: data.label_noise=0.2"
        )
    if general["standardize"] not in STANDARDIZE:
        raise ConfigError(f"data.standardize={general['standardize']}: allowed: {', '.join(STANDARDIZE)}")
    target = locate("data", given["_target_"])
    if reads_either_task(target):
        if None not in (task, given.get("task")) and task != given["task"]:
            raise ConfigError(f"task={task}: data.task={given['task']} contradicts it. Leave one out")
        given = {**given, "task": given.get("task") or task or CLASSIFICATION}
    supplied = ("root",) if asks_for_root(target) else 0
    own = _checked_group("data", {k: v for k, v in given.items() if k not in DATA_KEYS}, supplied)
    return {**own, **general}


def _data_keys(
    root: str,
    split: str,
    train_size: int | None = None,
    label_noise: float = 0.0,
    standardize: str = "none",
    standardize_target: bool | None = True,
) -> None:
    """The keys that every data set has, as a signature. `checked_arguments` checks them against it."""


def _checked_task(data: Mapping[str, Any], dataset: DataSet, task: str | None) -> dict[str, Any]:
    """Check a data set against the task that was asked for; return the keys of `data` that depend on the task."""
    if dataset.task not in TASKS:
        raise ConfigError(f"data={data['option']}: its task is {dataset.task}. Allowed: {', '.join(TASKS)}")
    if task not in (None, dataset.task):
        raise ConfigError(
            f"task={task}: data={data['option']} is for {dataset.task}. Leave task out, or choose other data. data=csv"
            " and data=arrays read either"
        )
    if dataset.task == CLASSIFICATION:
        return {"standardize_target": None}
    if data["label_noise"]:
        raise ConfigError(
            f"data.label_noise={data['label_noise']}: it flips labels to another class, and data={data['option']} is"
            " for regression. Leave it out"
        )
    return {"standardize_target": data["standardize_target"] is not False}


def _check_train_size(data: Mapping[str, Any], dataset: DataSet) -> None:
    available = available_count(dataset, data["split"])
    least = dataset.classes if dataset.task == CLASSIFICATION else 2  # R² requires two examples
    if not least <= data["train_size"] <= available:
        raise ConfigError(
            f"data.train_size={data['train_size']}: must be from {least} to {available}"
            f" for {dataset.name} with data.split={data['split']}"
        )


def _checked_part(given: Mapping[str, Any], epochs: int) -> tuple[dict[str, Any], Regularizer]:
    """Check one regularizer's arguments, λ, scope and schedule; return them, and the regularizer.

    A key that the regularizer does not use is set to its neutral value.
    """
    own = {key: value for key, value in given.items() if key not in REG_KEYS}
    head = {"option": given["option"], "_target_": given["_target_"]}
    supplied = 0 if inspect.isclass(locate("reg", given["_target_"])) else 1
    arguments = _typed("reg", str(given["_target_"]), json.dumps(own), supplied)
    regularizer = build_regularizer({**head, **arguments})
    part = {**head, **arguments, **{"lam": 0.0, "scope": None, "schedule": "constant", "ramp": None}}
    if regularizer.takes_lam:
        part |= _checked_lam(given, regularizer, epochs)
    if regularizer.takes_scope:
        part["scope"] = given.get("scope", "all")
        if not isinstance(part["scope"], str | Mapping):
            raise ConfigError(
                f"reg.scope={part['scope']}: must be all, weights, a type of module, a regular expression, or a"
                " mapping of these to factors of lam"
            )
    return part, regularizer


def _checked_lam(given: Mapping[str, Any], regularizer: Regularizer, epochs: int) -> dict[str, Any]:
    """Check λ and its schedule."""
    lam, option = given.get("lam"), given["option"]
    if lam is None:
        raise ConfigError(f"reg={option} has no default for lam. Give a value. Example: lam=1e-4")
    if not isinstance(lam, int | float) or isinstance(lam, bool):
        raise ConfigError(f"lam={lam}: must be a number. Example: lam=1e-4")
    regularizer.lam_range.check(lam)
    schedule, ramp = given.get("schedule", "constant"), given.get("ramp")
    if schedule not in SCHEDULES:
        raise ConfigError(f"reg.schedule={schedule}: allowed: {', '.join(SCHEDULES)}")
    if schedule == "constant":
        return {"lam": float(lam), "schedule": schedule, "ramp": None}
    if not regularizer.acts:
        raise ConfigError(
            f"reg.schedule={schedule}: must be constant, because the lam of reg={option} is an option of the model"
        )
    if ramp is not None and (not isinstance(ramp, int) or isinstance(ramp, bool) or ramp < 1):
        raise ConfigError(f"reg.ramp={ramp}: must be a whole number of epochs ≥ 1, or null for all epochs")
    return {"lam": float(lam), "schedule": schedule, "ramp": ramp or epochs}


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


def _with_options(model: Mapping[str, Any], part: Mapping[str, Any], regularizer: Regularizer) -> Mapping[str, Any]:
    """Add the options that a regularizer sets to the model group."""
    with errors_of_target("reg", part):
        options = dict(regularizer.model_options(part["lam"]))
    for key, value in options.items():
        if key not in model:
            raise ConfigError(
                f"reg={part['option']} sets model.{key}, and model={model['option']} has no such option. Allowed:"
                f" {', '.join(f'model={name}' for name in regularizer.of_models) or 'a model that has it'}"
            )
        if model[key] not in (value, neutral_option(model, key)):
            raise ConfigError(
                f"model.{key}={model[key]} contradicts reg={part['option']}, which sets it to {value}. Leave one out"
            )
    return {**model, **options} if options else model


def _check_value(part: Mapping[str, Any], regularizer: Regularizer, scoped: Sequence[Scoped]) -> None:
    """Try a user's penalty on one tensor, so that an error shows before training starts."""
    if part["_target_"].startswith("study.") or not isinstance(regularizer, Penalty):
        return
    w = torch.ones(scoped[0].parameter.shape)
    try:
        value = regularizer.value(w)
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        raise ConfigError(
            f"reg={part['option']}: {part['_target_']} fails on a tensor of shape {tuple(w.shape)}"
            f" ({type(error).__name__}: {one_line(error)}). It must take one tensor and return a scalar tensor"
        ) from None
    if not (isinstance(value, torch.Tensor) and value.dim() == 0):
        raise ConfigError(f"reg={part['option']}: {part['_target_']} must return a scalar tensor, the penalty R(w)")
