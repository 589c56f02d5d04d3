"""Handwritten digits (UCI, Alpaydin and Kaynak 1998): 1,797 images that come with scikit-learn."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from study.data.dataset import DataSet, RawImages, check_sum, sha256
from study.data.splits import drawn_test
from study.errors import StudyError

FILE = "datasets/data/digits.csv.gz"  # in scikit-learn's package; a row has 64 pixels and the label
CHECKSUMS = {
    "images": "8f26b2bd9d135c256808f68f14fdabddde6d9c7f869ae419704b051f0f14b3b3",
    "labels": "a3c91c262eddcf7ba8f0e37507c30284493c9b20412ffe4af30d536401f7ba21",
}


def digits() -> DataSet:
    """Return the 8x8 digits, with a fixed sixth (299 images) as test set."""
    return DataSet(
        name="digits",
        image_shape=(8, 8),
        classes=10,
        train_count=1498,
        pixel_max=16,
        test_is_official=False,
        checksums=CHECKSUMS,
        read=_read,
    )


def _read(_root: Path) -> RawImages:
    # Without an import of scikit-learn, which takes longer than training on these images.
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise StudyError("data=digits requires scikit-learn, which is not installed. Run pip install scikit-learn")
    rows = np.loadtxt(Path(package.origin).parent / FILE, delimiter=",", dtype=np.uint8)
    images, labels = rows[:, :-1].reshape(-1, 8, 8), rows[:, -1].astype(np.int64)
    for what, array in (("images", images), ("labels", labels)):
        check_sum(f"digits' {what}", sha256(array), CHECKSUMS[what], "Reinstall scikit-learn")
    test, train = drawn_test(labels)
    return RawImages(
        train_images=torch.tensor(images[train]),
        train_labels=torch.tensor(labels[train]),
        test_images=torch.tensor(images[test]),
        test_labels=torch.tensor(labels[test]),
    )
