"""The optimizers that come with the package: torch's own steps, without decay."""

import pytest
import torch

from study.config.build import build_optimizer
from study.errors import ConfigError
from study.optimizers import adam, adamw, rmsprop, sgd
from study.training.loop_choice import choose_loops
from study.training.task import Task
from tests.config.test_identity import config, resolved

TORCH = {
    adam: (torch.optim.Adam, {}),
    adamw: (torch.optim.AdamW, {"weight_decay": 0.0}),
    sgd: (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    rmsprop: (torch.optim.RMSprop, {"momentum": 0.5}),
}


@pytest.mark.parametrize("ours", TORCH)
def test_it_makes_the_steps_of_torch(ours):
    kind, options = TORCH[ours]
    both = [torch.nn.Parameter(torch.linspace(-1, 1, 7)) for _ in range(2)]
    own = {key: value for key, value in options.items() if key != "weight_decay"}
    optimizers = [ours([both[0]], lr=0.01, **own), kind([both[1]], lr=0.01, **options)]
    for _ in range(5):
        for w, optimizer in zip(both, optimizers, strict=True):
            optimizer.zero_grad()
            (w**4).sum().backward()
            optimizer.step()
    assert torch.allclose(*both, rtol=1e-6)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("optimizer=sgd", "optimizer.nesterov=true"), "requires momentum"),
        (("optimizer=adamw", "optimizer.beta1=1"), "optimizer.beta1=1.0"),
        (("optimizer=rmsprop", "optimizer.lr=0"), "optimizer.lr=0.0"),
    ],
)
def test_what_is_out_of_range_gets_one_line(overrides, message):
    with pytest.raises(ConfigError) as error:
        config(*overrides)
    assert message in str(error.value)


@pytest.mark.parametrize("option", ["adamw", "rmsprop", "sgd optimizer.momentum=0.9 optimizer.nesterov=true"])
def test_what_the_compiled_loop_does_not_know_is_trained_by_the_general_one(option, tmp_path):
    run = resolved(*f"optimizer={option}".split(), "model.hidden=[5]")
    (task,) = choose_loops([Task.of(run, "none", tmp_path)], "fastest", print)
    assert task.path == "general"
    assert build_optimizer(run.config.optimizer, {"w": torch.nn.Parameter(torch.ones(2))})
