"""The file contract: what a run leaves behind, name by name and column by column."""

import hashlib
import json

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

from study.measures.weights import QUANTILES
from tests.conftest import run_folders

METRICS = (
    "epoch,train_loss,train_accuracy,val_loss,val_accuracy,penalty,objective,gradient_ratio,lam,learning_rate,seconds"
)
WEIGHTS = (
    "epoch,parameter,count,mean,std,min,max,l1,l2,abs_max,zero_fraction,near_zero_fraction,kurtosis,"
    "q001,q01,q05,q25,q50,q75,q95,q99,q999"
)
PARAMETERS = {"hidden.0.weight": 64 * 20, "hidden.0.bias": 20, "output.weight": 200, "output.bias": 10}


@pytest.fixture(params=["none-seed0", "l1-lam0.0001-seed1", "l2-lam0.01-seed0"])
def run(request, finished):
    (folder,) = (finished / "outputs" / "small").glob(f"{request.param}-*")
    return folder


def test_a_run_folder_holds_exactly_the_files_of_the_contract(run):
    expected = {
        "config.yaml",
        "metrics.csv",
        "weights.csv",
        "ranks.csv",
        "histogram.csv",
        "test.csv",
        "predictions.npz",
    }
    expected |= {"val.csv", "sparsity.csv", "pruning.csv", "pruning_curve.csv", "invariants.csv", "calibration.csv"}
    assert {path.name for path in run.iterdir()} == expected | {"status.json", "run.log"}


def test_nothing_but_run_folders_is_written(finished):
    assert [path.name for path in finished.iterdir()] == ["outputs"]
    assert [path.name for path in (finished / "outputs" / "small").iterdir() if path.is_file()] == ["sweeps.jsonl"]


def test_metrics(run):
    assert (run / "metrics.csv").read_text().splitlines()[0] == METRICS
    metrics = pd.read_csv(run / "metrics.csv")
    assert metrics["epoch"].tolist() == [0, 1, 2, 3]
    assert metrics["objective"].isna().tolist() == [True, False, False, False]
    assert metrics["val_accuracy"].between(0, 1).all()
    assert metrics["train_loss"].is_monotonic_decreasing
    assert (metrics["learning_rate"] == 1e-3).all()
    assert ((metrics["penalty"] > 0) == (not run.name.startswith("none"))).all()
    assert ((metrics["gradient_ratio"] > 0) == (not run.name.startswith("none"))).all()


def test_the_penalty_is_lam_times_the_norms_in_weights_csv(run):
    metrics, weights = pd.read_csv(run / "metrics.csv"), pd.read_csv(run / "weights.csv")
    lam = metrics["lam"].iloc[0]
    for epoch, of_epoch in weights.groupby("epoch"):
        expected = {"none": 0.0, "l1": lam * of_epoch["l1"].sum(), "l2": lam * (of_epoch["l2"] ** 2).sum()}
        assert metrics["penalty"][epoch] == pytest.approx(expected[run.name.split("-")[0]], rel=1e-5)


def test_weights(run):
    assert (run / "weights.csv").read_text().splitlines()[0] == WEIGHTS
    weights = pd.read_csv(run / "weights.csv")
    assert len(weights) == 4 * len(PARAMETERS)
    for _, of_epoch in weights.groupby("epoch"):
        assert dict(zip(of_epoch["parameter"], of_epoch["count"], strict=True)) == PARAMETERS


def test_histogram_adds_up_and_agrees_with_the_quantiles_to_the_bin(run):
    histogram, weights = pd.read_csv(run / "histogram.csv"), pd.read_csv(run / "weights.csv")
    assert list(histogram.columns) == ["epoch", "parameter", "bin_left", "bin_right", "count"]
    assert histogram["epoch"].unique().tolist() == [0, 1, 2, 3]
    for (epoch, parameter), bins in histogram.groupby(["epoch", "parameter"]):
        assert bins["count"].sum() == PARAMETERS[parameter]
        row = weights[(weights["epoch"] == epoch) & (weights["parameter"] == parameter)].iloc[0]
        left, right = bins["bin_left"].to_numpy(), bins["bin_right"].to_numpy()
        cumulative = bins["count"].cumsum().to_numpy()
        for key, share in QUANTILES.items():
            position = share * (PARAMETERS[parameter] - 1)  # between these two order statistics
            low = left[np.searchsorted(cumulative, np.floor(position) + 1)]
            high = right[np.searchsorted(cumulative, np.ceil(position) + 1)]
            assert low - 1e-9 <= row[key] <= high + 1e-9


def test_test_set_is_scored_once_and_predictions_give_the_same_scores(run):
    for name in ("test.csv", "val.csv"):
        assert (run / name).read_text().splitlines()[0] == "split,epoch,loss,accuracy,count,ece,brier"
    val = pd.read_csv(run / "val.csv")
    assert val[["split", "epoch", "count"]].values.tolist() == [["val", 3, 249]]
    test, metrics = pd.read_csv(run / "test.csv"), pd.read_csv(run / "metrics.csv")
    assert test[["split", "epoch", "count"]].values.tolist() == [["test", 3, 299]]
    with np.load(run / "predictions.npz") as stored:
        for split, accuracy, loss in (
            ("test", test["accuracy"][0], test["loss"][0]),
            ("val", metrics["val_accuracy"].iloc[-1], metrics["val_loss"].iloc[-1]),
        ):
            correct = stored[f"{split}_label"] == stored[f"{split}_predicted"]
            assert correct.mean() == pytest.approx(accuracy)
            assert -np.log(stored[f"{split}_probability"]).mean() == pytest.approx(loss, rel=1e-4)


