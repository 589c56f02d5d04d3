"""What a checked config describes, as objects: data set, model, optimizer, penalty, device."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from study.config import arguments
from study.data import DataSet
from study.options import locate
from study.regularizers import Penalty, build_penalty


def build_dataset(data: Mapping[str, Any]) -> DataSet:
    """The data set of a checked config's data group, not read yet."""
    return locate("data", data["_target_"])(**arguments(data))


def build_model(model: Mapping[str, Any], dataset: DataSet) -> nn.Module:
    """The model of a checked config's model group, initialized from torch's global generator."""
    return locate("model", model["_target_"])(dataset.image_shape, dataset.classes, **arguments(model))


def build_optimizer(optimizer: Mapping[str, Any], parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimizer of a checked config's optimizer group."""
    return locate("optimizer", optimizer["_target_"])(parameters, **arguments(optimizer))


def penalty_of(reg: Mapping[str, Any]) -> Penalty:
    """The penalty of a checked config's reg group."""
    return build_penalty(locate("reg", reg["_target_"]), arguments(reg))


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
