"""Training runs side by side: one process a core, kept alive, each run's fate reported as it happens."""

import errno
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from study.config.names import ID_DIGITS
from study.errors import MachineFaultError, faults
from study.records import claims
from study.records.claims import Claim, LostClaimError
from study.records.comparison import differing
from study.records.contract import TWICE
from study.records.files import append_whole, now
from study.records.status import mark_failed, read_status
from study.sweep import preload
from study.sweep.plan import lacks_test
from study.sweep.progress import Display
from study.training.run import OnEpoch, Outcome, train_run
from study.training.task import Task

KILLED = -9  # exit code after SIGKILL, which Windows does not have
NOT_STARTED = Outcome("interrupted", "not started")


def train_all(
    tasks: Sequence[Task], workers: int, stop_on_failure: bool = False, each_epoch: bool = True
) -> list[Outcome]:
    """Train all tasks and show how they fare.

    A single worker is this process itself. Ctrl-C lets the running epochs finish and leaves checkpoints; a second
    one stops at once.

    Args:
        tasks: what to train; at least one.
        workers: how many processes.
        stop_on_failure: whether a run that fails stops the others as Ctrl-C does, or leaves them alone.
        each_epoch: whether the epochs of a single run are printed one by one.

    Returns:
        The outcomes, in the order of the tasks; `interrupted` for those that were stopped or not started.

    Raises:
        KeyboardInterrupt: a second Ctrl-C; runs that were being trained are marked as interrupted.
        MachineFaultError: a run has met a fault of the machine; running epochs are given up, and so are all runs.
        OSError: such a fault outside of the runs.
    """
    with Display(tasks, each_epoch) as display:
        crew = (_Alone if workers == 1 else _Pool)(tasks, workers, display, stop_on_failure)
        before = signal.signal(signal.SIGINT, lambda *_: crew.interrupted())
        try:
            return crew.run()
        finally:
            signal.signal(signal.SIGINT, before)


class _Crew:
    """Whoever trains: which run is next, what a stop means, and how outcomes are kept."""

    def __init__(self, tasks: Sequence[Task], workers: int, display: Display, stop_on_failure: bool):
        self.tasks, self.display, self.stop_on_failure = tasks, display, stop_on_failure
        self.waiting = list(range(len(tasks)))
        self.outcomes: dict[int, Outcome] = {}
        self.stopping = False
        self.twice = 0  # runs that another command has ended as well, after a pause longer than the lease

    def take(self, pid: int) -> tuple[int, Claim] | None:
        """Claim the next run for a process; None where other commands have all that is left.

        Runs that another command has ended in the meantime are noted as what they are.
        """
        for number in list(self.waiting):
            task = self.tasks[number]
            if claims.is_ended(task.folder) and not self._to_retry(task):
                self.waiting.remove(number)
                self._ended_elsewhere(number)
                continue
            claim = claims.claim(task.folder, task.run_id[:ID_DIGITS], pid)
            if claim is None:
                continue
            self.waiting.remove(number)
            if claims.is_ended(claim.work) and not task.retry:  # killed before it was published
                self._publish(claim)
                self._ended_elsewhere(number)
                continue
            self.display.started(number)
            return number, claim
        return None

    def _to_retry(self, task: Task) -> bool:
        status = read_status(task.folder) or {"state": "failed"}
        untested = status["state"] == "complete" and lacks_test(task.config, task.folder, status)
        return task.retry and (status["state"] == "failed" or untested)

    def _ended_elsewhere(self, number: int) -> None:
        status = read_status(self.tasks[number].folder) or {}
        self._note(number, Outcome(status.get("state", "failed"), status.get("cause") or "trained by another command"))

    def ended(self, number: int, claim: Claim, outcome: Outcome) -> None:
        """A process has done with a run, one way or another."""
        if outcome.state == "elsewhere":
            self.waiting.append(number)
            return
        if outcome.state == "interrupted":
            claim.give_back()
        else:
            try:
                self._publish(claim)
            except LostClaimError:  # taken over after a pause longer than the lease: the other one ends it
                self.waiting.append(number)
                return
            except OSError:  # it has ended, and waits to be published
                claim.give_back()
                raise
        self._note(number, outcome)

    def _publish(self, claim: Claim) -> None:
        if claim.publish():
            return
        files = differing(claim.published, claim.work)
        found = f"with other bytes in {', '.join(files)}" if files else "with the same bytes"
        self.display.say(f"{claim.published} was trained by another command as well, {found}; that copy is kept")
        line = {"run": claim.published.name, "ended": now(), "differing": files}
        append_whole(claim.published.parent / TWICE, (json.dumps(line) + "\n").encode())
        self.twice += 1
        claim.drop()

    def _note(self, number: int, outcome: Outcome) -> None:
        self.outcomes[number] = outcome
        self.display.ended(number, outcome)
        if outcome.state == "failed" and self.stop_on_failure and not self.stopping:
            self.display.say("a run failed: stopping, since on_failure=stop")
            self.stop()

    def interrupted(self) -> None:
        """Ctrl-C: the first time finish the running epochs, the second time stop at once."""
        if self.stopping:
            raise KeyboardInterrupt
        self.display.say("finishing the running epochs; Ctrl-C again stops at once")
        self.stop()

    def stop(self) -> None:
        """Start no more runs, and let the running ones end after their epoch."""
        self.stopping = True

    def in_order(self) -> list[Outcome]:
        """The outcomes of all tasks."""
        if self.twice:
            self.display.say(f"trained twice, here and by another command: {self.twice} runs; study status counts them")
        return [self.outcomes.get(number, NOT_STARTED) for number in range(len(self.tasks))]


