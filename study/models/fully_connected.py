"""Fully connected models. Torch's defaults initialize the weights."""

import itertools
import math
from collections.abc import Sequence

from torch import Tensor, nn

from study.errors import ConfigError


class BatchNorm(nn.BatchNorm1d):
    """Batch normalization (Ioffe and Szegedy 2015). A batch of one image is normalized with the running statistics."""

    def forward(self, activation: Tensor) -> Tensor:
        """Return the normalized activation (n, width). Training uses the batch, eval mode the running statistics."""
        if len(activation) > 1:
            return super().forward(activation)
        return nn.functional.batch_norm(
            activation, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )


class MLP(nn.Module):
    """Fully connected ReLU network. Its parameters are `hidden.<i>.weight` and `.bias`, `output.weight` and `.bias`.

    Batch normalization before each ReLU adds `norms.<i>.weight` and `.bias`. Dropout comes after each ReLU.
    """

    def __init__(
        self, inputs: int, hidden: Sequence[int], classes: int, dropout: float = 0.0, batch_norm: bool = False
    ):
        super().__init__()
        widths = [inputs, *hidden]
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))
        self.norms = nn.ModuleList(BatchNorm(width) for width in hidden if batch_norm)
        self.activations = nn.ModuleList(nn.ReLU(inplace=True) for _ in hidden)  # in place saves a pass over memory
        self.dropout = dropout
        self.output = nn.Linear(widths[-1], classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (n, classes) of images (n, *image_shape)."""
        activation = images.flatten(1)
        for i, (layer, relu) in enumerate(zip(self.hidden, self.activations, strict=True)):
            activation = layer(activation)
            if self.norms:
                activation = self.norms[i](activation)
            activation = relu(activation)
            if self.dropout:
                activation = nn.functional.dropout(activation, self.dropout, self.training)
        return self.output(activation)


def mlp(
    image_shape: tuple[int, ...], classes: int, hidden: list[int], dropout: float = 0.0, batch_norm: bool = False
) -> nn.Module:
    """Return an MLP with the given widths.

    Args:
        image_shape: shape of one image.
        classes: number of classes.
        hidden: width of each hidden layer.
        dropout: fraction of hidden units that is set to 0 in each step.
        batch_norm: whether hidden layers are normalized over the batch.

    Raises:
        ConfigError: no width, a width below 1, or a dropout outside [0, 1).
    """
    if not hidden or min(hidden) < 1:
        raise ConfigError(
            f"model.hidden={hidden}: one or more widths of at least 1 are allowed. Use model=linear for no hidden layer"
        )
    if not 0 <= dropout < 1:
        raise ConfigError(f"model.dropout={dropout}: a number in [0, 1) is allowed")
    return MLP(math.prod(image_shape), hidden, classes, dropout, batch_norm)


def linear(image_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Return a model without hidden layers: multinomial logistic regression."""
    return MLP(math.prod(image_shape), [], classes)
