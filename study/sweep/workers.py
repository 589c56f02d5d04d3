"""Train runs side by side in long-lived processes, by default one for each core, and report each run as it ends."""

import errno
import json
import multiprocessing
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from study.config.devices import Devices
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
from study.sweep.spread import Spread
from study.sweep.worker_process import PAUSE, STOP, Room, serve
from study.training.loop_choice import devices_for
from study.training.run import OnEpoch, Outcome, train_run
from study.training.task import Task

KILLED = -9  # exit code after SIGKILL, which Windows does not have
NOT_STARTED = Outcome("interrupted", "not started")


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
    spread = Spread(devices or devices_for(tasks[0]), workers, fill and len(tasks) > 1)
    with Display(tasks, each_epoch) as display:
        crew = (_Alone if spread.workers == 1 else _Pool)(tasks, spread, display, stop_on_failure)
        before = {number: signal.signal(number, lambda *_: crew.pause()) for number in pause_on}
        before[signal.SIGINT] = signal.signal(signal.SIGINT, lambda *_: crew.interrupted())
        try:
            return crew.run()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class _Crew:
    """The common part of `_Alone` and `_Pool`: choose the next run, stop, and keep the outcomes."""

    def __init__(self, tasks: Sequence[Task], spread: Spread, display: Display, stop_on_failure: bool):
        self.tasks, self.spread, self.display, self.stop_on_failure = tasks, spread, display, stop_on_failure
        self.waiting = list(range(len(tasks)))
        self.outcomes: dict[int, Outcome] = {}
        self.stopping = self.pausing = False
        self.twice = 0  # runs that another command trained too, because this one paused for longer than the lease

    def take(self, pid: int) -> tuple[int, Claim] | None:
        """Claim the next run for a process; None if other commands own all remaining runs.

        Runs that another command has ended in the meantime are recorded with their outcome.
        """
        for number in list(self.waiting):
            task = self.tasks[number]
            if claims.is_ended(task.folder) and not self._to_retry(task):
                self.waiting.remove(number)
                self._ended_elsewhere(number)
                continue
            claim = claims.claim(task.folder, task.run_id[:ID_DIGITS], pid, again=self._to_retry(task))
            if claim is None:
                continue
            self.waiting.remove(number)
            if claims.is_ended(claim.work) and not task.retry:  # its process was killed before it published the run
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
        """Publish and record a run that a process has ended, in whatever state."""
        if outcome.state == "elsewhere":
            claim.give_back()
            self.waiting.append(number)
            return
        if outcome.state == "interrupted":
            claim.give_back()
        else:
            try:
                self._publish(claim)
            except LostClaimError:  # after a pause longer than the lease, another process took it over and will end it
                claim.give_back()
                self.waiting.append(number)
                return
            except OSError:  # the run has ended but is not published yet; a later command publishes it
                claim.give_back()
                raise
        self._note(number, outcome)

    def _publish(self, claim: Claim) -> None:
        if claim.publish():
            return
        files = differing(claim.published, claim.work)
        found = f"with other bytes in {', '.join(files)}" if files else "with the same bytes"
        self.display.say(f"{claim.published} was also trained by another command, {found}. That copy is kept")
        line = {"run": claim.published.name, "ended": now(), "differing": files}
        append_whole(claim.published.parent / TWICE, (json.dumps(line) + "\n").encode())
        self.twice += 1
        claim.drop()

    def _note(self, number: int, outcome: Outcome) -> None:
        self.outcomes[number] = outcome
        self.display.ended(number, outcome)
        if outcome.state == "failed" and self.stop_on_failure and not self.stopping:
            self.display.say("a run failed. The sweep stops because of on_failure=stop")
            self.stop()

    def interrupted(self) -> None:
        """Handle Ctrl-C: the first lets the running epochs finish, the second stops at once."""
        if self.stopping:
            raise KeyboardInterrupt
        self.display.say("finishing the running epochs. Ctrl-C again stops at once")
        self.stop()

    def stop(self) -> None:
        """Start no more runs, and stop the runs in training after their epoch."""
        self.stopping = True

    def pause(self) -> None:
        """Start no more runs, and stop the runs in training after their step."""
        self.pausing = True
        self.stop()

    def in_order(self) -> list[Outcome]:
        """The outcomes of all tasks, in their order."""
        if self.twice:
            self.display.say(f"trained twice, here and by another command: {self.twice} runs. study status counts them")
        return [self.outcomes.get(number, NOT_STARTED) for number in range(len(self.tasks))]


