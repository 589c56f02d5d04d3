"""Regularizers that change the images in training by random draws. Scores always use the unchanged images.

Each draws from a random stream of its own, so batches, initial weights and dropout are those of a run without it. All
draws are made on the CPU and copied to the device, where the whole batch is changed at once.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from scipy.special import betaincinv
from torch import Tensor

from study.errors import ConfigError
from study.randomness import Stream
from study.regularizers.base import LamRange, Regularizer
from study.regularizers.data_side import as_probabilities

ASPECT = 4 / 3  # of a random resized crop: the ratio of width to height is between 1/ASPECT and ASPECT


class RandomChange(Regularizer):
    """A random change of images. Subclasses implement `change`."""

    takes_scope = False

    def check_examples(self, image_shape: tuple[int, ...]) -> None:
        if len(image_shape) not in (2, 3):
            raise ConfigError(f"it requires images, and the examples of this data set have the shape {image_shape}")
        self.check_size(*image_shape[-2:])

    def check_size(self, height: int, width: int) -> None:
        """Raise ConfigError, with the reason, if images of a size in pixels cannot be changed."""

    def change(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the changed batch: images (n, channels, height, width), and targets as in `on_batch`."""
        raise NotImplementedError

    def on_batch(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        # Without a gradient through the change: it would cost time, and on CUDA its sums have no fixed order.
        with torch.no_grad():
            height, width = images.shape[-2:]
            changed, targets = self.change(images.reshape(len(images), -1, height, width), targets)
        return changed.reshape(images.shape).requires_grad_(images.requires_grad), targets

    def state_dict(self) -> dict[str, Any]:
        return {"generator": self.generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.generator.set_state(state["generator"])

    def uniform(self, *size: int, like: Tensor) -> Tensor:
        """Draw uniform numbers from [0, 1), with the dtype and on the device of `like`."""
        return on_device_of(like, torch.rand(*size, generator=self.generator)).to(like.dtype)


class Augment(RandomChange):
    """Changes each image with probability λ, drawn anew in each step: a random crop, a mirror image, and a shift.

    - `shift`: by a whole number of pixels from −`shift` to `shift`, uniform, in each direction. What moves in is 0.
      This is the random crop of an image padded with zeros (He et al. 2016, section 4.2, with 4 pixels of 32).
    - `flip`: left and right are exchanged with probability ½ (Krizhevsky, Sutskever and Hinton 2012).
    - `crop`: a rectangle of the image, resized to the image's size by bilinear interpolation (Szegedy et al. 2015,
      arXiv:1409.4842, section 6, with 0.08). Its share of the area is uniform in [`crop`, 1]. The ratio of its width
      to its height, relative to the image's, is log-uniform in [3/4, 4/3]. A side longer than the image is cut to the
      image. Its place is uniform. 1: no crop.

    With `data.standardize`, the padding of 0 is the mean. λ is a probability in [0, 1]: 1 changes every image, 0 none.
    """

    stream = Stream.AUGMENT
    lam_range = LamRange(high=1.0, high_included=True)

    def __init__(self, shift: int = 2, flip: bool = True, crop: float = 1.0):
        if shift < 0:
            raise ConfigError(f"reg.shift={shift}: a whole number of pixels of at least 0 is allowed")
        if not 0 < crop <= 1:
            raise ConfigError(f"reg.crop={crop}: a number in (0, 1] is allowed. It is the smallest share of the area")
        if shift == 0 and not flip and crop == 1:
            raise ConfigError("reg.shift=0, reg.flip=false, reg.crop=1: no change is left. Set one of them")
        self.shift, self.flip, self.crop = shift, flip, crop

    def check_size(self, height: int, width: int) -> None:
        if self.shift >= min(height, width):
            raise ConfigError(f"reg.shift={self.shift}: must be smaller than the images, {height}x{width} pixels")

    def change(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        # Each kind of change has its columns, used or not, so that its draws do not depend on the other keys.
        draws = self.uniform(len(images), 8, like=images)
        changed = draws[:, 0] < self.lam
        if self.crop < 1:
            images = torch.where(changed[:, None, None, None], self._cropped(images, draws[:, 4:]), images)
        if self.shift or self.flip:
            down, right = (torch.floor(draws[:, i] * (2 * self.shift + 1)).long() - self.shift for i in (1, 2))
            mirrored = changed & (draws[:, 3] < 0.5) & self.flip
            images = moved(images, down * changed, right * changed, mirrored)
        return images, targets

    def _cropped(self, images: Tensor, draws: Tensor) -> Tensor:
        """Return a random resized crop of each image, (n, channels, height, width), from draws (n, 4)."""
        share = 1 - (1 - self.crop) * draws[:, 0]
        aspect = torch.exp((2 * draws[:, 1] - 1) * math.log(ASPECT))
        height, width = ((share / aspect).sqrt().clamp(max=1), (share * aspect).sqrt().clamp(max=1))
        return resized(images, draws[:, 2] * (1 - height), draws[:, 3] * (1 - width), height, width)


class Cutout(RandomChange):
    """Sets one square of each image to 0 with probability λ, drawn anew in each step (DeVries and Taylor 2017).

    arXiv:1708.04552. The square has a side of `size` pixels and covers all channels. Its centre is uniform over the
    pixels of the image, and what lies outside the image is cut off. For an even side, the centre is the pixel below
    and right of the middle. With `data.standardize=dataset`, the 0 is the mean of all values, as in the paper; with
    `feature`, it is the mean of each pixel; without, it is black. λ is a probability in [0, 1]: 1 changes every image.
    """

    stream = Stream.CUTOUT
    lam_range = LamRange(high=1.0, high_included=True)

    def __init__(self, size: int | None = None):
        if size is not None and size < 1:
            raise ConfigError(f"reg.size={size}: a whole number of pixels of at least 1 is allowed")
        self.size = size

    def check_size(self, height: int, width: int) -> None:
        if self.size is not None and self.size > min(height, width):
            raise ConfigError(f"reg.size={self.size}: must not be larger than the images, {height}x{width} pixels")

    def change(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        height, width = images.shape[-2:]
        size = self.size or max(1, min(height, width) // 2)
        draws = self.uniform(len(images), 3, like=images)
        rows, columns = (
            _within(length, torch.floor(draws[:, i] * length).long() - size // 2, size)
            for i, length in ((1, height), (2, width))
        )
        changed = (draws[:, 0] < self.lam)[:, None, None]
        covered = changed & rows[:, :, None] & columns[:, None, :]
        return images.masked_fill(covered[:, None], 0.0), targets


class CutMix(RandomChange):
    """Replaces a rectangle of each image by that of another image, and mixes their targets (Yun et al. 2019).

    arXiv:1905.04899, α there is λ. (x', y') is the batch in another random order. In each step, c ~ Beta(λ, λ) sets one
    rectangle for all images: for H x W pixels its height is H√(1 − c) and its width W√(1 − c), rounded down. Its centre
    is uniform over the pixels, and what lies outside the image is cut off. The targets are (1 − a) y + a y', where a is
    the fraction of pixels replaced. λ = 0 mixes nothing; λ = 1 draws c uniformly from [0, 1].
    """

    stream = Stream.CUTMIX

    def change(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        if self.lam == 0:
            return images, targets
        height, width = images.shape[-2:]
        draw = float(torch.rand((), generator=self.generator, dtype=torch.float64))
        side = math.sqrt(1 - betaincinv(self.lam, self.lam, draw))  # the quantile function of Beta(λ, λ)
        rows, columns = (self._interval(length, int(length * side)) for length in (height, width))
        other = on_device_of(images, torch.randperm(len(images), generator=self.generator))
        mixed = images.clone()
        mixed[:, :, rows, columns] = images[other, :, rows, columns]
        replaced = (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
        targets = as_probabilities(targets, self.classes, images.dtype)
        return mixed, torch.lerp(targets, targets[other], replaced)

    def _interval(self, length: int, size: int) -> slice:
        """Draw the centre of `size` of `length` pixels, and return those that are within the image."""
        start = int(torch.randint(length, (), generator=self.generator)) - size // 2
        return slice(max(start, 0), min(start + size, length))


def _within(length: int, start: Tensor, size: int) -> Tensor:
    """Whether each of `length` pixels is one of the `size` pixels from a start (n,) on, bool (n, length)."""
    pixels = torch.arange(length, device=start.device)
    return (pixels >= start[:, None]) & (pixels < start[:, None] + size)


def on_device_of(like: Tensor, drawn: Tensor) -> Tensor:
    """Copy a drawn CPU tensor to the device of another tensor. With CUDA, the program does not wait for the copy."""
    return drawn.to(like.device, non_blocking=like.is_cuda)


def moved(images: Tensor, down: Tensor, right: Tensor, mirrored: Tensor) -> Tensor:
    """Return each image mirrored or not, then shifted. Pixels that move in are 0.

    Args:
        images: (n, channels, height, width).
        down: pixels, int64 (n,); negative numbers shift up.
        right: pixels, int64 (n,).
        mirrored: whether left and right are exchanged, bool (n,).
    """
    height, width = images.shape[-2:]
    rows = torch.arange(height, device=images.device) - down[:, None]
    columns = torch.arange(width, device=images.device) - right[:, None]
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    columns = torch.where(mirrored[:, None], width - 1 - columns, columns)
    pixels = rows.clamp(0, height - 1)[:, :, None] * width + columns.clamp(0, width - 1)[:, None, :]
    pixels = pixels.flatten(1)[:, None].expand(-1, images.shape[1], -1)
    picked = images.flatten(2).gather(2, pixels).reshape(images.shape)
    return torch.where(inside[:, None], picked, torch.zeros((), dtype=images.dtype, device=images.device))


def resized(images: Tensor, top: Tensor, left: Tensor, height: Tensor, width: Tensor) -> Tensor:
    """Return a rectangle of each image, resized to the image's size by bilinear interpolation.

    Args:
        images: (n, channels, height, width).
        top: upper edge of the rectangle, as a share of the image's height, (n,).
        left: left edge, as a share of the width, (n,).
        height: of the rectangle, as a share of the image's height, (n,).
        width: as a share of the image's width, (n,).
    """
    y, x = (
        _pixel_centres(size, start, length, images)
        for size, start, length in ((images.shape[2], top, height), (images.shape[3], left, width))
    )
    shape = (len(images), *images.shape[2:])
    grid = torch.stack([x[:, None, :].expand(shape), y[:, :, None].expand(shape)], dim=-1)
    return F.grid_sample(images, grid, mode="bilinear", align_corners=False)


def _pixel_centres(size: int, start: Tensor, length: Tensor, like: Tensor) -> Tensor:
    """Return the places of the result's pixels along one side, (n, size), in grid_sample's units: −1 to 1.

    Places beyond the centre of the outermost pixel become that centre, because interpolation would mix in zeros there.
    """
    centres = (torch.arange(size, dtype=like.dtype, device=like.device) + 0.5) / size
    limit = 1 - 1 / size
    return (2 * (start[:, None] + length[:, None] * centres) - 1).clamp(-limit, limit)
