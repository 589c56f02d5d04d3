"""ResNet-18 for small images."""

from functools import partial

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, ResNet

from study.errors import ConfigError
from study.models.blocks import (
    StochasticDepth,
    check_norm,
    check_share,
    image_size,
    norm_of_channels,
    with_channels,
)

BLOCKS = (2, 2, 2, 2)
SMALLEST = 8  # pixels: three of the four stages halve height and width


class DroppingBlock(BasicBlock):
    """torchvision's basic block, whose residual branch may be dropped."""

    drop: StochasticDepth

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, height, width) to the shape of the block's output."""
        branch = self.relu(self.bn1(self.conv1(x)))
        branch = self.bn2(self.conv2(branch))
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.relu(self.drop(branch) + shortcut)


class SmallResNet(ResNet):
    """ResNet-18 (He et al. 2016) with a 3x3 convolution of stride 1 as stem, and without the first pooling.

    This is the usual stem for images of 28 to 64 pixels. Parameter names are torchvision's.
    """

    def __init__(self, channels: int, classes: int, norm: str, dropout: float, stochastic_depth: float):
        super().__init__(DroppingBlock, list(BLOCKS), num_classes=classes, norm_layer=partial(norm_of_channels, norm))
        self.conv1 = nn.Conv2d(channels, 64, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")  # as torchvision does
        del self.maxpool
        self.dropout = nn.Dropout(dropout)
        blocks = [module for module in self.modules() if isinstance(module, DroppingBlock)]
        for number, block in enumerate(blocks, start=1):
            block.drop = StochasticDepth(stochastic_depth * number / len(blocks))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, classes) of images (n, *image_shape)."""
        features = self.relu(self.bn1(self.conv1(with_channels(x))))
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            features = stage(features)
        return self.fc(self.dropout(self.avgpool(features).flatten(1)))


def resnet18(
    image_shape: tuple[int, ...],
    classes: int,
    norm: str = "batch",
    dropout: float = 0.0,
    stochastic_depth: float = 0.0,
) -> nn.Module:
    """ResNet-18 for small images: 11.2 M parameters.

    Args:
        image_shape: shape of one image.
        classes: number of classes.
        norm: none, batch (as published) or layer.
        dropout: fraction of features dropped in each step, before the output layer.
        stochastic_depth: probability with which the last block drops its residual branch; that of earlier blocks grows
            linearly from 0 (Huang et al. 2016).

    Raises:
        ConfigError: examples are no images, or too small; an option is not allowed.
    """
    channels, height, width = image_size("resnet18", image_shape)
    if min(height, width) < SMALLEST:
        raise ConfigError(
            f"model=resnet18: requires images of at least {SMALLEST}x{SMALLEST} pixels, not {height}x{width}"
        )
    return SmallResNet(
        channels,
        classes,
        check_norm(norm),
        check_share("dropout", dropout),
        check_share("stochastic_depth", stochastic_depth),
    )
