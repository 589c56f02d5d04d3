"""Train by Slurm (hydra/launcher=slurm): pack the runs into jobs, submit them through submitit, wait for their end.

A job trains its runs as any command does: it claims each, and publishes it when it has ended. So the states of runs are
read from their folders. Slurm is asked for its queue alone, which needs no accounting.
"""

import re
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from study.errors import ConfigError, StudyError
from study.records import claims
from study.records.existing import Existing
from study.records.jobs import PENDING, ask, queued, record_jobs, recorded_jobs
from study.sweep.launchers.recorded import LAUNCHED, states_of
from study.sweep.launchers.slurm_job import TrainRuns
from study.sweep.progress import seconds_per_epoch
from study.sweep.trainer import goes_on
from study.training.task import Task

MINUTES = 20  # of a job, with runs_per_job=auto
WARNING = 60  # seconds between the warning and the end of a job
POLL = 2.0  # seconds between two looks at the queue
PATIENCE = 300.0  # seconds for which Slurm may be silent
NEWS = 30.0  # seconds between two lines about how far the jobs have come
# Each number that must not be below a bound, with its bound.
LEAST = {"time": 2, "mem_gb": 0.1, "cpus": 1, "gpus": 0, "parallel": 1}


def check_slurm(options: DictConfig) -> None:
    """Check that Slurm and submitit are there, and the options of hydra/launcher=slurm.

    Raises:
        ConfigError: a value is not allowed.
        StudyError: a program is missing.
    """
    for key, least in LEAST.items():
        if options[key] is not None and options[key] < least:
            raise ConfigError(f"hydra.launcher.{key}={options[key]}: allowed: numbers of at least {least}")
    runs = options.runs_per_job
    if runs != "auto" and (not isinstance(runs, int) or runs < 1):
        raise ConfigError(f"hydra.launcher.runs_per_job={runs}: allowed: auto, or a number of at least 1")
    if find_spec("submitit") is None:
        raise StudyError("hydra/launcher=slurm needs submitit. Install it: pip install 'regstudy[slurm]'")
    ask("sinfo", "--noheader", "--format=%P")


