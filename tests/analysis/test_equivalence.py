"""Verdicts on differences: better, worse, equivalent or undecided, against statsmodels and by hand."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from study.analysis.statistics import contrasts, inference, tost, verdicts
from study.analysis.tables.contrast_tables import contrast_text
from study.measures.catalog import measures_of
from tests.conftest import run_here

TABLES = ("figures=[]",)
NEW = ["margin", "p_equivalence", "p_equivalence_holm", "provable_margin", "verdict"]


def compared(differences, margin, primary="val_accuracy", seeds=7):
    """The contrasts of variants whose primary measure differs from that of none by known values, one per seed."""
    reference = np.random.default_rng(5).normal(0.9, 0.02, seeds)
    values = {"none": reference, **{v: reference + np.asarray(d)[:seeds] for v, d in differences.items()}}
    lines = [
        {"run": f"{variant}-{seed}", "variant": variant, "seed": seed, primary: value}
        for variant, own in values.items()
        for seed, value in enumerate(own)
    ]
    rows = pd.DataFrame(lines).assign(state="complete", task="classification")
    rows = rows.reindex(columns=[*rows, *(m for m in measures_of("classification") if m not in rows)])
    baselines = dict.fromkeys(differences, "none")
    table = contrasts.contrasts(rows, baselines, primary, dict.fromkeys(rows["variant"], 0.2), {})
    return table if margin is None else verdicts.with_verdicts(table, primary, margin, "classification")


def equivalence(differences, margin):
    return tost.p_value(differences.mean(), differences.std(ddof=1), len(differences), margin)


def spread(mean, sd, n=7):
    """n numbers with exactly this mean and standard deviation."""
    values = np.random.default_rng(int(1e6 * abs(mean)) + n).normal(size=n)
    return mean + sd * (values - values.mean()) / values.std(ddof=1)


FOUR = {
    "better": spread(0.01, 0.002),
    "worse": spread(-0.01, 0.002),
    "small": spread(0.001, 0.0005),  # significant, and within the margin
    "noisy": spread(0.0005, 0.02),
}


@pytest.mark.parametrize(("n", "mean"), [(2, 0.0), (3, 0.1), (7, -0.29), (7, 0.3), (10, 0.5)])
def test_the_p_value_of_equivalence_is_that_of_statsmodels(n, mean):
    d = spread(mean, 0.2, n)
    p = ttost_paired(d, np.zeros(n), -0.3, 0.3)[0]
    assert equivalence(d, 0.3) == pytest.approx(p, rel=1e-9)
    sides = [stats.ttest_1samp(d, -0.3, alternative="greater"), stats.ttest_1samp(d, 0.3, alternative="less")]
    assert equivalence(d, 0.3) == pytest.approx(max(side.pvalue for side in sides), rel=1e-9)


def test_equivalence_at_5_percent_is_a_90_percent_interval_within_the_margin():
    d = spread(0.05, 0.2)
    interval = inference.mean_interval(d, 0.9)
    end = max(abs(interval.low), abs(interval.high))
    assert equivalence(d, end) == pytest.approx(0.05)


@pytest.mark.parametrize(("value", "p"), [(0.0, 2**-7), (0.29, 2**-7), (-0.31, 1.0), (0.3, 1.0)])
def test_equal_differences_count_with_one_sided_sign_flips(value, p):
    assert tost.p_value(value, 0.0, 7, 0.3) == p


def test_one_seed_tests_nothing():
    assert np.isnan(tost.p_value(0.1, np.nan, 1, 0.3))


def test_the_provable_margin_has_the_power_that_it_names():
    margin = tost.provable_margin(0.2, 7, level=0.0125)
    draws = np.random.default_rng(0).normal(0, 0.2, size=(4000, 7))
    found = np.mean([equivalence(d, margin) < 0.0125 for d in draws])
    assert found == pytest.approx(0.8, abs=0.02)


def test_verdicts_follow_from_the_corrected_p_values():
    table = compared(FOUR, 0.3).set_index("variant")
    assert table["verdict"].to_dict() == {
        "better": "better",
        "worse": "worse",
        "small": "equivalent",
        "noisy": "undecided",
    }
    assert table.loc["small", "p_holm"] < 0.05
    assert table["margin"].unique() == [pytest.approx(0.003)]
    p = [ttost_paired(d, np.zeros(7), -0.003, 0.003)[0] for d in FOUR.values()]
    assert list(table["p_equivalence"]) == pytest.approx(p, rel=1e-9)
    assert list(table["p_equivalence_holm"]) == pytest.approx(list(multipletests(p, method="holm")[1]), rel=1e-9)
    assert list(table["p_holm"]) == list(compared(FOUR, None)["p_holm"])  # that of the differences stays


def test_holm_corrects_equivalence_over_all_contrasts():
    just = spread(0.0015, 0.0017)
    alone, among = (compared(d, 0.3).set_index("variant") for d in ({"just": just}, {"just": just, **FOUR}))
    assert alone.loc["just", "p_equivalence"] == among.loc["just", "p_equivalence"] < 0.05
    assert alone.loc["just", "verdict"] == "equivalent"
    assert among.loc["just", "verdict"] == "undecided"


def test_smaller_is_better_for_a_loss_and_the_margin_has_its_unit():
    table = compared(FOUR, 0.003, "val_loss").set_index("variant")
    assert table["verdict"].to_dict()["better"] == "worse"
    assert table["verdict"].to_dict()["worse"] == "better"
    assert table["margin"].unique() == [0.003]
    assert "±0.003 nats" in " ".join(verdicts.notes(table.reset_index(), "val_loss"))


def test_without_a_margin_the_table_is_as_before():
    table = compared(FOUR, None)
    assert tuple(table.columns) == contrasts.COLUMNS
    assert "verdict" not in [column.key for column in contrast_text(table, "val_accuracy").columns]
    assert "equivalen" not in " ".join(verdicts.notes(table, "val_accuracy"))
    assert list(compared(FOUR, 0.3).columns) == [*contrasts.COLUMNS, *NEW]


@pytest.mark.parametrize("seeds", [2, 5])
def test_few_seeds_decide_nothing(seeds):
    table = compared({"same": np.full(7, 1e-5), "better": FOUR["better"]}, 0.3, seeds=seeds)
    assert set(table["verdict"]) == {"undecided"}
    assert table["p_equivalence"].isna().all() == (seeds == 2)


def test_notes_name_what_is_different_but_within_the_margin_and_the_margin_that_these_seeds_can_show():
    text = " ".join(verdicts.notes(compared(FOUR, 0.3), "val_accuracy"))
    assert "the margin of equivalence is ±0.3 points, fixed before the first run" in text
    assert "corrected for all 4 contrasts by Holm" in text
    assert "Significantly different, but by less than the margin: small." in text
    assert "Undecided does not mean equal. With 7 seeds" in text


@pytest.fixture(scope="module")
def decided(tmp_path_factory):
    """outputs/decided and its printed analysis: none, an l1 that hardly acts, one that destroys; margin of 5 points."""
    folder = tmp_path_factory.mktemp("decided")
    few = ("data=digits", "data.train_size=200", "epochs=2", "model.hidden=[20]", "optimizer.lr=0.01", "workers=1")
    variants = "variants=[{reg: none}, {reg: l1, lam: [1e-9, 1]}]"
    assert run_here(*few, variants, "seeds=6", "name=decided", "equivalence=5", cwd=folder).code == 0
    result = run_here("analyze", "name=decided", "figures=[forest]", cwd=folder)
    assert result.code == 0, result.err
    return folder / "outputs" / "decided", result.out


def test_the_verdict_is_on_the_terminal_and_in_every_file(decided):
    folder, printed = decided
    analysis = folder / "analysis"
    table = pd.read_csv(analysis / "significance.csv")
    assert list(table.columns[-5:]) == NEW
    of_primary = table[table["measure"] == "val_accuracy"].set_index("variant")
    assert of_primary["verdict"].to_dict() == {"l1-lam1e-09": "equivalent", "l1-lam1": "worse"}
    assert table.loc[table["measure"] != "val_accuracy", NEW].isna().all(axis=None)
    for text in (printed, *((analysis / f"significance.{kind}").read_text() for kind in ("md", "tex"))):
        assert "Verdict" in text
        assert "worse" in text
        assert "equivalent" in text
    assert "equivalent within ±5 |" in (analysis / "significance.md").read_text()
    page = (analysis / "report.html").read_text()
    assert json.dumps("equivalent within ±5") in page
    assert json.dumps("±5 points in val_accuracy, fixed before the first run") in page


def test_the_forest_shows_the_margin_and_its_caption_states_it(decided):
    caption = (decided[0] / "analysis" / "figures" / "forest.txt").read_text()
    assert "The grey band is the margin of equivalence, ±5 points." in caption
    assert "Verdicts: L1, λ = 10⁻⁹ equivalent within ±5; L1, λ = 1 worse." in caption


def test_sweeps_that_name_several_margins_are_noted_and_the_first_is_used(decided, tmp_path):
    shutil.copytree(decided[0], tmp_path / "outputs" / "decided")
    sweeps = tmp_path / "outputs" / "decided" / "sweeps.jsonl"
    record = json.loads(sweeps.read_text().splitlines()[0])
    sweeps.write_text(sweeps.read_text() + json.dumps({**record, "equivalence": 9}) + "\n")
    out = run_here("analyze", "name=decided", *TABLES, cwd=tmp_path).out
    assert "The study's sweeps name several margins of equivalence (5, 9). The first is used." in " ".join(out.split())
