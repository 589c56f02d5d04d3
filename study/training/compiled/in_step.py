"""The optimizer and the regularizers of a run in the form that compiled steps take, for all compiled loops."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from study.regularizers import Regularizer

if TYPE_CHECKING:
    from study.training.compiled.steps import Rule

OPTIMIZERS = ("study.optimizers.adam", "study.optimizers.sgd")
# Regularizers that change the weights themselves. Only the general loop defines the order of two of these.
ALONE = {"decay", "soft", "group", "cap"}
PENALTIES = {"absolute", "square", "norm"}


def have_one_order(kinds: Sequence[str]) -> bool:
    """Whether there is only one order in which a step can do all that regularizers do in it.

    Args:
        kinds: the keys of `in_step` of all regularizers of a run.
    """
    return sum(kind in ALONE for kind in kinds) <= 1 and not ("decay" in kinds and PENALTIES & set(kinds))


def rule_of(optimizer: torch.optim.Optimizer) -> tuple["Rule", tuple[str, ...]]:
    """The rule of an optimizer, and the names of its moments in its state.

    Args:
        optimizer: Adam, or SGD without Nesterov's momentum.
    """
    from study.training.compiled.steps import Rule  # Numba may be missing

    options = optimizer.param_groups[0]
    if isinstance(optimizer, torch.optim.Adam):
        return Rule(True, float(options["lr"]), *options["betas"], options["eps"]), ("exp_avg", "exp_avg_sq")
    rule = Rule(False, float(options["lr"]), float(options["momentum"]), 0.0, 0.0)
    return rule, ("momentum_buffer",) if rule.decay1 else ()


def started(optimizer: torch.optim.Optimizer) -> Mapping[Tensor, dict[str, Tensor]]:
    """The state of the optimizer by parameter. Before the first step, create it as torch would in that step."""
    options = optimizer.param_groups[0]
    for parameter in options["params"]:
        state = optimizer.state[parameter]
        if isinstance(optimizer, torch.optim.Adam) and not state:
            state["step"] = torch.zeros((), dtype=torch.float32)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        elif options.get("momentum") and not state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer.state


def coefficients_of(regularizers: Iterable[Regularizer], parameters: Sequence[Tensor]) -> np.ndarray:
    """The coefficients of the regularizers for each parameter, (parameters, 7); see `steps.COEFFICIENTS`.

    Those of groups and limits of norms are left out, because they belong to the units of a layer.
    """
    from study.training.compiled.steps import CAP, COEFFICIENTS  # Numba may be missing

    place = {id(parameter): number for number, parameter in enumerate(parameters)}
    result = np.zeros((len(parameters), len(COEFFICIENTS)))
    result[:, CAP] = np.inf
    for regularizer in regularizers:
        for kind, unit in (regularizer.in_step or {}).items():
            if kind in COEFFICIENTS and kind not in ("group", "cap"):
                for s in regularizer.scoped:
                    result[place[id(s.parameter)], COEFFICIENTS.index(kind)] += unit * regularizer.lam * s.factor
    return result
