"""What a data set is to the rest of the package: facts to check a config against, and a function that reads it."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from study.errors import StudyError


@dataclass(frozen=True)
class RawImages:
    """Images as they are on disk: uint8 (n, *image_shape), labels int64 (n,)."""

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor


@dataclass(frozen=True)
class DataSet:
    """A data set that has not been read yet.

    `_target_` of an option in conf/data/ names a function that returns one of these.

    Attributes:
        name: for messages and tables.
        image_shape: shape of one image.
        classes: number of classes.
        train_count: images in the training set, val included.
        pixel_max: the pixel value that becomes 1.0.
        test_is_official: whether the authors of the data set fixed the test set.
        checksums: SHA-256 sums of the content, part of a run's identity and compared at every load.
        read: reads (and fetches, if need be) from the data folder.
    """

    name: str
    image_shape: tuple[int, ...]
    classes: int
    train_count: int
    pixel_max: int
    test_is_official: bool
    checksums: Mapping[str, str]
    read: Callable[[Path], RawImages]


def sha256(data: bytes | memoryview | np.ndarray) -> str:
    """SHA-256 of bytes or of an array's values in C order."""
    if isinstance(data, np.ndarray):
        data = np.ascontiguousarray(data).data
    return hashlib.sha256(data).hexdigest()


def check_sum(what: str, found: str, expected: str, way_out: str) -> None:
    """Raise StudyError, naming file, expected and found, unless the sums agree."""
    if found != expected:
        raise StudyError(f"{what} has SHA-256 {found}, expected {expected}: not the data set; {way_out}")
