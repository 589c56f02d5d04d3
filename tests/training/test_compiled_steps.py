"""The general loop with compiled steps does what it does with torch's."""

import pytest
import torch

from study import optimizers
from study.data import load_splits
from study.data.digits import digits
from study.models import cnn
from study.regularizers import Regularizer
from study.regularizers.averaging import EMA
from study.regularizers.data_side import LabelSmoothing, Noise
from study.regularizers.model_side import Dropout
from study.regularizers.penalties import L1, L2, FunctionPenalty, L2Norm, Unpenalized
from study.regularizers.projections import GroupLasso, L1Proximal, MaxNorm, WeightDecay
from study.regularizers.sam import SAM
from study.training import general
from study.training.compiled import any_model
from study.training.loop_choice import choose_loops
from study.training.state import State
from study.training.task import Task
from tests.config.test_identity import resolved
from tests.regularizers.regularizing import combined

OPTIMIZERS = {
    "adam": lambda p: optimizers.adam(p, lr=1e-3),
    "sgd": lambda p: optimizers.sgd(p, lr=0.1),
    "momentum": lambda p: optimizers.sgd(p, lr=0.1, momentum=0.9),
}


REGULARIZERS = {
    "none": Unpenalized(),
    "l1": L1(),
    "norm": L2Norm(),
    "decay": WeightDecay(),
    "proximal": L1Proximal(),
}


def images(count, dtype):
    data = {"root": "", "split": "holdout", "train_size": count, "label_noise": 0.0}
    train = load_splits(digits(), data, seed=0, device=torch.device("cpu")).train
    return type(train)(train.images.to(dtype), train.labels)


def test_compiled_steps_are_for_what_they_know_alone():
    def fits(*regularizers, optimizer="study.optimizers.adam", device="cpu"):
        return any_model.fits(regularizers, optimizer, device)

    assert fits(L1(), L2(), L1Proximal())
    assert fits(L1(), Noise(), Dropout(), LabelSmoothing(), SAM())  # all but the first act before the step
    assert not fits(L1(), device="cuda")
    assert not fits(L1(), optimizer="my_optimizers.adam")
    assert not fits(FunctionPenalty(lambda w: w.abs().sum()))
    assert not fits(L1Proximal(), WeightDecay())
    assert not fits(L1(), WeightDecay())
    assert not fits(MaxNorm())
    assert not fits(GroupLasso())
    assert not fits(EMA())


def train_cnn(loop, regularizer, optimizer):
    """Two epochs with batch normalization, weights in the format channels-last, and a parameter without a gradient."""
    torch.manual_seed(1)
    model = cnn((8, 8), 10, norm="batch").double().to(memory_format=torch.channels_last)
    hooks = combined(regularizer, 1e-3, model)
    unused = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
    stepped = OPTIMIZERS[optimizer]([*model.parameters(), unused])
    state, part = State(model, hooks, stepped, torch.Generator().manual_seed(5)), images(100, torch.float64)
    objectives = [loop.train_epoch(state, part, 32) for _ in range(2)]
    assert torch.equal(unused, torch.ones_like(unused))
    return objectives, model.state_dict()


@pytest.mark.parametrize("name", REGULARIZERS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_compiled_steps_of_a_cnn_are_those_of_torch(optimizer, name):
    of_torch, compiled = (train_cnn(loop, REGULARIZERS[name], optimizer) for loop in (general, any_model))
    assert compiled[0] == pytest.approx(of_torch[0], rel=1e-9)
    torch.testing.assert_close(of_torch[1], compiled[1], rtol=1e-6, atol=1e-10)


class CopiedGradients(Regularizer):
    """Replaces gradients by equal ones whose numbers lie in another order in memory."""

    def on_backward(self, backward):
        loss = backward()
        for s in self.scoped:
            s.parameter.grad = s.parameter.grad.contiguous(memory_format=torch.contiguous_format)
        return loss


@pytest.mark.parametrize("loop", [general, any_model], ids=lambda loop: loop.PATH)
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_the_order_of_a_gradient_in_memory_makes_no_difference(optimizer, loop):
    """torch's fused optimizers would read it in the order of the weights."""
    other, usual = (train_cnn(loop, regularizer, optimizer) for regularizer in (CopiedGradients(), Unpenalized()))
    assert other[0] == pytest.approx(usual[0], rel=1e-9)


def paths(loop, *runs):
    tasks = [Task.of(resolved("model.hidden=[5]", *run.split()), "some", None) for run in runs]
    return [task.path for task in choose_loops(tasks, loop, print)]


def test_runs_that_are_compared_get_a_loop_that_can_train_all_of_them():
    assert paths("common", "reg=l1", "reg=none") == ["mlp", "mlp"]
    assert paths("common", "reg=l1", "reg=l1 model.norm=batch") == ["compiled_step", "compiled_step"]
    assert paths("fastest", "reg=l1", "reg=l1 model.norm=batch") == ["mlp", "compiled_step"]
    assert paths("common", "reg=l1", "reg=ema") == ["general", "general"]
    assert paths("common", "reg=group_lasso", "reg=l1 model.norm=batch") == ["general", "general"]
    assert paths("general", "reg=l1", "reg=none") == ["general", "general"]
    assert paths("common", "reg=l1 model.norm=batch clip_norm=1", "reg=l1") == ["general", "general"]
