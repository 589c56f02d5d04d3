"""Scores of a regression, against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score
from torch import nn

from study.data import Part
from study.data.splits import Unit
from study.measures.scoring import score

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("unit", [None, Unit(torch.tensor(50.0), torch.tensor(7.0))])
def test_scores_are_those_of_scikit_learn(outputs, unit):
    x = torch.from_numpy(RANDOM.normal(size=(1_203, 5)).astype(np.float32))  # more than a batch
    y = torch.from_numpy(RANDOM.normal(size=(1_203, outputs)).astype(np.float32))
    if unit is not None:
        unit = Unit(unit.mean.expand(outputs), unit.scale.expand(outputs))
    model = nn.Linear(5, outputs)
    scored = score(model, Part(x, y, unit=unit))
    found, guesses = scored.score(), model(x).detach().numpy()
    assert found.count == 1_203
    assert found.loss == pytest.approx(mean_squared_error(y, guesses), rel=1e-5)
    assert found.r2 == pytest.approx(r2_score(y, guesses), rel=1e-5)
    scale, mean = (1, 0) if unit is None else (7, 50)
    assert found.mae == pytest.approx(scale * mean_absolute_error(y, guesses), rel=1e-5)
    kept = scored.predictions()
    assert kept.label.shape == ((1_203,) if outputs == 1 else (1_203, 3))
    assert np.allclose(kept.predicted.reshape(-1, outputs), scale * guesses + mean, atol=1e-4)
    assert np.allclose(kept.label.reshape(-1, outputs), scale * y + mean, atol=1e-4)


def test_r2_of_a_constant_target_is_not_defined():
    assert score(nn.Linear(2, 1), Part(torch.ones(4, 2), torch.full((4, 1), 3.0))).score().r2 is None
