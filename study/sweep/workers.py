"""Train runs side by side, by default in one process for each core, and report each run as it ends."""

import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from study.config.devices import CUDA, Devices
from study.records import claims
from study.records.claims import Claim
from study.sweep.pool import Pool
from study.sweep.progress import Display
from study.sweep.spread import Spread
from study.sweep.trainer import Trainer
from study.training.crew import train_together
from study.training.epochs import OnEpoch, Outcome
from study.training.loop_choice import devices_for, is_lockstep
from study.training.run import begin_run
from study.training.task import Task


def train_all(
    tasks: Sequence[Task],
    workers: int,
    stop_on_failure: bool = False,
    each_epoch: bool = True,
    pause_on: Sequence[int] = (),
    devices: Devices | None = None,
    fill: bool = False,
) -> list[Outcome]:
    """Train all tasks, and show their progress.

    A single worker is this process itself. Ctrl-C lets the running epochs finish and saves checkpoints. A second
    Ctrl-C stops at once.

    Args:
        tasks: the runs to train; at least one.
        workers: number of processes.
        stop_on_failure: whether a run that fails stops the others, as Ctrl-C does.
        each_epoch: whether the epochs of a single run are printed one by one.
        pause_on: signals on which the runs save a checkpoint within an epoch, after their current step, and stop.
        devices: where to train; None: the devices of this machine that the first task can use.
        fill: whether a card of CUDA gets fewer processes than its share if its memory has no room for them.

    Returns:
        The outcomes, in the order of the tasks; `interrupted` for runs that were stopped or not started.

    Raises:
        KeyboardInterrupt: a second Ctrl-C; the runs in training are marked as interrupted.
        MachineFaultError: a fault of the machine hit a run. All runs stop, and their unfinished epochs are lost.
        OSError: a fault of the machine outside the runs.
    """
    devices, fill = devices or devices_for(tasks[0]), fill and len(tasks) > 1
    if devices.kind == CUDA and all(is_lockstep(task.path) for task in tasks):
        workers, fill = min(workers, len(devices.names)), False  # one process fills a card
    spread = Spread(devices, workers, fill)
    with Display(tasks, each_epoch) as display:
        trainer = (Alone if spread.workers == 1 else Pool)(tasks, spread, display, stop_on_failure)
        before = {number: signal.signal(number, lambda *_: trainer.pause()) for number in pause_on}
        before[signal.SIGINT] = signal.signal(signal.SIGINT, lambda *_: trainer.interrupted())
        try:
            return trainer.run()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class Alone(Trainer):
    """Trains in this process, one crew after the other."""

    def run(self) -> list[Outcome]:
        """Train until no task is left or the user stops it."""
        while self.waiting and not self.stopping:
            taken = self.take(os.getpid(), idle=1)
            if not taken:
                if self.waiting:
                    claims.wait_a_moment()
                continue
            try:
                with ExitStack() as stack:
                    for claim in taken.values():
                        stack.enter_context(claim.ownership.heartbeat())
                    self._train(taken)
            except BaseException:
                for claim in taken.values():
                    claim.give_back()
                raise
        return self.in_order()

    def _train(self, taken: dict[int, Claim]) -> None:
        """Train claimed runs. Those that end are taken out."""
        numbers = list(taken)

        def on_end(i: int, outcome: Outcome) -> None:
            self.ended(numbers[i], taken.pop(numbers[i]), outcome)

        runs = [
            begin_run(
                self.tasks[number],
                claim.work,
                self._on_epoch(number),
                lambda: self.pausing,
                self.spread.names[0],
                self.display.say,
            )
            for number, claim in taken.items()
        ]
        train_together(runs, on_end)

    def _on_epoch(self, number: int) -> OnEpoch:
        def on_epoch(epoch: int, row: Mapping[str, Any]) -> bool:
            self.display.epoch(number, epoch, row)
            return not self.stopping

        return on_epoch
