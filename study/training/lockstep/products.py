"""Batched products of stacked layers, whose bytes do not depend on the slot of a run."""

from typing import Any

import torch
from torch import Tensor

from study.training.lockstep.stack import aligned

ROW = 16  # numbers, so 64 bytes in float32


class _Linear(torch.autograd.Function):
    """x Wᵀ + b for each run. The backward pass is written out, since the products of torch's own depend on the slot:
    the CPU's library rounds them differently for matrices that start at other places in memory, and for results that
    do. So rows are padded, and each slot of an operand and of a result starts at an aligned place.
    """

    @staticmethod
    def forward(ctx: Any, units: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.inputs = units.shape[2]
        units = _with_padded_rows(units)
        ctx.save_for_backward(units, weight)
        return torch.baddbmm(bias[:, None], units[:, :, : ctx.inputs], weight.transpose(1, 2))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        units, weight = ctx.saved_tensors
        gradient = aligned(gradients[0])
        below = None
        if ctx.needs_input_grad[0]:
            below = torch.bmm(gradient, _with_padded_rows(weight))[:, :, : ctx.inputs]
        of_weight = torch.bmm(gradient.transpose(1, 2), units)[:, :, : ctx.inputs]
        return below, of_weight, gradient.sum(dim=1)


def _with_padded_rows(stacked: Tensor) -> Tensor:
    """The same numbers, (width, n, k), with zeros after each row, so that its slots and those of a product with it are
    aligned on a CPU.
    """
    if stacked.device.type != "cpu" or stacked.shape[2] % ROW == 0:
        return aligned(stacked)
    return torch.nn.functional.pad(stacked, (0, -stacked.shape[2] % ROW))


def linear(units: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The outputs of a layer for all runs, (width, n, outputs).

    Args:
        units: (width, n, inputs).
        weight: (width, outputs, inputs).
        bias: (width, outputs).
    """
    return _Linear.apply(units, weight, bias)
