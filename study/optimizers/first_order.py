"""First-order optimizers. They take no weight decay, which would be a hidden regularizer beside the studied one."""

import inspect
import math
from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any

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


def _plain(step: Callable[..., Any]) -> Callable[..., Any]:
    """A step of torch's without its decorator, which imports the compiler too, and otherwise switches gradients off."""
    return torch.no_grad()(inspect.unwrap(step))


class Adam(_Unmarked, torch.optim.Adam):
    """torch.optim.Adam."""

    step = _plain(torch.optim.Adam.step)


class SGD(_Unmarked, torch.optim.SGD):
    """torch.optim.SGD."""

    step = _plain(torch.optim.SGD.step)


class AdamW(_Unmarked, torch.optim.AdamW):
    """torch.optim.AdamW."""

    step = _plain(torch.optim.AdamW.step)


class RMSprop(_Unmarked, torch.optim.RMSprop):
    """torch.optim.RMSprop."""

    step = _plain(torch.optim.RMSprop.step)


def adam(parameters: Iterable[Tensor], lr: float) -> torch.optim.Optimizer:
    """Return Adam (Kingma and Ba 2015) with torch's defaults. The fused kernel is the fastest on every device."""
    return Adam(parameters, lr=_positive("lr", lr), fused=True)


def adamw(parameters: Iterable[Tensor], lr: float, beta1: float = 0.9, beta2: float = 0.999) -> torch.optim.Optimizer:
    """Return AdamW (Loshchilov and Hutter 2019) without its decay: that is `reg=weight_decay`.

    Args:
        parameters: of the model.
        lr: learning rate.
        beta1: decay of the mean of gradients, in [0, 1).
        beta2: decay of the mean of their squares, in [0, 1).

    Raises:
        ConfigError: a number is out of range.
    """
    betas = (_share("beta1", beta1), _share("beta2", beta2))
    return AdamW(parameters, lr=_positive("lr", lr), betas=betas, weight_decay=0.0, fused=True)


def sgd(
    parameters: Iterable[Tensor], lr: float, momentum: float = 0.0, nesterov: bool = False
) -> torch.optim.Optimizer:
    """Return stochastic gradient descent, with momentum as torch defines it.

    Args:
        parameters: of the model.
        lr: learning rate.
        momentum: in [0, 1).
        nesterov: whether the momentum is Nesterov's (Sutskever et al. 2013).

    Raises:
        ConfigError: a number is out of range, or Nesterov's momentum is 0.
    """
    if nesterov and not momentum:
        raise ConfigError("optimizer.nesterov=true: requires momentum. Example: optimizer.momentum=0.9")
    return SGD(parameters, lr=_positive("lr", lr), momentum=_share("momentum", momentum), nesterov=nesterov, fused=True)


def rmsprop(
    parameters: Iterable[Tensor], lr: float, alpha: float = 0.99, momentum: float = 0.0
) -> torch.optim.Optimizer:
    """Return RMSprop (Hinton 2012) as torch defines it.

    Args:
        parameters: of the model.
        lr: learning rate.
        alpha: decay of the mean of squared gradients, in [0, 1).
        momentum: in [0, 1).

    Raises:
        ConfigError: a number is out of range.
    """
    return RMSprop(
        parameters, lr=_positive("lr", lr), alpha=_share("alpha", alpha), momentum=_share("momentum", momentum)
    )


def _share(key: str, value: float) -> float:
    if not 0 <= value < 1:
        raise ConfigError(f"optimizer.{key}={value}: a number in [0, 1) is allowed")
    return value


def _positive(key: str, value: float) -> float:
    if not (math.isfinite(value) and value > 0):
        raise ConfigError(f"optimizer.{key}={value}: any finite number above 0 is allowed")
    return value
