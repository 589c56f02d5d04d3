"""How wide the range of λ is in which a regularizer is about as good as at its best."""

import json

import numpy as np
import pandas as pd
import pytest

from study.analysis.statistics.sensitivity import sensitivity
from study.analysis.tables.sensitivity_tables import sensitivity_notes, sensitivity_text
from tests.conftest import run_here

LAM = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]


def path(means, reg="l1", lam=LAM, context="", extra="", measure="val_accuracy", seeds=3):
    """Runs of one regularizer whose scores have known means at each λ."""
    offsets = np.linspace(-0.01, 0.01, seeds)
    lines = [
        (f"{reg}-lam{strength:.15g}{extra}", reg, strength, context, seed, mean + offset, "complete", True)
        for strength, mean in zip(lam, means, strict=True)
        for seed, offset in enumerate(offsets)
    ]
    columns = ["variant", "reg", "lam", "context", "seed", measure, "state", "takes_lam"]
    task = "classification" if measure == "val_accuracy" else "regression"
    return pd.DataFrame(lines, columns=columns).assign(task=task)


def none(mean, **options):
    return path([mean], "none", [0.0], **options).assign(variant="none", takes_lam=False)


def only(rows, within=None):
    (row,) = sensitivity(rows, within).to_dict("records")
    return row


def test_the_range_is_of_tried_lam_within_half_a_point_of_the_best_without_a_gap():
    row = only(path([0.90, 0.9460, 0.95, 0.9455, 0.90]))
    assert (row["variant"], row["reg"], row["best_lam"]) == ("l1", "l1", 1e-3)
    assert row["best"] == pytest.approx(0.95)
    assert (row["lam_low"], row["lam_high"], row["inside"], row["tried"]) == (1e-4, 1e-2, 3, 5)
    assert row["decades"] == pytest.approx(2)
    assert row["touches"] == ""
    gap = only(path([0.949, 0.90, 0.95, 0.90, 0.90]))
    assert (gap["lam_low"], gap["lam_high"], gap["decades"], gap["inside"]) == (1e-3, 1e-3, 0, 1)


def test_a_difference_of_exactly_the_distance_is_inside_despite_rounding():
    assert only(path([0.90, 0.945, 0.95, 0.90, 0.90]))["lam_low"] == 1e-4


def test_the_distance_is_an_option():
    means = [0.90, 0.9460, 0.95, 0.9455, 0.93]
    assert only(path(means), 0.1)["inside"] == 1
    assert only(path(means), 2.0)["inside"] == 4
    assert only(path(means), 2.0)["within"] == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("means", "touches"),
    [
        ([0.949, 0.95, 0.90, 0.90, 0.90], "lower end"),
        ([0.90, 0.90, 0.90, 0.90, 0.95], "upper end"),
        ([0.95, 0.95, 0.95, 0.95, 0.95], "both ends"),
    ],
)
def test_a_range_that_touches_an_end_of_the_tried_lam_is_a_lower_bound(means, touches):
    table = sensitivity(path(means))
    assert table["touches"].item() == touches
    shown = sensitivity_text(table, "classification")
    assert shown.only([c for c in shown.columns if c.key == "decades"]).rows[0][0].startswith("≥")
    assert "so it may be wider" in " ".join(sensitivity_notes(table, "classification", None))


def test_a_diverged_run_takes_its_lam_out_of_the_range_but_it_was_tried():
    rows = path([0.95] * 5)
    rows.loc[(rows["lam"] == 1e-2) & (rows["seed"] == 1), "state"] = "diverged"
    row = only(rows)
    assert (row["lam_high"], row["inside"], row["tried"], row["touches"]) == (1e-3, 3, 5, "lower end")


def test_each_setting_has_its_own_range():
    rows = pd.concat(
        [
            path([0.90, 0.95, 0.90, 0.90, 0.90], context="train_size 500", extra="-train_size500"),
            path([0.90, 0.90, 0.90, 0.97, 0.90], context="train_size 1000", extra="-train_size1000"),
            path([0.90, 0.90, 0.97, 0.97, 0.90], "l2", extra="-scopeweights"),
            none(0.9499, context="train_size 500"),
        ]
    )
    table = sensitivity(rows).set_index("variant")
    assert table["best_lam"].to_dict() == {
        "l1-train_size500": 1e-4,
        "l1-train_size1000": 1e-2,
        "l2-scopeweights": 1e-3,
    }
    assert table["none_inside"].tolist() == [True, None, None]
    notes = " ".join(sensitivity_notes(table.reset_index(), "classification", None))
    assert "No regularizer at all is that close to the best, too: l1-train_size500." in notes


