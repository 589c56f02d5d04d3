"""A model computes in the run's precision, and so does a copy of it, by its own weights."""

import copy

import torch
from torch import nn

from study.regularizers.data_side import GradientPenalty
from study.training.placement import placed

CPU = torch.device("cpu")


def test_a_copy_of_a_model_in_bfloat16_computes_with_its_own_weights():
    """As pruning does, which sets weights of a copy to 0."""
    model = placed(nn.Linear(3, 2), "bfloat16", CPU)
    images = torch.rand(4, 3)
    logits = model(images)
    assert logits.dtype == torch.float32
    assert torch.equal(
        logits, nn.functional.linear(*(v.bfloat16() for v in (images, model.weight, model.bias))).float()
    )
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.weight.zero_()
    assert torch.equal(model(images), logits)
    assert torch.equal(other(images)[0], model.bias.bfloat16().float())


def test_double_precision_starts_from_the_same_weights():
    model = nn.Linear(3, 2)
    weight = model.weight.detach().clone()
    assert torch.equal(placed(model, "float64", CPU).weight, weight.double())


def test_weights_of_convolutions_are_channels_last():
    model = placed(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten()), "float32", CPU)
    assert model[0].weight.is_contiguous(memory_format=torch.channels_last)


class Attention(nn.Module):
    """One head of attention over the features as tokens."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(16))

    def forward(self, images):
        tokens = images[:, None, :, None] * self.scale
        return nn.functional.scaled_dot_product_attention(tokens, tokens, tokens)[:, 0].mean(dim=1)


def test_a_gradient_penalty_differentiates_attention_twice():
    model, penalty = Attention(), GradientPenalty()
    penalty.lam = 0.1
    penalty.attach(model, [], 16)
    value = penalty.penalty(model, torch.rand(4, 40), torch.tensor([0, 1, 2, 3]))
    (gradient,) = torch.autograd.grad(value, [model.scale])
    assert gradient.isfinite().all()
    assert gradient.abs().sum() > 0
