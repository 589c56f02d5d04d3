"""The objects that change while a run is trained, which a checkpoint saves."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from study.regularizers import Combined


class PausedError(Exception):
    """Training has paused between two steps of an epoch, and its state is the one from which the epoch goes on."""


def never() -> bool:
    """Return False: the answer of a process that is not asked to pause."""
    return False


@dataclass
class UnderWay:
    """How far an epoch has come.

    Attributes:
        left: numbers of the images that have not been used yet, int64 (n,), in the order of training; None between two
            epochs.
        objective: the objective of each step so far, scalars.
        learning_rate: of the first step.
    """

    left: Tensor | None = None
    objective: list[Tensor] = field(default_factory=list)
    learning_rate: float = 0.0


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
        under_way: how far the current epoch has come.
        pause: asked between two steps; where it returns True, a loop that can pause there raises PausedError.
    """

    model: nn.Module
    regularizer: Combined
    optimizer: torch.optim.Optimizer
    order: torch.Generator
    schedule: LRScheduler | None = None
    clip_norm: float | None = None
    under_way: UnderWay = field(default_factory=UnderWay)
    pause: Callable[[], bool] = never
