"""Data of the user's own: what a file must hold, and what each run makes of it."""

import gzip
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from study.data.arrays import arrays
from study.data.idx import idx
from study.data.image_folder import image_folder
from study.data.mnist1d import mnist1d
from study.data.of_torchvision import of_torchvision
from study.data.splits import load_splits
from study.data.table import csv
from study.errors import ConfigError
from tests.config.test_identity import resolved

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(120, 6)).astype(np.float32)
Y = np.arange(120) % 3
FIRST = -0.854978  # number of MNIST-1D as this package draws it
HOLDOUT = {"root": "", "split": "holdout", "train_size": None, "label_noise": 0.0}


@pytest.fixture
def saved(tmp_path):
    """Save arrays, and return the path."""

    def save(**content):
        np.savez(tmp_path / "mine.npz", **content)
        return str(tmp_path / "mine.npz")

    return save


def splits(dataset, seed=0, **options):
    return load_splits(dataset, {**HOLDOUT, **options}, seed, torch.device("cpu"))


def test_the_test_set_of_a_file_is_kept_and_otherwise_drawn_once(saved):
    given = arrays(saved(x=X, y=Y, x_test=X[:9] + 1, y_test=Y[:9]))
    assert given.test_is_official
    assert torch.equal(splits(given).test.images, torch.from_numpy(X[:9] + 1))
    drawn = arrays(saved(x=X, y=Y))
    assert not drawn.test_is_official
    assert splits(drawn, seed=0).counts() == {"train": 84, "val": 16, "test": 20}
    assert torch.equal(splits(drawn, seed=0).test.images, splits(drawn, seed=1).test.images)


def test_text_labels_are_classes_in_sorted_order(saved):
    dataset = arrays(saved(x=X, y=np.array(["eel", "cat", "dog"])[Y]))
    assert dataset.class_names == ("cat", "dog", "eel")
    assert splits(dataset).val.labels.unique().tolist() == [0, 1, 2]


def test_bytes_are_images_from_0_to_1(saved):
    images = RANDOM.integers(0, 256, (60, 5, 5)).astype(np.uint8)
    assert splits(arrays(saved(x=images, y=Y[:60]))).train.images.max() <= 1


@pytest.mark.parametrize("how", ["dataset", "feature"])
def test_standardizing_uses_the_training_split_alone(saved, how):
    x = X * np.arange(1, 7, dtype=np.float32) + 5
    found = splits(arrays(saved(x=x, y=Y)), standardize=how)
    over = (0, 1) if how == "dataset" else 0
    assert found.train.images.mean(dim=over) == pytest.approx(0, abs=1e-5)
    assert found.train.images.var(dim=over, correction=0) == pytest.approx(1, abs=1e-4)
    assert found.val.images.mean(dim=over) != pytest.approx(0, abs=1e-3)
    plain = splits(arrays(saved(x=x, y=Y)))
    shift, scale = plain.train.images.mean(dim=over), plain.train.images.std(dim=over, correction=0)
    assert torch.allclose(found.test.images, (plain.test.images - shift) / scale, atol=1e-5)


def test_a_constant_feature_is_shifted_only(saved):
    x = np.concatenate([X, np.full((120, 1), 7, np.float32)], axis=1)
    assert splits(arrays(saved(x=x, y=Y)), standardize="feature").val.images[:, -1].unique().tolist() == [0]


def test_repeated_examples_are_counted_in_a_warning(saved):
    dataset = arrays(saved(x=np.concatenate([X, X[:4]]), y=np.concatenate([Y, Y[:4]]), x_test=X[:9], y_test=Y[:9]))
    assert ["9 of 9 test examples" in dataset.warnings[0], "4 of 124 training" in dataset.warnings[1]] == [True, True]
    assert arrays(saved(x=X, y=Y)).warnings == ()


