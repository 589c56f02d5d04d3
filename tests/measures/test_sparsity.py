"""Sparsity, pruning and calibration against worked examples and counts made by hand."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import brier_score_loss

from study.data import Part
from study.measures.scoring import Scored, score
from study.measures.sparsity import (
    dead_units,
    effective_parameters,
    gini,
    hoyer,
    pruning_rows,
    sparsity_rows,
    support_scores,
)
from study.measures.weights import ALL
from study.models import MLP

SUPPORT = ("support_precision", "support_recall")


def test_hoyer_and_gini_of_the_worked_example():
    magnitudes = np.array([0.0, 0.0, 3.0, 4.0])
    assert hoyer(magnitudes) == pytest.approx(0.6)
    assert gini(magnitudes) == pytest.approx(0.535714, abs=1e-6)


def test_hoyer_and_gini_at_their_ends():
    equal, alone, nothing = np.ones(50), np.r_[np.zeros(49), 2.0], np.zeros(5)
    assert (hoyer(equal), gini(equal)) == (pytest.approx(0), pytest.approx(0))
    assert (hoyer(alone), gini(alone)) == (pytest.approx(1), pytest.approx(1 - 1 / 50))
    assert np.isnan([hoyer(nothing), gini(nothing), hoyer(np.ones(1))]).all()


@pytest.fixture
def net():
    """Three hidden units: the first alive, the second without incoming weights, the third never active."""
    model = MLP(4, [3], 2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.hidden[0].weight[0] = torch.tensor([0.5, -2e-3, 5e-5, 0.0])
        model.hidden[0].weight[2] = torch.tensor([-1.0, -1.0, -1.0, -1.0])
        model.output.weight[:] = torch.tensor([[1.0, 2.0, 0.5], [0.0, 1e-3, -5e-3]])
        model.output.bias[0] = 0.1
    images = torch.tensor([[1.0, 0.0, 0.2, 0.3], [0.4, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.6]])
    return model, Part(images, torch.tensor([0, 1, 1]))


def test_sparsity_is_counted_by_tensor_and_over_all(net):
    model, train = net
    columns = ["parameter", "count", "zero", "1e-4", "1e-3", "1e-2", "hoyer", "gini", "units", "dead", *SUPPORT]
    table = pd.DataFrame(list(sparsity_rows(model, train)), columns=columns).set_index("parameter")
    assert list(table.index) == ["hidden.0.weight", "hidden.0.bias", "output.weight", "output.bias", ALL]
    hidden = table.loc["hidden.0.weight"]
    assert hidden[["count", "zero", "1e-4", "1e-3", "1e-2"]].tolist() == [12, 5 / 12, 6 / 12, 6 / 12, 7 / 12]
    everything = table.loc[ALL]
    assert everything["count"] == 23
    assert everything["zero"] * 23 == pytest.approx(5 + 3 + 1 + 1)
    assert hidden[["units", "dead"]].tolist() == everything[["units", "dead"]].tolist() == [3, 2]
    assert pd.isna(table.loc["output.weight", "dead"])
    assert table[list(SUPPORT)].isna().all(axis=None)


def test_the_support_is_scored_by_the_features_that_the_first_layer_reads(net):
    model, train = net
    with torch.no_grad():
        model.hidden[0].weight[2] = 0
    rows = {row[0]: row[-2:] for row in sparsity_rows(model, train, support=[1, 2, 3])}
    assert rows["hidden.0.weight"] == rows[ALL] == [1 / 2, 1 / 3]  # it reads 0 and 1; 5e-5 is near zero
    assert rows["output.weight"] == rows["hidden.0.bias"] == [None, None]


def test_support_scores_of_a_layer_that_reads_nothing():
    precision, recall = support_scores(torch.full((5, 4), 9.9e-4), [0, 2])
    assert np.isnan(precision)
    assert recall == 0
    assert support_scores(torch.eye(4), [0, 2]) == (0.5, 1.0)


def test_dead_units_of_several_layers_are_told_apart():
    torch.manual_seed(0)
    model = MLP(4, [6, 5], 2)
    with torch.no_grad():
        model.hidden[0].bias[:2] = -10
        model.hidden[1].bias[4] = -10
    train = Part(torch.rand(50, 4), torch.zeros(50, dtype=torch.long))
    found = dead_units(model, train)
    assert found["hidden.0.weight"][0] == 6
    assert found["hidden.0.weight"][1] >= 2
    assert found["hidden.1.weight"][1] >= 1
    assert dead_units(MLP(4, [], 2), train) == {}


def test_effective_parameters_lie_on_a_path_to_the_output(net):
    model, _ = net
    # unit 0: three weights in, one of its two weights out is zero; unit 1 is constant 0, so its weights out are without
    # effect; unit 2: four in, two out; one bias
    assert effective_parameters(model) == (3 + 1) + 0 + (4 + 2) + 1
    with torch.no_grad():
        model.hidden[0].bias[1] = 0.3  # now unit 1 is a constant that is heard
    assert effective_parameters(model) == 11 + 1 + 2
    assert effective_parameters(MLP(4, [3], 2)) == 23


def test_pruning_removes_weights_below_a_threshold_and_scores_what_is_left(net):
    model, val = net
    before = {name: value.clone() for name, value in model.state_dict().items()}
    rows = list(pruning_rows(model, 7, {"val": val}))
    assert [row[:4] for row in rows] == [
        ["val", 7, 0.0, 6],
        ["val", 7, 1e-4, 7],
        ["val", 7, 1e-3, 7],
        ["val", 7, 1e-2, 10],
    ]
    with torch.no_grad():
        for layer in (model.hidden[0], model.output):
            layer.weight[layer.weight.abs() < 1e-2] = 0
    left = score(model, val).score()
    assert rows[-1][5:] == [effective_parameters(model), left.loss, left.accuracy]
    model.load_state_dict(before)
    assert rows[0][-1] == score(model, val).score().accuracy


def scored(probabilities, labels):
    logits = torch.log(torch.tensor(probabilities, dtype=torch.float32))
    return Scored(torch.tensor(labels), logits, torch.zeros(len(labels)))


def test_ece_by_hand():
    """Two images in one bin with confidence .62 and .64, one of them right; one in another with .95, right."""
    found = scored([[0.62, 0.38], [0.36, 0.64], [0.95, 0.05]], [0, 0, 0]).ece()
    assert found == pytest.approx(2 / 3 * abs(0.5 - 0.63) + 1 / 3 * abs(1 - 0.95), abs=1e-6)


def test_ece_is_zero_for_a_model_that_is_as_sure_as_it_is_right():
    labels = [0] * 7 + [1] * 3
    assert scored([[0.7, 0.3]] * 10, labels).ece() == pytest.approx(0, abs=1e-6)
    assert scored([[1.0, 0.0]] * 4, [0, 0, 1, 1]).ece() == pytest.approx(0.5)


def test_the_brier_score_is_scikit_learn_s():
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(4), 50)
    labels = generator.integers(4, size=50)
    expected = brier_score_loss(labels, probabilities, labels=range(4), scale_by_half=False)
    assert scored(probabilities, labels).brier() == pytest.approx(expected, rel=1e-5)
