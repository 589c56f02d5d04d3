"""The analysis over the settings of a suite: scores, ranks, pairs, and what cannot be concluded."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from study.analysis.statistics.inference import holm
from study.config.names import short_names, told_apart, without_settings
from tests.conftest import run_folders, run_here

SETTINGS = (
    "suite=[{data: digits, epochs: 2}, {data: wine, epochs: 4}, {data: breast_cancer, epochs: 2},"
    " {data: sparse_teacher, data.draw: [0, 1], epochs: 2},"
    " {data: digits, model: linear, epochs: 2}]"
)
FEW = ("epochs=2", "optimizer.lr=1e-2", "data.train_size=100", "workers=1")
VARIANTS = "variants=[{reg: none}, {reg: l1, lam: [1e-3, 3e-2]}]"


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """outputs/many: six settings, three variants, three seeds."""
    folder = tmp_path_factory.mktemp("many")
    settings = [argument for argument in FEW if not argument.startswith("epochs")]
    result = run_here(SETTINGS, VARIANTS, "seeds=3", *settings, "name=many", cwd=folder)
    assert result.code == 0, result.err
    return folder / "outputs"


@pytest.fixture(scope="module")
def analysis(many):
    """The folder of its tables, with both figures."""
    result = run_here("analyze", "name=many", "figures=[ranks,rope]", cwd=many.parent)
    assert result.code == 0, result.err
    return many / "many/analysis"


@pytest.fixture
def changed(many, study, tmp_path):
    """Analyze a copy of outputs/many, after a change of its files."""

    def analyze(change, *arguments):
        folder = tmp_path / "outputs/many"
        shutil.copytree(many / "many", folder)
        change(folder)
        return study("analyze", "name=many", "figures=[]", *arguments), folder / "analysis"

    return analyze


def test_scores_are_means_over_common_seeds_and_ranks_those_of_scipy(analysis):
    runs = pd.read_csv(analysis / "runs.csv")
    scores = pd.read_csv(analysis / "suite.csv")
    names = ["digits, mlp", "wine", "breast_cancer", "sparse_teacher, draw 0", "sparse_teacher, draw 1"]
    assert list(scores["setting"].unique()) == [*names, "digits, linear"]  # in the order of the suite
    assert set(scores["variant"]) == {"none", "l1-lam0.001", "l1-lam0.03"}
    assert (scores["n"] == 3).all()
    of_wine = runs[(runs["data"] == "wine") & (runs["reg"] == "none")]
    wine = scores[(scores["setting"] == "wine") & (scores["variant"] == "none")]
    assert wine["mean"].item() == pytest.approx(of_wine["val_accuracy"].mean())
    matrix = scores.pivot_table(index="setting", columns="variant", values="mean", sort=False)
    expected = stats.rankdata(-matrix.round(12), axis=1).mean(axis=0)
    ranks = pd.read_csv(analysis / "ranks.csv").set_index("variant")["mean_rank"]
    assert ranks[list(matrix)].to_numpy() == pytest.approx(expected)
    assert ranks.is_monotonic_increasing
    found = stats.friedmanchisquare(*matrix.round(12).to_numpy().T)
    assert f"Friedman: χ²(2) = {found.statistic:.2f}" in (analysis / "ranks.md").read_text()


def test_ranks_by_test_scores_stand_beside_those_by_validation(analysis):
    runs = pd.read_csv(analysis / "runs.csv")
    means = runs.pivot_table(index="context", columns=["reg", "lam"], values="test_accuracy", dropna=False).dropna(
        axis=1
    )
    ranked = pd.read_csv(analysis / "ranks.csv").set_index("variant")
    expected = means.round(12).rank(axis=1, ascending=False).mean()
    assert sorted(ranked["mean_rank_test"]) == pytest.approx(sorted(expected))
    assert ranked["mean_rank_test"].to_dict() != ranked["mean_rank"].to_dict()
    text = (analysis / "ranks.md").read_text()
    assert "By test_accuracy, the permutation test has p = " in text
    assert "By test: the mean rank by the same score on test sets" in text


def test_pairs_have_signed_rank_tests_corrected_by_holm_and_probabilities(analysis):
    scores, pairs = pd.read_csv(analysis / "suite.csv"), pd.read_csv(analysis / "pairs.csv")
    matrix = scores.pivot_table(index="setting", columns="variant", values="mean")
    for row in pairs.itertuples():
        differences = (matrix[row.variant] - matrix[row.other]).round(12)
        method = stats.PermutationMethod(n_resamples=np.inf)
        assert row.p_wilcoxon == pytest.approx(stats.wilcoxon(differences, zero_method="pratt", method=method).pvalue)
        assert row.mean_difference == pytest.approx(differences.mean())
        counts = ((differences > 0).sum(), (differences < 0).sum(), (differences == 0).sum())
        assert (row.wins, row.losses, row.ties) == counts
    assert len(pairs) == 3
    assert pairs["p_holm"].to_numpy() == pytest.approx(holm(pairs["p_wilcoxon"].to_numpy()))
    assert pairs[["p_worse", "p_equivalent", "p_better"]].sum(axis=1).to_numpy() == pytest.approx(1)
    assert (pairs["rope"] == 0.01).all()
    assert "within ±1 points (the usual one" in (analysis / "pairs.md").read_text()


def test_settings_with_the_same_data_are_named_as_dependent_and_other_draws_are_not(analysis):
    notes = (analysis / "ranks.md").read_text()
    assert "not independent (digits, mlp; digits, linear)" in notes
    assert "5 data sets in 6 settings" in notes


@pytest.mark.slow
def test_a_run_that_belongs_to_no_setting_is_left_out_and_one_setting_is_no_suite(many, study, tmp_path):
    shutil.copytree(many / "many", tmp_path / "outputs/many")
    further = ("reg=l1", "data=mnist1d", "data.train_size=100", "optimizer.lr=1e-2", "workers=1", "name=many")
    assert study(*further, "epochs=2").code == 0
    result = study("analyze", "name=many", "figures=[]")
    assert "Left out: 1 runs that belong to no setting of the suite" in result.out
    study("analyze", "name=many", "figures=[]", "filter.data=wine")
    assert not (tmp_path / "outputs/many/analysis/suite.csv").exists()


def test_runs_of_one_setting_must_have_one_budget(many, study, tmp_path):
    shutil.copytree(many / "many", tmp_path / "outputs/many")
    config = next((tmp_path / "outputs/many").glob("none-datawine-*")) / "config.yaml"
    config.write_text(config.read_text().replace("split: holdout", "split: textbook"))
    result = study("analyze", "name=many", "figures=[]", "allow=[changed]")
    assert "the runs in wine differ in split: holdout, textbook" in result.err


@pytest.mark.slow
def test_a_setting_without_a_complete_seed_is_left_out_by_name(changed):
    def without_wine(folder):
        for run in run_folders(folder):
            if run.name.startswith("l1-lam0.03-datawine"):
                shutil.rmtree(run)

    result, folder = changed(without_wine)
    assert "Left out: wine, because l1-lam0.03 has no complete seed." in result.out
    assert "wine" not in set(pd.read_csv(folder / "suite.csv")["setting"])


@pytest.mark.slow
def test_seeds_that_one_variant_lacks_do_not_count(changed):
    def without_a_seed(folder):
        shutil.rmtree(
            next(run for run in run_folders(folder) if run.name.startswith("none-datawine") and "seed2" in run.name)
        )

    _, folder = changed(without_a_seed)
    scores = pd.read_csv(folder / "suite.csv")
    assert (scores.loc[scores["setting"] == "wine", "n"] == 2).all()
    assert (scores.loc[scores["setting"] != "wine", "n"] == 3).all()


def test_few_settings_show_ranks_and_say_what_cannot_be_concluded(study, tmp_path):
    few = "suite=[{data: digits}, {data: wine}, {data: breast_cancer}]"
    assert study(few, VARIANTS, "seeds=1", *FEW, "name=few").code == 0
    result = study("analyze", "name=few", "figures=[ranks,rope]")
    assert result.code == 0, result.err
    assert "Mean ranks over settings" in result.out
    text = " ".join((tmp_path / "outputs/few/analysis/ranks.md").read_text().split())
    assert "No pair can be significant: with 3 settings, the signed-rank test cannot go below p = 0.25" in text
    assert "it needs 6 settings for a single pair, 7 for all 3 pairs" in text
    assert "Nothing is bold where a setting has fewer than 3 seeds" in result.out
    assert (tmp_path / "outputs/few/analysis/figures/rope.svg").exists()


@pytest.mark.slow
def test_a_margin_of_equivalence_is_the_region(study, tmp_path):
    two = "suite=[{data: digits}, {data: wine}]"
    assert study(two, "-m", "reg=none,l1", "equivalence=0.3", *FEW, "name=margin").code == 0
    result = study("analyze", "name=margin", "figures=[]")
    assert "within ±0.3 points (the margin of equivalence, fixed before the first run)" in result.out


def test_tables_are_there_in_all_forms(analysis):
    for stem in ("suite", "ranks", "pairs"):
        assert {f"{stem}.{kind}" for kind in ("csv", "md", "tex")} <= {file.name for file in analysis.iterdir()}
    latex = (analysis / "ranks.tex").read_text()
    assert "L1, $\\lambda$ = $10^{-3}$" in latex
    assert "Mean rank" in (analysis / "suite.tex").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "option", "message"),
    [
        ("ranks", "test: student", "test=student: allowed: wilcoxon, nemenyi"),
        ("rope", "against: l9", "against=l9: there is no such variant. Allowed: l1-lam0.001, none, l1-lam0.03"),
    ],
)
def test_figures_refuse_unknown_tests_and_variants(many, study, tmp_path, target, option, message):
    shutil.copytree(many / "many", tmp_path / "outputs/many")
    file = tmp_path / "mine/figure/bad.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(f"_target_: study.analysis.figures.suite.{target}\n{option}\n")
    assert message in study("analyze", "--config-dir", "mine", "name=many", "figures=[bad]").err


def test_captions_state_the_tests_and_alternative_texts_the_ranks(analysis):
    caption, alt = (analysis / "figures/ranks.txt").read_text().split("\n\n")
    assert "Iman and Davenport" in caption
    assert caption.count("not independent") == 1
    assert "Mean ranks: " in alt
    assert "L1, λ = 3 · 10⁻² " in alt
    alt = (analysis / "figures/rope.txt").read_text().split("\n\n")[1]
    assert "Relative to No regularizer: L1, λ = 10⁻³: worse " in alt


@pytest.mark.slow
def test_without_a_suite_several_data_sets_are_compared_if_that_is_allowed(study, tmp_path):
    assert study("-m", "reg=none,l1", "data=digits,wine", *FEW, "name=plain").code == 0
    assert "the runs differ in data" in study("analyze", "name=plain", "figures=[]").err
    result = study("analyze", "name=plain", "figures=[]", "allow=[data,checksums]")
    assert "Mean ranks over 2 settings" in result.out


def test_short_names_have_the_fewest_keys():
    both = [{"data": "a", "epochs": 1}, {"data": "b", "epochs": 2}]
    assert short_names(both) == ["a", "b"]
    models = [
        {"data": "a", "model": "mlp", "x": 1},
        {"data": "a", "model": "cnn", "x": 2},
        {"data": "b", "model": "cnn"},
    ]
    assert short_names(models) == ["a, mlp", "a, cnn", "b"]
    noise = [{"data": "a", "data.label_noise": 0.0}, {"data": "a", "data.label_noise": 0.2}]
    assert short_names(noise) == ["label_noise 0", "label_noise 0.2"]
    assert told_apart([{"data": "a"}]) == [{}]
    assert short_names([{"data": "a"}]) == ["a"]


def test_a_variant_loses_the_parts_of_its_setting_only():
    setting = {"data": "wine", "data.label_noise": 0.2, "epochs": 2}
    assert without_settings("l1-lam0.0001-datawine-label_noise0.2-epochs20", setting) == "l1-lam0.0001-epochs20"
    assert without_settings("none", setting) == "none"


def test_the_figures_of_a_suite_are_drawn_unless_others_are_asked_for_and_the_page_shows_them(study, tmp_path):
    assert study("suite=[{data: digits}, {data: wine}]", "-m", "reg=none,l1", *FEW, "name=page").code == 0
    assert "(figures: ranks, rope)" in study("analyze", "name=page").out
    page = (tmp_path / "outputs/page/analysis/report.html").read_text()
    data = json.loads(page.partition('<script type="application/json" id="data">')[2].partition("</script>")[0])
    assert [figure["name"] for figure in data["suite"]] == ["ranks", "rope"]
    assert all(figure["alt"] and figure["caption"] for figure in data["suite"])
    assert {"suite", "ranks", "pairs"} <= {table["stem"] for table in data["tables"]}
