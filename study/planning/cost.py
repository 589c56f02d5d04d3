"""What runs cost in time and disk: from complete runs like them, or from short trainings on this machine.

A short training has few training images and two epochs. Its second epoch, from end to end, and what comes before and
after the epochs are timed with two numbers of images. Both times are straight lines in this number.
"""

import json
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from heapq import heapify, heapreplace
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from study.config.run_config import ResolvedRun, RunConfig
from study.measures.weights import is_histogram_epoch
from study.planning.scope import Work
from study.records.contract import GROWING, LABEL_NOISE
from study.records.existing import Existing
from study.sweep.temporary import temporary_folder
from study.training.crew import train_together
from study.training.loop_choice import is_lockstep, width_of
from study.training.run import begin_run
from study.training.task import Task

FEW, EPOCHS = 250, 2  # training images and epochs of the first training
ENOUGH = 0.15  # seconds by which an epoch of more images must be longer
BUDGET, LIMIT = 15.0, 60.0  # seconds for all trainings: no further one starts; the last one is stopped
EACH = 6.0  # seconds more for each further setting
AS_HISTOGRAM = ("histogram.csv", "ranks.csv")  # get rows at the epochs of histograms
PER_EPOCH = {*GROWING, LABEL_NOISE} - set(AS_HISTOGRAM)


@dataclass(frozen=True)
class Cost:
    """What a run costs.

    Attributes:
        fixed: seconds besides the epochs.
        epoch: seconds of an epoch, scoring included.
        files: bytes of each file, and the number of epochs that it is for.
    """

    fixed: float
    epoch: float
    files: Mapping[str, int]
    epochs: int

    def seconds(self, epochs: float) -> float:
        """The time of a run with so many epochs."""
        return self.fixed + self.epoch * epochs

    def size(self, epochs: int) -> float:
        """Bytes on disk of a run with so many epochs."""
        return sum(size * _rows(name, epochs) / _rows(name, self.epochs) for name, size in self.files.items())


def _rows(name: str, epochs: int) -> int:
    """How often a file gets rows in a run, the epoch before training included; 1 for files that are written once."""
    if name in AS_HISTOGRAM:
        return sum(is_histogram_epoch(epoch, epochs) for epoch in range(epochs + 1))
    return epochs + 1 if name in PER_EPOCH else 1


def kind_of(config: RunConfig) -> str:
    """What decides the cost of a run, as text: its config without seed, λ and learning rate."""
    parts = [{k: v for k, v in part.items() if k != "lam"} for part in config.reg.get("parts", [config.reg])]
    optimizer = {k: v for k, v in config.optimizer.items() if k != "lr"}
    own = [config.data, config.model, parts, optimizer, config.batch_size, config.budget, config.precision]
    return json.dumps([own, config.score_train, config.keep_model, config.keep_checkpoint, config.threads])


def place_of(config: RunConfig) -> str:
    """The setting that decides most of the cost of a run, as text: its data, model and batch size."""
    return json.dumps([config.data, config.model["option"], config.batch_size])


def recorded_costs(runs: Sequence[Existing]) -> dict[str, Cost]:
    """The costs by kind of complete runs: the last one of each kind that was not interrupted."""
    found = {}
    for run in runs:
        seconds, resumed = run.status.get("seconds"), run.status.get("resumed")
        if run.config is None or run.status["state"] != "complete" or resumed or not isinstance(seconds, dict):
            continue
        epochs = run.status.get("epochs_trained", run.config.epochs)
        whole = float(sum(seconds.values()))
        fixed = float(seconds.get("preparation", 0.0))
        found[kind_of(run.config)] = Cost(fixed, (whole - fixed) / max(1, epochs), files_of(run.folder), epochs)
    return found


def files_of(folder: Traversable) -> dict[str, int]:
    """The size in bytes of each file of a run."""
    return {
        path.name: path.stat().st_size if isinstance(path, Path) else len(path.read_bytes())
        for path in folder.iterdir()
    }


def timed_costs(
    tasks: Mapping[str, Task], train_images: Mapping[str, int], companions: int, device: str, say: Callable[[str], None]
) -> dict[str, Cost]:
    """Train shortly in a temporary folder; return the cost of each kind of run that was reached in time.

    Args:
        tasks: one run of each kind, with its loop.
        train_images: the number of training images of each.
        companions: how many runs the study trains in lockstep at most.
        device: the device to train on, as torch names it.
        say: prints a line.
    """
    found: dict[str, Cost] = {}
    ordered, loaded = _settings_first(tasks), set()
    more = EACH * (len({place_of(task.config) for task in tasks.values()}) - 1)
    began = time.perf_counter()
    try:
        with temporary_folder() as place, _limited(LIMIT + more):
            for number, (kind, task) in enumerate(ordered.items()):
                if number and time.perf_counter() - began > BUDGET + more:
                    break
                images = train_images[kind]
                if place_of(task.config) not in loaded:  # loads data and code
                    loaded.add(place_of(task.config))
                    _train(task, min(FEW, images), 1, device, place / f"first{number}")
                found[kind] = _time(task, images, companions, device, place / str(number))
    except TimeoutError:
        say(f"the short trainings took more than {LIMIT + more:g} s, so the last one was stopped")
    return found