class _Alone(_Crew):
    """Trains in this process, one task after the other."""

    def run(self) -> list[Outcome]:
        """Train until no task is left or the user stops it."""
        while self.waiting and not self.stopping:
            taken = self.take(os.getpid())
            if taken is None:
                if self.waiting:
                    claims.wait_a_moment()
                continue
            number, claim = taken
            try:
                with claim.ownership.heartbeat():
                    task, on_epoch = self.tasks[number], self._on_epoch(number)
                    outcome = train_run(
                        task, claim.work, on_epoch, lambda: self.pausing, self.spread.names[0], self.display.say
                    )
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
    device: str
    at: tuple[int, Claim] | None = None  # the number of its current task, and the claim on it


class _Pool(_Crew):
    """Trains in processes that take one task after the other. One that dies is replaced, and only its task fails."""

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
            with suppress(BrokenPipeError, ConnectionResetError):  # it has just died; `_hear` handles that
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
            if isinstance(message, Room):
                self._fill(worker.device, message)
            elif isinstance(message, str):
                self.display.say(message)
            elif isinstance(message, Outcome):
                worker.at = None
                self.ended(number, claim, message)
            else:
                self.display.epoch(number, *message)

    def _fill(self, device: str, room: Room) -> None:
        waiting = 0 if self.stopping else len(self.waiting)
        more = self.spread.further(device, room.workers, [worker.device for worker in self.workers], waiting)
        self.workers += [self._start(device) for _ in range(more)]

    def stop(self) -> None:
        """Start no more runs, and let the workers stop theirs after the epoch, or after the step."""
        super().stop()
        for worker in self.workers:
            if worker.at is not None:
                with suppress(OSError):  # the worker may just have died
                    worker.connection.send(PAUSE if self.pausing else STOP)

    def _died(self, worker: _Worker, number: int, claim: Claim) -> None:
        worker.process.join()
        code, run = worker.process.exitcode or 0, self.tasks[number].folder
        if code < 0:
            cause = f"its process was killed by {signal.Signals(-code).name}"
            if code == KILLED and faults.out_of_memory_kills() > self.out_of_memory_kills:
                raise faults.stopping(MemoryError("the system ran out of memory and killed the run's process"), run)
            if code == KILLED:
                cause += ". The system may have run out of memory. workers=1 needs the least memory"
        else:
            cause = f"its process ended with exit code {code}"
        owner = (read_status(claim.work) or {}).get("owner", {})
        if owner.get("pid") != worker.process.pid:  # a run cannot be the cause if it has not started
            raise MachineFaultError(
                f"{run}: before the run started, {cause}. The sweep has stopped and its runs can be resumed. Read the"
                " output above, then give the same command again"
            )
        mark_failed(claim.work, cause)
        self.workers.remove(worker)
        self.ended(number, claim, Outcome("failed", cause))
        if self.waiting and not self.stopping:
            self.workers.append(self._start(worker.device))

    def _dismiss(self) -> None:
        for worker in self.workers:
            if worker.at is None:
                worker.connection.close()  # the worker ends at its next recv
            else:
                worker.process.terminate()
        for worker in self.workers:
            worker.process.join(timeout=10)
            if worker.at is not None:
                worker.at[1].give_back()
