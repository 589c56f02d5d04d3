"""Differences seed by seed, against SciPy and statsmodels, and what is said about them."""

import shutil

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from study.analysis.statistics import contrasts
from study.measures.catalog import MEASURES
from tests.conftest import run_folders, run_here

TABLES = ("figures=[]",)
REQUIRED = "measure,variant,baseline,n,mean_difference,ci_low,ci_high,t,p_t,p_flip,p_holm,wins"


@pytest.fixture(scope="module")
def seven(tmp_path_factory):
    """outputs/seven: none, l1 and l2 with seven seeds each, on 200 images of digits."""
    folder = tmp_path_factory.mktemp("seven")
    variants = "variants=[{reg: none}, {reg: l1, lam: [1e-3, 1e-2]}, {reg: l2, lam: 1e-4}]"
    few = ("data=digits", "data.train_size=200", "epochs=4", "model.hidden=[20]", "workers=1")
    assert run_here(*few, variants, "seeds=7", "name=seven", cwd=folder).code == 0
    return folder / "outputs"


@pytest.fixture
def outputs(seven, tmp_path):
    shutil.copytree(seven, tmp_path / "outputs")
    return tmp_path / "outputs"


@pytest.fixture(scope="module")
def analyzed(seven, tmp_path_factory):
    """outputs/seven analyzed as by default, for tests that change nothing in it, and what that printed."""
    folder = tmp_path_factory.mktemp("analyzed")
    shutil.copytree(seven, folder / "outputs")
    result = run_here("analyze", "name=seven", *TABLES, cwd=folder)
    assert result.code == 0, result.err
    return folder / "outputs" / "seven", result.out


def values(folder, variant, column):
    """One number of each run's last epoch, in the order of the seeds, from its metrics.csv."""
    return np.array([pd.read_csv(r / "metrics.csv")[column].iloc[-1] for r in sorted(folder.glob(f"{variant}-seed*"))])


def significance(folder):
    return pd.read_csv(folder / "analysis" / "significance.csv").set_index(["measure", "variant"])


def test_significance_csv_is_what_scipy_and_statsmodels_say(analyzed):
    folder, _ = analyzed
    assert (folder / "analysis" / "significance.csv").read_text().startswith(REQUIRED)
    table, variants = significance(folder), ["l1-lam0.001", "l1-lam0.01", "l2-lam0.0001"]
    assert not table.index.duplicated().any()
    expected_p = []
    for variant in variants:
        a, b = (values(folder, v, "val_accuracy") for v in (variant, "none"))
        row, paired = table.loc[("val_accuracy", variant)], stats.ttest_rel(a, b)
        low, high = paired.confidence_interval(0.95)
        assert (row["n"], row["baseline"]) == (7, "none")
        assert row["mean_difference"] == pytest.approx((a - b).mean(), rel=1e-12)
        assert [row["ci_low"], row["ci_high"]] == pytest.approx([low, high], rel=1e-9)
        assert [row["t"], row["p_t"]] == pytest.approx([paired.statistic, paired.pvalue], rel=1e-9)
        flips = stats.permutation_test((a - b,), np.mean, permutation_type="samples", n_resamples=np.inf)
        assert row["p_flip"] == pytest.approx(flips.pvalue, abs=1e-12)
        assert row["wins"] == (a > b).sum() + (a == b).sum() / 2
        assert row["correlation"] == pytest.approx(np.corrcoef(a, b)[0, 1])
        factor = np.sqrt((1 / 7 + 249 / 200) / (1 / 7))
        half = (row["new_data_high"] - row["new_data_low"]) / 2
        assert half == pytest.approx((high - low) / 2 * factor, rel=1e-9)
        expected_p.append(paired.pvalue)
    holm = multipletests(expected_p, method="holm")[1]
    assert table.loc["val_accuracy", "p_holm"][variants].tolist() == pytest.approx(list(holm), rel=1e-9)
    assert table.drop(index="val_accuracy", level=0)["p_holm"].isna().all()
    gap = table.loc[("accuracy_gap", "l1-lam0.01")]
    train, val = (
        values(folder, "l1-lam0.01", c) - values(folder, "none", c) for c in ("train_accuracy", "val_accuracy")
    )
    assert gap["mean_difference"] == pytest.approx(100 * (train - val).mean())


def test_test_accuracy_covers_other_images_too_and_never_less_than_the_seeds_alone(analyzed):
    folder, _ = analyzed
    rows = significance(folder).loc["test_accuracy"]
    assert (rows["new_images_high"] - rows["new_images_low"] > 0).all()
    seeds, examples = 7, 299
    for variant, row in rows.iterrows():
        d = []
        for one, other in zip(*(sorted(folder.glob(f"{v}-seed*")) for v in (variant, "none")), strict=True):
            with np.load(one / "predictions.npz") as a, np.load(other / "predictions.npz") as b:
                right = [(f["test_label"] == f["test_predicted"]).astype(float) for f in (a, b)]
            d.append(right[0] - right[1])
        d = np.array(d)
        assert d.shape == (seeds, examples)
        assert row["mean_difference"] == pytest.approx(d.mean())
        of_seeds = examples * ((d.mean(1) - d.mean()) ** 2).sum() / (seeds - 1)
        half = (row["new_images_high"] - row["new_images_low"]) / 2
        assert half >= stats.t.ppf(0.975, seeds - 1) * np.sqrt(of_seeds / d.size) * 0.8  # more degrees of freedom


