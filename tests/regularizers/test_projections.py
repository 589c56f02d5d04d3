"""Proximal steps reach the minimizer of the penalized loss, with zeros that stay; projections keep their limit."""

import copy

import pytest
import torch
import torch.nn.functional as F

from study import optimizers
from study.data import Part, load_splits
from study.data.digits import digits
from study.measures.sparsity import dead_units
from study.models import MLP
from study.regularizers.projections import GroupLasso, L1Proximal, MaxNorm, shrink_groups
from study.training import general
from study.training.state import State
from tests.conftest import first_fast
from tests.regularizers.regularizing import combined

OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.3),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.8),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01),
}


@pytest.fixture(scope="module")
def train():
    splits = load_splits(
        digits(),
        {"root": "", "split": "holdout", "train_size": 200, "label_noise": 0.0},
        seed=0,
        device=torch.device("cpu"),
    )
    return Part(splits.train.images.double(), splits.train.labels)


def step(model, hooks, optimizer, train):
    optimizer.zero_grad()
    F.cross_entropy(model(train.images), train.labels).backward()
    gradients = [p.grad.clone() for p in model.parameters()]
    hooks.before_step(optimizer)
    optimizer.step()
    hooks.after_step(optimizer)
    return gradients


@pytest.mark.parametrize("optimizer", first_fast(OPTIMIZERS))
def test_l1_proximal_reaches_the_minimizer_of_the_l1_penalty_with_exact_zeros(train, optimizer):
    """Of logistic regression, which is convex: the data's gradient is −λ sign(w), and at most λ where w = 0."""
    torch.manual_seed(0)
    model, lam = MLP(64, [], 10).double(), 0.03
    hooks, optimizer = combined(L1Proximal(), lam, model), OPTIMIZERS[optimizer](model.parameters())
    for _ in range(4000):
        step(model, hooks, optimizer, train)
    before = [p == 0 for p in model.parameters()]
    gradients = step(model, hooks, optimizer, train)
    zeros = 0
    for w, gradient, zero in zip(model.parameters(), gradients, before, strict=True):
        torch.testing.assert_close(gradient[~zero], -lam * w.detach()[~zero].sign(), atol=0.01 * lam, rtol=0)
        assert (gradient[zero].abs() <= 1.001 * lam).all()
        assert torch.equal(w == 0, zero)  # they stay
        zeros += int(zero.sum())
    assert zeros > 300


@pytest.mark.parametrize("metric", ["one step for all", "a step for each weight"])
def test_a_shrunk_group_is_the_minimizer_of_the_proximal_problem(metric):
    """λ‖z‖ + ½ Σ (z − w)²/s: at its minimum λz/‖z‖ + (z − w)/s = 0, and z = 0 where ‖w/s‖ ≤ λ."""
    generator = torch.Generator().manual_seed(2)
    w = torch.randn(40, 9, dtype=torch.float64, generator=generator)
    w *= torch.logspace(-4, 1, 40, dtype=torch.float64)[:, None]
    s = 0.5
    if metric != "one step for all":
        s = torch.logspace(-4, 4, 40 * 9, dtype=torch.float64)[torch.randperm(360, generator=generator)].reshape(40, 9)
    z = shrink_groups(w, s, 0.7)
    dead = (w / s).norm(dim=1) <= 0.7
    assert 0 < int(dead.sum()) < 40
    assert torch.equal((z == 0).all(dim=1), dead)
    z, w = z[~dead], w[~dead]
    s = s[~dead] if isinstance(s, torch.Tensor) else s
    slope = 0.7 * z / z.norm(dim=1, keepdim=True) + (z - w) / s
    assert (slope.abs() <= 1e-9 * (1 + (w / s).abs())).all()


def test_without_lam_groups_stay_as_they_are():
    rows = torch.randn(3, 4)
    assert torch.equal(shrink_groups(rows, torch.ones(3, 4), 0.0), rows)


@pytest.mark.parametrize("optimizer", first_fast(OPTIMIZERS))
def test_group_lasso_kills_units_exactly(train, optimizer):
    torch.manual_seed(0)
    model = MLP(64, [20], 10).double()
    hooks, optimizer = combined(GroupLasso(), 0.03, model), OPTIMIZERS[optimizer](model.parameters())
    for _ in range(1500):
        step(model, hooks, optimizer, train)
    lit = train.images.flatten(1).amax(dim=0) > 0  # Adam's steps for weights of pixels that are always 0 are huge
    rows = torch.cat([model.hidden[0].weight[:, lit], model.hidden[0].bias[:, None]], dim=1)
    dead = (rows == 0).all(dim=1)
    assert 0 < int(dead.sum()) < 20
    assert (rows[~dead] == 0).double().mean() < 0.02  # whole units, no single weights
    units, never_active = dead_units(model, train)["hidden.0.weight"]
    assert units == 20
    assert never_active >= int(dead.sum())
    assert (model.output.weight != 0).all()  # no unit's incoming weights


def test_max_norm_limits_the_weights_into_each_hidden_unit_and_nothing_else(train):
    torch.manual_seed(0)
    model, limit = MLP(64, [20], 10).double(), 0.55
    free = copy.deepcopy(model)
    for net, hooks in ((model, combined(MaxNorm(), limit, model)), (free, combined(MaxNorm(), 100.0, free))):
        optimizer = optimizers.adam(net.parameters(), lr=0.01)
        for _ in range(5):
            general.train_epoch(State(net, hooks, optimizer, torch.Generator().manual_seed(0)), train, 32)
    norms, free_norms = (net.hidden[0].weight.norm(dim=1) for net in (model, free))
    assert (free_norms > limit).any()
    assert (norms <= limit * (1 + 1e-12)).all()
    assert torch.isclose(norms, torch.tensor(limit).double()).any()
    assert model.output.weight.norm(dim=1).max() > limit
