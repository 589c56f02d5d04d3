"""What a checked config describes, as objects: data set, model, optimizer, regularizers, device."""

import copy
import inspect
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import torch
from torch import nn

from study.config.options import locate, told_of_target
from study.config.run_config import RunConfig, arguments
from study.data import DataSet
from study.errors import ConfigError
from study.optimizers.hidden_decay import refuse_decay
from study.regularizers import Combined, LamRange, Part, Regularizer
from study.regularizers.penalties import FunctionPenalty
from study.regularizers.scope import in_scope

Kind = TypeVar("Kind")


def _options(group: Mapping[str, Any]) -> dict[str, Any]:
    """What a target gets: copies, since it may change the lists and mappings that it is given."""
    return copy.deepcopy(arguments(group))


def build_dataset(data: Mapping[str, Any]) -> DataSet:
    """The data set of a checked config's data group, not read yet.

    Raises:
        ConfigError: its code fails, or returns something else.
    """
    with told_of_target("data", data):
        built = locate("data", data["_target_"])(**_options(data))
    return _checked_kind("data", data, built, DataSet, "study.data.DataSet")


def build_model(model: Mapping[str, Any], dataset: DataSet) -> nn.Module:
    """The model of a checked config's model group, initialized from torch's global generator.

    Raises:
        ConfigError: its code fails, or returns something else.
    """
    with told_of_target("model", model):
        built = locate("model", model["_target_"])(dataset.image_shape, dataset.classes, **_options(model))
    return _checked_kind("model", model, built, nn.Module, "torch.nn.Module")


def build_optimizer(optimizer: Mapping[str, Any], parameters: Mapping[str, nn.Parameter]) -> torch.optim.Optimizer:
    """The optimizer of a checked config's optimizer group, of parameters by name.

    Raises:
        ConfigError: its code fails, or returns something else, or it brings weight decay, which is a regularizer
            outside `reg`.
    """
    with told_of_target("optimizer", optimizer):
        built = locate("optimizer", optimizer["_target_"])(list(parameters.values()), **_options(optimizer))
    built = _checked_kind("optimizer", optimizer, built, torch.optim.Optimizer, "torch.optim.Optimizer")
    refuse_decay(optimizer, built, parameters)
    return built


def _checked_kind(group: str, content: Mapping[str, Any], built: Any, kind: type[Kind], name: str) -> Kind:
    """What a target returned, if it is of the kind that the group needs."""
    if not isinstance(built, kind):
        raise ConfigError(f"{group}={content['option']}: {content['_target_']} returns no {name}")
    return built


def reg_parts(config: RunConfig) -> Sequence[Mapping[str, Any]]:
    """The regularizers of a config, one or several, each with its own `lam`."""
    return config.reg.get("parts", [{**config.reg, "lam": config.lam}])


def build_regularizer(part: Mapping[str, Any]) -> Regularizer:
    """One of `reg_parts`: an instance of its class, or a function of one tensor with its options bound.

    Raises:
        ConfigError: the target is a class but no Regularizer, or its code fails.
    """
    target, options = locate("reg", part["_target_"]), _options(part)
    if not inspect.isclass(target):
        return FunctionPenalty(partial(target, **options))
    if not issubclass(target, Regularizer):
        raise ConfigError(
            f"reg._target_={part['_target_']}: a subclass of study.regularizers.Regularizer"
            " or a function of one tensor is allowed"
        )
    with told_of_target("reg", part):
        regularizer = target(**options)
    if not isinstance(regularizer.lam_range, LamRange):
        raise ConfigError(
            f"reg._target_={part['_target_']}: its lam_range is {regularizer.lam_range}. It must be a"
            " study.regularizers.LamRange. Example: lam_range = LamRange(high=1.0)"
        )
    return regularizer


def build_combined(config: RunConfig, model: nn.Module, classes: int) -> Combined:
    """All regularizers of a checked config, attached to its model."""
    parts = []
    for part in reg_parts(config):
        regularizer = build_regularizer(part)
        scoped = in_scope(model, part["scope"]) if part["scope"] is not None else []
        regularizer.attach(model, scoped, classes)
        parts.append(Part(regularizer, part["lam"], part["schedule"], part["ramp"] or 1))
    return Combined(parts)


def choose_device(device: str) -> torch.device:
    """The torch device for `auto`, or for a name.

    Raises:
        RuntimeError: torch does not know the name, or this machine has no such device.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise RuntimeError("no device of this name") from None
    if chosen.type not in ("cpu", "cuda", "mps"):
        raise RuntimeError("not supported")
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("no CUDA device on this machine")
    if chosen.type == "mps" and not torch.backends.mps.is_available():
        raise RuntimeError("no MPS device on this machine")
    return chosen
