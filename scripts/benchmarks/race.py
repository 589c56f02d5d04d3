"""Time commands against each other, interleaved and repeated.

Each command runs for few and for many epochs, so that the difference of the two wall times contains no start-up.
"""

import json
import os
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
SETTLED = 3  # first epoch that counts for the mean val accuracy, which varies by a point between epochs with a penalty


@dataclass(frozen=True)
class Contestant:
    """A program that trains.

    Attributes:
        label: name of its row in the table.
        commands: from the number of epochs to the argument lists of commands, which start at the same time.
        runs: number of runs that all commands train together.
        accuracies: from the folder of the commands and their output to the val accuracies of all epochs and runs.
        busy: from the same folder to the seconds of training and scoring alone, for all cores; None if not known.
    """

    label: str
    commands: Callable[[int], Sequence[Sequence[str]]]
    runs: int
    accuracies: Callable[[Path, Sequence[str]], list[float]]
    busy: Callable[[Path], float] | None = None


@dataclass(frozen=True)
class Timing:
    """One timing.

    It has the wall time in seconds, the largest summed proportional memory (PSS) in MB, the mean val accuracy, and the
    seconds of training and scoring alone.
    """

    label: str
    repeat: int
    epochs: int
    runs: int
    wall: float
    memory: float
    accuracy: float
    busy: float


def race(
    contestants: Sequence[Contestant],
    repeats: int,
    few: int,
    many: int,
    raw: Path,
    between: Callable[[], object] = lambda: None,
) -> pd.DataFrame:
    """Time all contestants in turn, `repeats` times, after a first run that measures their memory.

    Args:
        contestants: the programs to time.
        repeats: how often each is timed.
        few: epochs of the shorter of the two timings.
        many: epochs of the longer one.
        raw: a file of JSON lines; it is overwritten, and each timing is appended at once.
        between: called after each repeat.

    Returns:
        The columns of `Timing`, a row per timing.
    """
    timings = []
    memory = {c.label: time_run(c, -1, 1, watched=True).memory for c in contestants}  # also warms up caches
    raw.parent.mkdir(parents=True, exist_ok=True)
    with open(raw, "w") as file:
        for repeat in range(repeats):
            for contestant in contestants:
                for epochs in (few, many):
                    timings.append(replace(time_run(contestant, repeat, epochs), memory=memory[contestant.label]))
                    file.write(json.dumps(vars(timings[-1])) + "\n")
                    file.flush()
                    print(f"{contestant.label}, {epochs} epochs: {timings[-1].wall:.1f} s", flush=True)
            between()
    return pd.DataFrame([vars(one) for one in timings])


def time_run(contestant: Contestant, repeat: int, epochs: int, watched: bool = False) -> Timing:
    """Time a contestant once, or measure its memory, which slows it down."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        processes = [
            subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for command in contestant.commands(epochs)
        ]
        watch = MemoryWatch([process.pid for process in processes]) if watched else None
        outputs = [process.communicate() for process in processes]
        wall = time.perf_counter() - began
        memory = watch.end() if watch else 0.0
        for process, (_, errors) in zip(processes, outputs, strict=True):
            if process.returncode:
                raise SystemExit(f"{contestant.label} failed:\n{errors[-2000:]}")
        accuracies = contestant.accuracies(Path(folder), [printed for printed, _ in outputs])
        busy = contestant.busy(Path(folder)) if contestant.busy else float("nan")
    accuracy = statistics.mean(accuracies) if accuracies else float("nan")
    return Timing(contestant.label, repeat, epochs, contestant.runs, wall, memory, accuracy, busy)


def summary(timings: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Return a row per contestant, with medians over repeats.

    The columns are seconds per epoch and run with minimum and maximum, their ratio to the reference in the same repeat,
    start-up time, memory, val accuracy, and seconds of training and scoring alone.
    """
    few, many = timings["epochs"].min(), timings["epochs"].max()
    runs = timings.groupby("label")["runs"].first()

    def per_epoch(column: str) -> pd.DataFrame:
        seconds = timings.pivot(index=["label", "repeat"], columns="epochs", values=column)
        return ((seconds[many] - seconds[few]) / (many - few)).div(runs, level="label").unstack("label")

    walls, epoch = timings.pivot(index=["label", "repeat"], columns="epochs", values="wall"), per_epoch("wall")
    startup = walls[few].unstack("label") - few * epoch * runs
    accuracy = timings[timings["epochs"] == many].groupby("label")["accuracy"].mean()
    table = pd.DataFrame(
        {
            "seconds": epoch.median(),
            "least": epoch.min(),
            "greatest": epoch.max(),
            "ratio": epoch.div(epoch[reference], axis=0).median(),
            "startup": startup.median(),
            "memory": timings.groupby("label")["memory"].max(),
            "accuracy": accuracy,
            "busy": per_epoch("busy").median(),
        }
    )
    return table.loc[timings["label"].unique()]


class MemoryWatch:
    """Samples the proportional memory of processes and their descendants on Linux; 0 on other systems."""

    def __init__(self, pids: Sequence[int]):
        self.pids, self.most, self._done = pids, 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._done.wait(1.0):
            self.most = max(self.most, sum(megabytes(pid) for root in self.pids for pid in [root, *descendants(root)]))

    def end(self) -> float:
        """Stop, and return the largest sum in MB."""
        self._done.set()
        self._thread.join()
        return self.most


def descendants(pid: int) -> list[int]:
    """Return the ids of all descendants of a process."""
    try:
        children = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [*children, *(grandchild for child in children for grandchild in descendants(child))]


def megabytes(pid: int) -> float:
    """Return the proportional memory of one process in MB."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # the process has ended
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
