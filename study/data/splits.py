"""Split the images into train, val and test. The split depends on the seed alone."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from study.data.dataset import DataSet, RawImages
from study.randomness import Stream, numpy_generator
from study.seeds import Seed
from study.tasks import task_of

TEST_DRAW, TEST_SHARE = 1797, 6  # seed and size (a sixth) of a test set that is drawn
IMPUTE = ("mean", "median")
VAL_SHARE = 6  # val is a sixth of the training set, 10,000 images of Fashion-MNIST
KEPT_BYTES = 4 << 30  # of all data sets that a process keeps; Fashion-MNIST takes 0.2 GB
_kept: "OrderedDict[Any, tuple[Part, Part]]" = OrderedDict()


@dataclass(frozen=True)
class Unit:
    """How targets were standardized, y ← (y − mean)/scale: float32 (k,) each."""

    mean: Tensor
    scale: Tensor


@dataclass(frozen=True)
class Part:
    """One split: some rows of an array of images that all splits and all workers of a sweep share in memory.

    Attributes:
        all_images: float32 in [0, 1], (m, *image_shape).
        all_labels: int64 (m,); for regression the targets, float32 (m, k).
        rows: int64 (n,), rows of the split in its order; None for all rows.
        unit: how the targets were standardized; None if they were not.
    """

    all_images: Tensor
    all_labels: Tensor
    rows: Tensor | None = None
    unit: Unit | None = None

    @property
    def task(self) -> str:
        """The task of the data set: `classification` or `regression`."""
        return task_of(self.all_labels)

    def __len__(self) -> int:
        return len(self.all_labels if self.rows is None else self.rows)

    def numbers(self, which: Tensor | slice) -> Tensor:
        """Return the rows in `all_images`, int64 (k,), of examples given by their index in the split."""
        if self.rows is None:
            return torch.arange(len(self), device=self.all_labels.device)[which]
        return self.rows[which]

    def take(self, which: Tensor | slice) -> tuple[Tensor, Tensor]:
        """Return images and labels of examples given by their index in the split."""
        chosen = which if self.rows is None else self.rows[which]
        return self.all_images[chosen], self.all_labels[chosen]

    def first(self, count: int | None) -> "Part":
        """The first examples of the split, at most `count`; itself if that is None or all."""
        if count is None or count >= len(self):
            return self
        return replace(self, rows=self.numbers(slice(0, count)))

    def images_into(self, out: Tensor, which: slice) -> Tensor:
        """Return images (n, *image_shape) of examples given by index, written to the buffer `out` of at least n images.

        If the split has all rows, it returns a view and leaves `out` unchanged.
        """
        if self.rows is None:
            return self.all_images[which]
        rows = self.rows[which]
        return torch.index_select(self.all_images, 0, rows, out=out[: len(rows)])

    @property
    def images(self) -> Tensor:
        """The split's images, (n, *image_shape)."""
        return self.take(slice(None))[0]

    @property
    def labels(self) -> Tensor:
        """The labels of the split, (n,), or its targets, (n, k)."""
        return self.all_labels if self.rows is None else self.all_labels[self.rows]


@dataclass(frozen=True)
class Splits:
    """The parts of a data set that a run trains and is scored on.

    Attributes:
        train: training images, with the labels that training uses.
        val: validation images.
        test: test images; None if the test set serves as validation set.
        available: number of training images before `train_size` was applied.
        clean: training images with their true labels; the same as `train` without label noise.
        flipped: indices in `train` of the images with a flipped label, int64 (k,).
        support: the features that decide the label, if they are known; see `DataSet`.
    """

    train: Part
    val: Part
    test: Part | None
    available: int
    clean: Part
    flipped: Tensor
    support: Sequence[int] | None = None

    def counts(self) -> dict[str, int]:
        """Return the number of images of each part."""
        return {"train": len(self.train), "val": len(self.val), "test": len(self.test) if self.test else 0}


