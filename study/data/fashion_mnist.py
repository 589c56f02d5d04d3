"""Fashion-MNIST (Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747): all of it, or a part that comes with the package."""

from pathlib import Path

import numpy as np
import torch

from study.data.dataset import DataSet, RawImages, check_sum, sha256
from study.data.fashion_mnist_sources import CHECKSUMS, read_files

IDX_PARTS = {"train": "train", "test": "t10k"}
IMAGES_HEADER, LABELS_HEADER = 16, 8  # bytes
MINI_FILE = Path(__file__).with_name("fashion_mnist_mini.npz")
# Of the arrays, not of the file: the same arrays can be compressed differently.
MINI_CHECKSUMS = {
    "train_images": "219e0834d6dbbfcccb72e61d67310bfef387e43aba6c40b2bc63758d7ad925c9",
    "train_labels": "b1647f799504364c021e3bf9df7e1a30eee733324f3c6c8ec442e46b833c17a8",
    "test_images": "3d7f6d64869a3f2d1afe64ae33ffb9b20670a91b31e3bbf0657e3999ec7b35cf",
    "test_labels": "8c80aaba6ab8bc14e8904dafca086278a42970a72aecbfd99c1ab78238e53c4b",
}


def full() -> DataSet:
    """Return the whole data set: 60,000 training and 10,000 test images."""
    return DataSet(
        name="fashion_mnist",
        image_shape=(28, 28),
        classes=10,
        train_count=60_000,
        pixel_max=255,
        test_is_official=True,
        checksums=CHECKSUMS,
        read=_read_full,
    )


def mini() -> DataSet:
    """Return a subset: 5,000 training and 1,000 test images, 500 and 100 per class, made by scripts/make_mini.py."""
    return DataSet(
        name="fashion_mnist_mini",
        image_shape=(28, 28),
        classes=10,
        train_count=5_000,
        pixel_max=255,
        test_is_official=True,
        checksums=MINI_CHECKSUMS,
        read=_read_mini,
    )


def _read_full(root: Path) -> RawImages:
    # Without torchvision, which takes long to import. The checksums cover whole files, so the headers are known.
    files = read_files(root)
    return RawImages(
        **{
            f"{part}_images": torch.from_numpy(files[f"{file}-images-idx3-ubyte"][IMAGES_HEADER:].reshape(-1, 28, 28))
            for part, file in IDX_PARTS.items()
        },
        **{
            f"{part}_labels": torch.from_numpy(files[f"{file}-labels-idx1-ubyte"][LABELS_HEADER:]).long()
            for part, file in IDX_PARTS.items()
        },
    )


def _read_mini(_root: Path) -> RawImages:
    with np.load(MINI_FILE) as arrays:
        content = {key: arrays[key] for key in MINI_CHECKSUMS}
    for key, array in content.items():
        check_sum(f"{MINI_FILE.name}: {key}", sha256(array), MINI_CHECKSUMS[key], "Reinstall regstudy")
    return RawImages(**{key: torch.tensor(array) for key, array in content.items()})
