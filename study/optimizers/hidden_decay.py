"""Weight decay that an optimizer brings along: a regularizer outside `reg`, refused with what of `reg` is the same."""

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from study.errors import ConfigError
from study.errors.faults import is_fault

# Keys of parameter groups that hold a strength: torch's own (`lambd` is ASGD's), and usual ones of other packages.
STRENGTH = re.compile(r"weight_decay(_\w+)?|wd|lambda?|l[12](_(lambda?|reg\w*|penalty|weight|decay|strength))?")
# What torch's optimizers do with `weight_decay`: add it to the gradient, or shrink the weights apart from that.
COUPLED = ("SGD", "Adam", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam", "ASGD")
DECOUPLED = ("AdamW", "Adafactor", "Muon")
SAME, ALMOST = "which is the same", "which is almost the same"


def refuse_decay(
    group: Mapping[str, Any], optimizer: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter]
) -> None:
    """Refuse an optimizer that decays weights, be it of one parameter group only.

    Args:
        group: the config's optimizer group.
        optimizer: as it was built of this group and these parameters.
        parameters: by name, the model's, or others of the same shapes.

    Raises:
        ConfigError: it does; the message says which regularizer is the same thing.
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
    """Refuse an optimizer whose step makes weights smaller where every gradient is zero, in whatever way it does so.

    Args:
        group: the config's optimizer group.
        optimizer: of these parameters, which it changes: not those of a run.
        parameters: by name.

    Raises:
        ConfigError: it does.
    """
    with torch.no_grad():
        for parameter in parameters.values():
            parameter.fill_(1.0)
            parameter.grad = torch.zeros_like(parameter)
    try:
        optimizer.step()
    except Exception as error:  # a step that needs more than gradients is a matter of training
        if is_fault(error):
            raise
        return
    shrunk = [name for name, w in parameters.items() if bool((w <= 1).all() and (w < 1).any())]
    if shrunk:
        raise ConfigError(
            f"optimizer={group['option']}: a step without a gradient shrinks {', '.join(shrunk[:4])}, so"
            f" {group['_target_']} is a regularizer outside reg. Take that out and use reg=weight_decay or reg=l2"
        )


def _largest(strength: Any) -> float:
    """A strength as a number, of several the one that is furthest from 0; 0 for what is no strength, such as a flag."""
    if isinstance(strength, Tensor) and strength.numel() and strength.dtype is not torch.bool:
        return float(strength.detach().flatten()[strength.detach().abs().argmax()])
    return float(strength) if isinstance(strength, int | float) and not isinstance(strength, bool) else 0.0


def _instead(optimizer: torch.optim.Optimizer, key: str, parameters: Mapping[str, nn.Parameter]) -> str:
    """The overrides that do what a strength does, and how exactly they do it."""
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
        f"reg=weight_decay lam={largest:.15g} if it shrinks weights apart from the gradient,"
        f" reg=l2 lam={largest / 2:.15g} if it is added to the gradient"
    )


def _overrides(
    optimizer: torch.optim.Optimizer, key: str, parameters: Mapping[str, nn.Parameter], decoupled: bool
) -> str | None:
    """`reg`, λ and scope that are the same as the decay of each parameter; None where no λ is.

    Decay w that is added to the gradient is that of λΣw² with λ = w/2. Apart from the gradient a step takes the share
    ηλ of a weight, η being the learning rate of the first group.
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
