"""The training loop of ReLU MLPs on a CPU: the general loop's numbers from compiled code, several times as fast."""

import math
from collections.abc import Iterable, Mapping
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from study import optimizers
from study.data import Part
from study.models import MLP
from study.regularizers import Penalty, Regularizer, Unpenalized

PATH = "mlp"
OPTIMIZERS = tuple(f"{optimizers.__name__}.{function.__name__}" for function in (optimizers.adam, optimizers.sgd))


def fits(model: nn.Module, penalty: Penalty, optimizer: str, device: torch.device) -> bool:
    """Whether this loop can train a model; the general one can train any.

    Args:
        model: may be on the meta device.
        penalty: R of one tensor.
        optimizer: the optimizer's `_target_`.
        device: where the model will be trained.
    """
    return type(model) is MLP and penalty.norms is not None and optimizer in OPTIMIZERS and device.type == "cpu"


@lru_cache
def unavailable(depth: int) -> str | None:
    """Why this machine cannot train MLPs of a number of hidden layers here; None where it can.

    Compiles what has not been compiled yet; the result is kept in a cache, which other processes read.
    """
    try:
        model = MLP(2, [2] * depth, 2)
        part = Part(torch.ones(3, 2), torch.tensor([0, 1, 0]))
        for optimizer in (optimizers.adam(model.parameters(), 0.1), optimizers.sgd(model.parameters(), 0.1)):
            train_epoch(model, Regularizer(Unpenalized(), 0.0, []), optimizer, part, 2, torch.Generator())
    except Exception as error:  # a compiler may fail in any way
        return f"{type(error).__name__}: {error}"
    return None


@torch.no_grad()
def train_epoch(
    model: MLP,
    regularizer: Regularizer,
    optimizer: torch.optim.Optimizer,
    train: Part,
    batch_size: int,
    order: torch.Generator,
) -> float:
    """Train for one epoch: same arguments, result and numbers (up to rounding) as `training.train_epoch`.

    The state of the optimizer is left as its own steps would leave it.
    """
    from study import mlp_kernels

    model.train()
    layers = [*model.hidden, model.output]
    tensors = [(layer.weight, layer.bias) for layer in layers]
    state, options = _started(optimizer), optimizer.param_groups[0]
    if isinstance(optimizer, torch.optim.Adam):
        rule = mlp_kernels.Rule(True, float(options["lr"]), *options["betas"], options["eps"])
        keys = ("exp_avg", "exp_avg_sq")
        steps = int(state[model.output.bias]["step"])
    else:
        rule = mlp_kernels.Rule(False, float(options["lr"]), float(options["momentum"]), 0.0, 0.0)
        keys = ("momentum_buffer", "momentum_buffer")
        steps = 0
    moments = [_arrays(state[pair[kind]].get(key, pair[kind]) for pair in tensors) for kind in (0, 1) for key in keys]
    scope = {id(parameter) for parameter in regularizer.parameters}
    shuffled = torch.randperm(len(train), generator=order)
    objective = mlp_kernels.train_epoch(
        train.all_images.flatten(1).numpy(),
        train.all_labels.numpy(),
        (shuffled if train.rows is None else train.rows[shuffled]).numpy(),
        batch_size,
        _arrays(weight for weight, _ in tensors),
        _arrays(bias for _, bias in tensors),
        tuple(moments),
        steps,
        rule,
        tuple(regularizer.lam * weight for weight in regularizer.penalty.norms),
        np.array([[id(parameter) in scope for parameter in pair] for pair in tensors]),
    )
    for values in state.values():
        if "step" in values:
            values["step"] += math.ceil(len(train) / batch_size)
    return objective


def _started(optimizer: torch.optim.Optimizer) -> Mapping[Tensor, dict[str, Tensor]]:
    """The state of the optimizer by parameter; before its first step, as torch would make it there."""
    options = optimizer.param_groups[0]
    for parameter in options["params"]:
        state = optimizer.state[parameter]
        if isinstance(optimizer, torch.optim.Adam) and not state:
            state["step"] = torch.zeros((), dtype=torch.float32)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        elif options.get("momentum") and not state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer.state


def _arrays(tensors: Iterable[Tensor]) -> tuple[np.ndarray, ...]:
    return tuple(tensor.detach().numpy() for tensor in tensors)
