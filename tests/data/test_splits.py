"""Who gets which image: stratified, nested, drawn by the seed alone."""

from collections import OrderedDict
from functools import partial

import numpy as np
import pytest
import torch

from study.data import DataSet, RawImages, load_splits, read_once
from study.data import splits as splits_module
from study.data.digits import digits
from study.data.fashion_mnist import mini
from study.data.splits import stratified_order

CPU = torch.device("cpu")


def load(dataset, seed=0, **options):
    return load_splits(
        dataset, {"root": "unused", "split": "holdout", "train_size": None, "label_noise": 0.0, **options}, seed, CPU
    )


def rows(part):
    """Images as hashable rows."""
    return [image.numpy().tobytes() for image in part.images]


def test_val_is_a_stratified_sixth_and_test_is_the_official_one():
    splits = load(mini())
    assert (len(splits.train), len(splits.val), len(splits.test)) == (4167, 833, 1000)
    assert torch.bincount(splits.val.labels).tolist() == pytest.approx([83.3] * 10, abs=1)
    assert torch.bincount(splits.test.labels).tolist() == [100] * 10


def test_train_and_val_are_disjoint_and_complete():
    textbook, holdout = load(mini(), split="textbook"), load(mini())
    assert sorted(rows(holdout.train) + rows(holdout.val)) == sorted(rows(textbook.train))


def test_textbook_split_scores_the_official_test_set_as_val():
    splits = load(mini(), split="textbook")
    assert splits.test is None
    assert len(splits.train) == 5000
    assert rows(splits.val) == rows(load(mini()).test)


def test_train_sizes_of_one_seed_are_nested_stratified_and_share_val():
    small, large = load(digits(), train_size=200), load(digits(), train_size=500)
    assert set(rows(small.train)) < set(rows(large.train))
    assert rows(small.val) == rows(large.val)
    shares = torch.bincount(small.train.labels) / 200
    whole = torch.bincount(load(digits()).train.labels) / len(load(digits()).train)
    assert torch.allclose(shares, whole, atol=1.5 / 200)


def test_val_has_the_size_given_is_stratified_and_the_rest_can_be_trained_on():
    small, default = load(digits(), val_size=100), load(digits())
    assert (len(small.train), len(small.val), small.available) == (1398, 100, 1398)
    assert set(rows(small.val)) < set(rows(default.val))
    assert torch.bincount(small.val.labels).tolist() == pytest.approx([10] * 10, abs=1)
    assert sorted(rows(small.train) + rows(small.val)) == sorted(rows(default.train) + rows(default.val))
    assert len(load(digits(), val_size=100, train_size=1300).train) == 1300


def test_the_seed_draws_val_but_never_test():
    one, other = load(digits(), seed=0), load(digits(), seed=1)
    assert rows(one.val) != rows(other.val)
    assert rows(one.test) == rows(other.test)
    assert rows(one.val) == rows(load(digits(), seed=0).val)


def test_pixels_lie_between_0_and_1():
    for dataset in (digits(), mini()):
        splits = load(dataset)
        assert (float(splits.train.images.min()), float(splits.train.images.max())) == (0.0, 1.0)
        assert splits.train.images.dtype == torch.float32
        assert tuple(splits.train.images.shape[1:]) == dataset.image_shape
        assert len(splits.train) + len(splits.val) == dataset.train_count


def test_every_prefix_of_a_stratified_order_has_the_shares_of_the_whole():
    labels = np.array([0] * 60 + [1] * 30 + [2] * 10)
    order = stratified_order(labels, np.random.default_rng(0))
    assert sorted(order) == list(range(100))
    for length in range(1, 101):
        counts = np.bincount(labels[order[:length]], minlength=3)
        assert np.all(np.abs(counts - length * np.array([0.6, 0.3, 0.1])) <= 1)


def test_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    ours, theirs = digits().read(None), load_digits()
    images = torch.cat([ours.train_images, ours.test_images]).flatten(1)
    assert sorted(images.tolist()) == sorted(theirs.data.astype(int).tolist())
    assert torch.bincount(ours.test_labels).tolist() == pytest.approx([29.9] * 10, abs=1.5)


def counted(name, reads):
    """A data set of 12 images whose function to read it is made anew each time, as in code of a user's."""
    return DataSet(name, (2,), 2, 12, 1, False, {}, read=partial(_read_counted, reads=reads, name=name))


def _read_counted(_root, reads, name):
    reads.append(name)
    labels = torch.arange(12) % 2
    return RawImages(torch.zeros(12, 2), labels, torch.zeros(12, 2), labels)


class Reads(list):
    """A list that can be an argument of a `partial` that is compared, as by `is`."""

    __hash__ = object.__hash__


@pytest.mark.parametrize("reads", [Reads(), []], ids=["hashable", "of a list"])
def test_a_sweep_over_several_data_sets_reads_each_once_while_they_fit_in_memory(monkeypatch, reads):
    monkeypatch.setattr(splits_module, "_kept", OrderedDict())
    sets = {name: counted(name, reads) for name in "abc"}
    for name in "abcabc":
        read_once(sets[name], "", CPU)
    assert "".join(reads) == "abc"
    if isinstance(reads, Reads):
        read_once(counted("a", reads), "", CPU)  # built again
        assert "".join(reads) == "abc"
    one = 2 * 12 * (2 * 4 + 8)  # bytes of the training and the test set
    monkeypatch.setattr(splits_module, "KEPT_BYTES", 2 * one)
    for name in "abc":
        read_once(sets[name], "", CPU)
    reads.clear()
    for name in "bca":
        read_once(sets[name], "", CPU)
    assert "".join(reads) == "a"  # dropped, since it was used least recently
