"""Variance components of crossed seeds: exact values, and what an analysis of such a study shows and leaves out."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats
from statsmodels.stats.anova import anova_lm

from study.analysis.statistics import seed_design
from study.analysis.statistics.crossed_runs import ALL
from study.analysis.statistics.variance_components import INTERACTION, TOTAL, anova, combined_interval, mean_sd
from study.seeds import SOURCES, by_source, crossed
from tests.conftest import run_here

FEW = ("data=digits", "data.train_size=100", "epochs=1", "model.hidden=[5]", "workers=1")


def frame(*rows):
    return pd.DataFrame(rows, columns=list(SOURCES))


def array(levels=5):
    return pd.DataFrame([by_source(seed) for seed in crossed(levels)])


def test_mean_squares_of_an_array_are_those_of_statsmodels():
    seeds, values = array(), np.random.default_rng(0).normal(size=25)
    table = anova_lm(smf.ols("y ~ C(split) + C(init) + C(order) + C(dropout)", seeds.assign(y=values)).fit())
    found = anova(values, seeds)
    assert found.squares == pytest.approx(table["mean_sq"].to_numpy())
    assert found.df == pytest.approx(table["df"].to_numpy())
    squares = dict(zip((*SOURCES, INTERACTION), table["mean_sq"], strict=True))
    for source in SOURCES:  # E(MS of a source) = σ² of the residual + 5 σ² of the source
        assert found.variance(source) == pytest.approx((squares[source] - squares[INTERACTION]) / 5)


@pytest.mark.filterwarnings("ignore:divide by zero")  # no residual is left for its F-tests
def test_a_full_factorial_has_the_components_of_its_expected_mean_squares():
    seeds = frame(*((i, j, k, 7) for i in range(4) for j in range(3) for k in range(2)))
    values = np.random.default_rng(1).normal(size=24)
    square = anova_lm(smf.ols("y ~ C(split) * C(init) * C(order)", seeds.assign(y=values)).fit())["mean_sq"]
    s, i, o = "C(split)", "C(init)", "C(order)"
    rest = square[f"{s}:{i}:{o}"]
    found = anova(values, seeds.sample(frac=1, random_state=0).sort_index())
    split = (square[s] - square[f"{s}:{i}"] - square[f"{s}:{o}"] + rest) / 6
    pairs = (square[f"{s}:{i}"] - rest) / 2 + (square[f"{s}:{o}"] - rest) / 3 + (square[f"{i}:{o}"] - rest) / 4
    assert found.variance("split") == pytest.approx(split)
    assert found.variance(INTERACTION) == pytest.approx(pairs + rest)
    parts = [found.variance(name) for name in ("split", "init", "order", INTERACTION)]
    assert found.variance(TOTAL) == pytest.approx(sum(parts))


def test_two_crossed_sources_are_the_same_as_array_and_as_factorial():
    """A worked example by hand: 3 × 3, rows differ by 3, columns by 1, no interaction."""
    seeds = frame(*((i, j, 0, 0) for i in range(3) for j in range(3)))
    values = 3.0 * seeds["split"].to_numpy() + seeds["init"].to_numpy()
    found = anova(values, seeds)
    assert found.squares == pytest.approx([27, 3, 0])  # 3 Σ(3i − 3)²/2, 3 Σ(j − 1)²/2
    assert [found.variance(name) for name in ("split", "init", INTERACTION)] == pytest.approx([9, 1, 0])
    assert mean_sd(found, 1) == pytest.approx(10**0.5)
    assert mean_sd(found, 10) == pytest.approx(1)
    assert mean_sd(found, 10, "init") == pytest.approx((9 + 0.1) ** 0.5)


def test_the_interval_of_one_mean_square_is_the_exact_one():
    found = combined_interval(np.array([0.5]), np.array([4.0]), np.array([6.0]))
    low, high = (0.5 * 4 * 6 / stats.chi2.ppf(p, 6) for p in (0.975, 0.025))
    assert (found.low, found.mean, found.high) == pytest.approx((low, 2, high))


def test_the_lower_end_of_a_difference_is_zero_where_the_f_test_is_at_its_level():
    """Known of the method: its lower end is 0 exactly where the F-test of the two mean squares has p = α."""
    f = stats.f.ppf(0.975, 6, 24)
    found = combined_interval(np.array([1.0, -1.0]) / 7, np.array([f, 1.0]), np.array([6.0, 24.0]))
    assert found.low == pytest.approx(0, abs=1e-9)


def test_a_variance_without_any_spread_is_zero():
    found = anova(np.full(25, 0.9), array())
    assert all(found.interval(name).high == pytest.approx(0) for name in found.components)


@pytest.mark.parametrize(
    ("rows", "design"),
    [
        ([(0, 0, 0, 0), (1, 1, 1, 1), (2, 2, 2, 2)], seed_design.INDEPENDENT),
        ([(0, 0, 0, 0), (0, 1, 0, 0), (0, 2, 0, 0)], seed_design.INDEPENDENT),  # given the split
        ([(i, j, 0, 0) for i in range(3) for j in range(3)], seed_design.ARRAY),
        ([(i, j, 0, 0) for i in range(3) for j in range(2)], seed_design.FACTORIAL),
        ([(0, 0, 0, 0), (0, 1, 0, 0), (1, 1, 0, 0)], seed_design.OTHER),
        ([(s, i, o, d) for s, i, o, d in array().to_numpy()], seed_design.ARRAY),
        ([(s, i, o, d) for s, i, o, d in array().to_numpy()[1:]], seed_design.OTHER),
    ],
)
def test_designs_are_recognized(rows, design):
    assert seed_design.design_of(frame(*rows)) == design


@pytest.fixture(scope="module")
def variance(tmp_path_factory):
    """outputs/variance: none and dropout with crossed seeds."""
    folder = tmp_path_factory.mktemp("variance")
    result = run_here(*FEW, "-m", "reg=none,dropout", "seeds={crossed: 5}", "name=variance", cwd=folder)
    assert result.code == 0, result.err
    return folder


def test_the_analysis_shows_components_and_no_test_that_takes_runs_for_independent(variance):
    result = run_here("analyze", "name=variance", "figures=[variance,gap,seeds]", cwd=variance)
    assert result.code == 0, result.err
    folder = variance / "outputs/variance/analysis"
    assert not (folder / "significance.csv").exists()
    gaps = pd.read_csv(folder / "gap_table.csv")
    assert gaps[[column for column in gaps if "_ci_" in column]].isna().all(axis=None)
    assert "*" not in (folder / "gap_table.md").read_text().split("\n\n")[0]
    assert "not independent repetitions" in (folder / "gap_table.md").read_text()
    table, runs = pd.read_csv(folder / "variance.csv"), pd.read_csv(folder / "runs.csv")
    assert set(table["component"]) == {*SOURCES, INTERACTION, TOTAL}
    own = table[(table["variant"] == "none") & (table["quantity"] == "score")].set_index("component")
    scores = runs[runs["variant"] == "none"]
    seeds = scores[[f"seed_{source}" for source in SOURCES]].set_axis(SOURCES, axis=1)
    assert own.loc["split", "variance"] == pytest.approx(anova(scores["val_accuracy"], seeds).variance("split"))
    more = pd.read_csv(folder / "more_seeds.csv")
    every = more[more["only"] == ALL]
    assert list(every["sd_10"]) == pytest.approx(list(every["sd_1"] / 10**0.5))
    assert len(every) == 3  # two scores and a difference
    assert "SD in points" in (folder / "figures/variance.txt").read_text()


def test_a_missing_run_leaves_the_variant_out_and_says_so(variance, tmp_path):
    shutil.copytree(variance / "outputs", tmp_path / "outputs")
    gone = next(path for path in (tmp_path / "outputs/variance").glob("dropout*-seed1-*"))
    shutil.rmtree(gone)
    result = run_here("analyze", "name=variance", "figures=[]", cwd=tmp_path)
    assert result.code == 0, result.err
    assert "Left out: dropout-lam0.5." in result.out


def test_a_figure_with_intervals_over_runs_is_refused(variance, tmp_path):
    own = tmp_path / "figure"
    own.mkdir()
    (own / "mine.yaml").write_text("_target_: study.analysis.figures.curves.curves\nband: interval\n")
    result = run_here("analyze", "name=variance", "figures=[mine]", "--config-dir", str(tmp_path), cwd=variance)
    assert result.code != 0
    assert "figures=mine: band=interval requires independent runs" in result.err
    result = run_here("analyze", "name=variance", "figures=[forest]", cwd=variance)
    assert "forest requires independent runs" in result.err


def test_one_source_alone_is_a_study_of_independent_runs_that_says_what_is_fixed(tmp_path):
    result = run_here(*FEW, "-m", "reg=none,l2", "seed.init=0,1,2", "name=init", cwd=tmp_path)
    assert result.code == 0, result.err
    result = run_here("analyze", "name=init", "figures=[variance]", cwd=tmp_path)
    assert "variance requires crossed seeds" in result.err
    result = run_here("analyze", "name=init", "figures=[]", cwd=tmp_path)
    assert result.code == 0, result.err
    assert "All runs have seed.split=0, seed.order=0, seed.dropout=0." in result.out
    assert len(pd.read_csv(tmp_path / "outputs/init/analysis/significance.csv"))


def test_plain_and_single_seeds_pair_only_where_equal(tmp_path):
    """none with seeds 0 and 1, l2 with seed 0 and other initial weights: seed 0 alone is a pair."""
    each = "variants=[{reg: none, seed: [0, 1]}, {reg: l2, seed: {init: [0, 1]}}]"
    assert run_here(*FEW, each, "name=mixed", cwd=tmp_path).code == 0
    result = run_here("analyze", "name=mixed", "figures=[]", "filter.seed=[0,0-init1]", "allow=[pairs]", cwd=tmp_path)
    assert result.code == 0, result.err
    assert "none lacks the seeds 0-init1 that l2-lam0.01 has" in result.out
    compared = pd.read_csv(tmp_path / "outputs/mixed/analysis/significance.csv")
    assert set(compared["n"]) == {1}
    status = json.loads(next((tmp_path / "outputs/mixed").glob("l2*-seed0-init1-*/status.json")).read_text())
    assert status["variant"] == "l2-lam0.01"
