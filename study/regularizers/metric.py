"""How far an optimizer goes for a unit of gradient: the metric in which a proximal step is taken.

A proximal step after the optimizer's own, w ← argmin_z λR(z) + ½ Σ (z − w)²/s, has the minimizer of loss + λR as its
fixed point if s is the step that the optimizer takes for a steady gradient of 1.
"""

import torch
from torch import Tensor, nn

from study.errors import ConfigError


def check_metric(optimizer: torch.optim.Optimizer) -> None:
    """Raise ConfigError where the metric of an optimizer is not known."""
    if _kind(optimizer) not in (torch.optim.Adam, torch.optim.SGD):
        raise ConfigError(f"its step depends on the optimizer; adam and sgd are known, not {type(optimizer).__name__}")


def _kind(optimizer: torch.optim.Optimizer) -> type[torch.optim.Optimizer]:
    """The class of torch's that steps: ours derive from those, as AdamW does from Adam."""
    return next(kind for kind in type(optimizer).__mro__ if not kind.__module__.startswith("study."))


@torch.no_grad()
def step_sizes(optimizer: torch.optim.Optimizer, parameter: nn.Parameter) -> Tensor | float:
    """s of each weight, of the parameter's shape, or one for all of them; after the optimizer's first step.

    SGD: η/(1 − μ), which a momentum μ makes of the learning rate η in the long run. Adam: η/(√v̂ + ε), elementwise
    (proximal Adam: Yun, Lozano and Yang 2021; Melchior, Joseph and Moolekamp 2019).
    """
    group = optimizer.param_groups[0]
    if isinstance(optimizer, torch.optim.SGD):
        return group["lr"] / (1 - group["momentum"])
    state = optimizer.state[parameter]
    correction = 1 - group["betas"][1] ** float(state["step"])
    return group["lr"] / ((state["exp_avg_sq"] / correction).sqrt_() + group["eps"])
