"""A small vision transformer."""

import torch
from torch import Tensor, nn

from study.errors import ConfigError
from study.models.blocks import StochasticDepth, check_norm, check_share, image_size, norm_of_tokens, with_channels


class Layer(nn.Module):
    """Self-attention and a fully connected network on every token, each with normalization before and a shortcut."""

    def __init__(self, width: int, heads: int, norm: str, dropout: float, stochastic_depth: float):
        super().__init__()
        self.norm1 = norm_of_tokens(norm, width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm2 = norm_of_tokens(norm, width)
        self.hidden = nn.Linear(width, 4 * width)
        self.activation = nn.GELU()
        self.output = nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(dropout)
        self.drop = StochasticDepth(stochastic_depth)

    def forward(self, tokens: Tensor) -> Tensor:
        """(n, tokens, width) to the same shape."""
        normed = self.norm1(tokens)
        attended, _ = self.attention(normed, normed, normed, need_weights=False)
        tokens = tokens + self.drop(self.dropout(attended))
        branch = self.output(self.dropout(self.activation(self.hidden(self.norm2(tokens)))))
        return tokens + self.drop(self.dropout(branch))


class VisionTransformer(nn.Module):
    """A vision transformer (Dosovitskiy et al. 2021) with a class token and learned positions.

    Parameters are `patches.*`, `token`, `positions`, `layers.<i>.*`, `norm.*` and `output.*`.
    """

    def __init__(
        self,
        size: tuple[int, int, int],
        classes: int,
        patch: int,
        width: int,
        depth: int,
        heads: int,
        norm: str,
        dropout: float,
        stochastic_depth: float,
    ):
        super().__init__()
        channels, height, image_width = size
        self.patches = nn.Conv2d(channels, width, patch, stride=patch)
        count = (height // patch) * (image_width // patch)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.empty(1, count + 1, width))
        nn.init.trunc_normal_(self.positions, std=0.02)  # as published
        self.dropout = nn.Dropout(dropout)
        rates = [stochastic_depth * number / depth for number in range(1, depth + 1)]
        self.layers = nn.ModuleList(Layer(width, heads, norm, dropout, rate) for rate in rates)
        self.norm = norm_of_tokens(norm, width)
        self.output = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (n, classes) of images (n, *image_shape)."""
        tokens = self.patches(with_channels(images)).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(tokens), -1, -1), tokens], dim=1)
        tokens = self.dropout(tokens + self.positions)
        for layer in self.layers:
            tokens = layer(tokens)
        return self.output(self.norm(tokens)[:, 0])


def vit_tiny(
    image_shape: tuple[int, ...],
    classes: int,
    patch: int = 4,
    width: int = 192,
    depth: int = 12,
    heads: int = 3,
    norm: str = "layer",
    dropout: float = 0.0,
    stochastic_depth: float = 0.0,
) -> nn.Module:
    """The vision transformer in its tiny size, ViT-Ti (Touvron et al. 2021), with small patches: 5.4 M parameters.

    Args:
        image_shape: shape of one image.
        classes: number of classes.
        patch: height and width of a patch, in pixels; a patch is a token.
        width: of a token.
        depth: number of layers.
        heads: of the attention of each layer.
        norm: none, batch or layer (as published).
        dropout: fraction of units dropped in each step, after the positions, the attention and each layer's units.
        stochastic_depth: probability with which the last layer drops its branches; that of earlier layers grows
            linearly from 0 (Huang et al. 2016).

    Raises:
        ConfigError: examples are no images; an option is not allowed.
    """
    size = image_size("vit_tiny", image_shape)
    for key, value in {"patch": patch, "width": width, "depth": depth, "heads": heads}.items():
        if value < 1:
            raise ConfigError(f"model.{key}={value}: a whole number of at least 1 is allowed")
    if size[1] % patch or size[2] % patch:
        raise ConfigError(f"model.patch={patch}: images of {size[1]}x{size[2]} pixels cannot be cut into such patches")
    if width % heads:
        raise ConfigError(f"model.heads={heads}: model.width={width} must be a multiple of it")
    shares = (check_share("dropout", dropout), check_share("stochastic_depth", stochastic_depth))
    return VisionTransformer(size, classes, patch, width, depth, heads, check_norm(norm), *shares)