def train_by_slurm(
    base: DictConfig, tasks: Sequence[Task], ended: Sequence[Existing], say: Callable[[str], None]
) -> list[str]:
    """Let Slurm train all tasks. Their sweep must be recorded already.

    Args:
        base: the composed config, with Hydra's own node.
        tasks: the runs to train.
        ended: complete runs of the study, from which the time of a run is estimated.
        say: prints a line.

    Returns:
        The state of each run afterwards; `interrupted` for a run that has not ended. Empty with `wait=false`.

    Raises:
        StudyError: Slurm refuses the jobs.
    """
    options, folder = base.hydra.launcher, tasks[0].folder.parent.absolute()
    workers = max(1, options.cpus // max(1, base.threads))
    waiting = _waiting_runs(folder)
    packs = packed([task for task in tasks if task.run_id not in waiting], options.runs_per_job, ended, workers)
    if len(tasks) > sum(map(len, packs)):
        say(f"{folder.name}: {len(tasks) - sum(map(len, packs))} runs are in Slurm's queue already")
    for some in _arrays(packs, _largest_array()):
        jobs = _submit(options, folder, [TrainRuns(folder, [t.run_id for t in pack], workers) for pack in some])
        record_jobs(folder, {job: [t.run_id for t in pack] for job, pack in zip(jobs, some, strict=True)})
        runs = sum(map(len, some))
        say(f"{folder.name}: {runs} runs in {len(jobs)} jobs, {jobs[0]} to {jobs[-1]}. Logs: {folder / LAUNCHED}")
    if not base.wait:
        say(f"study status name={folder.name} shows the jobs, study cancel name={folder.name} stops them")
        return []
    try:
        _wait(tasks, folder, say)
    except KeyboardInterrupt:
        say(f"the jobs go on. study cancel name={folder.name} stops them")
        raise
    return states_of(tasks, say)


def packed(tasks: Sequence[Task], runs_per_job: int | str, ended: Sequence[Existing], workers: int) -> list[list[Task]]:
    """Divide runs among jobs, in their order.

    Args:
        tasks: the runs.
        runs_per_job: a number, or `auto`: as many as take MINUTES, estimated from complete runs; without any, one.
        ended: complete runs of the study.
        workers: runs that a job trains at a time.
    """
    if isinstance(runs_per_job, int):
        return [list(tasks[start : start + runs_per_job]) for start in range(0, len(tasks), runs_per_job)]
    measured = seconds_per_epoch(ended)
    if not measured:
        return [[task] for task in tasks]
    seconds, room = sum(measured) / len(measured), 0.0
    packs: list[list[Task]] = []
    for task in tasks:
        needed = seconds * task.config.epochs / workers
        if not packs or room < needed:
            packs.append([])
            room = 60.0 * MINUTES
        packs[-1].append(task)
        room -= needed
    return packs


def _arrays(packs: Sequence[list[Task]], largest: int) -> list[Sequence[list[Task]]]:
    return [packs[start : start + largest] for start in range(0, len(packs), largest)]


def _largest_array() -> int:
    """The number of jobs that the cluster allows in an array. Its MaxArraySize is one above the largest index."""
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", ask("scontrol", "show", "config"), re.MULTILINE)
    return max(1, int(found[1])) if found else 1


def _submit(options: DictConfig, folder: Path, work: Sequence[TrainRuns]) -> list[str]:
    """Submit jobs as one array; return the number of each, as Slurm prints it."""
    import submitit  # an extra

    executor = submitit.SlurmExecutor(folder / LAUNCHED)
    # Slurm sends SIGUSR1 to the job's processes before its time is up.
    further: dict[str, Any] = {"signal": f"USR1@{WARNING}", "requeue": True, **options.sbatch}
    further |= {key: options[key] for key in ("partition", "account") if options[key] is not None}
    if options.gpus:
        further["gpus-per-node"] = options.gpus
    executor.update_parameters(
        job_name=f"study-{folder.name}",
        time=options.time,
        mem=f"{round(1024 * options.mem_gb)}M",
        cpus_per_task=options.cpus,
        array_parallelism=options.parallel or len(work),
        setup=list(options.setup) or None,
        additional_parameters=further,
    )
    try:
        return [job.job_id for job in executor.map_array(TrainRuns.train, work)]
    except submitit.core.utils.FailedJobError as error:
        raise StudyError(f"Slurm refuses the jobs: {str(error).strip().splitlines()[-1]}") from None


def _waiting_runs(folder: Path) -> set[str]:
    """The runs of a study in jobs that wait in Slurm's queue. A job that counts as running may be on a dead node."""
    waiting = {job for job, state in queued().items() if state == PENDING}
    return {run for job, runs in recorded_jobs(folder).items() if job in waiting for run in runs}


def _wait(tasks: Sequence[Task], folder: Path, say: Callable[[str], None]) -> None:
    """Wait until the runs have ended, or no job of the study is left.

    Raises:
        StudyError: Slurm has not answered for PATIENCE seconds.
    """
    left, jobs = list(tasks), set(recorded_jobs(folder))
    heard = reported = time.monotonic()
    count = 0
    while True:
        try:
            states = [state for job, state in queued().items() if job in jobs]
            heard = time.monotonic()
        except StudyError:  # the controller may restart
            if time.monotonic() - heard > PATIENCE:
                raise
            states = [PENDING]
        # A run that is trained again has ended already, so only the end of its job counts.
        left = [t for t in left if t.retry or not claims.is_ended(t.folder) or goes_on(t, t.folder)]
        if not left or not states:
            return
        ended = len(tasks) - len(left)
        if ended > count and time.monotonic() - reported > NEWS:
            pending = states.count(PENDING)
            say(f"{ended} of {len(tasks)} runs have ended; {len(states) - pending} jobs run, {pending} wait")
            reported, count = time.monotonic(), ended
        time.sleep(POLL)
