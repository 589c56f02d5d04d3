"""Train in long-lived processes, each of which takes one crew of runs after the other."""

import errno
import multiprocessing
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from study.errors import MachineFaultError, faults
from study.records import claims
from study.records.claims import Claim
from study.records.status import mark_failed, read_status
from study.sweep import preload
from study.sweep.progress import Display
from study.sweep.spread import Spread
from study.sweep.trainer import Trainer
from study.sweep.worker_process import DONE, PAUSE, STOP, OfRun, Room, serve
from study.training.epochs import Outcome
from study.training.task import Task

KILLED = -9  # exit code after SIGKILL, which Windows does not have


@dataclass
class _Worker:
    process: multiprocessing.process.BaseProcess
    connection: Connection
    device: str
    crew: dict[int, Claim] = field(default_factory=dict)  # the runs that it has not ended yet, and the claims on them
    busy: bool = False  # until it has said that its crew is done


class Pool(Trainer):
    """Trains in processes that take one crew after the other. One that dies is replaced, and only its crew fails."""

    def __init__(self, tasks: Sequence[Task], spread: Spread, display: Display, stop_on_failure: bool):
        super().__init__(tasks, spread, display, stop_on_failure)
        # Workers are not forked from this process, because its threads and CUDA would not survive a fork.
        self.context: Any = multiprocessing.get_context(preload.START_METHOD)
        self.out_of_memory_kills = faults.out_of_memory_kills()
        self.workers = [self._start(device) for device in spread.first()]

    def _start(self, device: str) -> _Worker:
        ours, theirs = self.context.Pipe()
        process = self.context.Process(target=serve, args=(theirs, device), daemon=True)
        try:
            process.start()
        except EOFError:  # the server that forks workers has met the same lack of resources
            raise OSError(errno.EAGAIN, "no worker could be started") from None
        theirs.close()
        return _Worker(process, ours, device)

    def run(self) -> list[Outcome]:
        """Train until no task is left or the user stops it."""
        try:
            while True:
                self._hand_out()
                busy = {worker.connection: worker for worker in self.workers if worker.busy}
                if not busy and (self.stopping or not self.waiting):
                    return self.in_order()
                if busy:
                    self._hear(busy)
                else:
                    claims.wait_a_moment()
        finally:
            self._dismiss()

    def _hand_out(self) -> None:
        idle = [worker for worker in self.workers if not worker.busy]
        for number, worker in enumerate(idle):
            if self.stopping:
                return
            worker.crew = self.take(worker.process.pid or 0, len(idle) - number)
            if not worker.crew:
                return
            crew = [(number, self.tasks[number], claim) for number, claim in worker.crew.items()]
            with suppress(BrokenPipeError, ConnectionResetError):  # it has just died; `_hear` handles that
                worker.connection.send(crew)
            worker.busy = True

    def _hear(self, busy: Mapping[Connection, _Worker]) -> None:
        ready = wait(list(busy), timeout=1)  # the end of a process closes its connection
        for worker in [worker for connection, worker in busy.items() if connection in ready]:
            try:
                message = worker.connection.recv()
            except (EOFError, OSError):
                self._died(worker)
                continue
            if isinstance(message, MachineFaultError):
                raise message
            if isinstance(message, Room):
                self._fill(worker.device, message)
            elif isinstance(message, OfRun):
                self._hear_of_run(worker, message)
            elif message == DONE:
                worker.busy = False
            else:
                self.display.say(message)

    def _hear_of_run(self, worker: _Worker, message: OfRun) -> None:
        number = message.number
        if message.outcome is not None:
            self.ended(number, worker.crew.pop(number), message.outcome)
        elif message.row is not None:
            self.display.epoch(number, message.epoch, message.row)

    def _fill(self, device: str, room: Room) -> None:
        waiting = 0 if self.stopping else len(self.waiting)
        more = self.spread.further(device, room.workers, [worker.device for worker in self.workers], waiting)
        self.workers += [self._start(device) for _ in range(more)]

    def stop(self) -> None:
        """Start no more runs, and let the workers stop theirs after the epoch, or after the step."""
        super().stop()
        for worker in self.workers:
            if worker.busy:
                with suppress(OSError):  # the worker may just have died
                    worker.connection.send(PAUSE if self.pausing else STOP)

    def _died(self, worker: _Worker) -> None:
        worker.process.join()
        code = worker.process.exitcode or 0
        run = self.tasks[next(iter(worker.crew), 0)].folder
        if code < 0:
            cause = f"its process was killed by {signal.Signals(-code).name}"
            if code == KILLED and faults.out_of_memory_kills() > self.out_of_memory_kills:
                raise faults.stopping(MemoryError("the system ran out of memory and killed the run's process"), run)
            if code == KILLED:
                cause += ". The system may have run out of memory. workers=1 needs the least memory"
        else:
            cause = f"its process ended with exit code {code}"
        owners = [(read_status(claim.work) or {}).get("owner", {}) for claim in worker.crew.values()]
        if worker.crew and all(owner.get("pid") != worker.process.pid for owner in owners):  # no run can be the cause
            raise MachineFaultError(
                f"{run}: before the run started, {cause}. The sweep has stopped and its runs can be resumed. Read the"
                " output above, then give the same command again"
            )
        self.workers.remove(worker)
        for (number, claim), owner in zip(worker.crew.items(), owners, strict=True):
            if owner.get("pid") == worker.process.pid:
                mark_failed(claim.work, cause)
                self.ended(number, claim, Outcome("failed", cause))
            else:  # it had not started yet
                claim.give_back()
                self.waiting.append(number)
        if self.waiting and not self.stopping:
            self.workers.append(self._start(worker.device))

    def _dismiss(self) -> None:
        for worker in self.workers:
            if not worker.busy:
                worker.connection.close()  # the worker ends at its next recv
            else:
                worker.process.terminate()
        for worker in self.workers:
            worker.process.join(timeout=10)
            for claim in worker.crew.values():
                claim.give_back()
