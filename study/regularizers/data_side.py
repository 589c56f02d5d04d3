"""What changes the batch or the loss that training sees; scores are taken on the data as it is.

Random draws come from torch's global generators, which belong to a stream of the run's seed of their own.
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from study.errors import ConfigError
from study.regularizers.base import LamRange, Regularizer, Scoped


class Noise(Regularizer):
    """Gaussian noise of standard deviation λ on the inputs, anew in each step; pixels are in [0, 1].

    For small λ and squared errors it is a penalty λ² E‖∂f/∂x‖² on the model's output f (Bishop 1995).
    """

    takes_scope = False

    def on_batch(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return images + self.lam * torch.randn_like(images), targets


class Mixup(Regularizer):
    """x ← c x + (1 − c) x', and likewise the targets, (x', y') being the batch in another order and c ~ Beta(λ, λ) one
    number a step (Zhang et al. 2018, whose α is λ). λ = 0 mixes nothing; λ = 1 draws c uniformly.
    """

    takes_scope = False

    def on_batch(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        if self.lam == 0:
            return images, targets
        concentration = torch.tensor(self.lam, dtype=torch.float64)
        share = float(torch.distributions.Beta(concentration, concentration).sample())
        other = torch.randperm(len(images)).to(images.device)
        targets = as_probabilities(targets, self.classes, images.dtype)
        return torch.lerp(images[other], images, share), torch.lerp(targets[other], targets, share)


class LabelSmoothing(Regularizer):
    """Targets (1 − λ) y + λ/K over K classes instead of one-hot y (Szegedy et al. 2016); torch's label_smoothing=λ."""

    takes_scope = False
    lam_range = LamRange(high=1.0)
    in_step: Mapping[str, float] = {"smoothing": 1.0}

    def on_batch(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return images, (1 - self.lam) * as_probabilities(targets, self.classes, images.dtype) + self.lam / self.classes


class GradientPenalty(Regularizer):
    """R = mean over examples of ‖∂ℓ/∂x‖², ℓ being the loss of an example x (double backpropagation: Drucker and LeCun
    1992). It is differentiated through a second backward pass, so a step costs about twice as much.
    """

    takes_scope = False

    def check(self, model: nn.Module, optimizer: torch.optim.Optimizer, scoped: Sequence[Scoped]) -> None:
        if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules()):
            raise ConfigError("with batch normalization an example's loss depends on the others in its batch")

    def on_batch(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return images.requires_grad_(), targets

    def on_loss(self, loss: Tensor, images: Tensor) -> Tensor:
        return self.lam * self._value(loss, images)

    def penalty(self, model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        images = images.detach().requires_grad_()
        return self.lam * self._value(F.cross_entropy(model(images), labels), images)

    @staticmethod
    def _value(loss: Tensor, images: Tensor) -> Tensor:
        """R, from the mean of n losses: its gradient by one image is 1/n of that of the image's own loss."""
        (gradient,) = torch.autograd.grad(loss, images, create_graph=True)
        return len(images) * gradient.square().sum()


def as_probabilities(targets: Tensor, classes: int, dtype: torch.dtype) -> Tensor:
    """Labels (n,) one-hot, (n, classes); probabilities as they are."""
    return targets if targets.dim() == 2 else F.one_hot(targets, classes).to(dtype)
