"""The model of model=NAME. Run it: python -m pytest test_NAME.py"""

import pytest
import torch
from NAME import NAME


@pytest.mark.parametrize("image_shape", [(8, 8), (3, 16, 16)])  # grey and colour images
def test_it_returns_a_logit_for_each_class(image_shape):
    logits = NAME(image_shape, classes=10, width=5)(torch.randn(4, *image_shape))
    assert logits.shape == (4, 10)
    assert logits.isfinite().all()


def test_the_loss_reaches_every_parameter():
    model = NAME((8, 8), classes=10, width=5)
    torch.nn.functional.cross_entropy(model(torch.randn(4, 8, 8)), torch.arange(4)).backward()
    assert [name for name, w in model.named_parameters() if w.grad is None or not w.grad.any()] == []
