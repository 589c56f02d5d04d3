"""Training runs side by side: one process a core, kept alive, each run's fate reported as it happens."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from study import recording
from study.plan import Task
from study.progress import Display
from study.run import Outcome, train_run


def train_all(tasks: Sequence[Task], workers: int) -> list[Outcome]:
    """Train all tasks and show how they fare; one that fails does not stop the others.

    A single worker is this process itself.

    Args:
        tasks: what to train; at least one.
        workers: how many processes.

    Returns:
        The outcomes, in the order of the tasks.

    Raises:
        KeyboardInterrupt: Ctrl-C; runs that were being trained are marked as interrupted.
    """
    with Display(tasks) as display:
        if workers == 1:
            return [_train_here(number, task, display) for number, task in enumerate(tasks)]
        return _Pool(tasks, workers, display).run()


def _train_here(number: int, task: Task, display: Display) -> Outcome:
    display.started(number)
    outcome = train_run(task, lambda epoch, row: display.epoch(number, epoch, row))
    display.ended(number, outcome)
    return outcome


@dataclass
class _Worker:
    process: multiprocessing.process.BaseProcess
    connection: Connection
    number: int | None = None  # of the task it is at


class _Pool:
    """Processes that take one task after the other; one that dies is replaced, and only its task fails."""

    def __init__(self, tasks: Sequence[Task], workers: int, display: Display):
        self.tasks, self.display = tasks, display
        self.waiting = list(range(len(tasks)))[::-1]
        self.outcomes: dict[int, Outcome] = {}
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
            while len(self.outcomes) < len(self.tasks):
                self._wait()
        finally:
            self._stop()
        return [self.outcomes[number] for number in range(len(self.tasks))]

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
                self._ended(worker, message)
            else:
                self.display.epoch(worker.number, *message)

    def _ended(self, worker: _Worker, outcome: Outcome) -> None:
        self.outcomes[worker.number] = outcome
        self.display.ended(worker.number, outcome)
        self._hand_out(worker)

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
        self.outcomes[worker.number] = Outcome("failed", cause)
        self.display.ended(worker.number, self.outcomes[worker.number])
        self.workers.remove(worker)
        if self.waiting:
            self.workers.append(self._start())

    def _stop(self) -> None:
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

    def on_epoch(epoch: int, row: Mapping[str, Any]) -> None:
        connection.send((epoch, row))

    while True:
        try:
            task = connection.recv()
        except (EOFError, OSError, KeyboardInterrupt):
            return
        try:
            connection.send(train_run(task, on_epoch))
        except KeyboardInterrupt:
            return


def _interrupt(_signal: int, _frame: Any) -> None:
    raise KeyboardInterrupt


def _die_with_parent() -> None:
    wait([multiprocessing.parent_process().sentinel])
    os._exit(1)
