"""Each penalty is the formula that its docstring writes, in value and gradient, and λ multiplies exactly that."""

import pytest
import torch
import torch.nn.functional as F

from study.config.build import build_regularizer
from study.errors import ConfigError
from study.models import MLP
from study.regularizers.penalties import L1, L2, ElasticNet, FunctionPenalty, L2Norm, Lp, Orthogonal, Penalty, Spectral
from study.regularizers.projections import WeightDecay
from study.regularizers.scope import in_scope, names_in_scope
from tests.regularizers.regularizing import combined

# Written once more, independently of the code under test.
FORMULAS = {
    "l1": (L1(), lambda w: torch.abs(w).sum()),
    "l2": (L2(), lambda w: (w * w).sum()),
    "l2_norm": (L2Norm(), torch.linalg.vector_norm),  # its subgradient at zero is zero
    "elastic_net": (ElasticNet(0.3), lambda w: 0.3 * torch.abs(w).sum() + 0.7 * (w * w).sum()),
    "lp": (Lp(0.3, 1e-4), lambda w: torch.hypot(w, torch.tensor(1e-2, dtype=w.dtype)).pow(0.3).sum()),
}
MATRIX_FORMULAS = {
    "orthogonal": (Orthogonal(), lambda w: ((torch.linalg.svdvals(w) ** 2 - 1) ** 2).sum()),
    "spectral": (Spectral(), lambda w: torch.linalg.svdvals(w)[0] ** 2),
}


def random(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def value_and_gradient(formula, w):
    leaf = w.clone().requires_grad_()
    value = formula(leaf)
    return value.detach(), torch.autograd.grad(value, leaf)[0]


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("case", ["random", "some zeros", "all zeros", "single"])
def test_value_and_gradient_are_those_of_the_written_formula(name, case):
    penalty, formula = FORMULAS[name]
    w = random(7, 5)
    if case == "some zeros":
        w[::2] = 0
    elif case == "all zeros":
        w = torch.zeros(4, dtype=torch.float64)
    elif case == "single":
        w = torch.tensor([-3.0], dtype=torch.float64)
    expected, expected_gradient = value_and_gradient(formula, w)
    gradient = torch.empty_like(w)
    torch.testing.assert_close(penalty.value_and_gradient(w, gradient), expected)
    torch.testing.assert_close(penalty.value(w), expected)
    torch.testing.assert_close(gradient, expected_gradient)


@pytest.mark.parametrize("p", [0.01, 0.5, 0.99])
def test_lp_is_the_sum_of_powers_away_from_zero_and_finite_at_zero(p):
    penalty, gradient = Lp(p), torch.empty(2)
    w = torch.tensor([0.09, -4.0])
    torch.testing.assert_close(penalty.value_and_gradient(w, gradient), torch.tensor(0.09**p + 4.0**p))
    torch.testing.assert_close(gradient, torch.tensor([p * 0.09 ** (p - 1), -p * 4.0 ** (p - 1)]))
    smallest = Lp(p, Lp.SMALLEST)
    assert torch.isfinite(smallest.value_and_gradient(torch.tensor([0.0, 1e-20]), gradient))
    assert float(gradient[0]) == 0
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("shape", [(7, 5), (5, 7), (6, 2, 3, 3)])
@pytest.mark.parametrize("name", MATRIX_FORMULAS)
def test_penalties_of_matrices_are_functions_of_their_singular_values(name, shape):
    """Of a convolution's weight all inputs of a unit make one row."""
    penalty, formula = MATRIX_FORMULAS[name]
    w = random(*shape)
    expected, expected_gradient = value_and_gradient(lambda leaf: formula(leaf.flatten(1)), w)
    value, gradient = value_and_gradient(penalty.value, w)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-6, atol=1e-8)
    if name == "orthogonal":
        torch.testing.assert_close(penalty.value_and_gradient(w, gradient), expected)
        torch.testing.assert_close(gradient, expected_gradient)


def test_the_spectral_penalty_follows_the_weights_by_one_iteration_a_step():
    torch.manual_seed(0)
    model = MLP(6, [5], 3).double()
    regularizer, lam = Spectral(), 0.2
    hooks = combined(regularizer, lam, model)
    for _ in range(30):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.001 * torch.randn_like(parameter))
                parameter.grad = torch.zeros_like(parameter)
        value = hooks.before_step(None)
    matrices = [model.hidden[0].weight, model.output.weight]
    leaves = [value_and_gradient(MATRIX_FORMULAS["spectral"][1], w.detach()) for w in matrices]
    assert float(value) == pytest.approx(lam * sum(float(v) for v, _ in leaves), rel=1e-3)
    for w, (_, gradient) in zip(matrices, leaves, strict=True):
        assert (w.grad - lam * gradient).norm() < 0.1 * lam * gradient.norm()
    assert model.hidden[0].bias.grad.abs().sum() == 0