def drawn_order(labels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return a random order of all examples: stratified by class; for regression, all orders are equally likely.

    Args:
        labels: class of each example, (n,); for regression the targets, (n, k).
        generator: random generator of the order.

    Returns:
        Indices, (n,).
    """
    if np.issubdtype(labels.dtype, np.floating):
        return generator.permutation(len(labels))
    return stratified_order(labels, generator)


def stratified_order(labels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return a random order of all examples in which every prefix is stratified.

    Each class is shuffled, and the k-th of its n examples gets the rank (k + ½)/n. Sorting by rank interleaves the
    classes. In any prefix, the count of each class is within one example of its share. Prefixes are nested.

    Args:
        labels: class of each example, (n,).
        generator: random generator of the shuffle.

    Returns:
        Indices, (n,).
    """
    order = generator.permutation(len(labels))  # breaks ties between classes at random
    rank = np.empty(len(labels))
    for label in np.unique(labels):
        members = order[labels[order] == label]
        rank[members] = (np.arange(len(members)) + 0.5) / len(members)
    return order[np.argsort(rank[order], kind="stable")]


def drawn_test(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The examples of the test set and of the training set of a data set that has no test set of its own.

    The test set is a sixth, stratified by class, the same one in every run.

    Args:
        labels: class of each example, (n,); for regression the targets, (n, k).

    Returns:
        Their numbers, in ascending order.
    """
    order = drawn_order(labels, np.random.default_rng(TEST_DRAW))
    return np.sort(order[: len(order) // TEST_SHARE]), np.sort(order[len(order) // TEST_SHARE :])


def imputed(known: Part, test: Part, images: Tensor, how: str) -> tuple[Part, Part]:
    """All examples with NaN replaced by the mean or the median of its feature in the training split alone.

    Args:
        known: the training set, validation included.
        test: the test set.
        images: examples of the training split, (n, *image_shape).
        how: one of IMPUTE. A feature without any value in the training split becomes 0.
    """
    value = torch.nanmean(images, dim=0) if how == "mean" else torch.nanmedian(images, dim=0).values
    value = torch.nan_to_num(value)
    filled = [torch.where(part.all_images.isnan(), value, part.all_images) for part in (known, test)]
    return Part(filled[0], known.all_labels), Part(filled[1], test.all_labels)


def standardized(known: Part, test: Part, images: Tensor, how: str) -> tuple[Part, Part]:
    """All examples with mean 0 and variance 1, by the mean and the variance of the training split alone.

    Args:
        known: the training set, validation included.
        test: the test set.
        images: examples of the training split, (n, *image_shape).
        how: `dataset`, one mean and variance for all values; `feature`, those of each feature. A feature that is
            constant in the training split is only shifted.
    """
    over = None if how == "dataset" else 0
    variance, mean = torch.var_mean(images, dim=over, correction=0)
    scale = torch.where(variance > 0, variance.sqrt(), torch.ones_like(variance))
    shifted = [(part.all_images - mean) / scale for part in (known, test)]
    return Part(shifted[0], known.all_labels), Part(shifted[1], test.all_labels)


def with_standard_targets(known: Part, test: Part, targets: Tensor) -> tuple[Part, Part]:
    """All examples with targets of mean 0 and variance 1, by the mean and the variance of the training split alone.

    The mean squared error is then in units of the variance of the training targets.

    Args:
        known: the training set, validation included.
        test: the test set.
        targets: those of the training split, (n, k). A target that is constant there is only shifted.
    """
    variance, mean = torch.var_mean(targets.cpu().double(), dim=0, correction=0)  # a square may not fit in float32
    scale = torch.where(variance > 0, variance.sqrt(), torch.ones_like(variance))
    unit = Unit(mean.to(targets), scale.to(targets))
    scaled = [(part.all_labels - unit.mean) / unit.scale for part in (known, test)]
    return Part(known.all_images, scaled[0], unit=unit), Part(test.all_images, scaled[1], unit=unit)


def load_splits(dataset: DataSet, options: Mapping[str, Any], seed: Seed, device: torch.device) -> Splits:
    """Read a data set and split it.

    Val is drawn before `train_size` is applied. Runs of one seed therefore share val for every train size, and their
    training sets are nested. The training images keep the drawn order, so any prefix is a random sample, stratified by
    class.

    Args:
        dataset: the data set.
        options: the config's data group: `root`, `split` (holdout or textbook), `val_size` and `train_size` (or None),
            `label_noise`, `standardize` (none, dataset or feature), `standardize_target` (of regression).
        seed: the run's seed; the split uses a separate random stream of it.
        device: device of the tensors.

    Raises:
        StudyError: the data is not available, or its checksums are wrong.
    """
    as_read, official_test = read_once(dataset, options["root"], device)
    known = as_read
    order = drawn_order(known.labels.cpu().numpy(), numpy_generator(seed, Stream.SPLIT))

    def part(rows: np.ndarray, labels: Tensor | None = None) -> Part:
        given = known.all_labels if labels is None else labels
        return Part(known.all_images, given, torch.as_tensor(rows).to(device), known.unit)

    textbook = options["split"] == "textbook"
    held_out = dataset.train_count - available_count(dataset, options)
    available, used = order[held_out:], order[held_out:][: options["train_size"]]
    val, test = (official_test, None) if textbook else (part(np.sort(order[:held_out])), official_test)
    if dataset.impute:
        known, official_test = imputed(known, official_test, part(used).images, dataset.impute)
    if options.get("standardize", "none") != "none":
        known, official_test = standardized(known, official_test, part(used).images, options["standardize"])
    if options.get("standardize_target"):
        known, official_test = with_standard_targets(known, official_test, part(used).labels)
    if known is not as_read:
        val, test = (official_test, None) if textbook else (part(np.sort(order[:held_out])), official_test)
    clean = train = part(used)
    flipped = torch.zeros(0, dtype=torch.int64, device=device)
    if options["label_noise"]:
        given = flipped_labels(known.all_labels.cpu(), dataset.classes, options["label_noise"], seed).to(device)
        train = part(used, given)
        flipped = (train.labels != clean.labels).nonzero()[:, 0]
    return Splits(train, val, test, len(available), clean, flipped, dataset.support)


def flipped_labels(labels: Tensor, classes: int, share: float, seed: Seed) -> Tensor:
    """Return labels of which a fraction is flipped to another class (symmetric label noise).

    All other classes are equally likely. The seed draws the labels to flip and their new classes for the whole training
    set, so they do not depend on the split or on the train size. A larger fraction flips the same labels and more.

    Args:
        labels: int64 (n,).
        classes: number of classes.
        share: fraction of labels to flip, in [0, 1).
        seed: the run's seed.
    """
    generator = numpy_generator(seed, Stream.LABEL_NOISE)
    order = generator.permutation(len(labels))
    shifts = generator.integers(1, classes, len(labels))
    chosen = torch.as_tensor(order[: round(share * len(labels))])
    result = labels.clone()
    result[chosen] = (labels[chosen] + torch.as_tensor(shifts)[chosen]) % classes
    return result


def available_count(dataset: DataSet, options: Mapping[str, Any]) -> int:
    """Return the number of images to train on, before `train_size` is applied.

    Args:
        dataset: the data set.
        options: the config's data group: `split` (holdout or textbook) and `val_size` (or None: a sixth).
    """
    if options["split"] == "textbook":
        return dataset.train_count
    size = options.get("val_size")
    return dataset.train_count - (dataset.train_count // VAL_SHARE if size is None else size)


def read_once(dataset: DataSet, root: str, device: torch.device) -> tuple[Part, Part]:
    """Return the training and test images of a data set on a device.

    Data sets stay in the memory of the process, so that a sweep over several reads each once. If they take more than
    KEPT_BYTES together, those that were used least recently are dropped, and read again when a run needs them.

    Raises:
        StudyError: the data is not available, or its checksums are wrong.
    """
    key = (_identity(dataset.read), Path(root).expanduser(), dataset.pixel_max, device)
    if key not in _kept:
        _kept[key] = _read(dataset.read, *key[1:])
    _kept.move_to_end(key)
    while len(_kept) > 1 and sum(map(_bytes, _kept.values())) > KEPT_BYTES:
        _kept.popitem(last=False)
    return _kept[key]


def _identity(read: Callable[[Path], RawImages]) -> Any:
    """What is equal for functions that read the same: each build of a data set may make a new `partial`."""
    if not isinstance(read, partial):
        return read
    parts = (read.func, read.args, tuple(sorted(read.keywords.items())))
    try:
        hash(parts)
    except TypeError:  # an argument is a list or a mapping
        return read
    return parts


def _bytes(parts: tuple[Part, Part]) -> int:
    return sum(part.all_images.nbytes + part.all_labels.nbytes for part in parts)


def _read(read: Callable[[Path], RawImages], root: Path, pixel_max: int, device: torch.device) -> tuple[Part, Part]:
    raw = read(root)
    train, test = (
        Part(torch.div(images, pixel_max).to(device), labels.to(device))
        for images, labels in ((raw.train_images, raw.train_labels), (raw.test_images, raw.test_labels))
    )
    return train, test
