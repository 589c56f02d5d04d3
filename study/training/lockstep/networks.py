"""The forward pass of all runs at once, with stacked weights."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from study.models import MLP
from study.training.lockstep.products import linear
from study.training.lockstep.stack import UNIT

# Maps stacked weights (width, *shape), and images (width, n, *image_shape), to logits (width, n, classes).
Forward = Callable[[Sequence[Tensor], Tensor], Tensor]
# Called with the number of a hidden layer and its activations, (width, n, units); returns what dropout leaves of them.
Dropping = Callable[[int, Tensor], Tensor]


def mlp_logits(model: MLP, values: Sequence[Tensor], images: Tensor, dropping: Dropping | None = None) -> Tensor:
    """The logits of MLPs by batched products, (width, n, classes).

    Args:
        model: one of the runs' models, for its layers. It has no batch normalization.
        values: its parameters, stacked.
        images: (width, n, *image_shape).
        dropping: dropout; None in eval mode.
    """
    of = dict(zip((name for name, _ in model.named_parameters()), values, strict=True))
    units = images.flatten(2)
    for i, activation in enumerate(model.activations):
        units = _linear(of, f"hidden.{i}", units)
        if model.norms:
            units = nn.functional.layer_norm(units, units.shape[2:])
            units = units * of[f"norms.{i}.weight"][:, None] + of[f"norms.{i}.bias"][:, None]
        units = _activated(activation, units)
        if dropping is not None:
            units = dropping(i, units)
    return _linear(of, "output", units)


def _activated(activation: nn.Module, units: Tensor) -> Tensor:
    """The activations, (width, n, units).

    A CPU computes the last numbers of a tensor one by one, and rounds tanh and the like in another way there. So these
    get numbers of padding, such that all of a slot's own are computed alike, also in the backward pass.
    """
    size = units[0].numel()
    if isinstance(activation, nn.ReLU) or size % UNIT == 0:  # which is exact, or needs none
        return activation(units)
    padded = nn.functional.pad(units.flatten(1), (0, -size % UNIT))
    return activation(padded)[:, :size].view(units.shape)


def _linear(of: dict[str, Tensor], layer: str, units: Tensor) -> Tensor:
    return linear(units, of[f"{layer}.weight"], of[f"{layer}.bias"])


def any_logits(model: nn.Module, values: Sequence[Tensor], images: Tensor) -> Tensor:
    """The logits of models of any kind without random draws and buffers, (width, n, classes), by vmap."""
    names = [name for name, _ in model.named_parameters()]

    def of_one(own: Sequence[Tensor], own_images: Tensor) -> Tensor:
        return torch.func.functional_call(model, dict(zip(names, own, strict=True)), (own_images,))

    return torch.func.vmap(of_one)(tuple(values), images)


def reason_against(model: nn.Module, image_shape: tuple[int, ...]) -> str | None:
    """Why a model cannot be trained in lockstep; None if it can.

    Args:
        model: on the CPU; it is run on two small batches.
        image_shape: of one example.
    """
    if type(model) is MLP:
        return "it has batch normalization" if any(True for _ in model.buffers()) else None
    if any(True for _ in model.buffers()):
        return "it has buffers, such as those of batch normalization"
    values = [parameter.detach()[None].repeat(2, *[1] * parameter.dim()) for parameter in model.parameters()]
    images = torch.linspace(0, 1, 2 * 3 * torch.Size(image_shape).numel()).view(2, 3, *image_shape)
    try:
        stacked = any_logits(model, values, images)
        alone = torch.stack([model(own) for own in images])
    except Exception as error:  # a model may do anything
        return f"vmap cannot run it ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''})"
    return None if torch.allclose(stacked, alone, atol=1e-5, rtol=1e-4) else "vmap computes something else"
