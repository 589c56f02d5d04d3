"""Search spaces: every variant reads its trials from one sequence, which covers its ranges."""

import math

import numpy as np
import pytest

from study.config.tuning.search import dimension, near_ends, points, unit_points

LR = dimension("lr", {"log": [1e-4, 1e-2]}, "sobol")
LAM = dimension("lam", {"log": [1e-6, 1e-2]}, "sobol")


@pytest.mark.parametrize("search", ["sobol", "random"])
def test_variants_share_the_values_of_shared_keys_and_a_further_key_or_trial_changes_none(search):
    plain = points({"lr": LR}, {}, search, 16, seed=0)
    penalized = points({"lr": LR}, {"lam": LAM}, search, 16, seed=0)
    both = points({"lr": LR}, {"lam": LAM, "reg.ratio": dimension("r", {"linear": [0, 1]}, search)}, search, 32, seed=0)
    assert [p["lr"] for p in plain] == [p["lr"] for p in penalized] == [p["lr"] for p in both[:16]]
    assert [p["lam"] for p in penalized] == [p["lam"] for p in both[:16]]
    assert points({"lr": LR}, {}, search, 16, seed=1) != plain


def test_sobol_points_lie_one_in_each_sixteenth_of_each_range():
    """The property for which the sequence is chosen: 16 points, one in each of 16 intervals of every column."""
    drawn = unit_points("sobol", 16, seed=3)
    for column in drawn.T:
        assert sorted(np.floor(16 * column).astype(int)) == list(range(16))


@pytest.mark.parametrize("trials", [1, 3, 16, 20])
def test_there_are_as_many_trials_as_asked_for_within_their_ranges(trials):
    drawn = points({"lr": LR}, {"lam": LAM}, "sobol", trials, seed=0)
    assert len(drawn) == trials
    assert all(1e-4 <= p["lr"] <= 1e-2 and 1e-6 <= p["lam"] <= 1e-2 for p in drawn)


def test_a_grid_crosses_shared_and_own_values_and_nothing_to_tune_is_one_trial():
    lr, lam = dimension("lr", [1e-3, 1e-2], "grid"), dimension("lam", [1, 2, 3], "grid")
    assert len(points({"lr": lr}, {"lam": lam}, "grid", 0, seed=0)) == 6
    assert points({}, {}, "grid", 0, seed=0) == points({}, {}, "sobol", 16, seed=0) == [{}]


def test_choices_and_linear_ranges_are_uniform():
    space = {"a": dimension("a", {"choice": ["x", "y"]}, "sobol"), "b": dimension("b", {"linear": [0, 0.5]}, "sobol")}
    drawn = points(space, {}, "sobol", 64, seed=0)
    assert sum(p["a"] == "x" for p in drawn) == 32
    assert np.mean([p["b"] for p in drawn]) == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize(
    ("value", "near"), [(1e-4, True), (1.2e-4, True), (1.3e-4, False), (1e-3, False), (8.2e-3, True), (1e-2, True)]
)
def test_a_value_within_five_percent_of_an_end_of_its_logarithmic_range_is_near_it(value, near):
    assert (math.log10(value / 1e-4) / 2 < 0.05 or math.log10(value / 1e-4) / 2 > 0.95) == near
    assert near_ends({"lr": LR}, {"lr": value}) == (["lr"] if near else [])


def test_the_ends_of_a_grid_are_its_least_and_greatest_number():
    grid = dimension("lam", [3, 1, 2], "grid")
    assert [grid.near_end(v) for v in (1, 2, 3)] == [True, False, True]
    assert not dimension("lam", [1], "grid").near_end(1)
    assert not dimension("act", ["relu", "tanh"], "grid").near_end("relu")
