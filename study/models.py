"""Models, each a function named by `_target_` in conf/model/; initialized as torch does by default."""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from study.errors import ConfigError


class MLP(nn.Module):
    """Fully connected ReLU network; its parameters are `hidden.<i>.weight` and `.bias`, `output.weight` and `.bias`."""

    def __init__(self, inputs: int, hidden: Sequence[int], classes: int):
        super().__init__()
        widths = [inputs, *hidden]
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))
        self.output = nn.Linear(widths[-1], classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (n, classes) of images (n, *image_shape)."""
        activation = images.flatten(1)
        for layer in self.hidden:
            activation = torch.relu_(layer(activation))  # in place: a pass over memory less
        return self.output(activation)


def mlp(image_shape: tuple[int, ...], classes: int, hidden: list[int]) -> nn.Module:
    """The MLP with the given widths.

    Raises:
        ConfigError: no width, or one below 1.
    """
    if not hidden or min(hidden) < 1:
        raise ConfigError(
            f"model.hidden={hidden}: one or more widths of at least 1 are allowed; for no hidden layer use model=linear"
        )
    return MLP(math.prod(image_shape), hidden, classes)


def linear(image_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Multinomial logistic regression."""
    return MLP(math.prod(image_shape), [], classes)
