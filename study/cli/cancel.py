"""`study cancel`: stop the jobs that Slurm has of a study."""

from study.cli.arguments import key_values, study_folder
from study.config.run_config import check_name
from study.records.contract import OUTPUTS
from study.records.jobs import PENDING, ask, queued, recorded_jobs
from study.sweep.progress import console

AT_ONCE = 500  # jobs in one call of scancel


def study_cancel(arguments: list[str]) -> int:
    """study cancel name=mine: stop the study's jobs, waiting and running (hydra/launcher=slurm).

    Runs in training save a checkpoint. The command that submitted the jobs trains what is left.
    """
    given = key_values(arguments, {"name": "default"})
    folder = study_folder(OUTPUTS / check_name(given["name"]))
    known, states = recorded_jobs(folder), queued()
    jobs = [job for job in known if job in states]
    for start in range(0, len(jobs), AT_ONCE):
        ask("scancel", *jobs[start : start + AT_ONCE])
    waiting = sum(states[job] == PENDING for job in jobs)
    console.print(f"{folder}: {len(jobs)} jobs cancelled, {waiting} of them were waiting", markup=False)
    return 0
