"""The general loop with compiled steps, for any model on a CPU. Up to rounding, its numbers are those of that loop.

Torch reads and writes all weights, gradients and moments once for the optimizer and again for each penalty. With many
weights and a small batch, that takes half the time of a step. A compiled step reads and writes them once.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from study.data import Part
from study.optimizers import adam, sgd
from study.regularizers import Combined, Regularizer
from study.training import general
from study.training.compiled.availability import reason_against
from study.training.compiled.in_step import OPTIMIZERS, coefficients_of, have_one_order, rule_of, started
from study.training.general import data_gradient_norm, logits_of  # noqa: F401  every loop has them
from study.training.state import State

PATH = "compiled_step"  # recorded in status.json
KINDS = {"absolute", "square", "norm", "decay", "soft"}  # what a compiled step can do to a tensor of any shape
ACTIVE = ("before_step", "after_step")  # the hooks that compiled steps take the place of


def fits(regularizers: Sequence[Regularizer], optimizer: str, kind: str) -> bool:
    """Whether this loop can train a run in float32, with a constant learning rate and without limit of the gradient.

    Args:
        regularizers: the run's regularizers.
        optimizer: the optimizer's `_target_`.
        kind: of the device that will train it.
    """
    if optimizer not in OPTIMIZERS or kind != "cpu":
        return False
    kinds: list[str] = []
    for regularizer in regularizers:
        if any(getattr(type(regularizer), hook) is not getattr(Regularizer, hook) for hook in ACTIVE):
            if regularizer.in_step is None:
                return False
            kinds += regularizer.in_step
    return set(kinds) <= KINDS and have_one_order(kinds)


@lru_cache
def unavailable() -> str | None:
    """Return why this loop does not work on this machine; None if it works."""

    def use() -> None:
        model = nn.Linear(2, 2)
        part = Part(torch.ones(3, 2), torch.tensor([0, 1, 0]))
        for optimizer in (adam(model.parameters(), 0.1), sgd(model.parameters(), 0.1)):
            train_epoch(State(model, Combined([]), optimizer, torch.Generator()), part, 2)

    return reason_against(use)


def train_epoch(state: State, train: Part, batch_size: int, images: int | None = None) -> float:
    """Train for one epoch, with the arguments, the result and (up to rounding) the numbers of `general.train_epoch`.

    The state of the optimizer is afterwards the same as after its own steps.

    Raises:
        PausedError: as `general.train_epoch`.
    """
    return general.train_epoch(state, train, batch_size, images, _CompiledStep(state))


class _Stepped(NamedTuple):
    """A parameter, and its values, moments and coefficients as compiled code takes them."""

    parameter: Tensor
    values: np.ndarray
    moments: tuple[np.ndarray, np.ndarray]
    coefficients: np.ndarray
    steps: Tensor  # a scalar


class _CompiledStep:
    """A step of the regularizers and of the optimizer, with the λ that they have in an epoch."""

    def __init__(self, state: State):
        from study.training.compiled.steps import step_of_tensor  # Numba may be missing

        optimizer = state.optimizer
        self.rule, keys = rule_of(optimizer)
        self.compiled, self.parameters = step_of_tensor, []
        parameters, state_of = optimizer.param_groups[0]["params"], started(optimizer)
        coefficients = coefficients_of(state.regularizer.regularizers, parameters)
        for parameter, of_parameter in zip(parameters, coefficients, strict=True):
            own = state_of[parameter]
            values = _flat(parameter)
            # An optimizer without these moments gets the values in their place. The compiled code does not touch them.
            moments = [*(_flat(own[key]) for key in keys), values, values]
            steps = own.get("step", torch.zeros(()))
            self.parameters.append(_Stepped(parameter, values, (moments[0], moments[1]), of_parameter, steps))

    @torch.no_grad()
    def __call__(self) -> float:
        """Make a step; return the penalty before it. As in torch, a parameter without a gradient keeps its value."""
        penalty = 0.0
        for of in self.parameters:
            gradient = of.parameter.grad
            if gradient is None:
                continue
            of.steps.add_(1)
            penalty += self.compiled(
                of.values, _flat(gradient), of.moments, of.coefficients, self.rule, int(of.steps.item())
            )
        return penalty


def _flat(tensor: Tensor) -> np.ndarray:
    """The numbers of a tensor in the order of memory, (n,), sharing its memory."""
    return tensor.detach().as_strided((tensor.numel(),), (1,)).numpy()
