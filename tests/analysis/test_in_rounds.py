"""Tests and intervals of a study with seeds=auto hold for all rounds, and tables say so."""

import shutil

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from study.sequential import levels
from tests.conftest import run_folders, run_here

FEW = (
    *("data=digits", "data.train_size=150", "epochs=3", "model.hidden=[10]", "optimizer.lr=0.01"),
    *("workers=1", "name=rounds"),
)
VARIANT = "l2-lam0.01"
AUTO = ("-m", "reg=none,l2,dropout", "seeds=auto", "half_width=0.001", "max_seeds=12", "equivalence=20")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rounds")
    result = run_here(*FEW, *AUTO, cwd=folder)
    assert result.code == 0, result.err
    return folder


@pytest.fixture
def rounds(trained, tmp_path):
    shutil.copytree(trained / "outputs", tmp_path / "outputs")
    return tmp_path / "outputs/rounds"


def tables(folder):
    runs = pd.read_csv(folder / "analysis/runs.csv")
    found = pd.read_csv(folder / "analysis/significance.csv").set_index(["measure", "variant"])
    return runs, found, (folder / "analysis/report.md").read_text()


def differences(runs, variant, measure):
    values = runs.pivot(index="seed", columns="variant", values=measure)
    return (values[variant] - values["none"]).to_numpy()


def test_intervals_of_the_primary_measure_hold_for_all_rounds_and_contrasts(study, rounds):
    assert study("analyze", "name=rounds", "figures=[]").code == 0
    runs, found, report = tables(rounds)
    for measure, level in {"val_accuracy": 0.05 / 2, "val_loss": 0.05}.items():
        own = differences(runs, VARIANT, measure)
        nominal = levels((6, 9, 12), level)[2]
        low, high = stats.t.interval(1 - nominal, 11, own.mean(), stats.sem(own))
        row = found.loc[measure, VARIANT]
        assert (row["ci_low"], row["ci_high"]) == pytest.approx((low, high), rel=1e-6)
        assert row["p_t"] > stats.ttest_1samp(own, 0).pvalue
    gaps = pd.read_csv(rounds / "analysis/gap_table.csv").set_index("variant").loc[VARIANT]
    ends = found.loc[("val_accuracy", VARIANT), ["ci_low", "ci_high"]] * 100
    assert list(gaps[["delta_val_ci_low", "delta_val_ci_high"]]) == pytest.approx(list(ends))
    assert "Seeds were added in rounds (seeds=auto): 12 seeds in 3 of at most 3 rounds." in report
    page = (rounds / "analysis/report.html").read_text()
    assert "0 to 11, in 3 of at most 3 rounds, until intervals are \\u00b10.001 points" in page
    assert "that ends the study is 0.001 points, up to 12 seeds. The widest is ±" in report


def test_a_p_value_is_the_level_at_which_the_interval_excludes_zero(study, rounds):
    assert study("analyze", "name=rounds", "figures=[]").code == 0
    runs, found, _ = tables(rounds)
    own = differences(runs, VARIANT, "val_loss")
    p = found.loc[("val_loss", VARIANT), "p_t"]
    assert levels((6, 9, 12), p)[2] == pytest.approx(stats.ttest_1samp(own, 0).pvalue, rel=0.03)


def test_equivalence_holds_for_all_rounds_too(study, rounds):
    assert study("analyze", "name=rounds", "figures=[]").code == 0
    runs, found, _ = tables(rounds)
    own = 100 * differences(runs, VARIANT, "val_accuracy")
    once = stats.t.cdf((abs(own.mean()) - 20) / stats.sem(own), 11)
    corrected = found.loc[("val_accuracy", VARIANT), "p_equivalence"]
    assert once < corrected < 20 * max(once, 1e-6)


def test_seeds_of_an_incomplete_round_are_left_out_and_named(study, rounds):
    gone = next(path for path in run_folders(rounds) if "-seed10-" in path.name)
    shutil.rmtree(gone)
    assert study("analyze", "name=rounds", "figures=[]").code == 0
    runs, found, report = tables(rounds)
    assert sorted(runs["seed"].unique()) == list(range(9))
    assert set(found["n"]) == {9}
    assert "9 seeds in 2 of at most 3 rounds" in report
    assert "Left out: seed 9, 10, 11, because it belongs to no complete round of seeds=auto." in report


def test_nothing_is_tested_before_the_end_of_the_first_round(study, rounds):
    for path in run_folders(rounds):
        if int(path.name.split("-seed")[1].split("-")[0]) >= 5:
            shutil.rmtree(path)
    result = study("analyze", "name=rounds", "figures=[]")
    assert result.code == 0
    assert "the first round (seeds 0 to 5) is not complete, so nothing is tested" in result.out
    assert not (rounds / "analysis/significance.csv").exists()
    assert np.isnan(pd.read_csv(rounds / "analysis/gap_table.csv")["val_accuracy"]).sum() == 0
