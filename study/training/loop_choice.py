"""Choose the training loop of each run, for a whole sweep before its first run starts.

The results of loops differ by rounding, so runs that are compared should use the same loop. By default this is the
fastest loop that can train all of them.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from types import ModuleType

import torch

from study.config.build import build_dataset, build_model, build_regularizer, reg_parts
from study.config.devices import Devices, devices_here, kind_here
from study.config.run_config import CONSTANT, RunConfig
from study.tasks import CLASSIFICATION
from study.training import general
from study.training.compiled import any_model, mlp
from study.training.lockstep import fits
from study.training.lockstep.memory import width_that_fits
from study.training.task import Task

LOOPS = {loop.PATH: loop for loop in (mlp, any_model, general)}  # the fastest first
LOCKSTEP = "lockstep_"  # before the number of slots, in status.json
WIDTH = 32  # slots of lockstep
LEAST_SHARE = 0.25  # of the slots of each worker that must be filled, for lockstep to be faster on a CPU
SMALL = 10_000  # weights of the largest layer of a network for which lockstep is faster on a CPU
PLAIN_STEPS = [CONSTANT["_target_"], CONSTANT["warmup"], None, "float32"]  # of the compiled loops
COMPILING = "compiling the training loop, once on this machine"


def choose_loops(
    tasks: Sequence[Task], loop: str, say: Callable[[str], None], width: int = WIDTH, workers: int | None = 1
) -> list[Task]:
    """Set the loop of each task to one that can train it.

    If compiled code does not work on this machine, all tasks get the general loop.

    Args:
        tasks: the tasks of one sweep.
        loop: `common`: the fastest loop that can train all. `fastest`: the fastest for each, alone. `lockstep`:
            lockstep where it can train a run, else the general loop. `general`: that loop.
        say: prints a line; called when something takes long or cannot be used here.
        width: the number of slots of lockstep.
        workers: the number of processes that will train; None if each run is trained in a job of its own.
    """
    if loop == "lockstep":
        return _in_lockstep(tasks, width, say)
    if loop == "common" and workers is not None and _is_fastest(tasks, width, workers):
        return [replace(task, path=f"{LOCKSTEP}{width}") for task in tasks]
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


def _in_lockstep(tasks: Sequence[Task], width: int, say: Callable[[str], None]) -> list[Task]:
    reasons = [fits.reason_against(task.config) for task in tasks]
    for reason, count in Counter(filter(None, reasons)).items():
        say(f"{count} of {len(tasks)} runs cannot be trained in lockstep: {reason}. The general loop trains them")
    paths = [f"{LOCKSTEP}{width}" if reason is None else general.PATH for reason in reasons]
    return [replace(task, path=path) for task, path in zip(tasks, paths, strict=True)]


def _is_fastest(tasks: Sequence[Task], width: int, workers: int) -> bool:
    """Whether lockstep can train all runs of a sweep, and is the fastest loop for them.

    On CUDA it is. On a CPU it is for small networks (docs/explanation/speed.md): where Python takes most of a step, and
    each worker has at least a quarter of its slots to fill. The loop `mlp` has no Python in a step, and is faster.
    """
    if kind_here(tasks[0].config.device) == "cpu":
        few = len(tasks) < workers * width * LEAST_SHARE
        if few or all(mlp.PATH in _loops_for(_as_json(task.config)) for task in tasks):
            return False
        if any(_largest_layer(_as_json(task.config)) > SMALL for task in tasks):
            return False
    return all(fits.reason_against(task.config) is None for task in tasks)


@lru_cache(maxsize=1_000)
def _largest_layer(content: str) -> int:
    """The number of weights of the largest tensor of a run's model, given `_as_json` of its config."""
    data, model, *_ = json.loads(content)
    with torch.device("meta"):
        return max(parameter.numel() for parameter in build_model(model, build_dataset(data)).parameters())


def narrowed(tasks: Sequence[Task], free: int, say: Callable[[str], None]) -> list[Task]:
    """Reduce the slots of lockstep to what fits in the memory of a card, the same number for all tasks.

    Args:
        tasks: of the sweep, with their loops.
        free: bytes of the card that are free.
        say: prints a line; called if there are fewer slots.
    """
    together = {_as_json(task.config): task for task in tasks if is_lockstep(task.path)}
    if not together:
        return list(tasks)
    width = width_of(next(iter(together.values())).path)
    fitting = min(width_that_fits(task.config, width, free) for task in together.values())
    if fitting < width:
        room = f"{free / 2**30:.1f} GiB free"
        say(f"lockstep={width}: the memory of the card ({room}) has room for {fitting} runs at once")
    return [replace(task, path=f"{LOCKSTEP}{fitting}") if is_lockstep(task.path) else task for task in tasks]


def is_lockstep(path: str) -> bool:
    """Whether a training loop trains several runs together."""
    return path.startswith(LOCKSTEP)


def width_of(path: str) -> int:
    """The number of runs that a loop in lockstep trains together, idle ones included."""
    return int(path.removeprefix(LOCKSTEP))


def loop_of(path: str) -> ModuleType:
    """The module of a training loop. In lockstep, a run by itself is scored as in the general loop."""
    return general if is_lockstep(path) else LOOPS[path]


def devices_for(task: Task) -> Devices:
    """The devices of this machine that can train a run: those that its config means, or the CPU for a loop of the CPU.

    Raises:
        RuntimeError: this machine has no such device.
    """
    return devices_here(task.config.device if loop_of(task.path) is general else "cpu")


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
    own = [config.data, config.model, config.optimizer, reg_parts(config), config.device]
    return json.dumps([*own, steps, config.threads])


@lru_cache(maxsize=1_000)
def _loops_for(content: str) -> list[str]:
    """The loops that can train a run, given `_as_json` of its config, the fastest first."""
    data, model, optimizer, parts, device, steps, _ = json.loads(content)
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