def test_stars_are_for_the_primary_measure_alone(analyzed):
    table = pd.read_csv(analyzed[0] / "analysis" / "significance.csv")
    marks = pd.Series(contrasts.stars(table, "val_accuracy"))
    assert (marks == "*").equals((table["measure"] == "val_accuracy") & (table["p_holm"] < 0.05))
    assert (marks == "*").any()


def test_the_primary_measure_is_what_the_sweep_named(study, tmp_path):
    few = ("data=digits", "data.train_size=100", "epochs=1", "model.hidden=[5]", "workers=1", "reg=none,l1", "seeds=3")
    assert study("-m", *few, "primary=val_loss", "name=named").code == 0
    study("analyze", "name=named", *TABLES)
    table = significance(tmp_path / "outputs" / "named")
    assert table.loc["val_loss", "p_holm"].notna().all()
    assert table.loc["val_accuracy", "p_holm"].isna().all()
    late = study("-m", *few, "primary=val_accuracy", "name=named")
    assert late.code == 1
    assert "it was fixed as val_loss before the runs" in late.err
    assert "allowed: train_accuracy, val_accuracy" in study("-m", *few, "primary=luck", "name=other").err


@pytest.mark.parametrize(("n", "starred", "interval"), [(2, False, False), (5, False, True)])
def test_few_seeds_give_values_only_and_no_stars_below_six(study, outputs, n, starred, interval):
    for run in run_folders(outputs / "seven"):
        if int(run.name.split("seed")[1][0]) >= n:
            shutil.rmtree(run)
    out = study("analyze", "name=seven", *TABLES).out
    table = significance(outputs / "seven").loc["val_accuracy"]
    assert (table["n"] == n).all()
    assert table["mean_difference"].notna().all()
    assert pd.notna(table.loc["l1-lam0.01", "ci_low"]) == interval
    assert ("No stars: with 5 seeds the sign-flip test cannot go below p = 0.19" in out) == (n == 5)
    assert ("To reach p = 0.05, it needs 7 seeds." in out) == (n == 5)
    assert ("Fewer than three seeds: no intervals and no tests." in out) == (n == 2)
    page = (outputs / "seven" / "analysis" / "significance.md").read_text()
    assert all("*" not in line for line in page.splitlines() if line.startswith("| Val acc."))


def test_incomplete_pairs_are_named_and_refused_unless_allowed(study, outputs):
    shutil.rmtree(next((outputs / "seven").glob("l2-lam0.0001-seed3*")))
    result = study("analyze", "name=seven", "baseline=none", *TABLES)
    assert result.code == 1
    assert "incomplete pairs: l2-lam0.0001 lacks the seeds 3 that none has" in result.err
    assert "allow=[pairs]" in result.err
    assert study("analyze", "name=seven", "baseline=none", "allow=[pairs]", *TABLES).code == 0
    assert significance(outputs / "seven").loc[("val_accuracy", "l2-lam0.0001"), "n"] == 6
    assert (
        "Incomplete pair, compared over the common seeds"
        in (outputs / "seven" / "analysis" / "significance.md").read_text()
    )


@pytest.mark.parametrize(
    ("baseline", "message"),
    [
        ("l3", "baseline=l3: no such variant; there are none, l1-lam0.001"),
        ("l1", "could mean l1-lam0.001 or l1-lam0.01; name one"),
    ],
)
def test_a_baseline_that_is_not_there_or_not_one_is_refused(study, outputs, baseline, message):
    result = study("analyze", "name=seven", f"baseline={baseline}", *TABLES)
    assert result.code == 1
    assert message in result.err


def test_the_gap_never_stands_alone(analyzed):
    folder, _ = analyzed
    table = pd.read_csv(folder / "analysis" / "gap_table.csv").set_index("variant")
    for variant, row in table.drop(index="none").iterrows():
        train, val = (
            100 * (values(folder, variant, c) - values(folder, "none", c)).mean()
            for c in ("train_accuracy", "val_accuracy")
        )
        assert [row["delta_train"], row["delta_val"]] == pytest.approx([train, val])
        assert row["delta_gap"] == pytest.approx(train - val)
        assert (row["mark"] == "smaller gap, worse val") == (train - val < 0 and val < 0)
    for measure in ("val_accuracy", "test_accuracy", "loss_gap", "weights_l1", "zero_fraction"):
        low, high = table[f"{measure}_ci_low"], table[f"{measure}_ci_high"]
        half = stats.t.ppf(0.975, 6) * table[f"{measure}_sd"] / np.sqrt(7)
        assert list(high - low) == pytest.approx(list(2 * half))


