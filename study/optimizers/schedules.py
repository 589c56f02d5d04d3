"""Schedules of the learning rate, as torch's own schedulers. They step after every step of the optimizer.

A target gets the optimizer, and the facts `total_steps` and `steps_per_epoch` if it has arguments of these names.
"""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    LinearLR,
    LRScheduler,
    OneCycleLR,
    SequentialLR,
    StepLR,
)

from study.errors import ConfigError


def constant(optimizer: Optimizer) -> LRScheduler:
    """The learning rate of the optimizer in every step."""
    return ConstantLR(optimizer, factor=1.0, total_iters=0)


def cosine(optimizer: Optimizer, total_steps: int, final: float = 0.0) -> LRScheduler:
    """Half a cosine, from the learning rate to `final` times it (Loshchilov and Hutter 2017, without restarts).

    Args:
        optimizer: whose learning rate changes.
        total_steps: number of steps of the run.
        final: share of the learning rate at the end, in [0, 1].

    Raises:
        ConfigError: `final` is out of range.
    """
    lr = float(optimizer.param_groups[0]["lr"])
    return CosineAnnealingLR(optimizer, T_max=total_steps, eta_min=_final(final) * lr)


def linear(optimizer: Optimizer, total_steps: int, final: float = 0.0) -> LRScheduler:
    """A straight line, from the learning rate to `final` times it.

    Args:
        optimizer: whose learning rate changes.
        total_steps: number of steps of the run.
        final: share of the learning rate at the end, in [0, 1].

    Raises:
        ConfigError: `final` is out of range.
    """
    return LinearLR(optimizer, start_factor=1.0, end_factor=_final(final), total_iters=total_steps)


def step(optimizer: Optimizer, steps_per_epoch: int, every: int = 10, factor: float = 0.1) -> LRScheduler:
    """The learning rate, multiplied by `factor` after each `every` epochs.

    Args:
        optimizer: whose learning rate changes.
        steps_per_epoch: number of steps of an epoch.
        every: epochs between two changes, at least 1.
        factor: in (0, 1].

    Raises:
        ConfigError: a number is out of range.
    """
    if every < 1:
        raise ConfigError(f"schedule.every={every}: must be a whole number of epochs ≥ 1")
    if not 0 < factor <= 1:
        raise ConfigError(f"schedule.factor={factor}: a number in (0, 1] is allowed")
    return StepLR(optimizer, step_size=every * steps_per_epoch, gamma=factor)


def onecycle(
    optimizer: Optimizer, total_steps: int, rise: float = 0.3, start: float = 0.04, final: float = 4e-6
) -> LRScheduler:
    """One cycle (Smith and Topin 2019): up to the learning rate and down again, along cosines.

    Momentum stays as it is. The defaults are torch's.

    Args:
        optimizer: whose learning rate changes; its own is the highest.
        total_steps: number of steps of the run.
        rise: share of the steps in which it rises, in (0, 1).
        start: share of the learning rate at the first step, in (0, 1].
        final: share of the learning rate at the last step, in (0, 1].

    Raises:
        ConfigError: a number is out of range, or the run has too few steps.
    """
    if not 0 < rise < 1:
        raise ConfigError(f"schedule.rise={rise}: a number in (0, 1) is allowed")
    for key, value in {"start": start, "final": final}.items():
        if not 0 < value <= 1:
            raise ConfigError(f"schedule.{key}={value}: a number in (0, 1] is allowed")
    if not 1 < rise * total_steps < total_steps - 1:
        raise ConfigError(
            f"schedule.rise={rise}: of {total_steps} steps, it must leave at least two to rise and one to fall"
        )
    return OneCycleLR(
        optimizer,
        max_lr=[group["lr"] for group in optimizer.param_groups],
        total_steps=total_steps,
        pct_start=rise,
        div_factor=1 / start,
        final_div_factor=start / final,
        cycle_momentum=False,
    )


def after_warmup(optimizer: Optimizer, schedule: LRScheduler, warmup: int) -> LRScheduler:
    """A schedule that starts after a linear rise from 1/(w + 1) of the learning rate in w steps.

    Args:
        optimizer: whose learning rate changes.
        schedule: of the steps after the warm-up.
        warmup: w, at least 1.
    """
    for group in optimizer.param_groups:  # which the schedule may have changed to that of its first step
        group["lr"] = group["initial_lr"]
    rise = LinearLR(optimizer, start_factor=1 / (warmup + 1), total_iters=warmup)
    return SequentialLR(optimizer, [rise, schedule], milestones=[warmup])


def _final(final: float) -> float:
    if not 0 <= final <= 1:
        raise ConfigError(f"schedule.final={final}: a number in [0, 1] is allowed")
    return final
