"""The models: their sizes, what they accept, what their options do, and that all of them train."""

import pytest
import torch
from torch import nn

from study.config.build import build_dataset, build_model
from study.errors import ConfigError
from study.models import cnn, mlp, vit_tiny
from study.models.of_torchvision import model as of_torchvision
from study.models.residual import resnet18
from tests.config.test_identity import config, resolved

GREY, COLOUR = (28, 28), (3, 32, 32)
MODELS = {"mlp": lambda shape, classes, **o: mlp(shape, classes, [20], **o), "cnn": cnn, "resnet18": resnet18}
MODELS["vit_tiny"] = lambda shape, classes, **o: vit_tiny(shape, classes, **{"depth": 2, **o})


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("shape", [GREY, COLOUR], ids=["grey", "colour"])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("norm", ["none", "batch", "layer"])
def test_it_makes_logits_and_every_parameter_gets_a_gradient(name, shape, norm):
    model = MODELS[name](shape, 7, norm=norm)
    logits = model(torch.rand(4, *shape))
    assert logits.shape == (4, 7)
    logits.square().sum().backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []


def test_sizes_are_as_documented():
    with torch.device("meta"):
        assert count(cnn(GREY, 10)) == 421_642
        assert count(resnet18(COLOUR, 10)) == 11_173_962
        assert count(vit_tiny(COLOUR, 10)) == pytest.approx(5.4e6, rel=0.02)


def test_resnet18_is_torchvision_s_but_for_its_stem():
    from torchvision.models import resnet18 as whole

    ours, theirs = resnet18(COLOUR, 10), whole(num_classes=10)
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    theirs.conv1, theirs.maxpool = ours.conv1, nn.Identity()
    theirs.load_state_dict(ours.state_dict())
    images = torch.rand(3, *COLOUR)
    assert torch.allclose(ours.eval()(images), theirs.eval()(images), atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_dropout_acts_in_training_alone(name):
    model, images = MODELS[name](GREY, 10, dropout=0.5), torch.rand(3, *GREY)
    assert not torch.equal(model(images), model(images))
    model.eval()
    assert torch.equal(model(images), model(images))


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny"])
def test_stochastic_depth_keeps_the_expected_branch(name):
    from study.models.blocks import StochasticDepth

    drop, branch = StochasticDepth(0.3), torch.ones(20_000, 2)
    kept = drop(branch)
    assert float(kept.mean()) == pytest.approx(1, abs=0.02)
    assert kept.unique().tolist() == pytest.approx([0, 1 / 0.7])
    rates = [m.p for m in MODELS[name](GREY, 10, stochastic_depth=0.4).modules() if isinstance(m, StochasticDepth)]
    assert rates == sorted(rates)
    assert [rates[0] > 0, rates[-1]] == [True, 0.4]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cnn((30,), 2), "model=cnn: requires images"),
        (lambda: cnn((3, 3), 2), "at least 4x4 pixels, not 3x3"),
        (lambda: resnet18((7, 9), 2), "at least 8x8"),
        (lambda: vit_tiny((28, 28), 2, patch=5), "model.patch=5"),
        (lambda: vit_tiny((28, 28), 2, heads=5), "model.heads=5"),
        (lambda: mlp((4,), 2, [3], activation="elu"), "allowed: relu, gelu, tanh, silu"),
        (lambda: mlp((4,), 2, [3], norm="group"), "allowed: none, batch, layer"),
        (lambda: of_torchvision((8, 8), 2, "resnet81"), "Did you mean resnet18"),
        (lambda: of_torchvision((8, 8), 2, "resnet18", {"wide": 3}), "model.arguments={'wide': 3}"),
        (lambda: of_torchvision((2, 8, 8), 2, "resnet18"), "1 or 3 channels, not 2"),
    ],
)
def test_what_does_not_fit_gets_one_line(make, message):
    with pytest.raises(ConfigError) as error:
        make()
    assert message in str(error.value)


class Net(nn.Module):
    """Takes all facts of the data set, and an option."""

    def __init__(self, in_features: int, in_channels: int, image_size: int, num_classes: int, width: int = 3):
        super().__init__()
        self.facts = (in_features, in_channels, image_size, num_classes)
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(in_features, width), nn.Linear(width, num_classes))

    def forward(self, images):
        return self.layers(images)


class Wrong(Net):
    """Makes one logit too many."""

    def forward(self, images):
        return torch.cat([super().forward(images)] * 2, dim=1)


def test_a_module_class_gets_the_facts_that_it_has_arguments_for():
    given = config("model=module", f"model._target_={__name__}.Net", "+model.width=5")
    assert {key: given.model[key] for key in given.model if key not in ("option", "_target_")} == {"width": 5}
    model = build_model(given.model, build_dataset(given.data))
    assert model.facts == (64, 1, 8, 10)
    assert resolved("model=module", f"model._target_={__name__}.Net").run_id


def test_a_model_whose_logits_do_not_fit_is_refused_before_training():
    with pytest.raises(
        ConfigError, match=r"returns \(2, 20\) for 2 examples. It must return logits of shape \(2, 10\)"
    ):
        config("model=module", f"model._target_={__name__}.Wrong")
    with pytest.raises(ConfigError, match="fails on examples of shape"):
        config("model=module", "model._target_=torch.nn.Linear", "+model.out_features=10")


@pytest.mark.parametrize(
    "options",
    [
        ("model=cnn",),
        ("model=cnn", "reg=dropout"),
        ("model=vit_tiny", "model.patch=4", "model.depth=1", "reg=batch_norm"),
        pytest.param(("model=resnet18", "reg=stochastic_depth"), marks=pytest.mark.slow),
        ("model=torchvision", "model.name=squeezenet1_1", "data=fashion_mnist_mini"),
    ],
    ids=" ".join,
)
def test_it_trains_and_is_analyzed(study, options):
    done = study("data=digits", "data.train_size=60", "epochs=1", *options)
    assert done.code == 0, done.err
    assert study("analyze", "name=default", "figures=[]").code == 0