class _Alone(_Crew):
    """This process, one task after the other."""

    def run(self) -> list[Outcome]:
        """Train until nothing is left, or told to stop."""
        while self.waiting and not self.stopping:
            taken = self.take(os.getpid())
            if taken is None:
                if self.waiting:
                    claims.wait_a_moment()
                continue
            number, claim = taken
            try:
                with claim.heartbeat():
                    outcome = train_run(self.tasks[number], claim.work, self._on_epoch(number))
            except (KeyboardInterrupt, MachineFaultError):
                claim.give_back()
                raise
            self.ended(number, claim, outcome)
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
    at: tuple[int, Claim] | None = None  # the number of its task, and the claim on it


class _Pool(_Crew):
    """Processes that take one task after the other; one that dies is replaced, and only its task fails."""

    def __init__(self, tasks: Sequence[Task], workers: int, display: Display, stop_on_failure: bool):
        super().__init__(tasks, workers, display, stop_on_failure)
        # Not forked from here: this process's threads, and CUDA, would not survive it.
        self.context: Any = multiprocessing.get_context(preload.START_METHOD)
        self.out_of_memory_kills = faults.out_of_memory_kills()
        self.workers = [self._start() for _ in range(workers)]

    def _start(self) -> _Worker:
        ours, theirs = self.context.Pipe()
        process = self.context.Process(target=_serve, args=(theirs,), daemon=True)
        try:
            process.start()
        except EOFError:  # the server that forks workers has met the same want
            raise OSError(errno.EAGAIN, "no worker could be started") from None
        theirs.close()
        return _Worker(process, ours)

    def run(self) -> list[Outcome]:
        """Train until nothing is left, or told to stop."""
        try:
            while True:
                self._hand_out()
                busy = {worker.connection: worker for worker in self.workers if worker.at is not None}
                if not busy and (self.stopping or not self.waiting):
                    return self.in_order()
                if busy:
                    self._hear(busy)
                else:
                    claims.wait_a_moment()
        finally:
            self._dismiss()

    def _hand_out(self) -> None:
        for worker in self.workers:
            if worker.at is not None or self.stopping:
                continue
            worker.at = self.take(worker.process.pid or 0)
            if worker.at is None:
                return
            number, claim = worker.at
            with suppress(BrokenPipeError, ConnectionResetError):  # it has just died, which `_hear` finds out
                worker.connection.send((self.tasks[number], claim))

    def _hear(self, busy: Mapping[Connection, _Worker]) -> None:
        ready = wait(list(busy), timeout=1)  # the end of a process closes its connection
        for worker in [worker for connection, worker in busy.items() if connection in ready]:
            assert worker.at is not None
            number, claim = worker.at
            try:
                message = worker.connection.recv()
            except (EOFError, OSError):
                self._died(worker, number, claim)
                continue
            if isinstance(message, MachineFaultError):
                raise message
            if isinstance(message, Outcome):
                worker.at = None
                self.ended(number, claim, message)
            else:
                self.display.epoch(number, *message)

    def stop(self) -> None:
        """Start no more runs, and tell the workers to end theirs after the epoch."""
        super().stop()
        for worker in self.workers:
            if worker.at is not None:
                with suppress(OSError):  # it may just have died
                    worker.connection.send("stop")

    def _died(self, worker: _Worker, number: int, claim: Claim) -> None:
        worker.process.join()
        code, run = worker.process.exitcode or 0, self.tasks[number].folder
        if code < 0:
            cause = f"its process was killed by {signal.Signals(-code).name}"
            if code == KILLED and faults.out_of_memory_kills() > self.out_of_memory_kills:
                raise faults.stopping(MemoryError("the system ran out of memory and killed the run's process"), run)
            if code == KILLED:
                cause += ", which is what a system does that runs out of memory; workers=1 needs least"
        else:
            cause = f"its process ended by itself with code {code}"
        owner = (read_status(claim.work) or {}).get("owner", {})
        if owner.get("pid") != worker.process.pid:  # no run can make its process die before it has begun
            raise MachineFaultError(
                f"{run}: {cause}, before the run began. The sweep has stopped and its runs can be resumed. See what is"
                " printed above, then give the same command again"
            )
        mark_failed(claim.work, cause)
        self.workers.remove(worker)
        self.ended(number, claim, Outcome("failed", cause))
        if self.waiting and not self.stopping:
            self.workers.append(self._start())

    def _dismiss(self) -> None:
        for worker in self.workers:
            if worker.at is None:
                worker.connection.close()  # its next recv ends it
            else:
                worker.process.terminate()
        for worker in self.workers:
            worker.process.join(timeout=10)
            if worker.at is not None:
                worker.at[1].give_back()


def _serve(connection: Connection) -> None:
    """A worker's life: tasks in, rows and outcomes out, until the parent closes the connection or dies."""
    for name in ("SIGINT", "SIGHUP"):  # Ctrl-C and a closed terminal reach the whole group; the parent decides
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _interrupt)
    threading.Thread(target=_die_with_parent, daemon=True).start()

    def on_epoch(epoch: int, row: Mapping[str, Any]) -> bool:
        connection.send((epoch, row))
        return not connection.poll()  # the only message to a worker at work is "stop"

    while True:
        try:
            message = connection.recv()
        except (EOFError, OSError, KeyboardInterrupt):
            return
        if message == "stop":
            continue  # it came after the last epoch
        task, claim = message
        try:
            try:
                with claim.heartbeat():
                    message = train_run(task, claim.work, on_epoch)
            except MachineFaultError as fault:
                message = fault
            connection.send(message)
        except KeyboardInterrupt:
            return


def _interrupt(_signal: int, _frame: Any) -> None:
    raise KeyboardInterrupt


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
    os._exit(1)
