"""What models of this package are built from: activations, normalization, and images with a dimension of channels."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from study.errors import ConfigError

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": partial(nn.ReLU, inplace=True),  # in place: one pass over memory less
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "silu": partial(nn.SiLU, inplace=True),
}
NORMS = ("none", "batch", "layer")


class BatchNorm(nn.BatchNorm1d):
    """Batch normalization (Ioffe and Szegedy 2015); a last batch of one example is normalized by running statistics."""

    def forward(self, activation: Tensor) -> Tensor:
        """(n, width), normalized over the batch in training and by running statistics in eval mode."""
        if len(activation) > 1:
            return super().forward(activation)
        return nn.functional.batch_norm(
            activation, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )


class TokenBatchNorm(BatchNorm):
    """Batch normalization of tokens (n, tokens, width), over examples and tokens."""

    def forward(self, activation: Tensor) -> Tensor:
        """The same shape, normalized."""
        return super().forward(activation.flatten(0, 1)).reshape(activation.shape)


def make_activation(name: str) -> nn.Module:
    """An activation function as a module.

    Raises:
        ConfigError: there is none of this name.
    """
    if name not in ACTIVATIONS:
        raise ConfigError(f"model.activation={name}: allowed: {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]()


def check_norm(norm: str) -> str:
    """The name of a normalization.

    Raises:
        ConfigError: there is none of this name.
    """
    if norm not in NORMS:
        raise ConfigError(f"model.norm={norm}: allowed: {', '.join(NORMS)}")
    return norm


def norm_of_units(norm: str, width: int) -> nn.Module:
    """Normalization of the units of a fully connected layer, (n, width)."""
    return nn.Identity() if norm == "none" else BatchNorm(width) if norm == "batch" else nn.LayerNorm(width)


def norm_of_channels(norm: str, channels: int) -> nn.Module:
    """Normalization of feature maps, (n, channels, height, width).

    `layer` normalizes each example over channels and pixels (group normalization with one group, Wu and He 2018).
    """
    if norm == "none":
        return nn.Identity()
    return nn.BatchNorm2d(channels) if norm == "batch" else nn.GroupNorm(1, channels)


def norm_of_tokens(norm: str, width: int) -> nn.Module:
    """Normalization of tokens, (n, tokens, width)."""
    return nn.Identity() if norm == "none" else TokenBatchNorm(width) if norm == "batch" else nn.LayerNorm(width)


def check_share(key: str, share: float) -> float:
    """A fraction in [0, 1).

    Raises:
        ConfigError: it is something else.
    """
    if not 0 <= share < 1:
        raise ConfigError(f"model.{key}={share}: a number in [0, 1) is allowed")
    return share


def image_size(model: str, image_shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Channels, height and width of the images of a data set.

    Args:
        model: option of `model`, for the message.
        image_shape: of one example: (height, width), or (channels, height, width).

    Raises:
        ConfigError: examples are no images.
    """
    if len(image_shape) not in (2, 3):
        raise ConfigError(
            f"model={model}: requires images, and the examples of this data set have the shape"
            f" {tuple(image_shape)}. Allowed: model=mlp, model=linear"
        )
    channels, height, width = (1, *image_shape)[-3:]
    return channels, height, width


def with_channels(images: Tensor) -> Tensor:
    """Images (n, height, width) or (n, channels, height, width) as the latter."""
    return images[:, None] if images.dim() == 3 else images


class StochasticDepth(nn.Module):
    """Drops the residual branch of an example with a probability in training, and divides the others by what is kept
    (Huang et al. 2016, arXiv:1603.09382, in the form of torchvision's `row` mode).
    """

    def __init__(self, p: float):
        super().__init__()
        self.p = p

    def forward(self, branch: Tensor) -> Tensor:
        """(n, ...), some examples of it zero."""
        if not self.training or not self.p:
            return branch
        kept = torch.empty(len(branch), *[1] * (branch.dim() - 1), dtype=branch.dtype, device=branch.device)
        return branch * kept.bernoulli_(1 - self.p).div_(1 - self.p)

    def extra_repr(self) -> str:
        """For `print(model)`."""
        return f"p={self.p}"
