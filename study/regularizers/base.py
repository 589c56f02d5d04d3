"""Base class of all regularizers: the hooks of the training loop, in the order of their calls."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from study.errors import ConfigError
from study.randomness import Stream


@dataclass(frozen=True)
class LamRange:
    """The range of λ that an option accepts. λ must be finite."""

    low: float = 0.0
    high: float = math.inf
    low_included: bool = True
    high_included: bool = False

    def check(self, lam: float) -> None:
        """Raise ConfigError unless λ is in the range."""
        above = lam >= self.low if self.low_included else lam > self.low
        below = lam <= self.high if self.high_included else lam < self.high
        if not (math.isfinite(lam) and above and below):
            raise ConfigError(f"lam={lam}: {self} is allowed")

    def __str__(self) -> str:
        if math.isinf(self.high):
            return f"any finite number {'of at least' if self.low_included else 'above'} {self.low:g}"
        left, right = "[" if self.low_included else "(", "]" if self.high_included else ")"
        return f"a number in {left}{self.low:g}, {self.high:g}{right}"


@dataclass(frozen=True)
class Scoped:
    """A parameter in a regularizer's scope. Its λ is the run's λ times `factor`."""

    name: str
    parameter: nn.Parameter
    factor: float = 1.0


class Regularizer:
    """One option of `reg`. This base class does nothing; subclasses override the hooks that they need.

    An instance belongs to one run. Its constructor takes the option's keys from YAML. Then `attach` sets the model.

    Attributes:
        takes_lam: False if λ has no meaning; λ is then saved as 0.
        takes_scope: False if the option does not work on single parameters; it then has no scope.
        lam_range: the allowed λ.
        acts: False if it only sets options of the model, or does nothing.
        classification_only: the reason why it cannot be used for regression; empty if it can.
        selects: whether it chooses the epoch whose weights are the result.
        of_models: the options of `model` that have the options which `model_options` sets, for messages.
        in_step: its effect in a step, for compiled loops: coefficients per unit of λ. The keys are those of
            `COEFFICIENTS` in `training.compiled.steps`, or `smoothing`. Empty: it does nothing in a step. None: it
            requires the general loop.
        stream: the random stream of the run's seed that `generator` draws from; None if it has no generator of its own.
        lam: the current λ; a schedule changes it from epoch to epoch.
        scoped: the parameters in scope.
        classes: number of classes; for regression, number of outputs.
        generator: on the CPU; set before `attach` if there is a `stream`. Save its state in `state_dict`.
    """

    takes_lam: ClassVar[bool] = True
    takes_scope: ClassVar[bool] = True
    acts: ClassVar[bool] = True
    selects: ClassVar[bool] = False
    of_models: ClassVar[Sequence[str]] = ()
    lam_range: LamRange = LamRange()
    classification_only: str = ""
    in_step: Mapping[str, float] | None = None
    stream: ClassVar[Stream | None] = None

    lam: float = 0.0
    scoped: Sequence[Scoped] = ()
    classes: int = 0
    generator: torch.Generator

    def model_options(self, lam: float) -> Mapping[str, Any]:
        """Return the options of the model that this regularizer sets."""
        return {}

    def check(self, model: nn.Module, optimizer: torch.optim.Optimizer, scoped: Sequence[Scoped]) -> None:
        """Raise ConfigError, with the reason, if this regularizer cannot work with a model, optimizer or scope.

        Args:
            model: a model on the meta device.
            optimizer: an optimizer of the run's kind, with placeholder parameters.
            scoped: the parameters in scope; all parameters of the model if the option takes no scope.
        """

    def check_examples(self, image_shape: tuple[int, ...]) -> None:
        """Raise ConfigError, with the reason, if this regularizer cannot work with examples of a shape.

        Args:
            image_shape: of one example, such as (height, width), (channels, height, width) or (features,).
        """

    def attach(self, model: nn.Module, scoped: Sequence[Scoped], classes: int) -> None:
        """Set the model of the run.

        Args:
            model: the model to train.
            scoped: its parameters in scope.
            classes: number of classes; for regression, number of outputs.
        """
        self.scoped, self.classes = scoped, classes

    def on_batch(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the batch for training: images (n, *image_shape), and labels (n,) or probabilities (n, classes).

        For regression, targets are numbers (n, outputs).
        """
        return images, targets

    def on_loss(self, loss: Tensor, images: Tensor, logits: Tensor) -> Tensor | float:
        """Return a term, in the unit of the loss, to add to the mean data loss of a batch before the backward pass.

        Args:
            loss: the mean data loss of the batch, a scalar.
            images: the batch as `on_batch` returned it, (n, *image_shape).
            logits: what the model made of it, (n, classes).
        """
        return 0.0

    def on_backward(self, backward: Callable[[], Tensor]) -> Tensor:
        """Set the gradients of a batch by calling `backward`, by default once.

        Args:
            backward: sets the gradients to those of the batch's loss at the current weights, with the terms of
                `on_loss`, and returns that loss. Each call is a forward and a backward pass on the same batch.

        Returns:
            The loss of the step, a scalar without gradient.
        """
        return backward()

    def before_step(self, optimizer: torch.optim.Optimizer) -> Tensor | float:
        """Add to the gradients, or change the weights, between the backward pass and the optimizer's step.

        Returns:
            λR(w). It counts as part of the objective, although the backward pass did not differentiate it.
        """
        return 0.0

    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Change the weights after the optimizer's step."""

    def after_epoch(self, epoch: int, scores: Mapping[str, float], model: nn.Module) -> None:
        """Read the scores of an epoch; the keys are columns of metrics.csv."""

    @contextmanager
    def scored(self, model: nn.Module) -> Iterator[None]:
        """Put the weights to score and to record into the model for the block, by default those of training."""
        yield

    @property
    def stops(self) -> bool:
        """Whether training should end now."""
        return False

    def chosen_epoch(self, last: int) -> int:
        """Return the epoch whose weights are the result, by default the last one. `choose` restores them."""
        return last

    def choose(self, model: nn.Module) -> None:
        """Put the weights of the chosen epoch into the model."""

    def penalty(self, model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        """Return λR as a differentiable scalar, on a fixed batch if it depends on data; 0 if there is no penalty."""
        return torch.zeros((), device=labels.device)

    def state_dict(self) -> dict[str, Any]:
        """Return the state that changes during training, for the checkpoint: tensors, numbers, containers of these."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Resume from a state that `state_dict` returned."""
