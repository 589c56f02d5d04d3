"""Train, val and test: who gets which image, drawn from the seed alone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from study.data.dataset import DataSet, RawImages
from study.randomness import Stream, numpy_generator

VAL_SHARE = 6  # val is a sixth of the training set: 10,000 images of Fashion-MNIST


@dataclass(frozen=True)
class Part:
    """One split in memory: images float32 in [0, 1] (n, *image_shape), labels int64 (n,)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Splits:
    """The parts that a run trains on and is scored on. `test` is None where the test set serves as val."""

    train: Part
    val: Part
    test: Part | None


def stratified_order(labels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A random order of all examples in which every prefix has the class shares of the whole.

    Each class is shuffled, and its k-th of n examples gets the rank (k + ½)/n; sorting by rank interleaves the
    classes. Any prefix holds each class within one example of its share, and prefixes are nested by construction.

    Args:
        labels: class of each example, (n,).
        generator: source of the shuffle.

    Returns:
        Indices, (n,).
    """
    order = generator.permutation(len(labels))  # breaks ties between classes at random
    rank = np.empty(len(labels))
    for label in np.unique(labels):
        members = order[labels[order] == label]
        rank[members] = (np.arange(len(members)) + 0.5) / len(members)
    return order[np.argsort(rank[order], kind="stable")]


def load_splits(dataset: DataSet, options: Mapping[str, Any], seed: int, device: torch.device) -> Splits:
    """Read a data set and split it.

    Val is drawn before `train_size` is applied, so runs of one seed share val whatever their train size, and
    their training sets are nested. The training images keep the drawn order: any prefix is a stratified sample.

    Args:
        dataset: what to read.
        options: the config's data group: `root`, `split` (holdout or textbook), `train_size` (or None).
        seed: the run's seed; the draw has a stream of its own.
        device: where the tensors go.

    Raises:
        StudyError: the data cannot be had or is not what its checksums say.
    """
    raw = read_once(dataset, options["root"])
    order = stratified_order(raw.train_labels.numpy(), numpy_generator(seed, Stream.SPLIT))

    def part(images: Tensor, labels: Tensor, rows: np.ndarray | None = None) -> Part:
        if rows is not None:
            chosen = torch.as_tensor(rows)
            images, labels = images[chosen], labels[chosen]
        return Part(images.float().div_(dataset.pixel_max).to(device), labels.to(device))

    official_test = part(raw.test_images, raw.test_labels)
    if options["split"] == "textbook":
        val, test, rest = official_test, None, order
    else:
        held_out = val_count(dataset)
        val = part(raw.train_images, raw.train_labels, np.sort(order[:held_out]))
        test, rest = official_test, order[held_out:]
    train = part(raw.train_images, raw.train_labels, rest[: options["train_size"]])
    return Splits(train, val, test)


def val_count(dataset: DataSet) -> int:
    """Images held out from the training set as val."""
    return dataset.train_count // VAL_SHARE


def read_once(dataset: DataSet, root: str) -> RawImages:
    """A data set's images, read from the data folder the first time only.

    Raises:
        StudyError: the data cannot be had or is not what its checksums say.
    """
    return _read(dataset.read, Path(root).expanduser())


@lru_cache(maxsize=2)
def _read(read: Callable[[Path], RawImages], root: Path) -> RawImages:
    return read(root)
