"""What a regularizer may do to training: the hooks of the loop, in the order in which they are called."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from study.errors import ConfigError


@dataclass(frozen=True)
class LamRange:
    """The λ that an option accepts, finite in any case."""

    low: float = 0.0
    high: float = math.inf
    low_included: bool = True

    def check(self, lam: float) -> None:
        """Raise ConfigError unless λ is allowed; the upper end never is."""
        above = lam >= self.low if self.low_included else lam > self.low
        if not (math.isfinite(lam) and above and lam < self.high):
            raise ConfigError(f"lam={lam}: {self} is allowed")

    def __str__(self) -> str:
        if math.isinf(self.high):
            return f"any finite number {'of at least' if self.low_included else 'above'} {self.low:g}"
        return f"a number in {'[' if self.low_included else '('}{self.low:g}, {self.high:g})"


@dataclass(frozen=True)
class Scoped:
    """A parameter that a regularizer works on; its own λ is the run's times `factor`."""

    name: str
    parameter: nn.Parameter
    factor: float = 1.0


class Regularizer:
    """One option of `reg`: by itself it does nothing. Subclasses override the hooks they need.

    An instance belongs to one run. Its constructor takes the option's keys from YAML; then `attach` gives it the model.

    Attributes:
        takes_lam: False where λ has no meaning; it is then saved as 0.
        takes_scope: False where the option does not work on single parameters; it then has no scope.
        lam_range: the λ that is allowed.
        acts: False where all it does is to set options of the model, or nothing.
        selects: whether it chooses the epoch whose weights are the result.
        in_step: what it does in a step, for the compiled loop, by unit of λ: keys of `COEFFICIENTS` in
            `training.compiled.steps`, or `smoothing`. Empty: nothing happens in a step. None: it needs the general
            loop.
        lam: λ at present; a schedule changes it from epoch to epoch.
        scoped: the parameters that it works on.
        classes: number of classes.
    """

    takes_lam: ClassVar[bool] = True
    takes_scope: ClassVar[bool] = True
    acts: ClassVar[bool] = True
    selects: ClassVar[bool] = False
    lam_range: ClassVar[LamRange] = LamRange()
    in_step: Mapping[str, float] | None = None

    lam: float = 0.0
    scoped: Sequence[Scoped] = ()
    classes: int = 0

    def model_options(self, lam: float) -> Mapping[str, Any]:
        """Options of the model that this regularizer sets."""
        return {}

    def check(self, model: nn.Module, optimizer: torch.optim.Optimizer, scoped: Sequence[Scoped]) -> None:
        """Raise ConfigError, with the reason, where this makes no sense with a model, an optimizer, or a scope.

        Args:
            model: on the meta device.
            optimizer: for parameters of no importance.
            scoped: the parameters in scope, all of the model's where the option takes no scope.
        """

    def attach(self, model: nn.Module, scoped: Sequence[Scoped], classes: int) -> None:
        """Begin to work on a model."""
        self.scoped, self.classes = scoped, classes

    def on_batch(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Images (n, *image_shape) and targets, labels (n,) or probabilities (n, classes), as training sees them."""
        return images, targets

    def on_loss(self, loss: Tensor, images: Tensor) -> Tensor | float:
        """What is added to the mean data loss of a batch, and differentiated with it; in nats."""
        return 0.0

    def before_step(self, optimizer: torch.optim.Optimizer) -> Tensor | float:
        """Add to the gradients, or change the weights, between the backward pass and the optimizer's step.

        Returns:
            λR(w), which counts as part of the objective though it is no part of the loss that was differentiated.
        """
        return 0.0

    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Change the weights after the optimizer's step."""

    def after_epoch(self, epoch: int, scores: Mapping[str, float], model: nn.Module) -> None:
        """Look at the scores of an epoch: keys are columns of metrics.csv."""

    @property
    def stops(self) -> bool:
        """Whether training should end now."""
        return False

    def chosen_epoch(self, last: int) -> int:
        """The epoch whose weights are the result, and are put back by `choose`; the last one, as a rule."""
        return last

    def choose(self, model: nn.Module) -> None:
        """Put the weights of the chosen epoch into the model."""

    def penalty(self, model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        """λR as a differentiable scalar, on a fixed batch where it depends on one; 0 for what is no penalty."""
        return torch.zeros((), device=labels.device)

    def state_dict(self) -> dict[str, Any]:
        """What changes while training, for the checkpoint: tensors, numbers, and containers of these."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
