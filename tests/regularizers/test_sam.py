"""A step of SAM is that of the paper, written once more, and its second pass leaves no trace in the model."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from study.data.splits import Part
from study.models import MLP
from study.optimizers import sgd
from study.regularizers import Combined
from study.regularizers import Part as RegPart
from study.regularizers.data_side import GradientPenalty
from study.regularizers.penalties import L2, Unpenalized
from study.regularizers.sam import SAM
from study.regularizers.scope import in_scope
from study.training.general import train_epoch
from study.training.state import State
from tests.regularizers.regularizing import combined

LR, RHO = 0.1, 0.3


@pytest.fixture
def train():
    generator = torch.Generator().manual_seed(3)
    return Part(torch.rand(22, 6, dtype=torch.float64, generator=generator), torch.arange(22) % 4)


def make_model(**options):
    torch.manual_seed(0)
    return MLP(6, [5], 4, **options).double()


def batches(train, size=8):
    """Those of `train_epoch` with the generator of seed 5."""
    return torch.randperm(len(train), generator=torch.Generator().manual_seed(5)).split(size)


def epoch(model, hooks, train, size=8, lr=LR):
    """Train for an epoch of SGD; return the objective."""
    state = State(model, hooks, sgd(model.parameters(), lr), torch.Generator().manual_seed(5))
    return train_epoch(state, train, size)


def gradients_by_hand(model, loss_of, rho, moves=lambda name: 1.0):
    """The loss at w, and the gradients at w + ε, on a copy of the model."""
    model = copy.deepcopy(model)
    names, parameters = zip(*model.named_parameters(), strict=True)
    loss = loss_of(model)
    gradients = torch.autograd.grad(loss, parameters)
    chosen = [g for name, g in zip(names, gradients, strict=True) if moves(name)]
    norm = sum(float((g**2).sum()) for g in chosen) ** 0.5
    with torch.no_grad():
        for name, parameter, gradient in zip(names, parameters, gradients, strict=True):
            parameter.add_(rho * moves(name) * gradient / norm)
    return float(loss.detach()), torch.autograd.grad(loss_of(model), parameters)


def squares(model, images):
    """R of the gradient penalty, image by image."""
    total = 0
    for image, label in images:
        leaf = image[None].clone().requires_grad_()
        (gradient,) = torch.autograd.grad(F.cross_entropy(model(leaf), label[None]), leaf, create_graph=True)
        total = total + gradient.square().sum()
    return total / len(images)


@pytest.mark.parametrize(
    ("scope", "moves"),
    [
        ("all", lambda name: 1.0),
        ("weights", lambda name: float(name.endswith("weight"))),
        (
            {"hidden.*": 1.0, "output.bias": 0.5},
            lambda name: {"hidden": 1.0, "output": 0.5 * ("bias" in name)}[name[:6]],
        ),
    ],
)
def test_an_epoch_is_the_one_written_by_hand(train, scope, moves):
    model = make_model()
    plain = copy.deepcopy(model)
    objective = epoch(model, combined(SAM(), RHO, model, scope, classes=4), train)
    losses = []
    for rows in batches(train):
        loss, gradients = gradients_by_hand(
            plain, lambda net, rows=rows: F.cross_entropy(net(train.images[rows]), train.labels[rows]), RHO, moves
        )
        losses.append(loss)
        with torch.no_grad():
            for parameter, gradient in zip(plain.parameters(), gradients, strict=True):
                parameter.sub_(LR * gradient)
    assert objective == pytest.approx(sum(losses) / len(losses), rel=1e-12)
    for one, other in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-13)


def test_penalties_on_weights_act_at_w_and_terms_of_the_loss_in_both_passes(train):
    model = make_model()
    plain = copy.deepcopy(model)
    parts = [RegPart(GradientPenalty(), 0.2), RegPart(SAM(), RHO), RegPart(L2(), 0.05)]
    for part in parts:
        part.regularizer.attach(model, in_scope(model, "all"), 4)
    objective = epoch(model, Combined(parts), train, size=22)
    (rows,) = batches(train, 22)
    images, labels = train.images[rows], train.labels[rows]
    loss, gradients = gradients_by_hand(
        plain,
        lambda net: F.cross_entropy(net(images), labels) + 0.2 * squares(net, list(zip(images, labels, strict=True))),
        RHO,
    )
    penalty = 0.05 * sum(float((p.detach() ** 2).sum()) for p in plain.parameters())
    assert objective == pytest.approx(loss + penalty, rel=1e-12)
    for new, old, gradient in zip(model.parameters(), plain.parameters(), gradients, strict=True):
        torch.testing.assert_close(new, old - LR * (gradient + 0.1 * old))


def test_a_radius_of_0_gives_the_bytes_of_none(train):
    models = []
    for regularizer in (SAM(), Unpenalized()):
        model = make_model(norm="batch", dropout=0.2)
        torch.manual_seed(1)
        objective = epoch(model, combined(regularizer, 0.0, model, classes=4), train)
        models.append([torch.tensor(objective), *model.state_dict().values()])
    for one, other in zip(*models, strict=True):
        assert torch.equal(one, other)


class Counter(nn.Module):
    """Counts its calls in a buffer that it assigns anew."""

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls = self.calls + 1
        return x


def test_buffers_are_those_of_the_first_pass(train):
    """Running statistics are, after one step, those of one forward pass at the initial weights."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), Counter(), nn.Linear(5, 4)).double()
    plain = copy.deepcopy(model)
    epoch(model, combined(SAM(), RHO, model, classes=4), train, size=22)
    plain(train.images[batches(train, 22)[0]])
    assert int(plain[1].num_batches_tracked) == int(plain[2].calls) == 1
    for (name, one), other in zip(model.named_buffers(), plain.buffers(), strict=True):
        assert torch.equal(one, other), name
    assert not torch.equal(model[0].weight, plain[0].weight)


def test_weights_return_to_their_bytes_after_the_second_pass(train):
    model = make_model().float()
    before = [p.detach().clone() for p in model.parameters()]
    epoch(model, combined(SAM(), RHO, model, classes=4), Part(train.images.float(), train.labels), lr=1e-38)
    for one, other in zip(model.parameters(), before, strict=True):
        assert torch.equal(one, other)


def test_where_the_gradient_is_zero_weights_stay_finite(train):
    model = make_model()
    hooks = combined(SAM(), RHO, model, "hidden.0.weight", classes=4)
    epoch(model, hooks, Part(torch.zeros_like(train.images), train.labels))
    assert all(torch.isfinite(p).all() for p in model.parameters())
