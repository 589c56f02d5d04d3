"""Fully connected models. Torch's defaults initialize the weights."""

import itertools
import math
from collections.abc import Sequence

from torch import Tensor, nn

from study.errors import ConfigError
from study.models.blocks import check_norm, check_share, make_activation, norm_of_units


class MLP(nn.Module):
    """Fully connected network. Its parameters are `hidden.<i>.weight` and `.bias`, `output.weight` and `.bias`.

    Normalization before each activation adds `norms.<i>.weight` and `.bias`. Dropout comes after each activation.
    """

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[int],
        classes: int,
        activation: str = "relu",
        norm: str = "none",
        dropout: float = 0.0,
    ):
        super().__init__()
        widths = [inputs, *hidden]
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))
        self.norms = nn.ModuleList(norm_of_units(norm, width) for width in hidden if norm != "none")
        self.activations = nn.ModuleList(make_activation(activation) for _ in hidden)
        self.dropout = dropout
        self.output = nn.Linear(widths[-1], classes)

    @property
    def is_plain_relu(self) -> bool:
        """Whether the network consists of linear layers and ReLUs, so that its units can be rescaled."""
        return not self.norms and all(isinstance(module, nn.ReLU) for module in self.activations)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (n, classes) of images (n, *image_shape)."""
        units = images.flatten(1)
        for i, (layer, activation) in enumerate(zip(self.hidden, self.activations, strict=True)):
            units = layer(units)
            if self.norms:
                units = self.norms[i](units)
            units = activation(units)
            if self.dropout:
                units = nn.functional.dropout(units, self.dropout, self.training)
        return self.output(units)


def mlp(
    image_shape: tuple[int, ...],
    classes: int,
    hidden: list[int],
    activation: str = "relu",
    norm: str = "none",
    dropout: float = 0.0,
) -> nn.Module:
    """Return an MLP with the given widths.

    Args:
        image_shape: shape of one image.
        classes: number of classes.
        hidden: width of each hidden layer.
        activation: relu, gelu, tanh or silu.
        norm: none, batch or layer.
        dropout: fraction of hidden units that is set to 0 in each step.

    Raises:
        ConfigError: no width, or a width below 1; another option is not allowed.
    """
    if not hidden or min(hidden) < 1:
        raise ConfigError(
            f"model.hidden={hidden}: one or more widths of at least 1 are allowed. Use model=linear for no hidden layer"
        )
    return MLP(math.prod(image_shape), hidden, classes, activation, check_norm(norm), check_share("dropout", dropout))


def linear(image_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Return a model without hidden layers: multinomial logistic regression."""
    return MLP(math.prod(image_shape), [], classes)
