"""The metric of a proximal step: how far an optimizer moves a weight per unit of gradient.

The proximal step w ← argmin_z λR(z) + ½ Σ (z − w)²/s follows the optimizer's own step. Its fixed point is the minimizer
of loss + λR if s is the optimizer's step for a constant gradient of 1.
"""

import torch
from torch import Tensor, nn

from study.errors import ConfigError


def check_metric(optimizer: torch.optim.Optimizer) -> None:
    """Raise ConfigError if the metric of an optimizer is not known."""
    if _kind(optimizer) not in (torch.optim.Adam, torch.optim.SGD):
        raise ConfigError(
            f"its step depends on the optimizer, and {type(optimizer).__name__} is not supported. Allowed: adam, sgd"
        )


def _kind(optimizer: torch.optim.Optimizer) -> type[torch.optim.Optimizer]:
    """Return torch's class behind our subclass. isinstance would be wrong, as AdamW is a subclass of Adam."""
    return next(kind for kind in type(optimizer).__mro__ if not kind.__module__.startswith("study."))


@torch.no_grad()
def step_sizes(optimizer: torch.optim.Optimizer, parameter: nn.Parameter) -> Tensor | float:
    """Return s: a tensor of the parameter's shape, or one number for all its weights.

    SGD: η/(1 − μ), the long-run step with learning rate η and momentum μ. Adam: η/(√v̂ + ε), elementwise (proximal
    Adam: Yun, Lozano and Yang 2021; Melchior, Joseph and Moolekamp 2019). Call it after the optimizer's first step.
    """
    group = optimizer.param_groups[0]
    if isinstance(optimizer, torch.optim.SGD):
        return group["lr"] / (1 - group["momentum"])
    state = optimizer.state[parameter]
    correction = 1 - group["betas"][1] ** float(state["step"])
    return group["lr"] / ((state["exp_avg_sq"] / correction).sqrt_() + group["eps"])
