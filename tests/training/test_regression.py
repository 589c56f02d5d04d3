"""A run of a regression: its loop, its files, and the same bytes after an interruption."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_diabetes
from sklearn.metrics import mean_absolute_error, r2_score
from torch import nn

from study.data import Part
from study.optimizers import sgd
from study.records.comparison import differing, without_column
from study.regularizers import Combined, Scoped
from study.regularizers import Part as One
from study.regularizers.data_side import GradientPenalty, Mixup
from study.regularizers.penalties import L2
from study.training.crew import train_alone
from study.training.general import data_gradient_norm, penalty_and_gradient_ratio, train_epoch
from study.training.loop_choice import choose_loops
from study.training.run import begin_run
from study.training.state import State
from study.training.task import Task
from tests.config.test_identity import resolved

RANDOM = np.random.default_rng(0)
X = torch.from_numpy(RANDOM.normal(size=(40, 3)).astype(np.float32))
Y = torch.from_numpy(RANDOM.normal(size=(40, 2)).astype(np.float32))


def task_of(folder, *overrides):
    few = ["data=diabetes", "model.hidden=[8]", "epochs=4"]
    run = resolved(*few, *overrides)
    (task,) = choose_loops([Task.of(run, "variant", folder / run.run_id)], "fastest", print)
    return task


def trained(folder, *overrides):
    task = task_of(folder, *overrides)
    assert train_alone(begin_run(task, task.folder, lambda epoch, row: True)).state == "complete"
    return task.folder


def attached(model, regularizer, lam=0.1):
    regularizer.attach(model, [Scoped("weight", model.weight)], 2)
    return Combined([One(regularizer, lam)])


def test_a_step_follows_the_gradient_of_the_mean_squared_error():
    model = nn.Linear(3, 2, bias=False)
    before = model.weight.detach().clone()
    objective = train_epoch(State(model, Combined([]), sgd(model.parameters(), 0.5), torch.Generator()), Part(X, Y), 40)
    errors = X @ before.T - Y
    assert objective == pytest.approx(float(errors.square().mean()), rel=1e-5)
    gradient = 2 * errors.T @ X / errors.numel()
    assert torch.allclose(model.weight, before - 0.5 * gradient, atol=1e-6)


def test_the_gradient_ratio_is_relative_to_the_mean_squared_error():
    model = nn.Linear(3, 2, bias=False)
    penalty, ratio = penalty_and_gradient_ratio(model, attached(model, L2()), Part(X, Y), data_gradient_norm)
    w = model.weight.detach()
    data = 2 * (X @ w.T - Y).T @ X / Y.numel()
    assert penalty == pytest.approx(0.1 * float(w.square().sum()), rel=1e-5)
    assert ratio == pytest.approx(float((0.2 * w).norm() / data.norm()), rel=1e-4)


def test_the_gradient_penalty_is_that_of_the_squared_error():
    model = nn.Linear(3, 2, bias=False)
    found = attached(model, GradientPenalty()).penalty(model, X, Y).detach()
    weight = model.weight.detach()
    of_inputs = (X @ weight.T - Y) @ weight  # of the mean over two outputs
    assert float(found) == pytest.approx(0.1 * float(of_inputs.square().sum(dim=1).mean()), rel=1e-4)


def test_mixup_mixes_targets_like_inputs():
    regularizer = Mixup()
    regularizer.lam = 1.0
    inputs, targets = regularizer.on_batch(torch.stack([X[:, 0], Y[:, 0]], 1), torch.stack([X[:, 0], Y[:, 0]], 1))
    assert torch.equal(inputs, targets)
    assert not torch.equal(inputs[:, 0], X[:, 0])


def test_the_files_of_a_run_hold_its_scores(tmp_path):
    folder = trained(tmp_path)
    status = json.loads((folder / "status.json").read_text())
    assert (status["task"], status["path"]) == ("regression", "compiled_step")
    metrics = pd.read_csv(folder / "metrics.csv")
    columns = "epoch train_loss train_accuracy val_loss val_accuracy penalty objective gradient_ratio lam learning_rate"
    assert list(metrics) == [*columns.split(), "seconds", "train_r2", "val_r2", "train_mae", "val_mae"]
    assert metrics[["train_accuracy", "val_accuracy"]].isna().all(axis=None)
    with np.load(folder / "predictions.npz") as stored:
        assert sorted(stored) == ["test_label", "test_predicted", "val_label", "val_predicted"]
        for split in ("val", "test"):
            row = pd.read_csv(folder / f"{split}.csv").iloc[0]
            label, predicted = stored[f"{split}_label"], stored[f"{split}_predicted"]
            assert set(label.round().astype(int)) <= set(load_diabetes().target.astype(int))
            assert len(label) == row["count"]
            assert row["r2"] == pytest.approx(r2_score(label, predicted), rel=1e-4)
            assert row["mae"] == pytest.approx(mean_absolute_error(label, predicted), rel=1e-4)
            assert row[["accuracy", "ece", "brier"]].isna().all()
    assert metrics["val_loss"].iloc[-1] == pd.read_csv(folder / "val.csv")["loss"].iloc[0]
    pruned = pd.read_csv(folder / "pruning.csv")
    assert pruned["accuracy"].isna().all()
    assert pruned["loss"].iloc[0] == metrics["val_loss"].iloc[-1]
    assert not pd.read_csv(folder / "invariants.csv")["measure"].str.startswith("margin").any()


@pytest.mark.parametrize("overrides", [["reg=l1"], ["reg=mixup", "lam=1"], ["reg=early_stopping", "reg.patience=3"]])
def test_an_interrupted_run_ends_with_the_same_bytes(tmp_path, overrides):
    whole, broken = trained(tmp_path / "whole", *overrides), task_of(tmp_path / "broken", *overrides)
    assert train_alone(begin_run(broken, broken.folder, lambda epoch, row: epoch < 2)).state == "interrupted"
    assert train_alone(begin_run(broken, broken.folder, lambda epoch, row: True)).state == "complete"
    assert differing(whole, broken.folder) == []


def test_bytes_are_compared_without_the_seconds_alone(tmp_path):
    assert without_column(b"a,seconds,b\n1,2,3\n", b"seconds") == b"a,b\n1,3"
    whole, other = trained(tmp_path / "whole"), trained(tmp_path / "other")
    lines = (other / "metrics.csv").read_text().splitlines()
    (other / "metrics.csv").write_text("\n".join([*lines[:-1], lines[-1].rpartition(",")[0] + ",0.5"]) + "\n")
    assert differing(whole, other) == ["metrics.csv"]
