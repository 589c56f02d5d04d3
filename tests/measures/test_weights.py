"""Statistics against SciPy and NumPy; a histogram loses no weight and agrees with the quantiles to the bin."""

import numpy as np
import pytest
import scipy.stats

from study.measures.weights import BINS, EDGES, QUANTILES, histogram, is_histogram_epoch, ordered, summarize

RANDOM = np.random.default_rng(3).normal(0, 0.05, (60, 50)).astype(np.float32)


def test_statistics_agree_with_scipy():
    w = RANDOM.copy()
    w[:3] = 0
    w[4, :7] = 0.0009
    flat = w.astype(np.float64).ravel()
    found = summarize(ordered(w))
    assert found["count"] == 3000
    assert found["mean"] == pytest.approx(flat.mean())
    assert found["std"] == pytest.approx(flat.std(ddof=0))
    assert found["kurtosis"] == pytest.approx(scipy.stats.kurtosis(flat))
    assert found["l1"] == pytest.approx(np.linalg.norm(flat, 1))
    assert found["l2"] == pytest.approx(np.linalg.norm(flat, 2))
    assert found["abs_max"] == pytest.approx(np.abs(flat).max())
    assert (found["min"], found["max"]) == (flat.min(), flat.max())
    assert found["zero_fraction"] == pytest.approx(150 / 3000)
    assert found["near_zero_fraction"] == pytest.approx(np.mean(np.abs(flat) < 1e-3))
    for key, share in QUANTILES.items():
        assert found[key] == pytest.approx(np.quantile(flat, share), rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_statistics_of_a_diverged_tensor_show_it(bad):
    w = np.array([1.0, bad, -2.0], np.float32)
    found = summarize(ordered(w))
    assert not np.isfinite([found[key] for key in ("mean", "std", "l1", "l2", "abs_max")]).any()
    assert found["zero_fraction"] == 0
    assert np.array_equal([found["min"], found["max"]], [w.min(), w.max()], equal_nan=True)


def test_values_are_in_ascending_order_with_nans_last_and_zeros_without_a_sign():
    w = np.concatenate([RANDOM.ravel(), [0, -0.0, np.inf, -np.inf, 1e-40, -1e-40, np.nan, -np.nan]]).astype(np.float32)
    found = ordered(w.reshape(2, -1))
    assert found.tobytes()[:-16] == (np.sort(w[:-2]).astype(np.float64) + 0.0).tobytes()
    assert np.isnan(found[-2:]).all()


def test_a_constant_tensor_has_no_kurtosis():
    assert np.isnan(summarize(ordered(np.zeros(10)))["kurtosis"])


def occupied(w):
    counts = histogram(ordered(w))
    return [(*edges, count) for edges, count in zip(BINS, counts, strict=True) if count]


def test_histogram_counts_every_weight_once_and_zeros_apart():
    w = np.array([0.0, 0.0, -0.0, 1e-9, -1e-9, 1e5, -1e5, 0.5, -0.5, EDGES[10], -EDGES[10]])
    rows = occupied(w)
    assert sum(count for *_, count in rows) == len(w)
    assert (0.0, 0.0, 3) in rows
    assert rows[0] == (-np.inf, -EDGES[-1], 1)
    assert rows[-1] == (EDGES[-1], np.inf, 1)
    assert (0.0, EDGES[0], 1) in rows
    assert (-EDGES[0], 0.0, 1) in rows
    assert "-0.0" not in str(rows)
    assert (EDGES[9], EDGES[10], 1) in rows
    assert (-EDGES[10], -EDGES[9], 1) in rows
    assert rows == sorted(rows)


def test_histogram_agrees_with_numpy():
    rows = occupied(RANDOM)
    edges = np.concatenate([-EDGES[::-1], EDGES])
    counts, _ = np.histogram(RANDOM.astype(np.float64), edges)
    inner = [count for left, right, count in rows if np.isfinite([left, right]).all() and left * right > 0]
    middle = len(EDGES) - 1
    assert inner == [int(c) for i, c in enumerate(counts) if c and i != middle]


def test_histogram_epochs():
    drawn = [epoch for epoch in range(1, 451) if is_histogram_epoch(epoch, 450)]
    assert drawn == [1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 300, 450]
    assert is_histogram_epoch(0, 30)
