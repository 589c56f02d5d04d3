"""The optimizer of optimizer=NAME. Run it: python -m pytest test_NAME.py"""

import pytest
import torch
from NAME import CLASS


def steps(optimizer, w, count):
    for _ in range(count):
        optimizer.zero_grad()
        w.square().sum().backward()
        optimizer.step()


def test_steps_reduce_a_quadratic():
    w = torch.tensor([3.0, -2.0], requires_grad=True)
    steps(CLASS([w], lr=0.1, momentum=0.5), w, 10)
    assert w.tolist() == pytest.approx([2.0, -1.0], abs=1e-5)  # ten steps of lr towards 0


def test_it_leaves_weights_without_a_gradient_alone():
    w = torch.tensor([3.0, -2.0], requires_grad=True)
    optimizer = CLASS([w], lr=0.1, momentum=0.5)
    w.grad = torch.zeros(2)
    optimizer.step()
    assert w.tolist() == [3.0, -2.0]  # otherwise it would decay them
