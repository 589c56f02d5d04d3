"""Statistics against worked examples that were computed independently, SciPy and statsmodels."""

import itertools

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from study.analysis.statistics import inference

MAIZE = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]  # Darwin's
SLEEP = [1.2, 2.4, 1.3, 1.3, 0, 1, 1.8, 0.8, 4.6, 1.4]  # Student's
FEW = [0.3, 0.5, 0.1, 0.4, 0.2]


@pytest.mark.parametrize(
    ("differences", "t", "p", "interval", "flips"),
    [
        (MAIZE, 2.14799, 0.0497029, (0.0311933, 41.8355), 1726 / 32768),
        (SLEEP, 4.06213, 0.00283289, None, 4 / 1024),
        (FEW, 4.24264, 0.0132356, (0.103676, 0.496324), 2 / 32),
    ],
)
def test_paired_t_interval_and_sign_flips_of_the_worked_examples(differences, t, p, interval, flips):
    differences = np.array(differences, float)
    assert inference.paired_t(differences) == pytest.approx((t, p), rel=1e-5)
    assert inference.sign_flip(differences) == flips
    if interval:
        found = inference.mean_interval(differences)
        assert (found.low, found.high) == pytest.approx(interval, rel=1e-5)


def test_ties_in_floating_point_count_as_ties():
    assert inference.sign_flip([0.3, 0.5, -0.1, 0.5, -0.2, 0, 0.7]) == 20 / 128


def test_no_difference_at_all():
    assert inference.sign_flip(np.zeros(6)) == 1
    assert np.isnan(inference.paired_t(np.zeros(6))).all()


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_sign_flips_agree_with_scipy_whatever_the_unit(scale):
    values = np.random.default_rng(0).normal(0.4, 1, 9) * scale
    expected = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", vectorized=True, n_resamples=np.inf
    )
    assert inference.sign_flip(values) == expected.pvalue


def test_sampled_sign_flips_come_close_to_all_of_them_and_are_repeatable(monkeypatch):
    values = np.random.default_rng(1).normal(0.5, 1, 14)
    exact = inference.sign_flip(values)
    monkeypatch.setattr(inference, "EXACT", 5)
    assert inference.sign_flip(values) == pytest.approx(exact, abs=0.005)
    assert inference.sign_flip(values) == inference.sign_flip(values)
    assert inference.sign_flip(np.full(30, 1.0)) > 0


def test_nadeau_and_bengio_s_correction():
    interval, p = inference.new_data_interval(np.array(FEW), 0.2)
    assert p == pytest.approx(0.0399420, rel=1e-5)
    half = stats.t.ppf(0.975, 4) * np.sqrt((1 / 5 + 0.2) * np.var(FEW, ddof=1))
    assert (interval.low, interval.high) == pytest.approx((0.3 - half, 0.3 + half))


def test_holm():
    assert inference.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    p = np.random.default_rng(0).uniform(0, 0.2, 12)
    assert inference.holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    assert inference.holm([0.01, np.nan, 0.02]) == pytest.approx([0.02, np.nan, 0.02], nan_ok=True)


def test_wins_with_their_exact_interval():
    count, share = inference.wins(np.ones(5))
    assert count == 5
    assert (share.low, share.high) == pytest.approx((0.478176, 1), abs=1e-6)
    count, share = inference.wins(np.array([1.0, -1.0, 0.0, 2.0, -3.0, -1.0]))
    assert count == 2.5
    assert inference.wins(np.array([1.0, -1.0, -2.0]), larger_is_better=False)[0] == 2
    expected = stats.binomtest(3, 8).proportion_ci(method="exact")
    found = inference.wins(np.r_[np.ones(3), -np.ones(5)])[1]
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_best_of_n_is_the_mean_over_all_choices():
    assert inference.best_of([1, 2, 3, 4]) == pytest.approx([2.5, 10 / 3, 3.75, 4])
    scores = np.random.default_rng(0).normal(size=7)
    for n, expected in enumerate(inference.best_of(scores), start=1):
        assert expected == pytest.approx(np.mean([max(chosen) for chosen in itertools.combinations(scores, n)]))


def test_power_and_the_seeds_that_are_needed():
    assert inference.seeds_needed(0.5) == pytest.approx(33.367, abs=1e-3)
    assert [int(np.ceil(inference.seeds_needed(effect / 0.3))) for effect in (0.2, 0.5, 1.0)] == [20, 6, 3]
    assert inference.power(0.7, 9) == pytest.approx(TTestPower().power(0.7, 9, 0.05), rel=1e-6)
    effect = inference.detectable(0.3, 7)
    assert inference.power(effect / 0.3, 7) == pytest.approx(0.8)


def test_the_upper_bound_of_a_standard_deviation_holds_as_often_as_it_says():
    draws = np.random.default_rng(0).normal(0, 2, (4000, 6)).std(axis=1, ddof=1)
    assert np.mean([inference.sd_upper(sd, 6) > 2 for sd in draws]) == pytest.approx(0.8, abs=0.02)


def test_seeds_crossed_with_examples():
    found = inference.crossed(np.array([[1, 1, 1, 0], [0, 0, 1, -1], [0, 0, 0, 0]], float))
    assert (found.seeds, found.examples, found.residual) == pytest.approx((0.75, 0.52778, 0.19444), abs=1e-5)
    assert found.variance == pytest.approx(0.0902778, abs=1e-7)
    assert found.df == pytest.approx(3.08519, abs=1e-5)


def test_the_variance_of_seeds_and_examples_is_never_below_that_of_the_seeds():
    differences = np.array([[1.0, -1.0], [-1.0, 1.0], [3.0, -3.0]])
    found = inference.crossed(differences)
    assert found.variance == pytest.approx(found.seeds / 6)
    assert found.df == 2


@pytest.mark.parametrize(("n", "smallest"), [(1, 1.0), (2, 0.5), (5, 0.0625), (6, 0.03125)])
def test_the_smallest_p_of_sign_flips(n, smallest):
    assert inference.smallest_p(n) == smallest == inference.sign_flip(np.arange(1.0, n + 1))


def test_the_seeds_that_holm_s_correction_takes():
    assert [inference.seeds_for(m) for m in (1, 2, 3, 4, 6, 7, 12)] == [6, 7, 7, 8, 8, 9, 9]


def test_the_best_of_seven_is_overestimated_unless_seeds_are_left_out():
    """Seven equal candidates, three seeds of standard deviation .3: +.234 in the mean, or nearly nothing."""
    draws = np.random.default_rng(0).normal(0, 0.3, (4000, 7, 3))
    assert draws.mean(axis=2).max(axis=1).mean() == pytest.approx(0.234, abs=0.01)
    assert np.mean([inference.leave_one_seed_out(scores) for scores in draws]) == pytest.approx(-0.002, abs=0.02)


def test_ties_go_to_the_later_candidate():
    assert inference.leave_one_seed_out(np.array([[1.0, 1.0], [1.0, 1.0]])) == 1
    assert inference.leave_one_seed_out(np.array([[2.0, 1.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 0.0]])) == 1
