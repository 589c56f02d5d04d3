"""The data set of data=NAME. Run it: python -m pytest test_NAME.py"""

from pathlib import Path

import torch
from NAME import NAME


def test_the_examples_are_what_the_facts_say():
    dataset = NAME(noise=0.2)
    raw = dataset.read(Path())
    assert len(raw.train_labels) == dataset.train_count
    for examples, labels in ((raw.train_images, raw.train_labels), (raw.test_images, raw.test_labels)):
        assert examples.shape == (len(labels), *dataset.image_shape)
        assert examples.isfinite().all()
        assert labels.dtype == torch.int64
        assert labels.unique().tolist() == list(range(dataset.classes))


def test_every_run_gets_the_same_examples():
    one, other = (NAME(noise=0.2).read(Path()) for _ in range(2))
    assert torch.equal(one.train_images, other.train_images)
    assert torch.equal(one.test_labels, other.test_labels)