def test_the_gap_table_may_show_intervals_instead_of_deviations(study, outputs):
    assert study("analyze", "name=seven", "spread=interval", *TABLES).code == 0
    val = 100 * values(outputs / "seven", "none", "val_accuracy")
    half = stats.t.ppf(0.975, 6) * val.std(ddof=1) / np.sqrt(7)
    page = (outputs / "seven" / "analysis" / "gap_table.md").read_text()
    assert f"{val.mean():.2f} ± {half:.2f}" in page
    assert "± is half of the 95 % t-interval of the mean over seeds." in page
    assert "spread=range: allowed: sd, interval" in study("analyze", "name=seven", "spread=range").err


def bold(folder):
    """Variants whose val accuracy is bold in the gap table."""
    lines = (folder / "analysis" / "gap_table.md").read_text().splitlines()
    return {line.split("|")[1].strip() for line in lines if "**" in line}


def test_bold_means_not_significantly_below_the_best(analyzed):
    folder, variants = analyzed[0], ["none", "l1-lam0.001", "l1-lam0.01", "l2-lam0.0001"]
    val = {variant: values(folder, variant, "val_accuracy") for variant in variants}
    best = max(variants, key=lambda v: val[v].mean())
    others = [v for v in variants if v != best]
    p = multipletests([stats.ttest_rel(val[best], val[v]).pvalue for v in others], method="holm")[1]
    assert bold(folder) == {best, *(v for v, q in zip(others, p, strict=True) if q >= 0.05)}
    assert bold(folder) < set(variants)


def test_differences_without_spread_get_no_interval_and_count_in_the_correction(study, outputs):
    """Two variants made equal to none: p counts as that of the sign flips, and medians know nothing of them."""
    folder = outputs / "seven"
    for seed in range(7):
        none = next(folder.glob(f"none-seed{seed}*"))
        for variant in ("l1-lam0.001", "l2-lam0.0001"):
            shutil.copy(none / "metrics.csv", next(folder.glob(f"{variant}-seed{seed}*")) / "metrics.csv")
    out = study("analyze", "name=seven", "allow=[changed]", *TABLES).out
    rows = significance(folder).loc["val_accuracy"]
    assert rows.loc["l1-lam0.001", ["ci_low", "t", "p_t"]].isna().all()
    assert rows.loc["l1-lam0.001", ["p_flip", "p_holm"]].tolist() == [1.0, 1.0]
    other = rows.loc["l1-lam0.01"]
    assert other["p_holm"] == pytest.approx(3 * other["p_t"])
    assert "No interval for l1-lam0.001: its difference is the same in all seeds." in out


def test_a_measure_that_some_runs_lack_has_no_mean(study, outputs):
    study("analyze", "name=seven", "at=best", *TABLES)
    table = pd.read_csv(outputs / "seven" / "analysis" / "gap_table.csv").set_index("variant")
    runs = pd.read_csv(outputs / "seven" / "analysis" / "runs.csv")
    complete = runs.groupby("variant")["test_accuracy"].apply(lambda scores: scores.notna().all())
    assert table["test_accuracy"].notna().eq(complete).all()
    assert not complete.all()


def test_the_baseline_of_a_variant_with_another_scope_is_none(study, tmp_path):
    few = ("data=digits", "data.train_size=100", "epochs=1", "model.hidden=[5]", "workers=1", "name=scopes")
    study("-m", *few, "variants=[{reg: none}, {reg: l1, reg.scope: [all, weights]}]")
    study("analyze", "name=scopes", *TABLES)
    assert set(significance(tmp_path / "outputs" / "scopes")["baseline"]) == {"none"}
    assert len(significance(tmp_path / "outputs" / "scopes").loc["val_accuracy"]) == 2


def test_the_baseline_is_found_whatever_varied_when_it_was_named(study, tmp_path):
    """A sweep over learning rates comes later: its variants have the rate in their names, the first ones do not."""
    few = ("data=digits", "data.train_size=100", "epochs=1", "model.hidden=[5]", "workers=1", "name=later")
    study("-m", *few, "reg=none,l1")
    study("-m", *few, "reg=none,l2", "optimizer.lr=1e-3,1e-2")
    assert study("analyze", "name=later", *TABLES).code == 0
    rows = significance(tmp_path / "outputs" / "later").loc["val_accuracy"]
    assert rows["baseline"].to_dict() == {
        "l1-lam0.0001": "none",
        "l2-lam0.01-lr0.001": "none",
        "l2-lam0.01-lr0.01": "none-lr0.01",
    }


def test_every_measure_of_the_tables_is_one_of_the_measures(analyzed):
    assert set(significance(analyzed[0]).index.get_level_values(0)) <= set(MEASURES)


def test_what_the_seeds_could_have_seen_is_said(analyzed):
    _, out = analyzed
    assert "With 7 seeds, the smallest difference detected with 80 % power is" in out
    assert "Pairing: over seeds, the correlation with the baseline is" in out