def test_warnings_about_data_are_printed_once_for_a_sweep_and_show_names_the_classes(study, saved, tmp_path):
    names = np.array(["eel", "cat", "dog"])
    path = saved(x=np.concatenate([X, X[:4]]), y=names[np.concatenate([Y, Y[:4]])])
    few = ("data=arrays", f"data.path={path}", "model=linear", "epochs=1", "workers=1")
    done = study("-m", "reg=none,l1,l2", "seeds=2", *few, "name=swept")
    assert done.code == 0, done.err
    warnings = [line for line in done.out.splitlines() if line.startswith("warning: mine: ")]
    assert len(warnings) == len(set(warnings)) == 2  # on the test set, and on the training set
    tune = "tune={trials: 2, seeds: 1, fresh: 1, spaces: {none: {}, l1: {lam: {log: [1e-5, 1e-3]}}}}"
    done = study(*few, tune, "name=tuned", "allow=[tuning]")  # in several steps, each of which loads the data
    assert done.code == 0, done.err
    assert [done.out.count(warning) for warning in warnings] == [1, 1]
    run = next((tmp_path / "outputs" / "swept").glob("none-seed0-*"))
    assert "  classes    0 cat, 1 dog, 2 eel\n" in study("show", str(run)).out


def test_a_run_is_known_by_the_content_of_its_file_not_by_its_place(saved, tmp_path):
    options = ("data=arrays", "data.standardize=feature")
    first = resolved(*options, f"data.path={saved(x=X, y=Y)}").run_id
    (tmp_path / "mine.npz").rename(tmp_path / "elsewhere.npz")
    assert resolved(*options, f"data.path={tmp_path / 'elsewhere.npz'}").run_id == first


def with_gap(x):
    x = x.copy()
    x[3, 2] = np.nan
    return x


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"x": X}, "has no array y"),
        ({"x": X, "y": Y[:-1]}, "120 examples and y has 119 labels"),
        ({"x": X[:, 0], "y": Y}, "has the shape (120,)"),
        ({"x": X[:0], "y": Y[:0]}, "is empty"),
        ({"x": with_gap(X), "y": Y}, "not finite (NaN or infinity) in 1 examples, the first of them number 3"),
        ({"x": np.full((120, 2), "a"), "y": Y}, "Allowed: numbers"),
        ({"x": X, "y": Y * 0}, "has 1 class. At least two"),
        ({"x": X, "y": np.where(Y == 1, 3, Y)}, "labels up to 3, but none is 1"),
        ({"x": X, "y": Y - 1}, "has the label -1"),
        ({"x": X, "y": Y + 0.5}, "Labels must be whole numbers"),
        ({"x": X, "y": np.stack([Y, Y], axis=1)}, "one label for each example"),
        ({"x": X[:3], "y": Y[:3]}, "a class has 1 training examples, of 3 for 3 classes"),
        ({"x": X, "y": Y, "x_test": X}, "belong together"),
        ({"x": X, "y": Y, "x_test": X[:, :3], "y_test": Y}, "They must agree"),
        ({"x": X, "y": Y, "x_test": X[:2], "y_test": Y[:2] + 3}, "has the label 4, which no training example has"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_that_is_wrong_gets_one_line(saved, content, message):
    with pytest.raises(ConfigError) as error:
        arrays(saved(**content))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"hello", b"PK\x03\x04 not a zip"])
def test_another_kind_of_file_gets_one_line(tmp_path, content):
    (tmp_path / "mine.npz").write_bytes(content)
    with pytest.raises(ConfigError, match=r"not an \.npz file of plain arrays"):
        arrays(str(tmp_path / "mine.npz"))
    with pytest.raises(ConfigError, match="No such file"):
        arrays(str(tmp_path / "nothere.npz"))


TABLE = pd.DataFrame({"size": X[:, 0], "site": np.where(Y == 0, "north", "south"), "wild": Y > 1, "kind": Y})