def test_lam_multiplies_the_sum_over_parameters():
    model = MLP(3, [2], 2)
    hooks = combined(L2(), 0.25, model)
    expected = 0.25 * sum((p.detach() ** 2).sum() for p in model.parameters())
    torch.testing.assert_close(hooks.penalty(model, None, None).detach(), expected)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    torch.testing.assert_close(hooks.before_step(None), expected)
    for parameter in model.parameters():
        torch.testing.assert_close(parameter.grad, 1 + 0.25 * 2 * parameter.detach())


@pytest.mark.parametrize("name", FORMULAS)
def test_a_scope_with_factors_gives_its_parameters_a_lam_of_their_own(name):
    penalty, formula = FORMULAS[name]
    model = MLP(3, [2], 2)
    hooks = combined(penalty, 0.1, model, scope={r"hidden\..*": 2.0, "output.weight": 0.5})
    expected = 0.2 * (formula(model.hidden[0].weight) + formula(model.hidden[0].bias)) + 0.05 * formula(
        model.output.weight
    )
    torch.testing.assert_close(hooks.penalty(model, None, None), expected)


def train_both(ours, theirs, steps=20):
    images = torch.randn(8, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    start = MLP(6, [4], 3).double()
    models = []
    for make in (ours, theirs):
        model = MLP(6, [4], 3).double()
        model.load_state_dict(start.state_dict())
        optimizer, hooks = make(model)
        for _ in range(steps):
            optimizer.zero_grad()
            model(images).square().sum().backward()
            if hooks:
                hooks.before_step(optimizer)
            optimizer.step()
        models.append(list(model.parameters()))
    return models


OPTIMIZERS = (torch.optim.SGD, torch.optim.Adam)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_l2_is_coupled_weight_decay_of_twice_lam(optimizer):
    """λΣw² equals torch's weight_decay = 2λ in SGD and Adam."""
    ours, theirs = train_both(
        lambda model: (optimizer(model.parameters(), lr=0.01), combined(L2(), 0.03, model)),
        lambda model: (optimizer(model.parameters(), lr=0.01, weight_decay=0.06), None),
    )
    for p, q in zip(ours, theirs, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-12)


def test_decoupled_weight_decay_is_that_of_adamw():
    ours, theirs = train_both(
        lambda model: (torch.optim.Adam(model.parameters(), lr=0.01), combined(WeightDecay(), 0.3, model)),
        lambda model: (torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.3), None),
    )
    for p, q in zip(ours, theirs, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_decoupled_decay_is_l2_of_half_lam_under_sgd_and_not_under_adam(optimizer):
    ours, theirs = train_both(
        lambda model: (optimizer(model.parameters(), lr=0.01), combined(WeightDecay(), 0.3, model)),
        lambda model: (optimizer(model.parameters(), lr=0.01), combined(L2(), 0.15, model)),
    )
    same = all(torch.allclose(p, q, rtol=1e-9, atol=1e-12) for p, q in zip(ours, theirs, strict=True))
    assert same == (optimizer is torch.optim.SGD)


def test_independent_decay_removes_the_share_lam_at_every_step_whatever_the_learning_rate():
    model = MLP(6, [4], 3).double()
    start = [p.detach().clone() for p in model.parameters()]
    hooks = combined(WeightDecay(independent=True), 0.03, model, scope={"weights": 1.0, "output.bias": 0.5})
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for lr in (0.01, 0.5, 0.0):  # a schedule
        optimizer.param_groups[0]["lr"] = lr
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
        hooks.before_step(optimizer)
        optimizer.step()
        decays = (0.03, 0.0, 0.03, 0.015)
        start = [w - decay * w - lr for w, decay in zip(start, decays, strict=True)]
    for parameter, expected in zip(model.parameters(), start, strict=True):
        torch.testing.assert_close(parameter.detach(), expected, rtol=1e-12, atol=0)


def test_independent_decay_of_a_constant_learning_rate_is_that_of_adamw():
    ours, theirs = train_both(
        lambda model: (
            torch.optim.Adam(model.parameters(), lr=0.01),
            combined(WeightDecay(independent=True), 0.003, model),
        ),
        lambda model: (torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.3), None),
    )
    for p, q in zip(ours, theirs, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-12)


def test_a_function_of_one_tensor_is_a_penalty_with_autograd_gradient():
    penalty = FunctionPenalty(lambda w: w.abs().pow(1.5).sum())
    w, gradient = torch.tensor([4.0, -1.0]), torch.empty(2)
    assert float(penalty.value_and_gradient(w, gradient)) == pytest.approx(9.0)
    torch.testing.assert_close(gradient, torch.tensor([3.0, -1.5]))


def test_scope_selects_by_kind_or_by_whole_name():
    model = MLP(3, [2], 2)
    everything = ["hidden.0.weight", "hidden.0.bias", "output.weight", "output.bias"]
    assert names_in_scope(model, "all") == everything
    assert names_in_scope(model, "weights") == ["hidden.0.weight", "output.weight"]
    assert names_in_scope(model, r"output\..*") == ["output.weight", "output.bias"]
    with pytest.raises(ConfigError, match=r"matches no parameter.*hidden\.0\.weight"):
        names_in_scope(model, "output")
    with pytest.raises(ConfigError, match="not a valid regular expression"):
        names_in_scope(model, "[")


