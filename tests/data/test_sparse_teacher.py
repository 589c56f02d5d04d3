"""data=sparse_teacher: the labels depend on the support, and a penalty that selects features finds it."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from study.data.sparse_teacher import sparse_teacher


def training_set(**options):
    dataset = sparse_teacher(**options)
    raw = dataset.read(None)
    return dataset, raw.train_images.numpy(), raw.train_labels.numpy()


def test_a_logistic_regression_finds_the_support_of_a_linear_teacher():
    dataset, x, y = training_set(features=30, support=6, examples=4000, noise=0.0)
    weights = np.abs(LogisticRegression(C=10.0, max_iter=1000).fit(x, y).coef_[0])
    assert sorted(np.argsort(weights)[-6:].tolist()) == list(dataset.support)


def test_a_two_layer_teacher_reads_its_support_alone_and_is_not_linear():
    dataset, x, y = training_set(teacher="two_layer", features=20, support=4, examples=3000, noise=0.0, draw=1)
    relevant = x[:, list(dataset.support)]
    forest = RandomForestClassifier(50, random_state=0).fit(x, y)
    assert sorted(np.argsort(forest.feature_importances_)[-4:].tolist()) == list(dataset.support)
    linear = LogisticRegression().fit(relevant[:2000], y[:2000]).score(relevant[2000:], y[2000:])
    curved = RandomForestClassifier(50, random_state=0).fit(relevant[:2000], y[:2000])
    assert curved.score(relevant[2000:], y[2000:]) > linear + 0.02


def test_examples_are_those_of_the_draw_and_a_larger_set_contains_the_smaller_one():
    small, large = sparse_teacher(examples=500).read(None), sparse_teacher(examples=1200, features=100).read(None)
    assert torch.equal(small.train_images, large.train_images[:500])
    assert torch.equal(small.train_labels, large.train_labels[:500])
    assert torch.equal(small.test_labels, large.test_labels)
    other = sparse_teacher(draw=1)
    assert other.support != sparse_teacher().support
    assert not torch.equal(other.read(None).train_images, large.train_images)


@pytest.mark.parametrize(("options", "classes"), [({}, 2), ({"classes": 4}, 4), ({"teacher": "two_layer"}, 2)])
def test_no_class_is_rare_and_features_are_standard_normal(options, classes):
    dataset, x, y = training_set(**options)
    shares = np.bincount(y, minlength=classes) / len(y)
    assert len(shares) == dataset.classes == classes
    assert shares.min() > 0.75 / classes
    assert [x.mean(), x.std()] == pytest.approx([0, 1], abs=0.02)


def test_noise_flips_labels_near_the_boundary_only():
    _, x, clean = training_set(noise=0.0, examples=4000)
    _, same, noisy = training_set(noise=0.5, examples=4000)
    assert np.array_equal(x, same)
    expected = np.arctan(0.5) / np.pi  # of signs of z and z + 0.5 ε that differ, for standard normal z and ε
    assert (clean != noisy).mean() == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(
    ("options", "message"),
    {
        "data.features=0": "data.features=0: must be a whole number ≥ 1",
        "data.support=0": "data.support=0: must be a whole number ≥ 1",
        "data.support=101": "data.support=101: must be at most data.features=100",
        "data.examples=3": "data.examples=3: must be a whole number ≥ 12",
        "data.classes=1": "data.classes=1: must be a whole number ≥ 2",
        "data.classes=50 data.examples=60": "a class has 0 training examples, and requires at least 2",
        "data.noise=-1": "data.noise=-1.0: must be a finite number ≥ 0",
        "data.noise=nan": "must be a finite number ≥ 0",
        "data.teacher=deep": "data.teacher=deep: allowed: linear, two_layer",
        "data.draw=-1": "data.draw=-1: must be a whole number ≥ 0",
    }.items(),
)
def test_options_out_of_range_are_refused_in_one_line(study, tmp_path, options, message):
    refused = study("data=sparse_teacher", *options.split())
    assert refused.code == 1
    assert message in refused.err
    assert refused.err.count("\n") == 1
    assert not (tmp_path / "outputs").exists()


def test_l1_proximal_recovers_the_support_better_than_none(study, tmp_path):
    few = ("data=sparse_teacher", "model=linear", "batch_size=100", "epochs=20", "workers=1", "name=found")
    sgd = ("optimizer=sgd", "optimizer.lr=0.02")
    done = study("-m", "reg=none,l1_proximal", "lam=0.05", "seeds=3", "primary=support_precision", *few, *sgd)
    assert done.code == 0, done.err
    analyzed = study("analyze", "name=found", "figures=[]")
    assert analyzed.code == 0, analyzed.err
    runs = pd.read_csv(tmp_path / "outputs" / "found" / "analysis" / "runs.csv").set_index("reg")
    assert (runs.loc["none", "support_precision"] == 0.1).all()  # it reads all features, of which a tenth matter
    assert runs.loc["l1_proximal", "support_precision"].min() > 0.7
    assert (runs["support_recall"] == 1).all()
    table = pd.read_csv(tmp_path / "outputs" / "found" / "analysis" / "significance.csv").set_index("measure")
    found = runs["support_precision"].groupby(level=0).mean()
    difference = found["l1_proximal"] - found["none"]
    assert table.loc["support_precision", "mean_difference"] == pytest.approx(difference)
    assert table.loc["support_precision", "p_holm"] < 0.05
    assert "Support precision (%)" in (tmp_path / "outputs" / "found" / "analysis" / "report.md").read_text()
