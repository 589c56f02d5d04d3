"""torchvision's models of images, by name."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import torchvision
from torch import Tensor, nn

from study.errors import ConfigError
from study.models.blocks import image_size, with_channels

# Two models return further outputs in training unless they are told not to.
ONE_OUTPUT: dict[str, dict[str, Any]] = {
    "googlenet": {"aux_logits": False, "init_weights": True},
    "inception_v3": {"aux_logits": False, "init_weights": True},
}


def model(
    image_shape: tuple[int, ...], classes: int, name: str, arguments: Mapping[str, Any] | None = None
) -> nn.Module:
    """A model of torchvision with fresh weights. Parameter names are torchvision's.

    These models take three channels: the channel of a grey image is repeated.

    Args:
        image_shape: shape of one image.
        classes: number of classes.
        name: as `torchvision.models.list_models` has it, such as `mobilenet_v3_small`.
        arguments: of torchvision's function, besides `weights` and `num_classes`.

    Raises:
        ConfigError: torchvision has no such model; examples are no images; an argument is not allowed.
    """
    known = torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        close = get_close_matches(name, known, n=3)
        hint = f"Did you mean {' or '.join(close)}?" if close else "Example: model.name=resnet18"
        raise ConfigError(f"model.name={name}: torchvision has no model of this name. {hint}")
    channels, _, _ = image_size("torchvision", image_shape)
    if channels not in (1, 3):
        raise ConfigError(f"model=torchvision: requires images of 1 or 3 channels, not {channels}")
    if not isinstance(arguments or {}, Mapping):
        raise ConfigError(
            f'model.arguments={arguments}: must be a mapping. Example: "model.arguments={{dropout: 0.5}}"'
        )
    options = {**ONE_OUTPUT.get(name, {}), **(arguments or {})}
    try:
        made = torchvision.models.get_model(name, weights=None, num_classes=classes, **options)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"model.arguments={dict(arguments or {})}: not allowed for model.name={name} ({error})"
        ) from None
    made.register_forward_pre_hook(_as_colour)
    return made


def _as_colour(_: nn.Module, inputs: tuple[Tensor]) -> Tensor:
    """Images with three channels."""
    images = with_channels(inputs[0])
    return images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