def _settings_first(tasks: Mapping[str, Task]) -> dict[str, Task]:
    """The same tasks, but first one of each setting, then another one of each, and so on."""
    seen: Counter[str] = Counter()
    turn = {}
    for kind, task in tasks.items():
        place = place_of(task.config)
        turn[kind], seen[place] = seen[place], seen[place] + 1
    return {kind: tasks[kind] for kind in sorted(tasks, key=turn.__getitem__)}


def _time(task: Task, images: int, companions: int, device: str, place: Path) -> Cost:
    """Time one kind of run with growing numbers of images, until an epoch takes long enough or has all images."""
    size = min(FEW, images)
    measured = [(size, *_train(task, size, companions, device, place / f"{size}"))]
    while size < images and len(measured) < 5 and measured[-1][2] - measured[0][2] < ENOUGH:
        size = min(4 * size, images)
        measured.append((size, *_train(task, size, companions, device, place / f"{size}")))
    fixed, epoch = (_at(images, [(line[0], line[key]) for line in measured]) for key in (1, 2))
    return Cost(fixed, epoch, files_of(place / f"{size}" / "0"), EPOCHS)


def _at(images: int, measured: Sequence[tuple[int, float]]) -> float:
    """The straight line through the first and the last measured time, at a number of images; not below the last."""
    (few, short), (many, long) = measured[0], measured[-1]
    slope = (long - short) / (many - few) if many > few else 0.0
    return long + max(0.0, slope) * (images - many)


def _train(task: Task, size: int, companions: int, device: str, place: Path) -> tuple[float, float]:
    """Train two epochs; return the seconds besides the epochs, and those of an epoch, of one run.

    On a CPU, these are seconds of the processor, so that other programs do not count.
    """
    clock = time.process_time if device == "cpu" and task.config.threads == 1 else time.perf_counter
    count = min(companions, width_of(task.path)) if is_lockstep(task.path) else 1
    data = {**task.config.data, "train_size": size}
    config = replace(task.config, data=data, epochs=EPOCHS, test=task.config.test)
    ends: list[float] = []

    def on_epoch(epoch: int, row: Mapping[str, Any]) -> bool:
        ends.append(clock())
        return True

    own = [replace(task, config=replace(config, seed=seed), extends=None, loggers=()) for seed in range(count)]
    place.mkdir(parents=True)
    runs = [begin_run(one, place / str(number), on_epoch, device=device) for number, one in enumerate(own)]
    began = clock()
    train_together(runs, lambda number, outcome: None)
    whole = clock() - began
    # `ends` has all runs after epoch 0, then all after epoch 1, then all after epoch 2
    epoch = (ends[-1] - ends[-1 - count]) if len(ends) > count else whole / EPOCHS
    return max(0.0, whole - EPOCHS * epoch) / count, epoch / count


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the block after some time, where the system has a timer."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def stop(*_: object) -> None:
        raise KeyboardInterrupt  # which stops a training at once

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    began = time.perf_counter()
    try:
        yield
    except KeyboardInterrupt:
        if time.perf_counter() - began < seconds:
            raise
        raise TimeoutError from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def makespan(seconds: Sequence[float], workers: int) -> float:
    """How long runs take side by side, started in order, each as soon as a worker is free."""
    free = [0.0] * max(1, workers)
    heapify(free)
    for each in seconds:
        heapreplace(free, free[0] + each)
    return max(free)


def durations(work: Sequence[Work], costs: Mapping[str, Cost]) -> list[float]:
    """The seconds of each run; see `costs_of` for kinds without a cost."""
    each = costs_of(work, costs)
    return [
        sum(cost.seconds(part.epochs) for cost in own) / len(own)
        for part, own in zip(work, each, strict=True)
        for _ in range(part.count)
    ]


def total_size(work: Sequence[Work], costs: Mapping[str, Cost]) -> float:
    """Bytes on disk of all runs; see `costs_of` for kinds without a cost."""
    each = zip(work, costs_of(work, costs), strict=True)
    return sum(part.count * sum(cost.size(max(1, round(part.epochs))) for cost in own) / len(own) for part, own in each)


def costs_of(work: Sequence[Work], costs: Mapping[str, Cost]) -> list[list[Cost]]:
    """The cost of each kind of runs. One without a cost has those of the same setting, or of all, to be averaged."""
    by_place: dict[str, dict[str, Cost]] = {}
    for part in work:
        if (kind := kind_of(part.run.config)) in costs:
            by_place.setdefault(place_of(part.run.config), {})[kind] = costs[kind]
    found = []
    for part in work:
        kind, own = kind_of(part.run.config), by_place.get(place_of(part.run.config), costs)
        found.append([costs[kind]] if kind in costs else list(own.values()))
    return found


def one_of_each_kind(work: Sequence[Work]) -> dict[str, ResolvedRun]:
    """One run of each kind."""
    return {kind_of(part.run.config): part.run for part in work}
