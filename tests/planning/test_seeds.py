"""The number of seeds that find a difference, against statsmodels and against simulated studies."""

import math

import numpy as np
import pytest
from scipy import stats

from study.planning.seeds import seeds_for_new_data, seeds_to_find, smallest_on_new_data


@pytest.mark.parametrize("difference", [0.5, 0.3, 0.2])
@pytest.mark.parametrize("contrasts", [1, 3, 20])
def test_the_number_of_seeds_agrees_with_statsmodels(difference, contrasts):
    power = pytest.importorskip("statsmodels.stats.power")
    sd = 0.3
    exact = power.TTestPower().solve_power(effect_size=difference / sd, alpha=0.05 / contrasts, power=0.8)
    assert seeds_to_find(difference, sd, contrasts) == max(6, math.ceil(exact))


def test_a_large_difference_still_needs_the_seeds_of_a_star():
    assert seeds_to_find(100.0, 0.1, 1) == 6


def test_no_number_of_seeds_finds_a_difference_below_the_limit_of_the_data():
    limit = smallest_on_new_data(1.0, 3, 0.2)
    assert limit == pytest.approx((stats.norm.isf(0.05 / 6) + stats.norm.isf(0.2)) * 0.2**0.5)
    assert seeds_for_new_data(0.99 * limit, 1.0, 3, 0.2) is None
    few, many = (seeds_for_new_data(factor * limit, 1.0, 3, 0.2) for factor in (1.5, 1.05))
    assert 6 < few < many


def test_without_val_images_new_data_need_as_many_seeds_as_the_t_test():
    assert seeds_for_new_data(0.3, 0.4, 2, 0.0) == seeds_to_find(0.3, 0.4, 2)


def test_the_corrected_t_test_finds_the_difference_in_four_of_five_simulated_studies():
    share, sd, difference = 0.2, 1.0, 1.8
    n = seeds_for_new_data(difference, sd, 1, share)
    generator = np.random.default_rng(0)
    # each study has another draw of the data, which moves all its seeds, as the correction assumes
    mean = difference + generator.normal(0, sd * share**0.5, 20_000) + generator.normal(0, sd / n**0.5, 20_000)
    estimated = sd * np.sqrt(generator.chisquare(n - 1, 20_000) / (n - 1))
    found = np.abs(mean) / (estimated * np.sqrt(1 / n + share)) > stats.t.isf(0.025, n - 1)
    assert 0.79 < found.mean() < 0.86  # n is a whole number, so the power may be a little higher
