"""Batched products of stacked layers, whose bytes do not depend on the slot of a run."""

from typing import Any

import torch
from torch import Tensor

from study.training.lockstep.stack import aligned


class _Linear(torch.autograd.Function):
    """x Wᵀ + b for each run. The backward pass is written out, since the products of torch's own depend on the slot:
    the CPU's library rounds them differently for matrices that start at other places in memory.
    """

    @staticmethod
    def forward(ctx: Any, units: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        units = aligned(units)
        ctx.save_for_backward(units, weight)
        return torch.baddbmm(bias[:, None], units, weight.transpose(1, 2))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        units, weight = ctx.saved_tensors
        gradient = aligned(gradients[0])
        below = torch.bmm(gradient, weight) if ctx.needs_input_grad[0] else None
        return below, torch.bmm(gradient.transpose(1, 2), units), gradient.sum(dim=1)


def linear(units: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The outputs of a layer for all runs, (width, n, outputs).

    Args:
        units: (width, n, inputs).
        weight: (width, outputs, inputs).
        bias: (width, outputs).
    """
    return _Linear.apply(units, weight, bias)
