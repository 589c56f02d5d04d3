"""jobs.jsonl of a study: the jobs that a scheduler was given, each with its runs; and what Slurm says of them."""

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from study.errors import StudyError, one_line
from study.errors.faults import is_fault
from study.records.files import append_whole, now

JOBS = "jobs.jsonl"
PENDING, RUNNING = "pending", "running"
WAITING_STATES = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD", "SPECIAL_EXIT"}


def record_jobs(study_folder: Path, jobs: Mapping[str, Sequence[str]]) -> None:
    """Add jobs in one write.

    Args:
        study_folder: outputs/<name>.
        jobs: from the number of each job, as Slurm prints it (`17` or `17_0`), to the ids of its runs.
    """
    line = json.dumps({"submitted": now(), "jobs": {job: list(runs) for job, runs in jobs.items()}})
    append_whole(study_folder / JOBS, (line + "\n").encode())


def recorded_jobs(study_folder: Path) -> dict[str, list[str]]:
    """Return the ids of the runs of each job of a study, in the order of submission; empty without jobs."""
    try:
        lines = (study_folder / JOBS).read_text().splitlines()
    except (OSError, ValueError) as error:
        if is_fault(error):
            raise
        return {}
    found: dict[str, list[str]] = {}
    for line in lines:
        with suppress(ValueError, KeyError, TypeError, AttributeError):  # an incomplete line, after a kill in a write
            found |= json.loads(line)["jobs"]
    return found


def queued() -> dict[str, str]:
    """Ask Slurm for the jobs of this user that have not ended: from the number of each to `pending` or `running`.

    Raises:
        StudyError: Slurm does not answer.
    """
    answer = ask("squeue", "--me", "--noheader", "--array", "--format=%i %T")
    rows = [line.split() for line in answer.splitlines() if line.strip()]
    return {job: PENDING if state in WAITING_STATES else RUNNING for job, state in rows}


def ask(*command: str) -> str:
    """Run one of Slurm's commands, and return what it prints.

    Raises:
        StudyError: it is not installed, or it fails.
    """
    if shutil.which(command[0]) is None:
        raise StudyError(f"{command[0]} is not on the PATH. Run the command where Slurm is installed")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise StudyError(f"Slurm refuses: {one_line(Exception(done.stderr.strip() or done.stdout.strip()))}")
    return done.stdout
