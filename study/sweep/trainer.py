"""Which runs are trained next, and what becomes of those that end: the part that does not depend on who trains them."""

import json
from collections.abc import Sequence
from pathlib import Path

from study.config.names import ID_DIGITS
from study.records import claims
from study.records.claims import Claim, LostClaimError
from study.records.comparison import differing
from study.records.contract import PRUNED, TWICE
from study.records.files import append_whole, now
from study.records.status import read_status
from study.sweep.plan import lacks_test
from study.sweep.progress import Display
from study.sweep.spread import Spread
from study.training.epochs import Outcome
from study.training.lockstep.fits import group_of
from study.training.loop_choice import is_lockstep, width_of
from study.training.task import Task

NOT_STARTED = Outcome("interrupted", "not started")


def goes_on(task: Task, folder: Path) -> bool:
    """Whether a run that has ended is trained on, or again.

    It was pruned before the epoch that the task asks for. Or the task is to retry it, and it failed or lacks its test
    score.

    Args:
        task: the run.
        folder: where the files of the run are.
    """
    status = read_status(folder) or {"state": "failed"}
    if status["state"] == PRUNED:
        return int(status["epochs_trained"]) < task.last_epoch
    untested = status["state"] == "complete" and lacks_test(task.config, folder, status)
    return task.retry and (status["state"] == "failed" or untested)


class Trainer:
    """The common part of training in this process and in workers: choose the next runs, stop, keep the outcomes."""

    def __init__(self, tasks: Sequence[Task], spread: Spread, display: Display, stop_on_failure: bool):
        self.tasks, self.spread, self.display, self.stop_on_failure = tasks, spread, display, stop_on_failure
        self.waiting = list(range(len(tasks)))
        self.groups: dict[int, str | None] = {}
        self.outcomes: dict[int, Outcome] = {}
        self.stopping = self.pausing = False
        self.twice = 0  # runs that another command trained too, because this one paused for longer than the lease

    def take(self, pid: int, idle: int) -> dict[int, Claim]:
        """Claim the next runs for a process: one, or several in lockstep; none if others own all that remain.

        Runs that another command has ended in the meantime are recorded with their outcome.

        Args:
            pid: of the process.
            idle: the number of processes that wait for runs, this one included. They share what is left of a group.
        """
        taken: dict[int, Claim] = {}
        group, most = None, 1
        for number in list(self.waiting):
            if taken and self._group(number) != group:
                continue
            claim = self._claim(number, pid)
            if claim is None:
                continue
            if not taken and (group := self._group(number)) is not None:
                left = 1 + sum(self._group(other) == group for other in self.waiting)
                most = min(width_of(self.tasks[number].path), -(-left // idle))
            taken[number] = claim
            if len(taken) == most:
                break
        return taken

    def _group(self, number: int) -> str | None:
        """What the runs that train together with this one have in common; None if it trains alone."""
        if number not in self.groups:
            task = self.tasks[number]
            self.groups[number] = group_of(task.config) if is_lockstep(task.path) else None
        return self.groups[number]

    def _claim(self, number: int, pid: int) -> Claim | None:
        """Claim a run; None if it has ended or another command owns it."""
        task = self.tasks[number]
        if claims.is_ended(task.folder) and not goes_on(task, task.folder):
            self.waiting.remove(number)
            self._ended_elsewhere(number)
            return None
        claim = claims.claim(task.folder, task.run_id[:ID_DIGITS], pid, again=goes_on(task, task.folder))
        if claim is None:
            return None
        self.waiting.remove(number)
        # Its process was killed before it published the run. Or another command has ended it at this moment.
        if claims.is_ended(claim.work) and not goes_on(task, claim.work):
            self._publish(claim)
            self._ended_elsewhere(number)
            return None
        self.display.started(number)
        return claim

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
