"""The statistics of the weights of many runs at once are those of each run alone."""

import math

import numpy as np
import pytest
import torch

from study.measures.described import describe, describe_stacked


@pytest.fixture
def stacked():
    generator = torch.Generator().manual_seed(4)
    weights = [torch.randn(5, 7, 12, generator=generator), torch.randn(5, 9, generator=generator)]
    weights[0][0] *= 1e-3
    weights[0][1, :3] = 0
    weights[0][2] = 0.25  # constant
    weights[1][3, 2], weights[0][4, 0, 0] = math.inf, math.nan
    weights[1][1] *= -0.0
    return weights


@pytest.mark.parametrize("histograms", [False, True])
def test_each_run_is_described_as_alone(stacked, histograms):
    names, slots = ["weight", "bias"], [4, 0, 1, 2, 3]
    found = describe_stacked(names, stacked, slots, histograms)
    for slot, of_run in zip(slots, found, strict=True):
        for name, w, described in zip(names, stacked, of_run, strict=True):
            alone = describe(name, w[slot].numpy(), histograms)
            assert described.name == name
            assert list(described.summary) == list(alone.summary)
            np.testing.assert_allclose(list(described.summary.values()), list(alone.summary.values()), rtol=1e-9)
            assert (described.counts is None) == (alone.counts is None)
            if alone.counts is not None:
                np.testing.assert_array_equal(described.counts, alone.counts)
            assert described.rank == (None if alone.rank is None else pytest.approx(alone.rank, rel=1e-6))
