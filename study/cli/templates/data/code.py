"""The data set of data=NAME."""

from functools import partial
from pathlib import Path

import numpy as np
import torch

from study.data import DataSet, RawImages

TRAIN, TEST = 600, 200  # examples; the validation set is a sixth of the training set, drawn by the seed


def NAME(noise: float) -> DataSet:
    """Return the facts of the data set, and the function that reads it.

    Args:
        noise: a key of data/NAME.yaml. Further arguments are further keys.
    """
    return DataSet(
        name="NAME",
        image_shape=(2,),  # of one example; (height, width) or (channels, height, width) for images
        classes=2,
        train_count=TRAIN,
        pixel_max=1,  # the value that becomes 1.0; 255 for uint8 images
        test_is_official=False,  # True if the authors of the data set fixed the test set
        checksums={},  # SHA-256 of the files that you read, so that other files give other runs
        read=partial(_read, noise=noise),
    )


def _read(root: Path, noise: float) -> RawImages:
    """Return examples (n, *image_shape) and labels (n,), whole numbers from 0 on, of the training and the test set.

    Args:
        root: the folder of downloads, data.root.
        noise: standard deviation of the radius.
    """
    generator = np.random.default_rng(0)  # the same examples in every run; a run's seed draws only the split
    labels = np.arange(TRAIN + TEST, dtype=np.int64) % 2
    radius = 1 + labels + noise * generator.standard_normal(len(labels))
    angle = generator.uniform(0, 2 * np.pi, len(labels))
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).astype(np.float32)
    x, y = torch.from_numpy(points), torch.from_numpy(labels)
    return RawImages(x[:TRAIN], y[:TRAIN], x[TRAIN:], y[TRAIN:])
