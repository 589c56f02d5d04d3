"""The compiled training loop of ReLU MLPs on a CPU. Up to rounding, its numbers are those of the general loop."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

from study.data import Part
from study.measures.scoring import Logits
from study.models import MLP
from study.optimizers import adam, sgd
from study.regularizers import Combined, Regularizer
from study.regularizers.scope import hidden_units
from study.training.compiled.availability import reason_against
from study.training.compiled.in_step import OPTIMIZERS, coefficients_of, have_one_order, rule_of, started
from study.training.general import GRADIENT_IMAGES, batch_order
from study.training.state import State

if TYPE_CHECKING:
    from study.training.compiled.sparse_products import Entries

PATH = "mlp"
GRADIENT_BATCH = 200  # images at a time for the gradient ratio, or the next lower divisor of their number


def fits(model: nn.Module, regularizers: Sequence[Regularizer], optimizer: str, kind: str) -> bool:
    """Whether this loop can train a model. The general loop can train any model.

    Args:
        model: may be on the meta device.
        regularizers: the run's regularizers.
        optimizer: the optimizer's `_target_`.
        kind: of the device: cpu, cuda or mps.
    """
    plain = type(model) is MLP and not model.dropout and model.is_plain_relu
    if not (plain and optimizer in OPTIMIZERS and kind == "cpu"):
        return False
    in_steps = [regularizer.in_step for regularizer in regularizers if regularizer.in_step is not None]
    if len(in_steps) < len(regularizers):
        return False
    kinds = [kind for in_step in in_steps for kind in in_step]
    return have_one_order(kinds)


@lru_cache
def unavailable() -> str | None:
    """Return why this loop does not work on this machine; None if it works."""

    def use() -> None:
        model = MLP(2, [2], 2)
        part = Part(torch.ones(3, 2), torch.tensor([0, 1, 0]))
        for optimizer in (adam(model.parameters(), 0.1), sgd(model.parameters(), 0.1)):
            train_epoch(State(model, Combined([]), optimizer, torch.Generator()), part, 2)
        logits_of(model)(part, slice(None))

    return reason_against(use)


@torch.no_grad()
def train_epoch(
    state: State,
    train: Part,
    batch_size: int,
    images: int | None = None,
) -> float:
    """Train for one epoch, with the arguments, the result and (up to rounding) the numbers of `general.train_epoch`.

    The state of the optimizer is afterwards the same as after its own steps.
    """
    from study.training.compiled import kernels  # Numba may be missing
    from study.training.compiled.layout import layout_of, pack, unpack

    model, regularizer, optimizer = state.model, state.regularizer, state.optimizer
    assert isinstance(model, MLP)
    model.train()
    layers = [*model.hidden, model.output]
    tensors = [(layer.weight, layer.bias) for layer in layers]
    layout = layout_of(layers)
    moments, (rule, keys) = started(optimizer), rule_of(optimizer)
    steps = int(moments[model.output.bias].get("step", 0))
    kinds = [tensors, *([(moments[w][key], moments[b][key]) for w, b in tensors] for key in keys)]
    packed = [pack(kind, layout) for kind in kinds]
    # An optimizer without these moments gets the parameters in their place. The compiled code does not touch them.
    parameters, moment1, moment2 = [*packed, *packed[:1] * 2][:3]
    shuffled = batch_order(len(train), images, state.order)
    with _subnormals_are_zero():
        objective = kernels.train_epoch(
            listed(train.all_images),
            train.all_labels.numpy(),
            train.numbers(shuffled).numpy(),
            batch_size,
            layout,
            *(parameters.numpy(), moment1.numpy(), moment2.numpy()),
            steps,
            rule,
            _coefficients(model, regularizer.regularizers, tensors),
            _smoothing(regularizer.regularizers),
        )
    for values, kind in zip(packed, kinds, strict=True):
        unpack(values, kind, layout)
    for of_tensor in moments.values():
        if "step" in of_tensor:
            of_tensor["step"] += math.ceil(len(shuffled) / batch_size)
    return objective


@contextmanager
def _subnormals_are_zero() -> Iterator[None]:
    """Treat numbers below 1e-38 as zero, because CPUs are slow with them.

    Without a penalty, the moments of rarely used pixels become that small.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def logits_of(model: MLP) -> Logits:
    """Return a function that computes logits of images, up to rounding the same as the model's."""
    from study.training.compiled import kernels  # Numba may be missing
    from study.training.compiled.layout import layout_of, pack

    layers = [*model.hidden, model.output]
    layout = layout_of(layers)
    packed = pack([(layer.weight, layer.bias) for layer in layers], layout).numpy()

    def logits(part: Part, which: slice) -> Tensor:
        rows = part.numbers(which)
        found = part.all_images.new_empty(len(rows), layers[-1].out_features)
        kernels.logits(listed(part.all_images), rows.numpy(), layout, packed, found.numpy())
        return found

    return logits


