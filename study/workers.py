"""Training runs side by side: one process a core, kept alive, each run's fate reported as it happens."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from study import recording
from study.plan import Task
from study.progress import Display
from study.run import OnEpoch, Outcome, train_run

NOT_STARTED = Outcome("interrupted", "not started")


def train_all(tasks: Sequence[Task], workers: int, stop_on_failure: bool = False) -> list[Outcome]:
    """Train all tasks and show how they fare.

    A single worker is this process itself. Ctrl-C lets the running epochs finish and leaves checkpoints; a second
    one stops at once.

    Args:
        tasks: what to train; at least one.
        workers: how many processes.
        stop_on_failure: whether a run that fails stops the others as Ctrl-C does, or leaves them alone.

    Returns:
        The outcomes, in the order of the tasks; `interrupted` for those that were stopped or not started.

    Raises:
        KeyboardInterrupt: a second Ctrl-C; runs that were being trained are marked as interrupted.
    """
    with Display(tasks) as display:
        crew = (_Alone if workers == 1 else _Pool)(tasks, workers, display, stop_on_failure)
        before = signal.signal(signal.SIGINT, lambda *_: crew.interrupted())
        try:
            return crew.run()
        finally:
            signal.signal(signal.SIGINT, before)


class _Crew:
    """Whoever trains: what a stop means, and how outcomes are kept."""

    def __init__(self, tasks: Sequence[Task], workers: int, display: Display, stop_on_failure: bool):
        self.tasks, self.display, self.stop_on_failure = tasks, display, stop_on_failure
        self.outcomes: dict[int, Outcome] = {}
        self.stopping = False

    def interrupted(self) -> None:
        """Ctrl-C: the first time finish the running epochs, the second time stop at once."""
        if self.stopping:
            raise KeyboardInterrupt
        self.display.say("finishing the running epochs; Ctrl-C again stops at once")
        self.stop()

    def stop(self) -> None:
        """Start no more runs, and let the running ones end after their epoch."""
        self.stopping = True

    def ended(self, number: int, outcome: Outcome) -> None:
        """A run has ended, one way or another."""
        self.outcomes[number] = outcome
        self.display.ended(number, outcome)
        if outcome.state == "failed" and self.stop_on_failure and not self.stopping:
            self.display.say("a run failed: stopping, since on_failure=stop")
            self.stop()

    def in_order(self) -> list[Outcome]:
        """The outcomes of all tasks."""
        return [self.outcomes.get(number, NOT_STARTED) for number in range(len(self.tasks))]


class _Alone(_Crew):
    """This process, one task after the other."""

    def run(self) -> list[Outcome]:
        for number, task in enumerate(self.tasks):
            if self.stopping:
                break
            self.display.started(number)
            self.ended(number, train_run(task, self._on_epoch(number)))
        return self.in_order()

    def _on_epoch(self, number: int) -> OnEpoch:
        def on_epoch(epoch: int, row: Mapping[str, Any]) -> bool:
            self.display.epoch(number, epoch, row)
            return not self.stopping

        return on_epoch


@dataclass
class _Worker:
    process: multiprocessing.process.BaseProcess
    connection: Connection
    number: int | None = None  # of the task it is at


class _Pool(_Crew):
    """Processes that take one task after the other; one that dies is replaced, and only its task fails."""

    def __init__(self, tasks: Sequence[Task], workers: int, display: Display, stop_on_failure: bool):
        super().__init__(tasks, workers, display, stop_on_failure)
        self.waiting = list(range(len(tasks)))[::-1]
        # Spawned, not forked: torch's threads and CUDA do not survive a fork.
        self.context = multiprocessing.get_context("spawn")
        self.workers = [self._start() for _ in range(workers)]

    def _start(self) -> _Worker:
        ours, theirs = self.context.Pipe()
        process = self.context.Process(target=_serve, args=(theirs,), daemon=True)
        process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self._hand_out(worker)
        return worker

    def _hand_out(self, worker: _Worker) -> None:
        worker.number = self.waiting.pop() if self.waiting else None
        if worker.number is not None:
            self.display.started(worker.number)
            worker.connection.send(self.tasks[worker.number])

    def run(self) -> list[Outcome]:
        try:
            while any(worker.number is not None for worker in self.workers):
                self._wait()
        finally:
            self._dismiss()
        return self.in_order()

    def stop(self) -> None:
        super().stop()
        self.waiting.clear()
        for worker in self.workers:
            if worker.number is not None:
                with suppress(OSError):  # it may just have died
                    worker.connection.send("stop")

    def _wait(self) -> None:
        busy = {worker.connection: worker for worker in self.workers if worker.number is not None}
        for connection in wait(list(busy)):  # the end of a process closes its connection
            worker = busy[connection]
            try:
                message = connection.recv()
            except (EOFError, OSError):
                self._died(worker)
                continue
            if isinstance(message, Outcome):
                self.ended(worker.number, message)
                self._hand_out(worker)
            else:
                self.display.epoch(worker.number, *message)

    def _died(self, worker: _Worker) -> None:
        worker.process.join()
        code = worker.process.exitcode
        if code < 0:
            cause = f"its process was killed by {signal.Signals(-code).name}"
            if code == -signal.SIGKILL:
                cause += ", which is what a system does that runs out of memory; workers=1 needs least"
        else:
            cause = f"its process ended by itself with code {code}"
        recording.mark_failed(self.tasks[worker.number].folder, cause)
        self.ended(worker.number, Outcome("failed", cause))
        self.workers.remove(worker)
        if self.waiting:
            self.workers.append(self._start())

    def _dismiss(self) -> None:
        for worker in self.workers:
            if worker.number is None:
                worker.connection.close()  # its next recv ends it
            else:
                worker.process.terminate()
        for worker in self.workers:
            worker.process.join(timeout=10)


def _serve(connection: Connection) -> None:
    """A worker's life: tasks in, rows and outcomes out, until the parent closes the connection or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    signal.signal(signal.SIGTERM, _interrupt)
    threading.Thread(target=_die_with_parent, daemon=True).start()

    def on_epoch(epoch: int, row: Mapping[str, Any]) -> bool:
        connection.send((epoch, row))
        return not connection.poll()  # the only message to a worker at work is "stop"

    while True:
        try:
            task = connection.recv()
        except (EOFError, OSError, KeyboardInterrupt):
            return
        if not isinstance(task, Task):
            continue  # a "stop" that came after the last epoch
        try:
            connection.send(train_run(task, on_epoch))
        except KeyboardInterrupt:
            return


def _interrupt(_signal: int, _frame: Any) -> None:
    raise KeyboardInterrupt


def _die_with_parent() -> None:
    wait([multiprocessing.parent_process().sentinel])
    os._exit(1)
