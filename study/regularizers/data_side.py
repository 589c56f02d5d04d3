"""Regularizers that change the batch or the loss in training. Scores always use the unchanged data.

Random draws come from torch's global generators. The run seeds them from a separate stream of its seed.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from study.errors import ConfigError
from study.forward import run_inside
from study.regularizers.base import LamRange, Regularizer, Scoped
from study.tasks import data_loss, task_of


class Noise(Regularizer):
    """Adds Gaussian noise of standard deviation λ to the inputs, drawn anew in each step. Pixels are in [0, 1].

    For small λ and squared errors this equals a penalty λ² E‖∂f/∂x‖² on the model's output f (Bishop 1995).
    """

    takes_scope = False

    def on_batch(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return images + self.lam * torch.randn_like(images), targets


class Mixup(Regularizer):
    """Mixes pairs of images, x ← c x + (1 − c) x', and their targets in the same way (Zhang et al. 2018, α there is λ).

    (x', y') is the batch in another random order. c ~ Beta(λ, λ) is one number per step. λ = 0 mixes nothing; λ = 1
    draws c uniformly from [0, 1].
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
    """Replaces one-hot targets y by (1 − λ) y + λ/K for K classes (Szegedy et al. 2016); torch's label_smoothing=λ."""

    takes_scope = False
    lam_range = LamRange(high=1.0)
    classification_only = "it smooths one-hot targets"
    in_step: Mapping[str, float] = {"smoothing": 1.0}

    def on_batch(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return images, (1 - self.lam) * as_probabilities(targets, self.classes, images.dtype) + self.lam / self.classes


class GradientPenalty(Regularizer):
    """R = mean over examples of ‖∂ℓ/∂x‖², where ℓ is the loss of example x (Drucker and LeCun 1992).

    Its gradient requires a second backward pass (double backpropagation), so a step costs about twice as much.
    """

    takes_scope = False

    def check(self, model: nn.Module, optimizer: torch.optim.Optimizer, scoped: Sequence[Scoped]) -> None:
        if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules()):
            raise ConfigError("with batch normalization, the loss of an example depends on the rest of its batch")

    def attach(self, model: nn.Module, scoped: Sequence[Scoped], classes: int) -> None:
        super().attach(model, scoped, classes)
        run_inside(model, partial(sdpa_kernel, SDPBackend.MATH))  # other kernels of attention have no second derivative

    def on_batch(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return images.requires_grad_(), targets

    def on_loss(self, loss: Tensor, images: Tensor, logits: Tensor) -> Tensor:
        return self.lam * self._value(loss, images)

    def penalty(self, model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        images = images.detach().requires_grad_()
        return self.lam * self._value(data_loss(task_of(labels))(model(images), labels), images)

    @staticmethod
    def _value(loss: Tensor, images: Tensor) -> Tensor:
        """Return R from the mean of n losses.

        The gradient of the mean with respect to an image is 1/n of the gradient of the image's own loss.
        """
        (gradient,) = torch.autograd.grad(loss, images, create_graph=True)
        return len(images) * gradient.square().sum()


class ConfidencePenalty(Regularizer):
    """R = −H, the mean over examples of Σ p log p over classes, p being the softmax of the logits, in nats.

    Pereyra et al. 2017, arXiv:1701.06548, where λ is β. H is the mean entropy of the predictions, so R is negative:
    from −log K, if all K classes are equally likely, to 0. log K − H is the divergence KL(p ‖ uniform), which has the
    same gradient. With λ > 0, the penalty in metrics.csv is therefore negative, and the objective may be.
    """

    takes_scope = False
    classification_only = "it is about the probabilities of classes"

    def on_loss(self, loss: Tensor, images: Tensor, logits: Tensor) -> Tensor:
        return self.lam * self._value(logits)

    def penalty(self, model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        return self.lam * self._value(model(images))

    @staticmethod
    def _value(logits: Tensor) -> Tensor:
        log_p = F.log_softmax(logits, dim=1)
        return (log_p.exp() * log_p).sum(dim=1).mean()


def as_probabilities(targets: Tensor, classes: int, dtype: torch.dtype) -> Tensor:
    """Return labels (n,) as one-hot targets (n, classes). Probabilities, and targets of regression, do not change."""
    return targets if targets.is_floating_point() else F.one_hot(targets, classes).to(dtype)
