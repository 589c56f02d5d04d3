"""The average of the weights is that of its formula. A run scores and records it, and training never sees it."""

import copy
import math

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file
from torch import nn

from study.data.splits import Part
from study.optimizers import sgd
from study.regularizers.averaging import EMA
from study.training.general import train_epoch
from study.training.state import State
from tests.conftest import run_folders, run_here
from tests.regularizers.regularizing import combined


def decays(lam, steps):
    return [min(lam, (1 + t) / (10 + t)) for t in range(1, steps + 1)]


def shares(lam, steps):
    """The share in the average of the initial weights and of those after each step."""
    d = decays(lam, steps)
    return [math.prod(d), *((1 - d[i]) * math.prod(d[i + 1 :]) for i in range(steps))]


@pytest.mark.parametrize("lam", [0.0, 0.3, 0.999])
def test_parameters_and_running_statistics_are_averaged_over_the_steps(lam):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Linear(5, 4)).double()
    part = Part(torch.rand(24, 6, dtype=torch.float64), torch.arange(24) % 4)
    hooks, optimizer = combined(EMA(), lam, model, classes=4), sgd(model.parameters(), 0.5)
    seen = [copy.deepcopy(model.state_dict())]
    optimizer.register_step_post_hook(lambda *_: seen.append(copy.deepcopy(model.state_dict())))
    for _ in range(2):
        train_epoch(State(model, hooks, optimizer, torch.Generator().manual_seed(5)), part, 4)
    assert len(seen) == 13
    with hooks.scored(model):
        scored = copy.deepcopy(model.state_dict())
    assert sum(shares(lam, 12)) == pytest.approx(1)
    for name, tensor in scored.items():
        if name.endswith("num_batches_tracked"):
            assert int(tensor) == 12
            continue
        expected = sum(share * state[name] for share, state in zip(shares(lam, 12), seen, strict=True))
        torch.testing.assert_close(tensor, expected, rtol=1e-12, atol=1e-14)
        assert torch.equal(model.state_dict()[name], seen[-1][name])  # training goes on with these


EPOCHS = 5  # one more than the best
DATA = ("data=digits", "data.train_size=60", "batch_size=8")
RUN = (*DATA, "model.hidden=[30]", "optimizer.lr=0.03", f"epochs={EPOCHS}", "workers=1", "loop=general")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The folders of runs of one seed, by variant."""
    folder = tmp_path_factory.mktemp("averaged")
    combine = (
        "{reg: combine, reg.parts: [[{reg: early_stopping, patience: 9, monitor: val_accuracy}, {reg: ema, lam: 0.8}]]}"
    )
    variants = f"variants=[{{reg: none}}, {{reg: ema, lam: [0.0, 0.8]}}, {combine}]"
    result = run_here(variants, *RUN, "keep_model=true", cwd=folder)
    assert result.code == 0, result.err
    return {run.name.split("-seed")[0]: run for run in run_folders(folder / "outputs" / "default")}


def metrics(run):
    return pd.read_csv(run / "metrics.csv").drop(columns=["seconds", "lam"])


def test_a_decay_of_0_gives_the_files_of_none(runs):
    pd.testing.assert_frame_equal(metrics(runs["none"]), metrics(runs["ema-lam0"]), check_exact=True)
    for file in ("weights.csv", "histogram.csv", "val.csv", "test.csv", "sparsity.csv", "model.safetensors"):
        assert (runs["none"] / file).read_bytes() == (runs["ema-lam0"] / file).read_bytes(), file


def test_the_optimizer_sees_the_weights_and_the_files_have_their_average(runs):
    plain, averaged = metrics(runs["none"]), metrics(runs["ema-lam0.8"])
    pd.testing.assert_series_equal(plain["objective"], averaged["objective"], check_exact=True)
    assert plain["val_loss"][0] == averaged["val_loss"][0]
    assert (plain["val_loss"][1:] != averaged["val_loss"][1:]).all()
    assert pd.read_csv(runs["ema-lam0.8"] / "val.csv")["loss"][0] == averaged["val_loss"].iloc[-1]


@pytest.mark.parametrize("variant", ["ema-lam0.8", "combine"])
def test_the_kept_model_is_the_average_of_the_scored_epoch(runs, variant):
    """Also the one that early stopping chooses."""
    run, scores = runs[variant], metrics(runs["ema-lam0.8"])
    best = int(scores["val_accuracy"].idxmax())
    epoch = best if variant == "combine" else EPOCHS
    assert best < EPOCHS
    pd.testing.assert_frame_equal(metrics(run), scores, check_exact=True)
    assert pd.read_csv(run / "val.csv")["epoch"].tolist() == [epoch]
    assert pd.read_csv(run / "val.csv")["loss"][0] == scores["val_loss"][epoch]
    weights = pd.read_csv(run / "weights.csv").query("epoch == @epoch").set_index("parameter")
    for name, tensor in load_file(run / "model.safetensors").items():
        assert np.linalg.norm(tensor.astype(float)) == pytest.approx(weights.loc[name, "l2"], rel=1e-6)