@pytest.fixture
def table(tmp_path):
    """Save a table, and return the path."""

    def save(frame, name="mine.csv"):
        frame.to_csv(tmp_path / name, index=False)
        return str(tmp_path / name)

    return save


def test_text_of_a_table_becomes_a_feature_for_each_value(table):
    dataset = csv(table(TABLE), "kind")
    assert dataset.image_shape == (5,)  # size, north, south, False, True
    first = splits(dataset).train.images
    assert torch.equal(first[:, 1] + first[:, 2], torch.ones(len(first)))


@pytest.mark.parametrize("missing", ["mean", "median"])
def test_missing_numbers_are_imputed_from_the_training_split_alone(table, missing):
    frame = TABLE.copy()
    frame.loc[[5, 50, 100], "size"] = np.nan
    whole, filled = splits(csv(table(TABLE, "whole.csv"), "kind")), splits(csv(table(frame), "kind", missing=missing))
    train = np.delete(
        whole.train.images[:, 0].numpy(), np.flatnonzero(whole.train.images[:, 0] != filled.train.images[:, 0])
    )
    value = np.mean(train) if missing == "mean" else np.sort(train)[(len(train) - 1) // 2]
    for before, after in ((whole.train, filled.train), (whole.val, filled.val), (whole.test, filled.test)):
        changed = before.images[:, 0] != after.images[:, 0]
        assert after.images[changed, 0].numpy() == pytest.approx(np.full(int(changed.sum()), value), rel=1e-5)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({}, {"target": "colour"}, "data.target=colour"),
        ({}, {"columns": ["size", "weight"]}, "has no column weight"),
        ({}, {"columns": ["size", "kind"]}, "the target kind cannot be a feature"),
        ({"size": np.where(Y == 0, np.nan, 1)}, {}, "values are missing in 40 rows, in size"),
        ({"kind": np.where(Y == 0, np.nan, 1)}, {}, "40 rows have no kind"),
        ({"site": [f"row {i}" for i in range(120)]}, {}, "has 120 different texts"),
        ({}, {"missing": "zero"}, "allowed: refuse, mean, median"),
    ],
)
def test_a_table_that_is_wrong_gets_one_line(table, change, options, message):
    with pytest.raises(ConfigError) as error:
        csv(table(TABLE.assign(**change)), **{"target": "kind", **options})
    assert message in str(error.value)


def test_mnist1d_is_standard_and_the_same_each_time():
    dataset = mnist1d()
    raw = dataset.read(None)
    assert raw.train_images.shape == (4000, 40)
    assert raw.test_images.shape == (1000, 40)
    signals = torch.cat([raw.train_images, raw.test_images])
    assert [float(signals.mean()), float(signals.std())] == pytest.approx([0, 1], abs=1e-3)
    assert float(raw.train_images[0, 0]) == pytest.approx(FIRST, abs=1e-5)


@pytest.mark.parametrize("data", ["wine", "breast_cancer", "mnist1d"])
def test_options_of_data_train(study, data):
    done = study(f"data={data}", "epochs=1", "model.hidden=[8]")
    assert done.code == 0, done.err


