"""Early stopping ends when val no longer gets better, and the best weights are what is scored."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from study.models import MLP
from study.regularizers.early_stopping import EarlyStopping
from tests.conftest import run_folders, run_here


def follow(regularizer, scores):
    """Epochs until it stops, and the one it chooses."""
    model = MLP(2, [2], 2)
    for epoch, score in enumerate(scores):
        with torch.no_grad():
            model.output.bias.fill_(float(epoch))
        regularizer.after_epoch(epoch, {"val_loss": score, "val_accuracy": -score}, model)
        if regularizer.stops:
            break
    chosen = regularizer.chosen_epoch(epoch)
    regularizer.choose(model)
    assert float(model.output.bias[0]) == chosen
    return epoch, chosen


@pytest.mark.parametrize("monitor", ["val_loss", "val_accuracy"])
def test_it_waits_for_its_patience_and_goes_back_to_the_best(monitor):
    assert follow(EarlyStopping(2, monitor), [5, 3, 4, 2, 2, 2, 1]) == (5, 3)
    assert follow(EarlyStopping(9, monitor), [5, 3, 4, 2, 2, 2, 1]) == (6, 6)
    assert follow(EarlyStopping(1, monitor), [1, 2, 0]) == (1, 0)
    assert follow(EarlyStopping(2, monitor), [3, float("nan"), float("nan"), 1]) == (2, 0)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A run that stops early: a high learning rate overshoots soon."""
    folder = tmp_path_factory.mktemp("stopped")
    few = ("data=digits", "data.train_size=200", "model.hidden=[30]", "workers=1")
    quick = (*few, "optimizer.lr=0.05", "keep_model=true")
    result = run_here("-m", *quick, "epochs=60", "reg=none,early_stopping", "reg.patience=3", cwd=folder)
    assert result.code == 1  # none has no patience
    assert "reg.patience" in result.err
    sweep = ("variants=[{reg: none}, {reg: early_stopping, reg.patience: [3, 60]}]", "epochs=60")
    result = run_here(*quick, *sweep, cwd=folder)
    assert result.code == 0, result.err
    return folder


def facts(folder, patience):
    for run in run_folders(folder / "outputs" / "default"):
        if f"patience{patience}" in run.name:
            return run, json.loads((run / "status.json").read_text()), pd.read_csv(run / "metrics.csv")
    raise AssertionError(patience)


def test_the_run_ends_early_and_its_best_weights_are_scored(fitted):
    run, status, metrics = facts(fitted, 3)
    best = int(metrics["val_loss"].idxmin())
    assert status["state"] == "complete"
    assert status["epochs_trained"] == len(metrics) - 1 == best + 3 < 60
    assert status["scored_epoch"] == best
    test, val = pd.read_csv(run / "test.csv"), pd.read_csv(run / "val.csv")
    assert test["epoch"].tolist() == val["epoch"].tolist() == [best]
    assert val["loss"][0] == metrics["val_loss"][best]
    with np.load(run / "predictions.npz") as stored:
        assert (stored["val_label"] == stored["val_predicted"]).mean() == val["accuracy"][0]
    histograms = pd.read_csv(run / "histogram.csv")
    assert {0, best, best + 3} <= set(histograms["epoch"])
    from safetensors.numpy import load_file

    kept, weights = load_file(run / "model.safetensors"), pd.read_csv(run / "weights.csv")
    l2 = weights[(weights["epoch"] == best) & (weights["parameter"] == "hidden.0.weight")]["l2"].iloc[0]
    assert np.linalg.norm(kept["hidden.0.weight"].astype(float)) == pytest.approx(l2, rel=1e-6)


def test_a_patience_of_the_budget_uses_it_and_takes_the_best_epoch(fitted):
    _, status, metrics = facts(fitted, 60)
    assert status["epochs_trained"] == 60 == len(metrics) - 1
    assert status["scored_epoch"] == int(metrics["val_loss"].idxmin()) < 60


def test_the_table_shows_epochs_used_and_the_chosen_epoch_s_scores(fitted):
    assert run_here("analyze", "figures=[curves]", cwd=fitted).code == 0
    analysis = fitted / "outputs" / "default" / "analysis"
    table = pd.read_csv(analysis / "gap_table.csv").set_index("variant")
    _, status, metrics = facts(fitted, 3)
    row = table.loc["early_stopping-patience3"]
    assert row["epochs"] == 60
    assert row["epochs_trained"] == status["epochs_trained"]
    assert row["epoch"] == status["scored_epoch"]
    assert row["val_loss"] == metrics["val_loss"][status["scored_epoch"]]
    text = (analysis / "gap_table.md").read_text()
    assert "| Used |" in text
    assert "so their validation scores are too high" in text
    assert run_here("analyze", "figures=[]", "at=30", cwd=fitted).code == 0
