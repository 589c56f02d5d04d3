"""Each penalty is the formula that its docstring writes, in value and gradient, and λ multiplies exactly that."""

import pytest
import torch

from study.errors import ConfigError
from study.models import MLP
from study.options import locate
from study.regularizers import L1, L2, FunctionPenalty, L2Norm, Regularizer, build_penalty, names_in_scope

# Written once more, independently of the code under test.
FORMULAS = {
    L1: lambda w: torch.abs(w).sum(),
    L2: lambda w: (w * w).sum(),
    L2Norm: torch.linalg.vector_norm,  # its subgradient at zero is zero
}


@pytest.mark.parametrize("penalty", FORMULAS, ids=lambda p: p.__name__)
@pytest.mark.parametrize("case", ["random", "some zeros", "all zeros", "single"])
def test_value_and_gradient_are_those_of_the_written_formula(penalty, case):
    w = torch.randn(7, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    if case == "some zeros":
        w[::2] = 0
    elif case == "all zeros":
        w = torch.zeros(4, dtype=torch.float64)
    elif case == "single":
        w = torch.tensor([-3.0], dtype=torch.float64)
    leaf = w.clone().requires_grad_()
    expected = FORMULAS[penalty](leaf)
    (expected_gradient,) = torch.autograd.grad(expected, leaf)
    torch.testing.assert_close(penalty().value(w), expected.detach())
    torch.testing.assert_close(penalty().gradient(w), expected_gradient)


def test_lam_multiplies_the_sum_over_parameters():
    model = MLP(3, [2], 2)
    parameters = list(model.parameters())
    regularizer = Regularizer(L2(), 0.25, parameters)
    expected = 0.25 * sum((p.detach() ** 2).sum() for p in parameters)
    torch.testing.assert_close(regularizer.value(), expected)
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    regularizer.add_gradients()
    for parameter in parameters:
        torch.testing.assert_close(parameter.grad, 1 + 0.25 * 2 * parameter.detach())


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam])
def test_l2_is_weight_decay_of_twice_lam(optimizer):
    """λΣw² equals torch's weight_decay = 2λ in SGD and Adam."""
    lam, generator = 0.03, torch.Generator().manual_seed(0)
    images = torch.randn(8, 6, dtype=torch.float64, generator=generator)
    ours = MLP(6, [4], 3).double()
    theirs = MLP(6, [4], 3).double()
    theirs.load_state_dict(ours.state_dict())
    a = optimizer(ours.parameters(), lr=0.01)
    b = optimizer(theirs.parameters(), lr=0.01, weight_decay=2 * lam)
    for _ in range(20):
        for model, step in ((ours, a), (theirs, b)):
            step.zero_grad()
            model(images).square().sum().backward()
            if model is ours:
                Regularizer(L2(), lam, list(ours.parameters())).add_gradients()
            step.step()
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-12)


def test_a_function_of_one_tensor_is_a_penalty_with_autograd_gradient():
    penalty = build_penalty(lambda w, power: w.abs().pow(power).sum(), {"power": 1.5})
    w = torch.tensor([4.0, -1.0])
    assert isinstance(penalty, FunctionPenalty)
    assert float(penalty.value(w)) == pytest.approx(9.0)
    torch.testing.assert_close(penalty.gradient(w), torch.tensor([3.0, -1.5]))


def test_scope_selects_by_kind_or_by_whole_name():
    model = MLP(3, [2], 2)
    everything = ["hidden.0.weight", "hidden.0.bias", "output.weight", "output.bias"]
    assert names_in_scope(model, "all") == everything
    assert names_in_scope(model, "weights") == ["hidden.0.weight", "output.weight"]
    assert names_in_scope(model, r"output\..*") == ["output.weight", "output.bias"]
    with pytest.raises(ConfigError, match=r"matches no parameter.*hidden\.0\.weight"):
        names_in_scope(model, "output")
    with pytest.raises(ConfigError, match="no regular expression"):
        names_in_scope(model, "[")


def test_a_class_that_is_no_penalty_is_refused():
    with pytest.raises(ConfigError, match="subclass of"):
        build_penalty(locate("reg", "fractions.Fraction"), {})
