"""budget=steps: as many steps for a small training set as for a large one."""

import pandas as pd
import pytest
import torch

from study import optimizers
from study.data import Part
from study.models import MLP
from study.regularizers import Combined
from study.training import general
from study.training.compiled import mlp
from study.training.general import batch_order
from study.training.state import State
from tests.conftest import run_folders


class Counting(torch.optim.SGD):
    """Counts its steps."""

    steps = 0

    def step(self, closure=None):
        self.steps += 1
        return super().step(closure)


def part(count):
    generator = torch.Generator().manual_seed(0)
    return Part(torch.rand(count, 8, generator=generator), torch.arange(count) % 3)


def test_an_epoch_of_more_images_than_there_are_goes_through_them_again_and_again():
    order = batch_order(10, 25, torch.Generator().manual_seed(0))
    assert len(order) == 25
    assert sorted(order[:10]) == sorted(order[10:20]) == list(range(10))
    assert len(set(order[20:].tolist())) == 5
    whole = batch_order(10, None, torch.Generator().manual_seed(0))
    assert torch.equal(whole, order[:10])


def test_the_general_loop_takes_as_many_steps_as_that_is():
    model = MLP(8, [4], 3)
    optimizer = Counting(model.parameters(), lr=0.1)
    general.train_epoch(State(model, Combined([]), optimizer, torch.Generator().manual_seed(0)), part(10), 4, 25)
    assert optimizer.steps == 7


def test_both_loops_agree_on_it():
    results = []
    for loop in (general, mlp):
        torch.manual_seed(0)
        model = MLP(8, [4], 3).double()
        few = part(10)
        few = Part(few.all_images.double(), few.all_labels)
        optimizer = optimizers.sgd(model.parameters(), 0.1)
        state = State(model, Combined([]), optimizer, torch.Generator().manual_seed(1))
        objective = loop.train_epoch(state, few, 4, 25)
        results.append([torch.tensor(objective), *model.parameters()])
    for p, q in zip(*results, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-12)


def test_where_nothing_is_left_out_a_budget_in_steps_trains_the_same(study, tmp_path):
    for budget in ("epochs", "steps"):
        assert study("data=digits", "epochs=2", "model.hidden=[5]", f"budget={budget}", f"name={budget}").code == 0
    one, other = (
        pd.read_csv(run_folders(tmp_path / "outputs" / b)[0] / "metrics.csv").drop(columns="seconds")
        for b in ("epochs", "steps")
    )
    pd.testing.assert_frame_equal(one, other)


def test_a_small_training_set_is_trained_longer_by_steps(study, tmp_path):
    few = ("data=digits", "data.train_size=50", "epochs=3", "model.hidden=[20]", "optimizer.lr=1e-2")
    for budget in ("epochs", "steps"):
        study(*few, f"budget={budget}", f"name={budget}")
    last = {
        b: pd.read_csv(run_folders(tmp_path / "outputs" / b)[0] / "metrics.csv")["train_accuracy"].iloc[-1]
        for b in ("epochs", "steps")
    }
    assert last["steps"] == pytest.approx(1.0)
    assert last["epochs"] < 0.9


def test_another_word_is_refused(study):
    result = study("data=digits", "budget=hours")
    assert result.code == 1
    assert "budget=hours: allowed: epochs, steps" in result.err
