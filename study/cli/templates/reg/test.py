"""The penalty of reg=NAME against its formula. Run it: python -m pytest test_NAME.py"""

import pytest
import torch
from NAME import NAME


def test_the_value_is_that_of_the_formula():
    w = torch.tensor([[-4.0, 0.0], [1.0, 9.0]])
    assert NAME(w, power=1.5).item() == pytest.approx(8 + 0 + 1 + 27)  # computed by hand


def test_the_gradient_is_that_of_the_formula_and_finite_at_zero():
    w = torch.tensor([-4.0, 0.0, 9.0], requires_grad=True)
    NAME(w, power=1.5).backward()
    assert w.grad.tolist() == pytest.approx([-1.5 * 2, 0, 1.5 * 3])  # power · sign(w) · |w|^(power − 1)
