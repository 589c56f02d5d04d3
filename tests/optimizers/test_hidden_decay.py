"""No optimizer decays weights unseen: it is refused, and what the message recommends instead is the same thing."""

import copy
import json
import re

import pytest
import torch
from torch import nn

from study.config.build import build_combined, build_optimizer
from study.errors import ConfigError
from tests.config.test_identity import config
from tests.conftest import run_folders

MODULE = """
import torch


def adamw(parameters, lr, weight_decay=0.1):
    return torch.optim.AdamW(parameters, lr=lr, weight_decay=weight_decay)


def hidden(parameters, lr):
    return torch.optim.AdamW(parameters, lr=lr, weight_decay=0.1)


def weights_only(parameters, lr):
    matrices = [p for p in parameters if p.dim() > 1]
    rest = [p for p in parameters if p.dim() == 1]
    return torch.optim.SGD([{"params": rest}, {"params": matrices, "weight_decay": torch.tensor(0.02)}], lr=lr)


def of_the_output(parameters, lr):
    *others, weight, bias = parameters
    groups = [{"params": others}, {"params": [weight], "weight_decay": 0.1}, {"params": [bias], "weight_decay": 0.05}]
    return torch.optim.AdamW(groups, lr=lr, weight_decay=0)


built = []


def later(parameters, lr):
    built.append(lr)
    return torch.optim.SGD(parameters, lr=lr, weight_decay=0.1 if len(built) > 1 else 0)


class Decaying(torch.optim.SGD):
    @torch.no_grad()
    def step(self):
        super().step()
        for group in self.param_groups:
            for p in group["params"]:
                p.mul_(1 - 1e-4)


class Third(torch.optim.Optimizer):
    def __init__(self, parameters, lr, wd=0.01):
        super().__init__(parameters, {"lr": lr, "wd": wd})


def none(parameters, lr):
    return "SGD"


def fails(parameters, lr):
    return torch.optim.Muon(parameters, lr=lr)
"""
MESSAGES = {
    "torch.optim.AdamW": "weight_decay=0.01 is a regularizer outside reg. Set weight_decay: 0 in its YAML file and use"
    " reg=weight_decay lam=0.01, which is the same",
    "decays.adamw": "Set weight_decay: 0 in its YAML file and use reg=weight_decay lam=0.1, which is the same",
    "decays.hidden": "Set weight_decay=0 in decays.hidden and use reg=weight_decay lam=0.1, which is the same",
    "decays.weights_only": "use reg=l2 lam=0.00999999977648258 reg.scope=weights, which is the same",
    "decays.of_the_output": "weight_decay=0.1 and 0.05 is a regularizer outside reg. Set weight_decay=0 in"
    " decays.of_the_output and use reg=weight_decay lam=0.1 'reg.scope={output.weight:1,output.bias:0.5}'",
    "torch.optim.ASGD": "lambd=0.0001 is a regularizer outside reg. Set lambd: 0 in its YAML file and use"
    " reg=weight_decay lam=0.0001, which is almost the same",
    "decays.Decaying": "a step without a gradient shrinks hidden.0.weight, hidden.0.bias, output.weight, output.bias",
    "decays.Third": "use reg=weight_decay lam=0.01 if it shrinks weights separately from the gradient,"
    " reg=l2 lam=0.005 if",
    "decays.none": "must return a torch.optim.Optimizer",
    "decays.fails": "decays.fails fails (ValueError: Muon only supports 2D parameters",
}


@pytest.fixture
def option(tmp_path, monkeypatch):
    """Write mine/optimizer/own.yaml with a target and further lines; returns what selects it."""
    (tmp_path / "mine" / "optimizer").mkdir(parents=True)
    (tmp_path / "mine" / "decays.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path / "mine")

    def write(target, *lines):
        text = "\n".join([f"_target_: {target}", "lr: 1e-2", *lines])
        (tmp_path / "mine" / "optimizer" / "own.yaml").write_text(text)
        few = ("data=digits", "data.train_size=100", "epochs=1", "model.hidden=[8]", "workers=1")
        return "--config-dir=mine", "optimizer=own", *few

    return write


@pytest.mark.parametrize("target", MESSAGES)
def test_it_is_refused_before_anything_is_trained(study, option, tmp_path, target):
    result = study(*option(target))
    assert result.code == 1
    assert result.err.count("\n") == 1
    assert result.err.startswith("study: error: optimizer=own: ")
    assert MESSAGES[target] in result.err
    assert not (tmp_path / "outputs").exists()


def test_it_trains_with_a_decay_of_zero(study, option, tmp_path):
    assert study(*option("torch.optim.AdamW", "weight_decay: 0")).code == 0
    (run,) = run_folders(tmp_path / "outputs" / "default")
    assert json.loads((run / "status.json").read_text())["state"] == "complete"


def test_what_decays_only_when_it_is_built_for_the_run_fails_with_the_same_line(study, option, tmp_path):
    result = study(*option("decays.later"))
    assert result.code == 1
    (run,) = run_folders(tmp_path / "outputs" / "default")
    status = json.loads((run / "status.json").read_text())
    assert status["state"] == "failed"
    assert status["cause"].endswith("use reg=l2 lam=0.05, which is the same")


DECAYING = {
    **{name: {} for name in ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam")},
    **{f"{name} decoupled": {"decoupled_weight_decay": True} for name in ("Adam", "NAdam", "RAdam")},
    "SGD with momentum": {"momentum": 0.9, "nesterov": True},
    "ASGD": {"lambd": 0},
    "ASGD lambd": {"lambd": 0.3},
    **{name: {} for name in ("Adafactor", "Muon")},
}


@pytest.mark.parametrize("name", DECAYING)
def test_what_the_message_recommends_gives_the_same_weights(name):
    """Five steps of torch's optimizer with decay, and of the same one without it under the `reg` of the message."""
    kind, options = getattr(torch.optim, name.split()[0]), DECAYING[name]
    key = "lambd" if options.get("lambd") else "weight_decay"
    if key == "weight_decay":
        options = {**options, "weight_decay": 0.3}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        decayed = nn.Linear(3, 2, bias=name != "Muon", dtype=torch.float64)
        images, labels = torch.randn(7, 3, dtype=torch.float64), torch.randint(0, 2, (7,))
    regularized = copy.deepcopy(decayed)
    group = {"option": "own", "_target_": f"torch.optim.{kind.__name__}", "lr": 0.01, **options}
    with pytest.raises(ConfigError) as refused:
        build_optimizer(group, dict(decayed.named_parameters()))
    overrides, sameness = re.search(r"and use (reg=.*), which is (.*)", str(refused.value)).groups()
    regularizer = build_combined(config(*overrides.split()), regularized, 2)
    regularizer.start_epoch(1)
    theirs = kind(decayed.parameters(), lr=0.01, **options)
    ours = build_optimizer({**group, key: 0}, dict(regularized.named_parameters()))
    plain = copy.deepcopy(regularized)
    without = build_optimizer({**group, key: 0}, dict(plain.named_parameters()))
    for _ in range(5):
        for model, optimizer in ((decayed, theirs), (regularized, ours), (plain, without)):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images), labels).backward()
            if optimizer is ours:
                regularizer.before_step(optimizer)
            optimizer.step()
    effect = (decayed.weight - plain.weight).abs().max()
    left = (decayed.weight - regularized.weight).abs().max()
    assert effect > 0
    assert left <= (1e-4 if sameness == "the same" else 0.1) * effect