def test_sparsity_and_pruning_agree_with_weights_csv(run):
    """At the last epoch: shares of exact zeros and of |w| < 0.001, and nothing removed at threshold 0."""
    weights = pd.read_csv(run / "weights.csv").query("epoch == 3").set_index("parameter")
    sparsity = pd.read_csv(run / "sparsity.csv").set_index("parameter")
    assert list(sparsity.index) == [*PARAMETERS, "all"]
    for name in PARAMETERS:
        assert sparsity.loc[name, "zero_fraction"] == weights.loc[name, "zero_fraction"]
        assert sparsity.loc[name, "below_0.001"] == weights.loc[name, "near_zero_fraction"]
    assert sparsity.loc["all", "count"] == sum(PARAMETERS.values())
    assert sparsity.loc["all", "units"] == 20
    pruning, val = pd.read_csv(run / "pruning.csv"), pd.read_csv(run / "val.csv")
    assert pruning["threshold"].tolist() == [0, 1e-4, 1e-3, 1e-2]
    assert pruning.loc[0, ["accuracy", "loss"]].tolist() == val.loc[0, ["accuracy", "loss"]].tolist()
    assert pruning["removed"].is_monotonic_increasing
    assert pruning["effective_parameters"].is_monotonic_decreasing


def test_the_pruning_curve_starts_at_the_score_of_the_run_and_removes_what_it_says(run):
    curve, val = pd.read_csv(run / "pruning_curve.csv"), pd.read_csv(run / "val.csv")
    count = PARAMETERS["hidden.0.weight"] + PARAMETERS["output.weight"]
    assert curve["fraction"].tolist() == [0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98]
    assert curve.loc[0, ["accuracy", "loss"]].tolist() == val.loc[0, ["accuracy", "loss"]].tolist()
    assert (curve["count"] == count).all()
    assert (curve["removed"] >= curve["fraction"] * count).all()
    assert curve["removed"].iloc[-1] < 0.99 * count


def test_calibration_gives_the_ece_and_counts_every_image(run):
    bins, val = pd.read_csv(run / "calibration.csv").query("split == 'val'"), pd.read_csv(run / "val.csv")
    assert bins["count"].sum() == val["count"][0]
    shares = bins["count"] / bins["count"].sum()
    assert ((bins["accuracy"] - bins["confidence"]).abs() * shares).sum() == pytest.approx(val["ece"][0])
    assert (shares * bins["accuracy"]).sum() == pytest.approx(val["accuracy"][0])
    assert bins["confidence"].between(bins["bin_left"], bins["bin_right"]).all()


def test_effective_ranks_are_those_of_the_matrices_at_the_epochs_of_histograms(run):
    ranks, final = pd.read_csv(run / "ranks.csv"), pd.read_csv(run / "invariants.csv")
    assert ranks["epoch"].drop_duplicates().tolist() == [0, 1, 2, 3]
    assert set(ranks["parameter"]) == {"hidden.0.weight", "output.weight"}
    last = ranks[ranks["epoch"] == 3].set_index("parameter")["effective_rank"]
    by_decomposition = final[final["measure"] == "effective_rank"].set_index("parameter")["value"]
    assert last.to_dict() == pytest.approx(by_decomposition.to_dict(), rel=1e-6)


def test_status_and_config(run):
    status = json.loads((run / "status.json").read_text())
    assert status["contract"] == 1
    assert status["state"] == "complete"
    assert run.name == f"{status['variant']}-seed{run.name.split('seed')[1][0]}-{status['run_id'][:12]}"
    assert len(status["run_id"]) == 64
    assert status["threads"] == 1
    assert status["path"] == "mlp"
    assert status["device"] == "cpu"
    assert set(status["data_checksums"]) == {"images", "labels"}
    assert {"python", "torch", "regstudy", "git_commit", "git_dirty"} <= set(status["versions"])
    config = OmegaConf.load(run / "config.yaml")
    assert config.epochs == 3
    assert config.reg.option == run.name.split("-")[0]
    if config.reg.option == "none":
        assert config.lam == 0
        assert status["takes_lam"] is False
        assert config.reg.scope is None


def test_seeds_differ_and_variants_of_one_seed_start_alike(finished):
    start = {
        folder.name.rsplit("-", 1)[0]: pd.read_csv(folder / "metrics.csv").iloc[0]["val_loss"]
        for folder in run_folders(finished / "outputs" / "small")
    }
    assert start["none-seed0"] == start["l1-lam0.0001-seed0"] == start["l2-lam0.01-seed0"]
    assert start["none-seed0"] != start["none-seed1"]


def test_the_textbook_split_has_no_test_score(study, tmp_path):
    assert study("data=digits", "data.split=textbook", "epochs=1").code == 0
    (run,) = run_folders(tmp_path / "outputs" / "default")
    assert len(pd.read_csv(run / "test.csv")) == 0
    with np.load(run / "predictions.npz") as stored:
        assert set(stored) == {"val_label", "val_predicted", "val_probability"}


def test_the_seal_has_size_and_checksum_of_every_other_file(run):
    seal = json.loads((run / "status.json").read_text())["seal"]
    assert set(seal) == {path.name for path in run.iterdir()} - {"status.json"}
    for name, of_file in seal.items():
        content = (run / name).read_bytes()
        assert of_file == {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
