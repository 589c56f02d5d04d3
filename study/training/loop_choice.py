"""Choose the training loop of each run, for a whole sweep before its first run starts.

The results of loops differ by rounding, so runs that are compared should use the same loop. By default this is the
fastest loop that can train all of them.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache

import torch

from study.config.build import build_dataset, build_model, build_regularizer, reg_parts
from study.config.devices import Devices, devices_here, kind_here
from study.config.run_config import CONSTANT, RunConfig
from study.tasks import CLASSIFICATION
from study.training import general
from study.training.compiled import any_model, mlp
from study.training.task import Task

LOOPS = {loop.PATH: loop for loop in (mlp, any_model, general)}  # the fastest first
PLAIN_STEPS = [CONSTANT["_target_"], CONSTANT["warmup"], None, "float32"]  # of the compiled loops
COMPILING = "compiling the training loop, once on this machine"


def choose_loops(tasks: Sequence[Task], loop: str, say: Callable[[str], None]) -> list[Task]:
    """Set the loop of each task to one that can train it.

    If compiled code does not work on this machine, all tasks get the general loop.

    Args:
        tasks: the tasks of one sweep.
        loop: `common`: the fastest loop that can train all. `fastest`: the fastest for each. `general`: that loop.
        say: prints a line; called when something takes long or cannot be used here.
    """
    fitting = [[general.PATH] if loop == "general" else _loops_for(_as_json(task.config)) for task in tasks]
    if loop == "common":
        common = [path for path in LOOPS if all(path in paths for paths in fitting)]
        fitting = [common] * len(tasks)
    chosen = [paths[0] for paths in fitting]
    for path in sorted({*chosen} - {general.PATH}):
        with _report_compiling(say):
            reason = LOOPS[path].unavailable()
        if reason is not None:
            say(f"compiled code cannot be used here ({reason}). The slower general loop trains")
            chosen = [general.PATH if each == path else each for each in chosen]
    return [replace(task, path=path) for task, path in zip(tasks, chosen, strict=True)]


def devices_for(task: Task) -> Devices:
    """The devices of this machine that can train a run: those that its config means, or the CPU for a loop of the CPU.

    Raises:
        RuntimeError: this machine has no such device.
    """
    return devices_here(task.config.device if task.path == general.PATH else "cpu")


@contextmanager
def _report_compiling(say: Callable[[str], None]) -> Iterator[None]:
    """Print a line when Numba first compiles something in the block. Loading from its cache is not compiling."""
    try:
        from numba.core import event  # Numba may be missing
    except Exception:  # `mlp.unavailable` reports what is wrong with Numba
        yield
        return

    class FirstCompilation(event.Listener):
        said = False

        def on_start(self, _: event.Event) -> None:
            if not self.said:
                self.said = True
                say(COMPILING)

        def on_end(self, _: event.Event) -> None:
            pass

    with event.install_listener("numba:compile", FirstCompilation()):
        yield


def _as_json(config: RunConfig) -> str:
    """The parts of a config that decide the loop, as JSON. Most runs of a sweep have the same."""
    steps = [config.schedule["_target_"], config.schedule["warmup"], config.clip_norm, config.precision]
    return json.dumps([config.data, config.model, config.optimizer, reg_parts(config), config.device, steps])


@lru_cache(maxsize=1_000)
def _loops_for(content: str) -> list[str]:
    """The loops that can train a run, given `_as_json` of its config, the fastest first."""
    data, model, optimizer, parts, device, steps = json.loads(content)
    if optimizer.get("nesterov") or steps != PLAIN_STEPS:
        return [general.PATH]
    regularizers, found = [build_regularizer(part) for part in parts], [general.PATH]
    rule, where = optimizer["_target_"], kind_here(device)
    if any_model.fits(regularizers, rule, where):
        found.insert(0, any_model.PATH)
    dataset = build_dataset(data)
    if dataset.task == CLASSIFICATION:
        with torch.device("meta"):
            network = build_model(model, dataset)
        if mlp.fits(network, regularizers, rule, where):
            found.insert(0, mlp.PATH)
    return found
