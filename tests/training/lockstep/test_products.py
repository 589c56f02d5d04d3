"""Products of stacked layers: the bytes of a slot do not depend on its place."""

import pytest
import torch

from study.training.lockstep.products import linear
from study.training.lockstep.stack import aligned


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equal_slots_get_equal_bytes_whatever_the_shape(dtype):
    """The CPU's library rounds by the place of operands and results in memory, and only in some shapes."""
    generator, unlike = torch.Generator().manual_seed(0), []
    for batch in (1, 5, 9, 17, 32, 33):
        for inputs, outputs in ((9, 20), (10, 5), (17, 11), (26, 3), (30, 1), (31, 100), (64, 20), (79, 2), (85, 50)):
            shapes = {"units": (batch, inputs), "weight": (outputs, inputs), "bias": (outputs,)}
            stacked = []
            for shape in shapes.values():
                one = torch.randn(shape, generator=generator, dtype=dtype)
                stacked.append(aligned(one.expand(7, *shape)).requires_grad_())
            out = linear(*stacked)
            gradient = torch.randn((batch, outputs), generator=generator, dtype=dtype).expand_as(out).contiguous()
            found = zip(("outputs", *shapes), (out, *torch.autograd.grad(out, stacked, gradient)), strict=True)
            unlike += [(name, batch, inputs, outputs) for name, each in found if not (each == each[0]).all()]
    assert unlike == []
