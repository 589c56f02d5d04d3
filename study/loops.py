"""Which training loop each run gets: decided for a whole sweep, before its first run starts.

Loops agree up to rounding only, so runs that are compared should have one: by default the fastest that can train them
all.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from study import mlp_training, training
from study.build import build_dataset, build_model, build_regularizer, choose_device, reg_parts
from study.config import RunConfig
from study.plan import Task

LOOPS = {loop.PATH: loop for loop in (training, mlp_training)}
PATIENCE = 2.0  # seconds of compiling after which a word is due


def choose_loops(tasks: Sequence[Task], loop: str, say: Callable[[str], None]) -> list[Task]:
    """The tasks with a loop that can train them.

    Where compiled code fails for one of them, none uses it.

    Args:
        tasks: of one sweep.
        loop: `common`, the fastest that can train all; `fastest`, the fastest for each; `general`.
        say: told of what takes long, and of what cannot be used here.
    """
    fit = [loop != "general" and _mlp_fits(task.config) for task in tasks]
    if loop == "common" and not all(fit):
        fit = [False] * len(tasks)
    timer = threading.Timer(PATIENCE, say, ["compiling the training loop of MLPs, once on this machine"])
    timer.daemon = True
    timer.start()
    reason = mlp_training.unavailable() if any(fit) else None
    timer.cancel()
    if reason is not None:
        say(f"the compiled loop of MLPs cannot be used here ({reason}): a slower one trains them")
        fit = [False] * len(tasks)
    return [
        replace(task, path=mlp_training.PATH if fits else training.PATH) for task, fits in zip(tasks, fit, strict=True)
    ]


def _mlp_fits(config: RunConfig) -> bool:
    """Whether the compiled loop can train a run."""
    with torch.device("meta"):
        model = build_model(config.model, build_dataset(config.data))
    regularizers = [build_regularizer(part) for part in reg_parts(config)]
    optimizer, device = config.optimizer["_target_"], choose_device(config.device)
    return mlp_training.fits(model, regularizers, optimizer, device)
