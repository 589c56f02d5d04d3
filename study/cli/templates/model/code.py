"""The model of model=NAME."""

import math

from torch import nn


def NAME(image_shape: tuple[int, ...], classes: int, width: int) -> nn.Module:
    """Return a module that maps examples (n, *image_shape) to logits (n, classes).

    Torch's defaults draw the initial weights, from the seed of the run.

    Args:
        image_shape: shape of one example, without the batch: (8, 8) for digits, (3, 32, 32) for colour images.
        classes: number of classes.
        width: a key of model/NAME.yaml. Further arguments are further keys.
    """
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(math.prod(image_shape), width),
        nn.Tanh(),
        nn.Linear(width, classes),
    )
