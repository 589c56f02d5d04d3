"""Build the objects that a checked config describes: data set, model, optimizer, regularizers."""

import copy
import inspect
import math
import pydoc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from study.config.run_config import CONSTANT, RunConfig, arguments
from study.data import DataSet
from study.data.splits import available_count
from study.errors import USER_ERRORS, ConfigError, faults, one_line
from study.optimizers.hidden_decay import refuse_decay
from study.optimizers.schedules import after_warmup
from study.randomness import Stream, torch_generator
from study.regularizers import Combined, LamRange, Part, Regularizer
from study.regularizers.penalties import FunctionPenalty
from study.regularizers.scope import in_scope

Kind = TypeVar("Kind")


def locate(group: str, path: Any) -> Callable[..., Any]:
    """Import the class or function that `_target_` names.

    Raises:
        ConfigError: the import fails, or it gives no class or function.
    """
    try:
        target = pydoc.locate(str(path))
    except pydoc.ErrorDuringImport as error:
        raise ConfigError(f"{group}._target_={path} cannot be imported: {one_line(error)}") from None
    module, _, name = str(path).rpartition(".")
    if target is None and module and _imported(module):
        raise ConfigError(f"{group}._target_={path}: {module} has no {name}. Correct the name of the class or function")
    if target is None:
        raise ConfigError(
            f"{group}._target_={path} does not exist. Give the dotted name of a class or function, and the folder"
            " of its module: --config-dir DIR, or PYTHONPATH. Example: my_module.my_function"
        )
    if not callable(target):
        raise ConfigError(f"{group}._target_={path} must be a class or function. Example: my_module.my_function")
    return target


def _imported(module: str) -> bool:
    """Whether a dotted name can be imported."""
    try:
        return pydoc.locate(module) is not None
    except pydoc.ErrorDuringImport:
        return False


@contextmanager
def errors_of_target(group: str, content: Mapping[str, Any]) -> Iterator[None]:
    """Turn any error of the code that `_target_` names into a one-line message.

    Errors of this package for the user, and faults of the machine, pass unchanged.

    Args:
        group: the config group.
        content: the group's content, with `option` and `_target_`.

    Raises:
        ConfigError: the code raises any other error.
    """
    try:
        yield
    except USER_ERRORS:
        raise
    except (Exception, SystemExit) as error:
        if faults.is_fault(error):
            raise
        raise ConfigError(
            f"{group}={content['option']}: {content['_target_']} fails ({type(error).__name__}: {one_line(error)})."
            " Correct its code or its options"
        ) from error


def build_dataset(data: Mapping[str, Any]) -> DataSet:
    """Build the data set of a checked `data` group.

    A file of the user's is read now, since it says how many classes there are. Data of the package are read later.

    Raises:
        ConfigError: the target fails, or returns something else.
    """
    root = {"root": data["root"]} if asks_for_root(locate("data", data["_target_"])) else {}
    return _build("data", data, DataSet, "study.data.DataSet", **root)


def asks_for_root(target: Callable[..., Any]) -> bool:
    """Whether the target of a data set gets the data folder."""
    return "root" in _parameters(target)


def reads_either_task(target: Callable[..., Any]) -> bool:
    """Whether the target of a data set has an option `task`, because its files can hold labels or numbers."""
    return "task" in _parameters(target)


def build_model(model: Mapping[str, Any], dataset: DataSet) -> nn.Module:
    """Build the model of a checked `model` group. Torch's global generator draws its initial weights.

    Raises:
        ConfigError: the target fails, or returns something else.
    """
    target, facts = locate("model", model["_target_"]), facts_of_data(dataset)
    by_name = {name: facts[name] for name in asked_facts(target)}
    leading = () if by_name else (dataset.image_shape, dataset.classes)
    return _build("model", model, nn.Module, "torch.nn.Module", *leading, **by_name)


FACTS = ("in_features", "in_channels", "image_size", "num_classes")


def asked_facts(target: Callable[..., Any]) -> tuple[str, ...]:
    """Names of the facts of the data set that a model's target has arguments for.

    A target that asks for none gets the shape of an example and the number of classes as its first two arguments. For
    regression, `num_classes` is the number of outputs.
    """
    return tuple(name for name in FACTS if name in _parameters(target))


