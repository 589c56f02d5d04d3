"""Levels of the tests of a study that adds seeds in rounds: exact, also with few seeds."""

import itertools

import numpy as np
import pytest
from scipy import optimize, stats

from study.sequential import Round, levels, rounds

SEEDS = rounds(30)


def test_rounds_add_a_third_of_the_seeds_and_end_at_the_largest_number():
    assert SEEDS == (6, 9, 12, 16, 22, 30)
    assert rounds(6) == (6,)
    for most in range(6, 101):
        found = rounds(most)
        assert found[0] == 6 or len(found) == 1
        assert found[-1] == most
        assert all(later - earlier >= 3 for earlier, later in itertools.pairwise(found))


def test_a_single_round_is_tested_at_the_level_itself():
    assert levels((8,), 0.05) == pytest.approx([0.05], rel=2e-3)


def test_with_many_seeds_the_levels_are_those_of_normal_statistics():
    first, second = levels((50, 100), 0.05)
    assert first == pytest.approx(0.025, rel=1e-3)  # half of the seeds spend half of the level
    correlated = stats.multivariate_normal(mean=[0, 0], cov=[[1, 0.5**0.5], [0.5**0.5, 1]])
    z = stats.norm.isf(0.025 / 2)
    box = optimize.brentq(lambda c: correlated.cdf([z, c], lower_limit=[-z, -c]) - 0.95, 1.5, 3)
    assert second == pytest.approx(2 * stats.norm.sf(box), rel=0.02)


@pytest.mark.parametrize("level", [0.05, 0.01])
def test_false_claims_in_any_round_have_the_level_with_six_seeds_and_unknown_variance(level):
    values = np.random.default_rng(0).normal(size=(40_000, SEEDS[-1]))
    rejected = np.zeros(len(values), bool)
    for n, nominal in zip(SEEDS, levels(SEEDS, level), strict=True):
        rejected |= stats.ttest_1samp(values[:, :n], 0, axis=1).pvalue <= nominal
        error = 3.5 * (level / len(values)) ** 0.5
        assert rejected.mean() == pytest.approx(level * n / SEEDS[-1], abs=error)


def test_a_p_value_over_rounds_is_the_smallest_level_that_rejects():
    for number in (1, 3, 6):
        found = Round(SEEDS, number)
        for level in (0.05, 0.05 / 7, 1e-4):
            assert found.over_rounds(np.array([found.nominal(level)]))[0] == pytest.approx(level, rel=0.02)
    p = np.array([0.0, 0.003, 0.02, 0.4, 1.0, np.nan])
    corrected = Round(SEEDS, 2).over_rounds(p)
    assert (corrected[:5] >= p[:5]).all()
    assert (np.diff(corrected[:5]) >= 0).all()
    assert np.isnan(corrected[5])


def test_before_the_first_round_nothing_can_be_tested():
    none = Round(SEEDS, 0)
    assert none.n == 0
    assert np.isnan(none.nominal(0.05))
    assert np.isnan(none.over_rounds(np.array([0.01]))).all()
