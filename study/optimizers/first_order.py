"""Optimizers, each a function named by `_target_` in conf/optimizer/.

None brings a weight decay of its own: it would be a hidden regularizer beside the one that is studied.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from study.errors import ConfigError


def _leave_compiler_alone() -> None:
    """Spare each process the two seconds in which torch imports its compiler for the first optimizer.

    It does so to mark methods that are not to be compiled; we compile none, and mark them as they are.
    """
    for method in vars(torch.optim.Optimizer).values():
        if callable(plain := getattr(method, "__wrapped__", None)):
            plain.__dynamo_disable = plain


_leave_compiler_alone()


def adam(parameters: Iterable[Tensor], lr: float) -> torch.optim.Optimizer:
    """Adam (Kingma and Ba 2015) with torch's defaults; the fused kernel, since it is the fastest on every device."""
    return torch.optim.Adam(parameters, lr=_positive("lr", lr), fused=True)


def sgd(parameters: Iterable[Tensor], lr: float, momentum: float = 0.0) -> torch.optim.Optimizer:
    """Stochastic gradient descent, with momentum as torch defines it."""
    if not 0 <= momentum < 1:
        raise ConfigError(f"optimizer.momentum={momentum}: a number in [0, 1) is allowed")
    return torch.optim.SGD(parameters, lr=_positive("lr", lr), momentum=momentum, fused=True)


def _positive(key: str, value: float) -> float:
    if not (math.isfinite(value) and value > 0):
        raise ConfigError(f"optimizer.{key}={value}: any finite number above 0 is allowed")
    return value
