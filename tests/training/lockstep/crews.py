"""Runs on digits for tests of lockstep: each with a regularizer, seed, split and learning rate of its own."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from study import optimizers
from study.data import Part
from study.optimizers.schedules import cosine
from study.regularizers import Combined, Regularizer
from study.regularizers.combined import Part as PartOfRegularizer
from study.regularizers.data_side import LabelSmoothing, Mixup, Noise
from study.regularizers.early_stopping import EarlyStopping
from study.regularizers.model_side import Dropout
from study.regularizers.penalties import L1, L2, ElasticNet, FunctionPenalty, L2Norm, Lp, Orthogonal, Unpenalized
from study.regularizers.projections import GroupLasso, L1Proximal, MaxNorm, WeightDecay
from study.regularizers.scope import in_scope
from study.training.lockstep.epoch import Lockstep
from study.training.lockstep.inputs import Examples
from study.training.lockstep.rules import RULES, Rule
from study.training.state import State

REGULARIZERS: Mapping[str, tuple[Callable[[], Regularizer], float]] = {
    "none": (Unpenalized, 0.0),
    "l1": (L1, 1e-3),
    "l2": (L2, 1e-2),
    "l2_norm": (L2Norm, 1e-2),
    "elastic_net": (lambda: ElasticNet(0.3), 1e-3),
    "weight_decay": (WeightDecay, 0.1),
    "l1_proximal": (L1Proximal, 1e-3),
    "group_lasso": (GroupLasso, 1e-2),
    "max_norm": (MaxNorm, 0.8),
    "label_smoothing": (LabelSmoothing, 0.1),
    "noise": (Noise, 0.2),
    "dropout": (Dropout, 0.3),
    "mixup": (Mixup, 0.4),
    "lp": (lambda: Lp(eps=1e-2), 1e-3),  # with the default, rounding grows too fast for a comparison
    "orthogonal": (Orthogonal, 1e-3),
    "own": (lambda: FunctionPenalty(lambda w: w.pow(4).sum()), 1e-2),
    "early_stopping": (EarlyStopping, 0.0),
}
NEEDS_METRIC = ("l1_proximal", "group_lasso")
OPTIMIZERS: Mapping[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": optimizers.adam,
    "adamw": lambda p, lr: optimizers.adamw(p, lr, 0.8, 0.99),
    "sgd": lambda p, lr: optimizers.sgd(p, 30 * lr),
    "momentum": lambda p, lr: optimizers.sgd(p, 10 * lr, momentum=0.9),
    "nesterov": lambda p, lr: optimizers.sgd(p, 10 * lr, momentum=0.9, nesterov=True),
    "rmsprop": lambda p, lr: optimizers.rmsprop(p, lr / 10, momentum=0.5),
}


def rule_of(optimizer: str) -> Rule:
    """The batched form of one of OPTIMIZERS."""
    return RULES[f"study.optimizers.{'sgd' if optimizer in ('momentum', 'nesterov') else optimizer}"]


@dataclass
class Run:
    """A run: its state, its training split, and the generator of its draws."""

    state: State
    train: Part
    draws: torch.Generator
    number: int


def make_run(
    number: int,
    regularizer: str,
    optimizer: str,
    all_images: Part,
    model: Callable[[float], nn.Module],
    scope: str = "all",
    clip_norm: float | None = None,
    schedule: bool = False,
) -> Run:
    """A run whose seed, split and learning rate follow from its number. Its schedule is over after three epochs."""
    make, lam = REGULARIZERS[regularizer]
    torch.manual_seed(100 + number)
    network = model(lam if regularizer == "dropout" else 0.0).to(all_images.all_images.dtype)
    own = make()
    own.attach(network, in_scope(network, scope) if own.takes_scope else [], 10)
    combined = Combined([PartOfRegularizer(own, lam)])
    combined.start_epoch(1)
    rows = torch.randperm(len(all_images), generator=torch.Generator().manual_seed(number))[:510]
    part = Part(all_images.all_images, all_images.all_labels, rows)
    made = OPTIMIZERS[optimizer](list(network.parameters()), 1e-3 * (1 + number % 3))
    order = torch.Generator().manual_seed(200 + number)
    state = State(network, combined, made, order, cosine(made, 78) if schedule else None, clip_norm)
    return Run(state, part, torch.Generator().manual_seed(300 + number), number)


def in_lockstep(runs: Sequence[Run], optimizer: str, width: int = 32, batch_size: int = 20) -> Lockstep:
    """Runs in one stack; the states of the runs change."""
    return Lockstep(
        [run.state for run in runs],
        rule_of(optimizer),
        Examples.of([run.train for run in runs], width),
        "classification",
        10,
        batch_size,
        None,
        width,
        [run.draws for run in runs],
        [run.number for run in runs],
        [0 for _ in runs],
    )


def weights(run: Run) -> list[torch.Tensor]:
    """A copy of the weights of a run."""
    return [copy.deepcopy(parameter.detach()).contiguous() for parameter in run.state.model.parameters()]
