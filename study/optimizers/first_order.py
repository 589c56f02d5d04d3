"""First-order optimizers. They take no weight decay, which would be a hidden regularizer beside the studied one."""

import math
from collections.abc import Iterable
from types import FunctionType

import torch
from torch import Tensor

from study.errors import ConfigError


class _Unmarked(torch.optim.Optimizer):
    """Methods of torch's optimizers without the decorator that excludes them from compilation.

    At the first call of a decorated method, torch imports its compiler, which takes two seconds in each process.
    """


for _name, _method in vars(torch.optim.Optimizer).items():
    if isinstance(_method, FunctionType) and hasattr(_method, "__wrapped__"):
        setattr(_Unmarked, _name, _method.__wrapped__)


class Adam(_Unmarked, torch.optim.Adam):
    """torch.optim.Adam."""


class SGD(_Unmarked, torch.optim.SGD):
    """torch.optim.SGD."""


def adam(parameters: Iterable[Tensor], lr: float) -> torch.optim.Optimizer:
    """Return Adam (Kingma and Ba 2015) with torch's defaults. The fused kernel is the fastest on every device."""
    return Adam(parameters, lr=_positive("lr", lr), fused=True)


def sgd(parameters: Iterable[Tensor], lr: float, momentum: float = 0.0) -> torch.optim.Optimizer:
    """Return stochastic gradient descent, with momentum as torch defines it."""
    if not 0 <= momentum < 1:
        raise ConfigError(f"optimizer.momentum={momentum}: a number in [0, 1) is allowed")
    return SGD(parameters, lr=_positive("lr", lr), momentum=momentum, fused=True)


def _positive(key: str, value: float) -> float:
    if not (math.isfinite(value) and value > 0):
        raise ConfigError(f"optimizer.{key}={value}: any finite number above 0 is allowed")
    return value
