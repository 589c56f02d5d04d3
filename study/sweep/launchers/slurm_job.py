"""What a Slurm job does: train its runs, save checkpoints when its time is up, and queue again."""

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from study.errors import StudyError
from study.records.jobs import ask
from study.sweep.freeze import recorded_tasks
from study.sweep.workers import train_all

ENDS = (signal.SIGTERM, signal.SIGUSR1)  # Slurm sends one before it ends a job: the warning, or a preemption


@dataclass(frozen=True)
class TrainRuns:
    """The work of one job.

    Attributes:
        folder: of the study, absolute.
        run_ids: the runs, as the sweep has recorded them.
        workers: runs at a time; on cards of CUDA, as many of them as their memory allows.
    """

    folder: Path
    run_ids: Sequence[str]
    workers: int

    def train(self) -> list[str]:
        """Train the runs that have not ended yet; return the state of each."""
        tasks = recorded_tasks(self.folder, self.run_ids)
        outcomes = train_all(tasks, min(self.workers, len(tasks)), each_epoch=False, pause_on=ENDS, fill=True)
        states = [outcome.state for outcome in outcomes]
        if "interrupted" in states:
            queue_again()
        return states


def queue_again() -> None:
    """Put this job back into the queue, unless the user has cancelled it."""
    job = os.environ["SLURM_JOB_ID"]
    try:
        if ask("squeue", "--noheader", f"--jobs={job}", "--format=%T").strip() == "RUNNING":
            ask("scontrol", "requeue", job)
    except StudyError as error:  # the runs are free: the study's command trains them, or another job does
        print(f"the job does not queue again: {error}")
