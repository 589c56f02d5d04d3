"""The objects that change while a run is trained, which a checkpoint saves."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler

from study.regularizers import Combined


@dataclass(frozen=True)
class State:
    """What a training loop changes. Torch's global generators are part of the state too.

    Attributes:
        model: maps images to logits.
        regularizer: its hooks are called in each step; see `regularizers.base.Regularizer`.
        optimizer: has the model's parameters.
        order: CPU generator of the batch order; each permutation advances it.
        schedule: of the optimizer's learning rate, stepped after each of its steps; None: it never changes.
        clip_norm: the largest norm of a gradient, to which longer ones are scaled; None: any.
    """

    model: nn.Module
    regularizer: Combined
    optimizer: torch.optim.Optimizer
    order: torch.Generator
    schedule: LRScheduler | None = None
    clip_norm: float | None = None
