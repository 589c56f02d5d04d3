"""From the rows of histogram.csv to other bins, densities and shares: nothing is lost, and zeros are told apart."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from study.analysis.drawing.histograms import absolute, density, share_above, spread, zero_share
from study.measures.weights import BINS

COLUMNS = ["bin_left", "bin_right", "count"]


def table(*rows):
    return pd.DataFrame(rows, columns=COLUMNS)


def counted(values):
    """The rows of histogram.csv for some values."""
    edges = np.array([left for left, _ in BINS] + [BINS[-1][1]])
    rows = []
    for left, right in BINS:
        inside = (values == 0) if left == right else (values > left) & (values <= right) & (values != 0)
        if left < 0:
            inside = (values >= left) & (values < right)
        if inside.any():
            rows.append((left, right, int(inside.sum())))
    assert sum(count for *_, count in rows) == len(values)
    assert len(edges) == len(BINS) + 1
    return pd.DataFrame(rows, columns=COLUMNS)


def test_spreading_keeps_the_counts():
    bins = table((-np.inf, -4.0, 1), (-1.0, -0.5, 10), (0.0, 0.0, 7), (0.0, 0.25, 4), (0.25, 1.0, 3))
    assert spread(bins, np.array([-8.0, 0.0, 8.0])) == pytest.approx([11, 7])
    assert spread(bins, np.array([-0.75, -0.5, 0.0, 0.125])) == pytest.approx([5, 0, 2])


def test_spreading_nothing_but_exact_zeros_gives_nothing():
    assert spread(table((0.0, 0.0, 7)), np.array([-1.0, 0.0, 1.0])).tolist() == [0, 0]


def test_spreading_several_seeds_is_the_sum_of_spreading_each():
    edges = np.linspace(-1, 1, 42)
    one, other = table((-0.5, -0.2, 8), (0.1, 0.4, 30)), table((-0.5, -0.2, 2), (0.1, 0.4, 6), (0.4, 0.9, 5))
    together = spread(pd.concat([one, other]), edges)
    np.testing.assert_allclose(together, spread(one, edges) + spread(other, edges), atol=1e-12)


def test_a_density_of_normal_values_is_the_normal_density_and_leaves_out_exact_zeros():
    values = np.random.default_rng(0).normal(size=400_000)
    values[:100_000] = 0.0
    rows, edges = counted(values), np.linspace(-3, 3, 31)
    assert zero_share(rows) == 0.25
    found = density(rows, edges)
    assert (found * np.diff(edges)).sum() == pytest.approx(0.75 * 0.9973, abs=2e-3)
    expected = 0.75 * np.diff(stats.norm.cdf(edges)) / np.diff(edges)
    np.testing.assert_allclose(found, expected, atol=0.01)


def test_the_share_above_a_threshold_is_exact_at_the_edges_of_the_grid():
    values = np.random.default_rng(1).laplace(size=20_000)
    values[:3_000] = 0.0
    t, share = share_above(counted(values))
    assert t[0] == 0.0
    assert share[0] == 0.85
    expected = [(np.abs(values) > threshold).mean() for threshold in t]
    np.testing.assert_allclose(share, expected, atol=1e-12)
    assert share[-1] == 0


def test_absolute_values_keep_their_counts_and_zeros():
    rows = table((-0.5, -0.2, 8), (0.0, 0.0, 3), (0.1, 0.4, 30))
    found = absolute(rows)
    assert (found["bin_left"] >= 0).all()
    assert found["count"].sum() == 41
    assert zero_share(found) == zero_share(rows)
