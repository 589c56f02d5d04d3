"""Train by Ray (hydra/launcher=ray): one task for each run, wait for their end, and stop them on Ctrl-C.

A task claims its run like any other process, and publishes it when it has ended. So the states of runs are read from
their folders. Ray starts the task of a node that has died again on another node, and the run resumes there.
"""

import os
import re
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from study.config.names import ID_DIGITS
from study.errors import StudyError, faults, one_line
from study.records import claims
from study.records.status import mark_failed, read_status
from study.sweep.launchers.ray_cluster import check_room, cluster, environment
from study.sweep.launchers.ray_task import train_there
from study.sweep.launchers.recorded import states_of
from study.training.task import Task

RETRIES = 3  # times that a task starts again after its process or its node has died
POLL = 0.5  # seconds between two looks at the tasks
NEWS = 30.0  # seconds between two lines about how far the runs have come


def train_by_ray(base: DictConfig, tasks: Sequence[Task], say: Callable[[str], None]) -> list[str]:
    """Let Ray train all tasks. Their sweep must be recorded already.

    Args:
        base: the composed config, with Hydra's own node.
        tasks: the runs to train.
        say: prints a line.

    Returns:
        The state of each run afterwards; `interrupted` for a run that has not ended.

    Raises:
        StudyError: Ray does not start, no node has what a run needs, or a node cannot train.
        MachineFaultError: a fault of the machine stopped a run.
        KeyboardInterrupt: a second Ctrl-C.
    """
    options = base.hydra.launcher
    cpus = options.cpus or base.threads
    with cluster(options):
        check_room(cpus, options.gpus)
        sweep = _Sweep(tasks, cpus, options.gpus, say)
        before = signal.signal(signal.SIGINT, lambda *_: sweep.interrupted())
        try:
            sweep.run(options.parallel or len(tasks))
        finally:
            signal.signal(signal.SIGINT, before)
    states = states_of(tasks, say)
    if sweep.error is not None:
        raise sweep.error
    return states


class _Sweep:
    """The tasks of one command: those that wait here, and those that Ray has."""

    def __init__(self, tasks: Sequence[Task], cpus: int, gpus: float, say: Callable[[str], None]):
        import ray  # an extra

        self.tasks, self.say = tasks, say
        self.cpus, self.gpus = cpus, gpus
        self.waiting = list(reversed(tasks))
        self.with_ray: dict[Any, Task] = {}  # from Ray's reference to the result of a task
        self.error: StudyError | None = None  # the first one that stopped the sweep
        self.out_of_memory_kills = faults.out_of_memory_kills()
        self.interrupts = 0
        self.stopping = False
        self.remote = ray.remote(train_there).options(
            num_cpus=cpus, num_gpus=gpus, max_retries=RETRIES, runtime_env={"env_vars": environment(gpus)}
        )

    def run(self, parallel: int) -> None:
        """Train until no task is left, or until the running ones have stopped."""
        import ray

        reported, told = time.monotonic(), 0
        while self.waiting or self.with_ray:
            if self.interrupts and not self.stopping:
                self._stop()
            while self.waiting and len(self.with_ray) < parallel:
                self._submit(self.waiting.pop())
            if not self.with_ray:  # stopped before the first one
                break
            # Not ray.wait's own timeout: a signal that ends the command would come out of it as another exception.
            time.sleep(POLL)
            ready, _ = ray.wait(list(self.with_ray), num_returns=len(self.with_ray), timeout=0, fetch_local=False)
            for reference in ready:
                self._ended(self.with_ray.pop(reference), reference)
            ended = len(self.tasks) - len(self.waiting) - len(self.with_ray)
            if not self.stopping and time.monotonic() - reported > NEWS:
                if ended > told:
                    self.say(f"{ended} of {len(self.tasks)} runs have ended")
                reported, told = time.monotonic(), ended
                self._say_if_no_node_is_left()

    def _submit(self, task: Task) -> None:
        here = Path.cwd()
        self.with_ray[self.remote.remote(here, here / task.folder.parent, task.run_id)] = task

    def _ended(self, task: Task, reference: Any) -> None:
        import ray

        try:
            result = ray.get(reference)
        except ray.exceptions.TaskCancelledError:
            return
        except ray.exceptions.NodeDiedError:  # not the fault of the run, which the same command resumes
            self.say(f"{task.folder}: {RETRIES + 1} nodes have died under it")
        except ray.exceptions.WorkerCrashedError as error:
            self._died(task, error)
        except Exception as error:  # of the run's process before the run began, or a bug
            self._fail(_told(error, task))
        else:
            if isinstance(result, StudyError):
                self._fail(result)

    def _died(self, task: Task, error: Exception) -> None:
        """Record that a run failed whose processes have all died, as a sweep by our own workers does."""
        cause = (
            f"its process died {RETRIES + 1} times. The system may have run out of memory, or the run's code crashes"
        )
        if faults.out_of_memory_kills() > self.out_of_memory_kills:
            memory = MemoryError("the system ran out of memory and killed the run's process")
            return self._fail(faults.stopping(memory, task.folder))
        claim = claims.claim(task.folder, task.run_id[:ID_DIGITS], os.getpid())
        if claim is None:
            self.say(f"{task.folder}: {cause}")
        elif read_status(claim.work) is None:  # a run cannot be the cause if it has not started
            claim.give_back()
            self._fail(StudyError(f"{task.folder}: before the run started, {cause}: {one_line(error)}"))
        else:
            mark_failed(claim.work, cause)
            self.say(f"failed {task.folder}: {cause}")
            if not claim.publish():  # another process has just ended the run
                claim.drop()

    def _fail(self, error: StudyError) -> None:
        self.error = self.error or error
        if not self.stopping:
            self._stop()

    def interrupted(self) -> None:
        """Handle Ctrl-C: the first lets the running epochs finish, the second stops at once."""
        if self.interrupts or self.stopping:
            raise KeyboardInterrupt
        self.interrupts += 1  # `run` stops: here, it could be amid a submission
        self.say("finishing the running epochs. Ctrl-C again stops at once")

    def _stop(self) -> None:
        """Start no more runs, and stop the running ones after their epoch: Ray raises SIGINT in their processes."""
        import ray

        self.stopping = True
        self.waiting.clear()
        for reference in list(self.with_ray):
            ray.cancel(reference, force=False)

    def _say_if_no_node_is_left(self) -> None:
        try:
            check_room(self.cpus, self.gpus)
        except StudyError as error:
            self.say(f"{error}. The runs wait for such a node. Ctrl-C stops")


def _told(error: Exception, task: Task) -> StudyError:
    """The error of a task in one line."""
    import ray

    if isinstance(error, ray.exceptions.OutOfMemoryError):
        return faults.stopping(
            MemoryError("the system ran out of memory and Ray killed the run's process"), task.folder
        )
    said = str(error).strip()
    if missing := re.search(r"No module named '[\w.]+'", said):
        node = re.search(r"\bip=([\w.:]+)", said)
        return StudyError(
            f"node {node[1] if node else 'of Ray'}: {missing[0]}. Start Ray on each node in an environment in which"
            " regstudy is installed"
        )
    return StudyError(f"{task.folder}: its Ray task failed: {said.splitlines()[-1]}")
