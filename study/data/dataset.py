"""The interface of a data set: facts to check a config against, and a function that reads the data."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from study.errors import StudyError
from study.tasks import CLASSIFICATION


@dataclass(frozen=True)
class RawImages:
    """Images as on disk: uint8 (n, *image_shape), with labels int64 (n,), or for regression targets float32 (n, k)."""

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor


@dataclass(frozen=True)
class DataSet:
    """A data set that has not been read yet.

    `_target_` of an option in conf/data/ names a function that returns one of these.

    Attributes:
        name: name in messages and tables.
        image_shape: shape of one image.
        classes: number of classes; for regression, number of targets of an example.
        train_count: images in the training set, validation included.
        pixel_max: the pixel value that is scaled to 1.0.
        test_is_official: whether the authors of the data set fixed the test set.
        checksums: SHA-256 sums of the content. They are part of a run's identity and compared at every load.
        read: reads the data from the data folder, after a download if necessary.
        class_names: of the classes, in order; empty if they have none.
        task: `classification` or `regression`.
        places: options that say where the data are, and are no part of a run's identity: the checksums are.
        impute: what replaces missing values, NaN: `mean` or `median` of a feature in the training split; None if there
            are no missing values.
        warnings: what a user should know of the data, printed once before a sweep trains.
        support: the features that decide the label, as positions in a flattened example; None if they are not known.
    """

    name: str
    image_shape: tuple[int, ...]
    classes: int
    train_count: int
    pixel_max: int
    test_is_official: bool
    checksums: Mapping[str, str]
    read: Callable[[Path], RawImages]
    class_names: Sequence[str] = ()
    task: str = CLASSIFICATION
    places: Sequence[str] = ()
    impute: str | None = None
    warnings: Sequence[str] = ()
    support: Sequence[int] | None = None


def sha256(data: bytes | memoryview | np.ndarray) -> str:
    """Return the SHA-256 of bytes, or of an array's values in C order."""
    if isinstance(data, np.ndarray):
        data = np.ascontiguousarray(data).data
    return hashlib.sha256(data).hexdigest()


def check_sum(what: str, found: str, expected: str, way_out: str) -> None:
    """Raise StudyError if a checksum is not the expected one.

    Args:
        what: the file or array, for the message.
        found: its SHA-256.
        expected: the SHA-256 of the data set.
        way_out: what the user can do, for the message.
    """
    if found != expected:
        raise StudyError(f"{what} has SHA-256 {found}, not {expected} as in the data set. {way_out}")