def _parameters(target: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(target).parameters
    except (TypeError, ValueError):  # of compiled code: `checked_arguments` refuses it
        return {}


def facts_of_data(dataset: DataSet) -> dict[str, Any]:
    """What FACTS are for a data set; `image_size` is a number for square images, else (height, width)."""
    shape = dataset.image_shape
    height, width = shape[-2:] if len(shape) > 1 else (1, shape[0])
    return {
        "in_features": math.prod(shape),
        "in_channels": shape[0] if len(shape) == 3 else 1,
        "image_size": height if height == width else (height, width),
        "num_classes": dataset.classes,
    }


def build_optimizer(optimizer: Mapping[str, Any], parameters: Mapping[str, nn.Parameter]) -> torch.optim.Optimizer:
    """Build the optimizer of a checked `optimizer` group.

    Args:
        optimizer: the group.
        parameters: what it optimizes, by name.

    Raises:
        ConfigError: the target fails, or returns something else, or has weight decay. Weight decay is a regularizer,
            so it must be set by `reg`.
    """
    given = list(parameters.values())
    built = _build("optimizer", optimizer, torch.optim.Optimizer, "torch.optim.Optimizer", given)
    refuse_decay(optimizer, built, parameters)
    return built


def build_schedule(
    schedule: Mapping[str, Any], optimizer: torch.optim.Optimizer, epochs: int, steps_per_epoch: int
) -> LRScheduler | None:
    """Build the schedule of the learning rate of a checked `schedule` group; None if the rate never changes.

    Args:
        schedule: the group.
        optimizer: whose learning rate changes.
        epochs: of the run.
        steps_per_epoch: number of the optimizer's steps in an epoch.

    Raises:
        ConfigError: the target fails, or returns something else, or the warm-up is as long as the run.
    """
    warmup = schedule["warmup"] * (steps_per_epoch if schedule["warmup_unit"] == "epochs" else 1)
    target, steps = locate("schedule", schedule["_target_"]), epochs * steps_per_epoch
    if schedule["_target_"] == CONSTANT["_target_"] and not warmup:
        return None
    if warmup >= steps:
        raise ConfigError(
            f"schedule.warmup={schedule['warmup']}: must be shorter than the run, which has {steps} steps"
            f" ({epochs} epochs)"
        )
    facts = {"total_steps": steps - warmup, "steps_per_epoch": steps_per_epoch}
    by_name = {name: value for name, value in facts.items() if name in _parameters(target)}
    own = {key: value for key, value in schedule.items() if key not in ("warmup", "warmup_unit")}
    built = _build("schedule", own, LRScheduler, "torch.optim.lr_scheduler.LRScheduler", optimizer, **by_name)
    if isinstance(built, ReduceLROnPlateau):
        raise ConfigError(
            f"schedule={schedule['option']}: ReduceLROnPlateau reads scores, and steps here know none. Take another"
        )
    return after_warmup(optimizer, built, warmup) if warmup else built


def knows_length(schedule: Mapping[str, Any]) -> bool:
    """Whether a schedule depends on the number of epochs of the run."""
    return "total_steps" in _parameters(locate("schedule", schedule["_target_"]))


def steps_per_epoch(data: Mapping[str, Any], dataset: DataSet, batch_size: int, budget: str) -> int:
    """The number of an optimizer's steps in an epoch.

    Args:
        data: the checked `data` group.
        dataset: built from it.
        batch_size: images per step.
        budget: `epochs`, or `steps`: an epoch has as many steps as one of all training images.
    """
    available = available_count(dataset, data)
    images = available if budget == "steps" or data["train_size"] is None else data["train_size"]
    return math.ceil(images / batch_size)


def _build(group: str, content: Mapping[str, Any], kind: type[Kind], name: str, *supplied: Any, **by_name: Any) -> Kind:
    """Call the target of a group, and check the type of what it returns.

    The target gets copies of its arguments, because it may change lists and mappings.
    """
    with errors_of_target(group, content):
        built = locate(group, content["_target_"])(*supplied, **by_name, **copy.deepcopy(arguments(content)))
    if not isinstance(built, kind):
        raise ConfigError(f"{group}={content['option']}: {content['_target_']} must return a {name}")
    return built


def model_without_reg(config: RunConfig) -> Mapping[str, Any]:
    """The model group, with the defaults of all options that the run's regularizers set."""
    options = [build_regularizer(part).model_options(part["lam"]) for part in reg_parts(config)]
    keys = [key for of_part in options for key in of_part]
    return {**config.model, **{key: neutral_option(config.model, key) for key in keys}}


def neutral_option(model: Mapping[str, Any], key: str) -> Any:
    """What an option of the model is unless someone sets it: its default, or what is false."""
    parameters = _parameters(locate("model", model["_target_"]))
    default = parameters[key].default if key in parameters else inspect.Parameter.empty
    return type(model[key])() if default is inspect.Parameter.empty else default


def reg_parts(config: RunConfig) -> Sequence[Mapping[str, Any]]:
    """List the regularizers of a config, one or several, each with its own `lam`."""
    return config.reg.get("parts", [{**config.reg, "lam": config.lam}])


def build_regularizer(part: Mapping[str, Any]) -> Regularizer:
    """Build one of `reg_parts`: an instance of its class, or a penalty from its function of one tensor.

    Raises:
        ConfigError: the target is a class but not a subclass of Regularizer, or its code fails.
    """
    target, options = locate("reg", part["_target_"]), copy.deepcopy(arguments(part))
    if not inspect.isclass(target):
        return FunctionPenalty(partial(target, **options))
    if not issubclass(target, Regularizer):
        raise ConfigError(
            f"reg._target_={part['_target_']}: must be a subclass of study.regularizers.Regularizer,"
            " or a function of one tensor"
        )
    with errors_of_target("reg", part):
        regularizer = target(**options)
    if not isinstance(regularizer.lam_range, LamRange):
        raise ConfigError(
            f"reg._target_={part['_target_']}: its lam_range is {regularizer.lam_range}. It must be a"
            " study.regularizers.LamRange. Example: lam_range = LamRange(high=1.0)"
        )
    return regularizer


def build_combined(config: RunConfig, model: nn.Module, classes: int) -> Combined:
    """Build all regularizers of a checked config, and attach them to its model."""
    parts, drawing = [], Counter[Stream]()
    for part in reg_parts(config):
        regularizer = build_regularizer(part)
        stream = regularizer.stream
        if stream is not None:  # two parts of one stream must not draw the same numbers
            regularizer.generator = torch_generator(config.seed, stream, drawing[stream])
            drawing[stream] += 1
        scoped = in_scope(model, part["scope"]) if part["scope"] is not None else []
        regularizer.attach(model, scoped, classes)
        parts.append(Part(regularizer, part["lam"], part["schedule"], part["ramp"] or 1))
    return Combined(parts)
