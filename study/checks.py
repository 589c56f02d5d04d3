"""What can be known to be wrong with a config before anything is read or trained: options, ranges, scope, device."""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch
from torch import nn

from study.build import build_dataset, build_model, build_optimizer, choose_device, penalty_of
from study.config import SPLITS, RunConfig
from study.data import DataSet
from study.data.splits import val_count
from study.errors import ConfigError, one_line
from study.options import checked_arguments, locate
from study.regularizers import names_in_scope

DATA_KEYS = ("root", "split", "train_size")


def checked(config: RunConfig) -> RunConfig:
    """The config with every option's arguments typed and its defaults filled in.

    Where λ has no meaning, λ is 0 and there is no scope, whatever was given.

    Raises:
        ConfigError: what is wrong, and what is allowed.
    """
    content = json.dumps([config.data, config.model, config.optimizer, config.reg])
    data, model, optimizer, reg = _checked_groups(content)
    _check_device(config.device)
    lam = config.lam if reg["scope"] is not None else 0.0
    return replace(config, data=data, model=model, optimizer=optimizer, reg=reg, lam=lam)


@lru_cache(maxsize=1_000)
def _checked_groups(content: str) -> tuple[dict[str, Any], ...]:
    """Data, model, optimizer and reg, from the same as JSON: the points of a sweep share few of them."""
    given_data, given_model, given_optimizer, given_reg = json.loads(content)
    data = _checked_data(given_data)
    dataset = build_dataset(data)
    if data["train_size"] is not None:
        _check_train_size(data, dataset)
    model = _checked_group("model", given_model, supplied=2)
    with torch.device("meta"):
        network = build_model(model, dataset)
    optimizer = _checked_group("optimizer", given_optimizer, supplied=1)
    build_optimizer(optimizer, [nn.Parameter(torch.zeros(1))])
    return data, model, optimizer, _checked_reg(given_reg, network)


def _checked_group(group: str, given: Mapping[str, Any], supplied: int) -> dict[str, Any]:
    target = locate(group, given["_target_"])
    rest = {key: value for key, value in given.items() if key not in ("option", "_target_")}
    return {
        "option": given["option"],
        "_target_": given["_target_"],
        **checked_arguments(group, target, rest, supplied),
    }


def _checked_data(given: Mapping[str, Any]) -> dict[str, Any]:
    general = checked_arguments("data", _data_keys, {k: v for k, v in given.items() if k in DATA_KEYS})
    if general["split"] not in SPLITS:
        raise ConfigError(f"data.split={general['split']}: allowed: {', '.join(SPLITS)}")
    own = _checked_group("data", {k: v for k, v in given.items() if k not in DATA_KEYS}, supplied=0)
    return {**own, **general}


def _data_keys(root: str, split: str, train_size: int | None = None) -> None:
    """The keys that every data set has, as a signature to check them against."""


def _check_train_size(data: Mapping[str, Any], dataset: DataSet) -> None:
    available = dataset.train_count - (0 if data["split"] == "textbook" else val_count(dataset))
    if not dataset.classes <= data["train_size"] <= available:
        raise ConfigError(
            f"data.train_size={data['train_size']}: {dataset.classes} to {available} are allowed"
            f" for {dataset.name} with data.split={data['split']}"
        )


def _checked_reg(given: Mapping[str, Any], network: nn.Module) -> dict[str, Any]:
    target = locate("reg", given["_target_"])
    own = {k: v for k, v in given.items() if k not in ("option", "_target_", "scope", "lam")}
    is_class = isinstance(target, type)
    reg = {
        "option": given["option"],
        "_target_": given["_target_"],
        "scope": given.get("scope", "all"),
        **checked_arguments("reg", target, own, supplied=0 if is_class else 1),
    }
    if not penalty_of(reg).takes_lam:
        return {**reg, "scope": None}
    if not isinstance(reg["scope"], str):
        raise ConfigError(f"reg.scope={reg['scope']}: all, weights, or a regular expression is allowed")
    parameter = network.get_parameter(names_in_scope(network, reg["scope"])[0])
    _check_value(given["option"], reg, torch.ones(parameter.shape))
    return reg


def _check_value(option: str, reg: Mapping[str, Any], w: torch.Tensor) -> None:
    """Try a penalty on one tensor: a user's function that fails should fail before anything is trained."""
    try:
        value = penalty_of(reg).value(w)
    except Exception as error:  # anything may come out of the user's code
        raise ConfigError(
            f"reg={option}: {reg['_target_']} fails on a tensor of shape {tuple(w.shape)}"
            f" ({type(error).__name__}: {one_line(error)}); it takes one tensor and returns a scalar"
        ) from None
    if not (isinstance(value, torch.Tensor) and value.dim() == 0):
        raise ConfigError(f"reg={option}: {reg['_target_']} returns no scalar tensor; R(w) is a number")


def _check_device(device: str) -> None:
    try:
        choose_device(device)
    except RuntimeError as error:
        raise ConfigError(f"device={device}: {error}; allowed: auto, cpu, cuda, cuda:<number>, mps") from None
