"""What does not change when ReLU units are rescaled, by the worked examples and on a trained network."""

import copy
import itertools

import pandas as pd
import pytest
import torch

from study.data import Part
from study.measures.invariants import effective_rank, in_out, invariant_rows, path_norm, stable_rank
from study.measures.scoring import score
from study.models import MLP
from tests.conftest import run_folders

W1, W2 = torch.tensor([[1.0, -2.0], [3.0, 0.0]]).double(), torch.tensor([[2.0, 1.0]]).double()
RESCALED = [W1 * torch.tensor([[10.0], [0.5]]), W2 / torch.tensor([[10.0, 0.5]])]


@pytest.mark.parametrize("weights", [[W1, W2], RESCALED], ids=["plain", "rescaled"])
def test_path_norms_and_in_out_of_the_worked_example(weights):
    assert path_norm(weights, 1) == pytest.approx(9)
    assert path_norm(weights, 2) == pytest.approx(29**0.5)
    assert in_out(*weights) == pytest.approx(7.47214, rel=1e-6)


def test_the_sum_of_squares_does_change():
    squares = [sum(float(w.square().sum()) for w in weights) for weights in ([W1, W2], RESCALED)]
    assert squares == pytest.approx([19, 506.29])


def test_ranks_of_the_worked_example():
    singular = torch.tensor([4.0, 2.0, 1.0]).double()
    assert stable_rank(singular) == pytest.approx(1.3125)
    assert effective_rank(singular) == pytest.approx(2.60049, rel=1e-6)


@pytest.mark.parametrize(("hidden", "count"), [([8], 9), ([8, 5], 8)])
def test_a_network_and_its_rescaled_twin_have_the_same_path_norms_and_margins(hidden, count):
    torch.manual_seed(0)
    model, train = MLP(6, hidden, 3), Part(torch.rand(40, 6), torch.arange(40) % 3)
    twin = copy.deepcopy(model)
    with torch.no_grad():
        for below, above in itertools.pairwise([*twin.hidden, twin.output]):
            factors = torch.rand(len(below.bias)) * 5 + 0.1
            below.weight *= factors[:, None]
            below.bias *= factors
            above.weight /= factors
    of_model, of_twin = (
        pd.DataFrame(invariant_rows(net, score(net, train)), columns=["measure", "parameter", "value"])
        for net in (model, twin)
    )
    invariant = ~of_model["measure"].str.contains("rank")
    assert invariant.sum() == count
    assert of_twin["value"][invariant].tolist() == pytest.approx(of_model["value"][invariant].tolist(), rel=1e-4)
    assert of_twin["value"][~invariant].tolist() != pytest.approx(of_model["value"][~invariant].tolist(), rel=1e-2)


def test_margins_are_those_of_the_true_class_over_the_best_other_one():
    model, train = MLP(2, [], 3), Part(torch.eye(2), torch.tensor([0, 1]))
    with torch.no_grad():
        model.output.weight.copy_(torch.tensor([[5.0, 0.0], [2.0, 1.0], [0.0, 4.0]]))
        model.output.bias.zero_()
    rows = {measure: value for measure, parameter, value in invariant_rows(model, score(model, train)) if not parameter}
    assert rows["margin_median"] == pytest.approx(((5 - 2) + (1 - 4)) / 2)


@pytest.mark.parametrize(("options", "there"), [((), True), (("model.norm=batch",), False)])
def test_behind_batch_normalization_norms_have_no_meaning_and_tables_say_so(study, tmp_path, options, there):
    few = ("data=digits", "data.train_size=100", "epochs=1", "model.hidden=[5]", "name=scale")
    assert study(*few, *options).code == 0
    (run,) = run_folders(tmp_path / "outputs" / "scale")
    assert ("path_norm_l1" in set(pd.read_csv(run / "invariants.csv")["measure"])) == there
    out = study("analyze", "name=scale", "figures=[]").out
    assert ("the scale of weights before batch normalization has no effect" in out) == (not there)
    assert ("they change if ReLU units are rescaled, although the output does not" in out) == there