def data_gradient_norm(model: MLP, train: Part) -> float:
    """The norm of `general.data_gradient_norm`, up to rounding.

    An epoch of gradient descent with a momentum that keeps all of the past, and with a learning rate of 0, leaves the
    sum of the batches' gradients in the momentum. So this is such an epoch.

    Args:
        model: fully connected layers with ReLUs between them.
        train: the training split, of which the first 1,000 images are used.
    """
    from study.training.compiled import kernels  # Numba may be missing
    from study.training.compiled.layout import layout_of, pack
    from study.training.compiled.steps import Rule

    layers = [*model.hidden, model.output]
    tensors, layout = [(layer.weight, layer.bias) for layer in layers], layout_of(layers)
    packed = pack(tensors, layout)
    gradient = torch.zeros_like(packed)
    rows = train.numbers(slice(0, min(GRADIENT_IMAGES, len(train))))
    batch_size = max(size for size in range(1, GRADIENT_BATCH + 1) if len(rows) % size == 0)
    kernels.train_epoch(
        listed(train.all_images),
        train.all_labels.numpy(),
        rows.numpy(),
        batch_size,
        layout,
        *(packed.numpy(), gradient.numpy(), packed.numpy()),  # without second moments
        0,
        Rule(False, 0.0, 1.0, 0.0, 0.0),
        _coefficients(model, [], tensors),
        0.0,
    )
    return float(torch.linalg.vector_norm(gradient)) * batch_size / len(rows)


_listed = WeakTensorKeyDictionary()


def listed(images: Tensor) -> "Entries":
    """List the non-zero pixels of images (n, *image_shape). The list is kept for later calls."""
    from study.training.compiled.sparse_products import list_entries  # Numba may be missing

    if images not in _listed:
        _listed[images] = list_entries(images.flatten(1).numpy())
    return _listed[images]


def _coefficients(
    model: MLP, regularizers: Sequence[Regularizer], tensors: Sequence[tuple[Tensor, Tensor]]
) -> np.ndarray:
    """The coefficients of the regularizers for each weight and bias, (layers, 2, 7); see `steps.COEFFICIENTS`."""
    from study.training.compiled.steps import COEFFICIENTS, GROUP  # Numba may be missing

    flat = [tensor for pair in tensors for tensor in pair]
    result = coefficients_of(regularizers, flat).reshape(len(tensors), 2, -1)
    layer_of = {id(weight): layer for layer, (weight, _) in enumerate(tensors)}
    for regularizer in regularizers:
        for kind, unit in (regularizer.in_step or {}).items():
            if kind in ("group", "cap"):
                for units in hidden_units(model, regularizer.scoped):
                    layer = layer_of[id(units.weight)]
                    result[layer, 0, COEFFICIENTS.index(kind)] = unit * regularizer.lam * units.factor
                    if kind == "group" and units.bias is not None:
                        result[layer, 1, GROUP] = result[layer, 0, GROUP]
    return result


def _smoothing(regularizers: Sequence[Regularizer]) -> float:
    """The share of label smoothing, in [0, 1]. Several smooth one after the other, so 1 − share multiplies."""
    kept = 1.0
    for regularizer in regularizers:
        kept *= 1 - (regularizer.in_step or {}).get("smoothing", 0.0) * regularizer.lam
    return 1 - kept
