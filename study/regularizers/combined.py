"""All regularizers of one run as one object for the training loop, with the schedule of each λ."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from study.errors import ConfigError
from study.regularizers.base import Regularizer

SCHEDULES = ("constant", "warmup", "anneal")


@dataclass(frozen=True)
class Part:
    """One regularizer of a run.

    Attributes:
        regularizer: attached to the run's model.
        lam: λ.
        schedule: `constant`; `warmup`, λ min(1, e/r) in epoch e, counted from 1; or `anneal`, λ max(0, 1 − (e − 1)/r).
        ramp: r, the number of epochs of the change.
    """

    regularizer: Regularizer
    lam: float
    schedule: str = "constant"
    ramp: int = 1

    def lam_in(self, epoch: int) -> float:
        """Return λ in an epoch; in epoch 0, λ of the first epoch."""
        epoch = max(epoch, 1)
        if self.schedule == "warmup":
            return self.lam * min(1.0, epoch / self.ramp)
        if self.schedule == "anneal":
            return self.lam * max(0.0, 1 - (epoch - 1) / self.ramp)
        return self.lam


def check_together(options: Sequence[str], regularizers: Sequence[Regularizer]) -> None:
    """Refuse parts of a combination that contradict each other.

    Args:
        options: the names of the parts.
        regularizers: the parts, in the same order.

    Raises:
        ConfigError: two parts do what only one may do, or their order is wrong.
    """

    def overriding(hook: str) -> list[int]:
        base = getattr(Regularizer, hook)
        return [i for i, regularizer in enumerate(regularizers) if getattr(type(regularizer), hook) is not base]

    scoring = overriding("scored")
    alone = {
        "choose the epoch, as early_stopping does": [i for i, found in enumerate(regularizers) if found.selects],
        "change the gradients of a step, as sam does": overriding("on_backward"),
        "change the weights that are scored, as ema does": scoring,
    }
    for what, found in alone.items():
        if len(found) > 1:
            raise ConfigError(f"reg.parts: only one part may {what}. Leave the others out")
    later = [options[i] for i in overriding("after_step") if scoring and i > scoring[0]]
    if later:
        raise ConfigError(f"reg.parts: {options[scoring[0]]} must come after {later[0]}, which acts after each step")


class Combined:
    """Calls each hook of all parts in their order. See `base.Regularizer` for the hooks."""

    def __init__(self, parts: Sequence[Part]):
        self.parts = parts
        self.regularizers = [part.regularizer for part in parts]
        self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        """Set each λ to its value in an epoch."""
        for part in self.parts:
            part.regularizer.lam = part.lam_in(epoch)

    @property
    def lam(self) -> float | None:
        """The current λ; None if there are several parts, each with its own."""
        return self.regularizers[0].lam if len(self.parts) == 1 else None

    def on_batch(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        for regularizer in self.regularizers:
            images, targets = regularizer.on_batch(images, targets)
        return images, targets

    def on_loss(self, loss: Tensor, images: Tensor, logits: Tensor) -> Tensor | float:
        return sum(regularizer.on_loss(loss, images, logits) for regularizer in self.regularizers)

    def on_backward(self, backward: Callable[[], Tensor]) -> Tensor:
        for regularizer in self.regularizers:
            backward = partial(regularizer.on_backward, backward)
        return backward()

    def before_step(self, optimizer: torch.optim.Optimizer) -> Tensor | float:
        return sum(regularizer.before_step(optimizer) for regularizer in self.regularizers)

    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        for regularizer in self.regularizers:
            regularizer.after_step(optimizer)

    def after_epoch(self, epoch: int, scores: Mapping[str, float], model: nn.Module) -> None:
        for regularizer in self.regularizers:
            regularizer.after_epoch(epoch, scores, model)

    @contextmanager
    def scored(self, model: nn.Module) -> Iterator[None]:
        with ExitStack() as stack:
            for regularizer in self.regularizers:
                stack.enter_context(regularizer.scored(model))
            yield

    @property
    def selects(self) -> bool:
        return any(regularizer.selects for regularizer in self.regularizers)

    @property
    def stops(self) -> bool:
        return any(regularizer.stops for regularizer in self.regularizers)

    def chosen_epoch(self, last: int) -> int:
        return min(regularizer.chosen_epoch(last) for regularizer in self.regularizers)

    def choose(self, model: nn.Module) -> None:
        for regularizer in self.regularizers:
            regularizer.choose(model)

    def penalty(self, model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        penalties = (regularizer.penalty(model, images, labels) for regularizer in self.regularizers)
        return sum(penalties)  # type: ignore[return-value]  # a run has at least one regularizer

    def state_dict(self) -> list[dict[str, Any]]:
        return [regularizer.state_dict() for regularizer in self.regularizers]

    def load_state_dict(self, state: Sequence[Mapping[str, Any]]) -> None:
        for regularizer, own in zip(self.regularizers, state, strict=True):
            regularizer.load_state_dict(own)
