"""Code as users write it, with the mistakes that they make; none of it touches anything outside."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from study.regularizers import Regularizer

number = 3
callable_object = nn.ReLU()
anonymous = lambda w: w.abs().sum()  # noqa: E731


def bridge(w, power: float = 1.5):
    return w.abs().pow(power).sum()


def of_any_type(w, power: Any = None, others: list | None = None, table: dict | None = None, **rest):
    return w.square().sum()


def of_unknown_type(w, power: "NoSuchType" = 1.0):  # noqa: F821
    return w.square().sum()


def shared_default(w, weights: list = [1.0]):  # noqa: B006
    weights.append(2.0)
    return w.square().sum()


def only_by_position(w, power, /):
    return w.abs().pow(power).sum()


def without_arguments():
    return torch.zeros(())


def as_float(w):
    return float(w.sum())


def as_vector(w):
    return w.abs()


def as_nothing(w):
    w.abs().sum()


def as_nan(w):
    return w.sum() * math.nan


def detached(w):
    return w.detach().square().sum()


def in_place(w):
    return w.mul_(0.5).sum()


def of_two_dimensions(w):
    return (w @ w.T).trace()


def raising(w, message: str = "two\nlines"):
    raise ValueError(message)


def raising_without_words(w):
    raise AssertionError


def exiting(w):
    raise SystemExit(3)


async def asynchronous(w):
    return w.sum()


def generating(w):
    yield w.sum()


class NoRegularizer:
    def __init__(self, strength: float = 1.0):
        self.strength = strength


class Abstract(Regularizer):
    def __init__(self, needed):
        self.needed = needed


class FailsToBegin(Regularizer):
    def __init__(self):
        raise KeyError("begin")


class FailsToAttach(Regularizer):
    def attach(self, model, scoped, classes):
        raise RuntimeError("attach")


class FailsInStep(Regularizer):
    def before_step(self, optimizer):
        return self.nothing


class FailsToCheck(Regularizer):
    def check(self, model, optimizer, scoped):
        return 1 / 0


class SetsOptions(Regularizer):
    def model_options(self, lam):
        return {"dropout": "much", "hidden": None}


class SetsNothing(Regularizer):
    takes_lam = "no"
    lam_range = None

    def model_options(self, lam):
        return None


class StrangeState(Regularizer):
    def state_dict(self):
        return {"function": lambda: 0}


@dataclass
class Option:
    strength: float = 1.0


def plain(image_shape, classes, width: int = 5):
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(image_shape), width), nn.ReLU(), nn.Linear(width, classes))


def no_module(image_shape, classes):
    return "model"


def no_parameters(image_shape, classes):
    return nn.Flatten()


def wrong_inputs(image_shape, classes):
    return nn.Linear(3, classes)


def wrong_outputs(image_shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(image_shape), classes + 3))


def too_few_outputs(image_shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(image_shape), 2))


def one_argument(image_shape):
    return plain(image_shape, 10)


def failing_model(image_shape, classes, depth: int = 0):
    raise TypeError(f"depth {depth}")


def looks_at_weights(image_shape, classes):
    model = plain(image_shape, classes)
    assert float(model[1].weight.sum()) != 0
    return model


def double_precision(image_shape, classes):
    return plain(image_shape, classes).double()


def with_integers(image_shape, classes):
    model = plain(image_shape, classes)
    model.register_parameter("counts", nn.Parameter(torch.ones(3, dtype=torch.int64), requires_grad=False))
    return model


def frozen(image_shape, classes):
    return plain(image_shape, classes).requires_grad_(False)


class Forgetful(nn.Module):
    def __init__(self, image_shape, classes):
        self.layer = nn.Linear(3, classes)


class FailsInTraining(nn.Module):
    def __init__(self, image_shape, classes):
        super().__init__()
        self.network = plain(image_shape, classes)

    def forward(self, images):
        if self.training:
            raise RuntimeError("training")
        return self.network(images)


def own_sgd(parameters, lr: float = 0.1):
    return torch.optim.SGD(parameters, lr=lr)


def on_nothing(parameters, lr: float = 0.1):
    return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr)


def without_lr(parameters):
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    del optimizer.param_groups[0]["lr"]
    return optimizer


class FailsToStep(torch.optim.SGD):
    def step(self):
        raise RuntimeError("step")


def no_data():
    return None


def failing_data(seed: int = 0):
    raise OSError("no data")
