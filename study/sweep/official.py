"""Recognize official test sets by their content, so that a tuned study cannot tune on one under another name."""

import numpy as np
import torch

from study.config.build import build_dataset
from study.config.run_config import RunConfig
from study.data.dataset import sha256
from study.data.splits import read_once
from study.errors import ConfigError

# SHA-256 of the images as uint8 in C order.
TEST_IMAGES = {
    "c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a": "Fashion-MNIST",
    "3d7f6d64869a3f2d1afe64ae33ffb9b20670a91b31e3bbf0657e3999ec7b35cf": "fashion_mnist_mini",
}


def refuse_official_test(config: RunConfig) -> None:
    """Refuse a config whose validation set would be an official test set, or a part of one.

    Raises:
        ConfigError: it would be.
    """
    dataset = build_dataset(config.data)
    train, test = read_once(dataset, config.data["root"], torch.device("cpu"))
    source = test if config.data["split"] == "textbook" else train
    images = (source.all_images * dataset.pixel_max).round().to(torch.uint8).numpy()
    name = TEST_IMAGES.get(sha256(np.ascontiguousarray(images)))
    if name is not None or (source is test and dataset.test_is_official):
        raise ConfigError(
            f"data={config.data['option']}: the validation set would come from the official test set of"
            f" {name or dataset.name}, as its checksum shows, and tuning must not use that. Give"
            " data.split=holdout, and data with a test set of its own"
        )
