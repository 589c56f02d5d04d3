"""Data of a regression: which targets are allowed, how they are split, and in which unit they are."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_diabetes

from study.data.arrays import arrays
from study.data.of_sklearn import diabetes
from study.data.splits import load_splits
from study.data.table import csv
from study.errors import ConfigError
from tests.config.test_identity import config, resolved

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(120, 4)).astype(np.float32)
Y = (3 + 10 * RANDOM.normal(size=(120, 2))).astype(np.float32)
OPTIONS = {"root": "", "split": "holdout", "train_size": None, "label_noise": 0.0, "standardize_target": True}


def splits(dataset, seed=0, **options):
    return load_splits(dataset, {**OPTIONS, **options}, seed, torch.device("cpu"))


def saved(folder, **content):
    np.savez(folder / "mine.npz", **content)
    return str(folder / "mine.npz")


def test_diabetes_is_that_of_scikit_learn_as_measured():
    dataset, reference = diabetes(), load_diabetes(scaled=False)
    assert (dataset.task, dataset.classes, dataset.image_shape, dataset.train_count) == ("regression", 1, (10,), 369)
    raw = dataset.read(None)
    targets = torch.cat([raw.train_labels, raw.test_labels])[:, 0].numpy()
    assert sorted(targets) == sorted(reference.target)
    assert raw.train_images.max() == reference.data.max()


def test_targets_are_standardized_by_the_training_split_alone(tmp_path):
    dataset = arrays(saved(tmp_path, x=X, y=Y), "regression")
    found, plain = splits(dataset), splits(dataset, standardize_target=False)
    own = plain.train.labels.double()
    for split in ("train", "val", "test"):
        expected = (getattr(plain, split).labels - own.mean(dim=0)) / own.std(dim=0, correction=0)
        assert torch.allclose(getattr(found, split).labels, expected.float(), atol=1e-5)
    assert plain.val.unit is None
    assert torch.allclose(found.val.labels * found.val.unit.scale + found.val.unit.mean, plain.val.labels, atol=1e-4)
    half = splits(dataset, train_size=40)
    assert half.train.labels.var(dim=0, correction=0) == pytest.approx(1, abs=1e-4)


def test_splits_are_drawn_by_the_seed_disjoint_and_nested(tmp_path):
    numbered = np.arange(120, dtype=np.float32)
    dataset = arrays(saved(tmp_path, x=X, y=numbered), "regression")

    def numbers(part):
        return part.labels[:, 0].int().tolist()

    whole, again, small = (splits(dataset, standardize_target=False, train_size=n) for n in (None, None, 30))
    assert whole.counts() == {"train": 84, "val": 16, "test": 20}
    assert sorted(numbers(whole.train) + numbers(whole.val) + numbers(whole.test)) == list(range(120))
    assert numbers(whole.train) == numbers(again.train)
    assert numbers(small.train) == numbers(whole.train)[:30]
    assert numbers(small.val) == numbers(whole.val)
    other = splits(dataset, seed=1, standardize_target=False)
    assert numbers(other.test) == numbers(whole.test)
    assert numbers(other.val) != numbers(whole.val)


def test_a_table_and_arrays_have_the_same_targets(tmp_path):
    frame = pd.DataFrame(X, columns=list("abcd")).assign(price=Y[:, 0])
    frame.to_csv(tmp_path / "mine.csv", index=False)
    table = csv(str(tmp_path / "mine.csv"), "price", task="regression")
    array = arrays(saved(tmp_path, x=X, y=Y[:, 0]), "regression")
    assert table.classes == array.classes == 1
    assert torch.allclose(splits(table).train.labels, splits(array).train.labels)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (np.array(["a"] * 120), "task=regression requires numbers"),
        (np.where(np.arange(120) == 7, np.nan, 1.0), "number 7"),
        (np.full(120, 5.0), "the same in all training examples"),
        (np.zeros((120, 2, 2)), r"has the shape \(120, 2, 2\)"),
        (Y[:100], "They must agree"),
    ],
)
def test_targets_that_cannot_be_predicted_are_refused(tmp_path, y, words):
    with pytest.raises(ConfigError, match=words):
        arrays(saved(tmp_path, x=X, y=y), "regression")


def test_too_few_examples_and_unlike_tests_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="requires at least 12"):
        arrays(saved(tmp_path, x=X[:13], y=Y[:13]), "regression")
    with pytest.raises(ConfigError, match="y has 2 targets of an example, and y_test has 1"):
        arrays(saved(tmp_path, x=X, y=Y, x_test=X[:9], y_test=Y[:9, 0]), "regression")


def test_the_task_can_be_named_at_the_top_or_for_the_data(tmp_path):
    path = f"data.path={saved(tmp_path, x=X, y=Y[:, 0])}"
    top, own, both = (
        resolved("data=arrays", path, *more)
        for more in (["task=regression"], ["data.task=regression"], ["task=regression", "data.task=regression"])
    )
    assert top.run_id == own.run_id == both.run_id
    assert top.task == "regression"
    assert resolved("data=diabetes").run_id == resolved("data=diabetes", "task=regression").run_id


def test_a_task_that_contradicts_the_data_is_refused_with_one_line(tmp_path):
    path = f"data.path={saved(tmp_path, x=X, y=Y[:, 0])}"
    for line, words in (
        (["data=digits", "task=regression"], "task=regression: data=digits is for classification. Leave task out"),
        (["data=diabetes", "task=classification"], "data=diabetes is for regression"),
        (["data=arrays", path, "task=regression", "data.task=classification"], "contradicts it. Leave one out"),
        (["data=arrays", path, "data.task=ranking"], "data.task=ranking: allowed: classification, regression"),
        (["data=arrays", path], "To predict numbers, give task=regression"),
        (["task=ranking"], "task=ranking: allowed: classification, regression"),
    ):
        with pytest.raises(ConfigError) as error:
            config(*line)
        assert words in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("data.label_noise=0.2", "it flips labels to another class"),
        ("reg=label_smoothing", "reg=label_smoothing cannot be used here: it smooths one-hot targets"),
        ("reg=early_stopping reg.monitor=val_accuracy", "reg.monitor=val_loss does not"),
        ("data.train_size=1", "must be from 2 to 308"),
    ],
)
def test_what_needs_classes_is_refused_with_its_reason(override, words):
    with pytest.raises(ConfigError) as error:
        config("data=diabetes", *override.split())
    assert words in str(error.value)


def test_classification_keeps_its_ids_whatever_is_said_about_targets():
    assert resolved("data.standardize_target=false").run_id == resolved().run_id
    one, other = resolved("data=diabetes"), resolved("data=diabetes", "data.standardize_target=false")
    assert one.run_id != other.run_id
    assert other.settings["data.standardize_target"] is False
