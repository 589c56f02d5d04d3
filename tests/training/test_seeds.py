"""A seed of one source changes what this source draws and nothing else, in every training loop."""

import numpy as np
import pandas as pd
import pytest

from study.seeds import SOURCES
from tests.conftest import run_folders, run_here

FEW = ("data=digits", "data.train_size=200", "epochs=2", "model.hidden=[20]", "workers=1", "data.label_noise=0.2")
LOOPS = {"compiled": "loop=fastest", "general": "loop=general", "lockstep": "loop=lockstep"}


@pytest.fixture(scope="module", params=LOOPS)
def runs(request, tmp_path_factory):
    """By the folder's seed: metrics, weights, and the labels of val of a run with dropout."""
    folder = tmp_path_factory.mktemp(request.param)
    each = ", ".join(f"{{seed: {{{source}: 1}}}}" for source in SOURCES)
    each = f"variants=[{{seed: 0}}, {{seed: 1}}, {each}]"
    result = run_here(*FEW, "reg=dropout", each, LOOPS[request.param], cwd=folder)
    assert result.code == 0, result.err
    found = {}
    for run in run_folders(folder / "outputs" / "default"):
        name = run.name.partition("-seed")[2].rpartition("-")[0]
        metrics = pd.read_csv(run / "metrics.csv").drop(columns="seconds")
        val = np.load(run / "predictions.npz")["val_label"]
        found[name] = (metrics, pd.read_csv(run / "weights.csv"), val)
    return found


def start(table):
    return table[table["epoch"] == 0].reset_index(drop=True)


def test_each_source_has_its_own_seed(runs):
    assert set(runs) == {"0", "1", "0-split1", "0-init1", "0-order1", "0-dropout1"}
    (metrics, weights, val), (_, other_weights, other_val) = runs["0"], runs["1"]
    for name, (own_metrics, own_weights, own_val) in runs.items():
        assert start(own_weights).equals(start(other_weights if name in ("1", "0-init1") else weights))
        assert (own_val == (other_val if name in ("1", "0-split1") else val)).all()
        same_start = name in ("0", "0-order1", "0-dropout1")  # the same weights and images, before the first step
        assert (
            start(own_metrics).drop(columns="objective").equals(start(metrics).drop(columns="objective")) == same_start
        )
        assert own_metrics.equals(metrics) == (name == "0")


def test_config_and_status_keep_the_seeds(runs, study, tmp_path):
    assert study(*FEW, "seed=2", "seed.init=1").code == 0
    (run,) = run_folders(tmp_path / "outputs" / "default")
    assert "\nseed:\n  split: 2\n  init: 1\n  order: 2\n  dropout: 2\n" in (run / "config.yaml").read_text()
    assert "0 already complete" not in study(*FEW, "seed=2", "seed.init=1").out