def as_idx(array):
    kind = {"uint8": 8, "int32": 12, "float32": 13}[array.dtype.name]
    head = bytes([0, 0, kind, array.ndim]) + b"".join(int(n).to_bytes(4, "big") for n in array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


def test_idx_files_are_read_gzipped_or_not(tmp_path):
    images = RANDOM.integers(0, 256, (60, 4, 5)).astype(np.uint8)
    (tmp_path / "images").write_bytes(gzip.compress(as_idx(images)))
    (tmp_path / "labels").write_bytes(as_idx(Y[:60].astype(np.uint8)))
    (tmp_path / "numbers").write_bytes(as_idx(X[:60]))
    paths = {name: str(tmp_path / name) for name in ("images", "labels", "numbers")}
    of_bytes = idx(paths["images"], paths["labels"], paths["images"], paths["labels"]).read(None)
    assert torch.equal(of_bytes.train_images, torch.from_numpy(images))
    of_numbers = idx(paths["numbers"], paths["labels"], paths["numbers"], paths["labels"]).read(None)
    assert torch.equal(of_numbers.test_images, torch.from_numpy(X[:60]))
    (tmp_path / "cut").write_bytes(as_idx(images)[:-3])
    for name, message in {"cut": "not an IDX file", "none": "No such file"}.items():
        with pytest.raises(ConfigError, match=message):
            idx(str(tmp_path / name), paths["labels"])


@pytest.fixture
def folder(tmp_path):
    """Ten images of 6x5 pixels for each of two classes."""
    for kind in ("cats", "dogs"):
        (tmp_path / "pets" / kind).mkdir(parents=True)
        for number in range(10):
            pixels = RANDOM.integers(0, 256, (6, 5, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pets" / kind / f"{number}.png")
    return tmp_path / "pets"


def test_a_folder_of_images_has_a_class_for_each_folder(folder):
    dataset = image_folder(str(folder))
    assert [dataset.class_names, dataset.image_shape] == [("cats", "dogs"), (3, 6, 5)]
    first = np.asarray(Image.open(folder / "cats" / "0.png")).transpose(2, 0, 1)
    raw = dataset.read(None)
    assert any(np.array_equal(first, image) for image in torch.cat([raw.train_images, raw.test_images]).numpy())
    assert image_folder(str(folder), mode="grey", size=4).image_shape == (4, 4)


def test_a_folder_that_is_wrong_gets_one_line(folder):
    with pytest.raises(ConfigError, match="there is no such folder"):
        image_folder(str(folder / "birds"))
    with pytest.raises(ConfigError, match="no images in"):
        image_folder(str(folder / "cats"))
    Image.new("RGB", (9, 9)).save(folder / "dogs" / "big.png")
    with pytest.raises(ConfigError, match=r"0\.png has 5x6 pixels and big\.png has 9x9.*data\.size=32"):
        image_folder(str(folder))
    (folder / "dogs" / "big.png").write_bytes(b"no image")
    with pytest.raises(ConfigError, match=r"big\.png is no image"):
        image_folder(str(folder))


def test_classes_of_torchvision_are_read_from_files_of_their_format(tmp_path, monkeypatch):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    images = RANDOM.integers(0, 256, (60, 28, 28)).astype(np.uint8)
    for part in ("train", "t10k"):
        (raw / f"{part}-images-idx3-ubyte").write_bytes(as_idx(images))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(as_idx(Y[:60].astype(np.uint8)))
    mnist = of_torchvision(str(tmp_path), "MNIST")
    assert [mnist.image_shape, mnist.classes, mnist.test_is_official] == [(28, 28), 3, True]
    assert torch.equal(mnist.read(None).train_images, torch.from_numpy(images))

    batches = tmp_path / "cifar-10-batches-py"
    batches.mkdir()
    flat = RANDOM.integers(0, 256, (30, 3072)).astype(np.uint8)
    content = pickle.dumps({"data": flat, "labels": Y[:30].tolist()})
    names = ["cat", "dog", "eel"]
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        (batches / name).write_bytes(content)
    (batches / "batches.meta").write_bytes(pickle.dumps({"label_names": names}))
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    cifar = of_torchvision(str(tmp_path), "CIFAR10")
    assert cifar.image_shape == (3, 32, 32)
    assert torch.equal(cifar.read(None).test_images, torch.from_numpy(flat.reshape(30, 3, 32, 32)))


def test_a_class_of_torchvision_that_cannot_be_had_gets_one_line(tmp_path):
    with pytest.raises(ConfigError, match="Did you mean CIFAR10"):
        of_torchvision(str(tmp_path), "CIFAR11")
    with pytest.raises(ConfigError) as error:
        of_torchvision(str(tmp_path), "ImageFolder")
    assert "torchvision cannot provide it" in str(error.value)
    assert "\n" not in str(error.value)