class Shown(torch.nn.Conv2d):
    """A subclass of a type of torch."""


@pytest.fixture
def typed():
    """A model with modules of several types, and names of parameters that look like types."""
    block = torch.nn.Sequential(Shown(1, 2, 3), torch.nn.BatchNorm2d(2))
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 3), block, torch.nn.ReLU(), torch.nn.Linear(2, 2))
    model.add_module("Linear", torch.nn.Conv2d(2, 2, 1))
    return model


CONVOLUTIONS = ["0.weight", "0.bias", "1.0.weight", "1.0.bias", "Linear.weight", "Linear.bias"]


@pytest.mark.parametrize(
    ("scope", "names"),
    {
        "Conv2d": CONVOLUTIONS,
        "Shown": ["1.0.weight", "1.0.bias"],
        "Conv2d.weight": CONVOLUTIONS[::2],
        "BatchNorm2d": ["1.1.weight", "1.1.bias"],
        "Linear": ["3.weight", "3.bias"],
        "Linear.weight": ["3.weight"],  # the type, not the module of this name
        "Linear[.]weight": ["Linear.weight"],
        "Linear.*": ["Linear.weight", "Linear.bias"],
    }.items(),
)
def test_a_type_selects_the_own_parameters_of_its_modules(typed, scope, names):
    assert names_in_scope(typed, scope) == names
    kinds = {"Conv2d": torch.nn.Conv2d, "BatchNorm2d": torch.nn.BatchNorm2d, "Linear": torch.nn.Linear}
    if scope in kinds:
        modules = [module for module in typed.modules() if isinstance(module, kinds[scope])]
        selected = [id(s.parameter) for s in in_scope(typed, scope)]
        assert selected == [id(p) for module in modules for p in module.parameters(recurse=False)]


def test_a_type_leaves_out_the_parameters_of_modules_inside():
    model = torch.nn.MultiheadAttention(4, 2)
    assert names_in_scope(model, "MultiheadAttention") == ["in_proj_weight", "in_proj_bias"]
    assert names_in_scope(model, "Linear") == ["out_proj.weight", "out_proj.bias"]


def test_types_with_factors_give_each_its_own_lam(typed):
    hooks = combined(L2(), 0.5, typed, scope={"Conv2d": 1, "Linear.weight": 0.1})
    squares = {name: float((p.detach() ** 2).sum()) for name, p in typed.named_parameters()}
    expected = 0.5 * sum(squares[name] for name in CONVOLUTIONS) + 0.05 * squares["3.weight"]
    assert float(hooks.penalty(typed, None, None).detach()) == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ConfigError, match=r"two entries select 1\.0\.weight"):
        in_scope(typed, {"Conv2d": 1, "Shown": 2})


@pytest.mark.parametrize("scope", ["Conv1d", "ReLU", "Conv2d.scale", "Module"])
def test_a_type_that_the_model_lacks_is_refused_with_those_that_it_has(typed, scope):
    with pytest.raises(ConfigError) as error:
        names_in_scope(typed, scope)
    assert str(error.value) == (
        f"reg.scope={scope}: this model has no such parameters. Types of its modules with parameters: Conv2d, Shown,"
        " BatchNorm2d, Linear"
    )


def test_normalization_parameters_are_no_weights():
    assert names_in_scope(MLP(3, [2], 2, norm="batch"), "weights") == ["hidden.0.weight", "output.weight"]


@pytest.mark.parametrize(
    ("scope", "message"),
    [
        ({"all": -1}, "at least 0 is allowed. lam is multiplied by it"),
        ({"all": 1, "weights": 2}, "two entries select hidden.0.weight"),
        ({"nothing": 1}, "matches no parameter"),
    ],
)
def test_a_scope_with_factors_that_makes_no_sense_is_refused(scope, message):
    with pytest.raises(ConfigError, match=message):
        in_scope(MLP(3, [2], 2), scope)


def test_a_class_that_is_no_regularizer_is_refused():
    with pytest.raises(ConfigError, match="subclass of"):
        build_regularizer({"option": "mine", "_target_": "fractions.Fraction"})


def test_a_penalty_s_gradient_is_the_one_of_the_loss_that_training_minimizes():
    """The closed form that a step adds is the gradient of what `penalty` says."""
    model = MLP(6, [5], 3).double()
    for penalty, _ in [*FORMULAS.values(), MATRIX_FORMULAS["orthogonal"]]:
        assert isinstance(penalty, Penalty)
        hooks = combined(penalty, 0.3, model)
        model.zero_grad()
        F.cross_entropy(model(torch.zeros(2, 6).double()), torch.tensor([0, 1])).mul(0).backward()
        hooks.before_step(None)
        stepped = [p.grad.clone() for p in model.parameters()]
        expected = torch.autograd.grad(hooks.penalty(model, None, None), list(model.parameters()), allow_unused=True)
        for one, other in zip(stepped, expected, strict=True):
            torch.testing.assert_close(one, torch.zeros_like(one) if other is None else other)
