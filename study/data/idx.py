"""A data set from IDX files, the format of MNIST (LeCun, Cortes and Burges 1998)."""

import gzip
from functools import lru_cache
from pathlib import Path

import numpy as np

from study.data.arrays import of_arrays
from study.data.checks import checked_file
from study.data.dataset import DataSet
from study.errors import ConfigError

TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def idx(images: str, labels: str, test_images: str | None = None, test_labels: str | None = None) -> DataSet:
    """The data set of IDX files, gzipped or not.

    Args:
        images: file of the examples.
        labels: file of their labels.
        test_images: file of the test set's examples. Without it a stratified sixth is drawn.
        test_labels: file of their labels.

    Raises:
        ConfigError: a file cannot be read, or its content is not allowed.
    """
    given = {"images": images, "labels": labels, "test_images": test_images, "test_labels": test_labels}
    if (test_images is None) != (test_labels is None):
        raise ConfigError("data.test_images and data.test_labels belong together. Give both or none")
    files = []
    for key, name in given.items():
        if name is not None:
            files.append((key, name, *checked_file(key, name)))
    return _dataset(tuple(files))


@lru_cache(maxsize=4)
def _dataset(files: tuple[tuple[str, str, int, int], ...]) -> DataSet:
    keys = {"images": "x", "labels": "y", "test_images": "x_test", "test_labels": "y_test"}
    content = {keys[key]: _read(key, name) for key, name, *_ in files}
    name = files[0][1]
    return of_arrays(Path(name).name.split("-")[0].split(".")[0], f"data.images={name}", content, places=tuple(keys))


def _read(key: str, name: str) -> np.ndarray:
    """The array of a file: two bytes 0, a type, the number of dimensions, the dimensions, the values."""
    raw = Path(name).expanduser().read_bytes()
    try:
        raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
        kind, dimensions = TYPES[raw[2]], raw[3]
        shape = np.frombuffer(raw, ">u4", dimensions, 4)
        values = np.frombuffer(raw, kind, offset=4 + 4 * dimensions).reshape(shape)
        if raw[:2] != b"\0\0":
            raise ValueError("its first bytes are not 0")
    except (KeyError, IndexError, ValueError, OSError, EOFError) as error:
        raise ConfigError(f"data.{key}={name}: not an IDX file ({error})") from None
    return values.astype(values.dtype.newbyteorder("="))
