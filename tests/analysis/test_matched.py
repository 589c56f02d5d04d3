"""Regularizers at matched strength: read off between their λ, within each seed, and never beyond what was trained."""

import numpy as np
import pandas as pd
import pytest

from study.analysis.statistics.matched import LEVELS, MATCHES, branch, matched, wide_steps
from study.analysis.tables.matched_tables import matched_text, step_notes

LAM = [1e-4, 1e-3, 1e-2, 1e-1]


def rows(offset, seeds=3, reg_loss=None):
    """Two λ paths on which val accuracy is a line in train loss; the second one's lies `offset` above."""
    lines = []
    for reg, above in (("l1", 0.0), ("l2", offset)):
        losses = (reg_loss or {}).get(reg, [0.1, 0.2, 0.35, 0.6])
        for seed in range(seeds):
            for lam, loss in zip(LAM, losses, strict=True):
                val = 0.9 - 0.2 * loss + above + 0.01 * seed
                lines.append((reg, lam, seed, loss, val, 100 * lam, 10 * lam, lam, 0.0))
    columns = ["reg", "lam", "seed", "train_loss", "val_accuracy", "weights_l1", "weights_l2"]
    table = pd.DataFrame(lines, columns=[*columns, "near_zero_fraction", "zero_fraction"])
    return table.assign(state="complete", takes_lam=True, task="classification")


def test_a_known_difference_at_equal_train_loss_is_found_at_every_level():
    found = matched(rows(0.02)).query("measure == 'val_accuracy'")
    assert len(found) == LEVELS
    assert found["level"].tolist() == pytest.approx(list(np.linspace(0.1, 0.6, LEVELS)))
    assert found["mean_difference"].tolist() == pytest.approx([-0.02] * LEVELS)
    assert found["ci_low"].tolist() == pytest.approx([-0.02] * LEVELS)  # the seeds agree


def test_a_step_of_lam_across_much_of_the_range_is_named():
    at_loss = MATCHES["classification"][0]
    steps = wide_steps(rows(0.0, reg_loss={"l1": [0.1, 0.12, 0.14, 0.6]}), at_loss)
    assert [(str(step), round(step.share, 2)) for step in steps] == [("l1 λ 0.01 to 0.1", 0.92)]
    (note,) = step_notes({"train_loss": steps, "val_accuracy": []}, "classification")
    assert note.startswith("Interpolated far from any run, because training loss changes by more than half of the")
    assert note.endswith("l1 λ 0.01 to 0.1. Train λ in between.")
    assert wide_steps(rows(0.0), at_loss) == []


def test_only_the_range_that_all_share_is_compared():
    found = matched(rows(0.0, reg_loss={"l2": [0.3, 0.4, 0.5, 0.9]})).query("measure == 'val_accuracy'")
    assert [found["level"].min(), found["level"].max()] == pytest.approx([0.3, 0.6])
    assert matched(rows(0.0, reg_loss={"l2": [1.3, 1.4, 1.5, 1.9]})).query("matched_on == 'train_loss'").empty


def test_the_table_names_measures_and_levels_in_words():
    text = matched_text(matched(rows(0.02)), "classification")
    assert text.rows[0][:2] == ("Validation accuracy (%) at training loss 0.1 nats", "l1 − l2")
    of_weights = next(row for row in text.rows if "‖w‖₂" in row[0])
    assert of_weights[0] == "‖w‖₂ at training loss 0.1 nats"
    of_zeros = next(row for row in text.rows if "|w| < 0.001" in row[0])
    assert of_zeros[0].startswith("|w| < 0.001 (%) at validation accuracy 8")  # percent, as in all tables


def test_the_branch_is_the_longest_one_that_is_monotone():
    assert branch(np.array([0.3, 0.2, 0.25, 0.4]), rises=True) == slice(1, 4)
    assert branch(np.array([0.1, 0.11, 0.105, 0.4]), rises=True) == slice(2, 4)  # as long, but wider
    assert branch(np.array([0.1, 0.11, 0.105, 0.2, 0.4]), rises=True) == slice(2, 5)
    assert branch(np.array([0.90, 0.91, 0.88, 0.7]), rises=False) == slice(1, 4)


def test_two_values_of_lam_are_no_path():
    few = rows(0.02)
    assert matched(few[few["lam"].isin(LAM[:2])]).empty


@pytest.mark.slow
def test_a_study_of_two_paths_has_the_table(study, tmp_path):
    few = ("data=digits", "data.train_size=200", "epochs=5", "model.hidden=[20]", "seeds=3", "name=path", "workers=1")
    paths = "variants=[{reg: none}, {reg: l1, lam: [1e-3, 1e-2, 3e-2]}, {reg: l2, lam: [1e-3, 1e-2, 3e-2]}]"
    assert study(*few, paths).code == 0
    result = study("analyze", "name=path", "figures=[]")
    assert "Σ|w| favours L1, and ‖w‖₂ favours L2" in result.out
    found = pd.read_csv(tmp_path / "outputs" / "path" / "analysis" / "matched.csv")
    runs = pd.read_csv(tmp_path / "outputs" / "path" / "analysis" / "runs.csv")
    at_loss = found.query("matched_on == 'train_loss'")
    spans = runs.groupby(["reg", "seed"])["train_loss"].agg(["min", "max"])
    assert at_loss["level"].max() <= spans.loc[["l1", "l2"], "max"].min() + 1e-12
    assert (at_loss["n"] == 3).all()
    assert set(at_loss["measure"]) == {"val_accuracy", "weights_l1", "weights_l2"}
