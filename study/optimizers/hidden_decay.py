"""Refuse optimizers with weight decay, a regularizer outside `reg`, and name the equivalent option of `reg`."""

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from study.errors import ConfigError
from study.errors.faults import is_fault

# Keys of parameter groups that hold a strength: those of torch (`lambd` is ASGD's) and common ones of other packages.
STRENGTH = re.compile(r"weight_decay(_\w+)?|wd|lambda?|l[12](_(lambda?|reg\w*|penalty|weight|decay|strength))?")
# torch's optimizers that add weight decay to the gradient, and those that shrink the weights separately.
COUPLED = ("SGD", "Adam", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam", "ASGD")
DECOUPLED = ("AdamW", "Adafactor", "Muon")
SAME, ALMOST = "which is the same", "which is almost the same"


def refuse_decay(
    group: Mapping[str, Any], optimizer: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter]
) -> None:
    """Refuse an optimizer with weight decay in any of its parameter groups.

    Args:
        group: the config's optimizer group.
        optimizer: the optimizer that was built from this group and these parameters.
        parameters: the model's parameters by name, or others of the same shapes.

    Raises:
        ConfigError: the optimizer has weight decay; the message names the equivalent regularizer.
    """
    for key in dict.fromkeys(key for of_group in optimizer.param_groups for key in of_group):
        if not STRENGTH.fullmatch(key):
            continue
        strengths = [_largest(of_group.get(key)) for of_group in optimizer.param_groups]
        if not any(strengths):
            continue
        shown = " and ".join(f"{strength:.15g}" for strength in dict.fromkeys(strengths) if strength)
        where = f"{key}: 0 in its YAML file" if key in group else f"{key}=0 in {group['_target_']}"
        raise ConfigError(
            f"optimizer={group['option']}: {key}={shown} is a regularizer outside reg. Set {where} and use"
            f" {_instead(optimizer, key, parameters)}"
        )


def refuse_shrinking(
    group: Mapping[str, Any], optimizer: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter]
) -> None:
    """Refuse an optimizer whose step shrinks weights although every gradient is zero.

    This finds weight decay that is not in the optimizer's options.

    Args:
        group: the config's optimizer group.
        optimizer: an optimizer of these parameters.
        parameters: parameters by name. They are changed, so they must not be those of a run.

    Raises:
        ConfigError: a step shrinks a parameter.
    """
    with torch.no_grad():
        for parameter in parameters.values():
            parameter.fill_(1.0)
            parameter.grad = torch.zeros_like(parameter)
    try:
        optimizer.step()
    except Exception as error:  # a step that needs more than gradients shows its error in training
        if is_fault(error):
            raise
        return
    shrunk = [name for name, w in parameters.items() if bool((w <= 1).all() and (w < 1).any())]
    if shrunk:
        raise ConfigError(
            f"optimizer={group['option']}: a step without a gradient shrinks {', '.join(shrunk[:4])}, so"
            f" {group['_target_']} is a regularizer outside reg. Remove the decay and use reg=weight_decay or reg=l2"
        )


def _largest(strength: Any) -> float:
    """Return a strength as a number, for a tensor its largest in absolute value; 0 for other types, such as a flag."""
    if isinstance(strength, Tensor) and strength.numel() and strength.dtype is not torch.bool:
        return float(strength.detach().flatten()[strength.detach().abs().argmax()])
    return float(strength) if isinstance(strength, int | float) and not isinstance(strength, bool) else 0.0


def _instead(optimizer: torch.optim.Optimizer, key: str, parameters: Mapping[str, nn.Parameter]) -> str:
    """Return the overrides that are equivalent to a strength, and how exact the equivalence is."""
    kind, name = type(optimizer), type(optimizer).__name__
    known = getattr(torch.optim, name, None) is kind
    options = optimizer.param_groups[0]
    decoupled = name in DECOUPLED or options.get("decoupled_weight_decay", False) or key == "lambd"
    if known and key in ("weight_decay", "lambd") and (decoupled or name in COUPLED):
        overrides = _overrides(optimizer, key, parameters, decoupled)
        if overrides is not None:
            return f"{overrides}, {ALMOST if key == 'lambd' or name == 'Adafactor' else SAME}"
    largest = max((_largest(group.get(key)) for group in optimizer.param_groups), key=abs)
    if not (key in ("weight_decay", "wd") and math.isfinite(largest) and largest > 0):
        return "an option of reg instead, such as reg=l2 or reg=weight_decay"
    return (
        f"reg=weight_decay lam={largest:.15g} if it shrinks weights separately from the gradient,"
        f" reg=l2 lam={largest / 2:.15g} if it is added to the gradient"
    )


def _overrides(
    optimizer: torch.optim.Optimizer, key: str, parameters: Mapping[str, nn.Parameter], decoupled: bool
) -> str | None:
    """Return `reg`, λ and scope that are equivalent to the decay of each parameter; None if no λ is.

    A decay d that is added to the gradient is the gradient of λΣw² with λ = d/2. A separate decay removes the fraction
    ηλ of each weight per step, where η is the learning rate of the first group.
    """
    name_of = {id(parameter): name for name, parameter in parameters.items()}
    first = _largest(optimizer.param_groups[0].get("lr"))
    lams = dict.fromkeys(parameters, 0.0)
    for group in optimizer.param_groups:
        strength = _largest(group.get(key))
        factor = (_largest(group.get("lr")) / first if first else math.nan) if decoupled else 0.5
        for parameter in group["params"]:
            if id(parameter) in name_of:
                lams[name_of[id(parameter)]] = factor * strength
    largest = max(lams.values(), default=0.0)
    if not (all(math.isfinite(lam) and lam >= 0 for lam in lams.values()) and largest > 0):
        return None
    overrides = f"reg={'weight_decay' if decoupled else 'l2'} lam={largest:.15g}"
    if all(lam == largest for lam in lams.values()):
        return overrides
    if all(lam == (largest if parameters[name].dim() >= 2 else 0) for name, lam in lams.items()):
        return f"{overrides} reg.scope=weights"
    factors = [f"{name}:{lam / largest:.15g}" for name, lam in lams.items() if lam]
    return f"{overrides} 'reg.scope={{{','.join(factors)}}}'"
