"""A small convolutional network."""

from torch import Tensor, nn

from study.errors import ConfigError
from study.models.blocks import (
    check_norm,
    check_share,
    image_size,
    make_activation,
    norm_of_channels,
    norm_of_units,
    with_channels,
)

CHANNELS = (32, 64)
HIDDEN = 128
SMALLEST = 4  # pixels: each of the two blocks halves height and width


class Block(nn.Module):
    """A 3x3 convolution, normalization, activation, and 2x2 max pooling."""

    def __init__(self, inputs: int, outputs: int, activation: str, norm: str):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm = norm_of_channels(norm, outputs)
        self.activation = make_activation(activation)
        self.pool = nn.MaxPool2d(2)

    def forward(self, features: Tensor) -> Tensor:
        """(n, inputs, height, width) to (n, outputs, height // 2, width // 2)."""
        return self.pool(self.activation(self.norm(self.conv(features))))


class CNN(nn.Module):
    """Two blocks, a hidden layer, and the logits.

    Parameters are `blocks.<i>.conv.weight` and `.bias`, `hidden.*` and `output.*`; with normalization also
    `blocks.<i>.norm.*` and `norm.*`. Dropout comes after the hidden layer.
    """

    def __init__(self, size: tuple[int, int, int], classes: int, activation: str, norm: str, dropout: float):
        super().__init__()
        channels, height, width = size
        self.blocks = nn.ModuleList(
            Block(inputs, outputs, activation, norm)
            for inputs, outputs in zip((channels, *CHANNELS), CHANNELS, strict=False)
        )
        self.hidden = nn.Linear(CHANNELS[-1] * (height // 4) * (width // 4), HIDDEN)
        self.norm = norm_of_units(norm, HIDDEN)
        self.activation = make_activation(activation)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(HIDDEN, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (n, classes) of images (n, *image_shape)."""
        features = with_channels(images)
        for block in self.blocks:
            features = block(features)
        hidden = self.activation(self.norm(self.hidden(features.flatten(1))))
        return self.output(self.dropout(hidden))


def cnn(
    image_shape: tuple[int, ...], classes: int, activation: str = "relu", norm: str = "none", dropout: float = 0.0
) -> nn.Module:
    """The small convolutional network: 0.42 M parameters for images of 28x28 pixels.

    Args:
        image_shape: shape of one image.
        classes: number of classes.
        activation: relu, gelu, tanh or silu.
        norm: none, batch or layer.
        dropout: fraction of hidden units dropped in each step.

    Raises:
        ConfigError: examples are no images, or too small; an option is not allowed.
    """
    size = image_size("cnn", image_shape)
    if min(size[1:]) < SMALLEST:
        raise ConfigError(
            f"model=cnn: requires images of at least {SMALLEST}x{SMALLEST} pixels, not {size[1]}x{size[2]}"
        )
    return CNN(size, classes, activation, check_norm(norm), check_share("dropout", dropout))
