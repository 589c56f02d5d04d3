"""Flipped labels: how many, which, and that scores and gaps use the true ones."""

import numpy as np
import pandas as pd
import pytest
import torch

from study.data import load_splits
from study.data.digits import digits
from study.data.splits import flipped_labels
from tests.conftest import run_folders


def load(seed=0, **options):
    defaults = {"root": "", "split": "holdout", "train_size": None, "label_noise": 0.0}
    return load_splits(digits(), {**defaults, **options}, seed, torch.device("cpu"))


@pytest.mark.parametrize("share", [0.1, 0.25, 0.4])
def test_the_share_is_flipped_to_other_classes_and_each_of_them_is_as_likely(share):
    labels = torch.arange(20_000) % 10
    given = flipped_labels(labels, 10, share, seed=3)
    changed = given != labels
    assert int(changed.sum()) == round(share * 20_000)
    steps = torch.bincount((given - labels)[changed] % 10, minlength=10)
    assert steps[0] == 0
    assert torch.allclose(steps[1:] / changed.sum(), torch.full((9,), 1 / 9), atol=0.02)


def test_more_noise_flips_the_same_labels_and_more_and_the_seed_draws_them():
    labels = digits().read(None).train_labels
    little, much = (flipped_labels(labels, 10, share, seed=1) for share in (0.1, 0.3))
    changed = little != labels
    assert torch.equal(little[changed], much[changed])
    assert not torch.equal(flipped_labels(labels, 10, 0.1, seed=2) != labels, changed)


def test_only_training_labels_are_flipped_and_subsets_share_them():
    clean, noisy, small = load(), load(label_noise=0.2), load(label_noise=0.2, train_size=300)
    assert torch.equal(clean.val.labels, noisy.val.labels)
    assert torch.equal(clean.test.labels, noisy.test.labels)
    assert torch.equal(clean.train.labels, noisy.clean.labels)
    assert torch.equal(noisy.train.images, clean.train.images)
    assert len(noisy.flipped) == pytest.approx(0.2 * 1249, abs=30)
    assert torch.equal(small.train.labels, noisy.train.labels[:300])
    assert torch.equal(noisy.flipped, (noisy.train.labels != noisy.clean.labels).nonzero()[:, 0])


def test_train_is_scored_by_given_clean_and_flipped_labels_and_the_gap_uses_the_clean_ones(study, tmp_path):
    few = ("data=digits", "data.train_size=200", "epochs=30", "model.hidden=[200]", "optimizer.lr=1e-2", "name=noisy")
    assert study(*few, "data.label_noise=0.3").code == 0
    (run,) = run_folders(tmp_path / "outputs" / "noisy")
    noise, metrics = pd.read_csv(run / "label_noise.csv"), pd.read_csv(run / "metrics.csv")
    assert noise["epoch"].tolist() == list(np.repeat(range(31), 3))
    by_labels = noise.pivot(index="epoch", columns="labels", values="accuracy")
    assert by_labels["clean"].tolist() == metrics["train_accuracy"].tolist()
    assert noise.query("labels == 'clean'")["loss"].tolist() == metrics["train_loss"].tolist()
    counts = noise.query("epoch == 0").set_index("labels")["count"]
    assert counts["given"] == counts["clean"] == 200
    flipped = counts["flipped"]
    right = by_labels * [200, flipped, 200]  # clean, flipped, given
    assert (right["given"] - right["flipped"] <= right["clean"] + 1e-9).all()
    assert by_labels["given"].iloc[-1] > 0.9  # learned by heart
    assert by_labels["flipped"].iloc[-1] > 0.5
    assert study("analyze", "name=noisy", "figures=[]").code == 0
    target = tmp_path / "outputs" / "noisy" / "analysis"
    gap = pd.read_csv(target / "gap_table.csv")["accuracy_gap"][0]
    last = metrics.iloc[-1]
    assert gap == pytest.approx(100 * (last["train_accuracy"] - last["val_accuracy"]))
    assert pd.read_csv(target / "label_noise.csv").loc[0, "given"] == by_labels["given"].iloc[-1]


def test_without_noise_there_is_no_such_file(finished):
    assert not list((finished / "outputs" / "small").glob("*/label_noise.csv"))


@pytest.mark.parametrize("share", ["1", "-0.1", "nan"])
def test_a_share_outside_its_range_is_refused(study, share):
    result = study("data=digits", f"data.label_noise={share}")
    assert result.code == 1
    assert "data.label_noise" in result.err
    assert result.err.count("\n") == 1
