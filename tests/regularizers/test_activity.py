"""The penalty on activations is that of a forward pass written once more, and leaves no trace in the model."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from study.data.splits import Part
from study.errors import ConfigError
from study.models import MLP, cnn, vit_tiny
from study.models.residual import resnet18
from study.optimizers import sgd
from study.regularizers.activity import ActivityL1, activations
from study.training.general import data_gradient_norm, penalty_and_gradient_ratio, train_epoch
from study.training.state import State
from tests.config.test_identity import config
from tests.regularizers.regularizing import combined


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(3)
    return torch.rand(6, 8, 8, dtype=torch.float64, generator=generator), torch.arange(6) % 4


def hooks_on(model):
    return [hook for module in model.modules() for hook in module._forward_hooks.values()]


def of_mlp(model, images):
    first = model.hidden[0](images.flatten(1))
    first = torch.tanh(first) if isinstance(model.activations[0], nn.Tanh) else first.clamp(min=0)
    second = model.hidden[1](first)
    second = torch.tanh(second) if isinstance(model.activations[0], nn.Tanh) else second.clamp(min=0)
    return [first, second]


def of_cnn(model, images):
    features, found = images[:, None], []
    for block in model.blocks:
        found.append(F.gelu(F.conv2d(features, block.conv.weight, block.conv.bias, padding=1)))
        features = F.max_pool2d(found[-1], 2)
    return [*found, F.gelu(F.linear(features.flatten(1), model.hidden.weight, model.hidden.bias))]


MODELS = {
    "relu": (lambda: MLP(64, [7, 5], 4), of_mlp),
    "tanh": (lambda: MLP(64, [7, 5], 4, activation="tanh"), of_mlp),
    "cnn": (lambda: cnn((8, 8), 4, activation="gelu"), of_cnn),
}


@pytest.mark.parametrize("kind", MODELS)
def test_it_is_the_mean_over_examples_of_the_sum_of_absolute_activations(batch, kind):
    images, labels = batch
    make, outputs_of = MODELS[kind]
    model = make().double()
    hooks = combined(ActivityL1(), 0.3, model, classes=4)
    expected = 0.3 * sum(output.abs().sum() for output in outputs_of(model, images)) / 6
    found = hooks.penalty(model, images, labels)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    seen, _ = hooks.on_batch(images, labels)
    logits = model(seen)
    in_step = hooks.on_loss(F.cross_entropy(logits, labels), seen, logits)
    torch.testing.assert_close(in_step, expected, rtol=1e-12, atol=0)
    weights = list(model.parameters())[:-2]  # the output layer comes after all activations
    for term in (found, in_step):
        for ours, theirs in zip(
            torch.autograd.grad(term, weights, retain_graph=True),
            torch.autograd.grad(expected, weights, retain_graph=True),
            strict=True,
        ):
            torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(
    ("make", "count"),
    [(lambda: resnet18((8, 8), 4), 17), (lambda: vit_tiny((8, 8), 4, width=8, heads=2, depth=2), 2)],
    ids=["resnet18", "vit_tiny"],
)
def test_every_call_of_an_activation_counts(batch, make, count):
    """A ResNet-18 has one ReLU after its stem, and two calls in each of eight blocks; a transformer's layer has one."""
    model = make().double().eval()
    regularizer = ActivityL1()
    hooks = combined(regularizer, 1.0, model, classes=4)
    images, _ = hooks.on_batch(*batch)
    model(images)
    assert len(regularizer._sums) == count
    hooks.after_step(None)


def test_a_step_uses_it_and_leaves_no_hook_and_no_tensor_behind(batch):
    torch.manual_seed(0)
    model = MLP(64, [7, 5], 4).double()
    plain = copy.deepcopy(model)
    regularizer = ActivityL1()
    hooks, part = combined(regularizer, 0.05, model, classes=4), Part(*batch)
    expected = F.cross_entropy(plain(batch[0]), batch[1])
    expected = expected + 0.05 * sum(output.abs().sum() for output in of_mlp(plain, batch[0])) / 6
    objective = train_epoch(State(model, hooks, sgd(model.parameters(), 0.1), torch.Generator()), part, 6)
    assert objective == pytest.approx(float(expected.detach()), rel=1e-12)
    assert hooks_on(model) == []
    assert regularizer._sums == []
    gradients = torch.autograd.grad(expected, list(plain.parameters()))
    for new, old, gradient in zip(model.parameters(), plain.parameters(), gradients, strict=True):
        torch.testing.assert_close(new, old - 0.1 * gradient)
    penalty, ratio = penalty_and_gradient_ratio(model, hooks, part, data_gradient_norm)
    assert penalty > 0
    assert ratio > 0
    assert hooks_on(model) == []
    assert regularizer._sums == []
    copy.deepcopy(model)


class InPlace(nn.Module):
    """A model that changes the output of its activation in place."""

    def __init__(self):
        super().__init__()
        self.first, self.activation, self.last = nn.Linear(64, 5), nn.Tanhshrink(), nn.Linear(5, 4)

    def forward(self, images):
        return self.last(self.activation(self.first(images.flatten(1))).mul_(2.0))


def test_a_model_may_change_its_activations_in_place(batch):
    model = InPlace().double()
    hooks = combined(ActivityL1(), 1.0, model, classes=4)
    before = model.first(batch[0].flatten(1))
    expected = (before - before.tanh()).abs().sum() / 6
    found = hooks.penalty(model, *batch)
    torch.testing.assert_close(found, expected)
    for ours, theirs in zip(
        torch.autograd.grad(found, model.first.parameters()),
        torch.autograd.grad(expected, model.first.parameters()),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


class WithFunctions(nn.Module):
    """A model whose activation function is no module."""

    def __init__(self):
        super().__init__()
        self.first, self.last, self.gate = nn.Linear(64, 5), nn.Linear(5, 4), nn.Softmax(dim=1)

    def forward(self, images):
        return self.last(self.gate(F.relu(self.first(images.flatten(1)))))


class Unused(WithFunctions):
    """A model that never calls its activation module."""

    def __init__(self):
        super().__init__()
        self.unused = nn.ReLU()


def test_models_without_activations_are_refused_with_a_reason(batch):
    with pytest.raises(ConfigError) as error:
        config("reg=activity_l1", "model=linear")
    assert str(error.value).startswith("reg=activity_l1 cannot be used here: it works on the outputs of activation")
    assert str(error.value).endswith("but this model has no hidden units")
    with torch.device("meta"):
        model = WithFunctions()
    assert activations(model) == []
    with pytest.raises(ConfigError, match="this model has no activation module of torch"):
        ActivityL1().check(model, None, ())
    model = Unused().double()
    with pytest.raises(ConfigError, match="does not call any of its activation modules"):
        combined(ActivityL1(), 1.0, model, classes=4).penalty(model, *batch)
    assert hooks_on(model) == []