def test_two_lam_and_lam_of_zero_make_no_range():
    assert sensitivity(path([0.9, 0.95], lam=[1e-4, 1e-3])).empty
    assert sensitivity(path([0.9, 0.95, 0.9], lam=[0, 1e-4, 1e-3])).empty
    assert sensitivity(path([0.9] * 5).assign(state="diverged")).empty


def test_for_a_regression_lam_is_inside_up_to_5_percent_above_the_lowest_loss():
    rows = path([0.60, 0.52, 0.50, 0.524, 0.53], measure="val_loss")
    row = only(rows)
    assert (row["best_lam"], row["lam_low"], row["lam_high"]) == (1e-3, 1e-4, 1e-2)
    assert row["within"] == pytest.approx(0.025)
    assert only(rows, 0.03)["lam_high"] == 1e-1
    assert "within 5 % of the best mean" in sensitivity_notes(sensitivity(rows), "regression", None)[0]
    assert "within 0.03 MSE of the best mean" in sensitivity_notes(sensitivity(rows, 0.03), "regression", 0.03)[0]


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """outputs/three: none, three λ of l1 and two of l2; the folder of the command."""
    folder = tmp_path_factory.mktemp("three")
    few = ("data=digits", "data.train_size=100", "epochs=2", "model.hidden=[10]", "optimizer.lr=0.01", "workers=1")
    variants = "variants=[{reg: none}, {reg: l1, lam: [1e-5, 1e-3, 1]}, {reg: l2, lam: [1e-3, 1]}]"
    assert run_here(*few, variants, "seeds=2", "name=three", cwd=folder).code == 0
    return folder


def test_the_table_is_printed_and_in_every_file(three):
    result = run_here("analyze", "name=three", "figures=[]", "lam_within=3", cwd=three)
    assert result.code == 0, result.err
    assert "Sensitivity to λ" in result.out
    analysis = three / "outputs" / "three" / "analysis"
    table = pd.read_csv(analysis / "sensitivity.csv").set_index("variant")
    assert list(table.index) == ["l1"]
    row, gaps = table.loc["l1"], pd.read_csv(analysis / "gap_table.csv").set_index("variant")
    own = gaps.loc[["l1-lam1e-05", "l1-lam0.001", "l1-lam1"], "val_accuracy"]
    assert row["best"] == pytest.approx(own.max())
    assert (row["tried"], row["within"]) == (3, pytest.approx(0.03))
    for text in ((analysis / "sensitivity.md").read_text(), (analysis / "report.md").read_text()):
        assert "| l1 |" in text
        assert "is within 3 points of the best mean (lam_within)" in text
    assert r"$\lambda$ inside" in (analysis / "sensitivity.tex").read_text()
    assert json.dumps("Sensitivity to λ") in (analysis / "report.html").read_text()


def test_without_three_lam_there_is_no_table(three):
    analysis = three / "outputs" / "three" / "analysis"
    result = run_here("analyze", "name=three", "figures=[]", "filter.lam=[1e-3,1]", cwd=three)
    assert result.code == 0, result.err
    assert "Sensitivity" not in result.out
    assert not (analysis / "sensitivity.csv").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("lam_within=-1", "lam_within=-1: must be a finite number above 0, or null. Example: lam_within=0.5"),
        ("lam_within=0", "lam_within=0: must be a finite number above 0, or null"),
        ("lam_within=wide", "lam_within=wide: a number is allowed"),
    ],
)
def test_a_distance_that_is_no_positive_number_is_refused_before_a_look_is_counted(three, given, message):
    ledger = three / "outputs" / "three" / "ledger.csv"
    before = ledger.read_bytes() if ledger.exists() else None
    result = run_here("analyze", "name=three", given, cwd=three)
    assert result.code == 1
    assert message in result.err
    assert len(result.err.splitlines()) == 1
    assert (ledger.read_bytes() if ledger.exists() else None) == before
