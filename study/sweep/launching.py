"""Training by one of Hydra's launchers (hydra/launcher=joblib, submitit_slurm, ...) instead of our own workers.

The command plans, checks and freezes its runs as ever, and hands the launcher one job a run. A job reads its run from
the sweep's record, not from YAML, which may have been edited by then, and claims it like any other process. How a
run has ended is read from its folder: a launcher that breaks off loses what its jobs returned.
"""

import copy
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

from hydra.core.plugins import Plugins
from hydra.types import HydraContext
from omegaconf import DictConfig, open_dict

from study.config.points.grid import as_override
from study.errors import MachineFaultError, faults, one_line
from study.records.status import read_status
from study.sweep.freeze import recorded_task
from study.sweep.workers import train_all
from study.training.task import Task

JOB = "task"  # the config of a job, conf/task.yaml
LAUNCHED = ".launched"  # in a study's folder: where launchers keep files of their own; as conf/task.yaml says


def launch(base: DictConfig, context: HydraContext, tasks: Sequence[Task], say: Callable[[str], None]) -> list[str]:
    """Have a launcher train all tasks, whose sweep has been recorded.

    Args:
        base: the composed config, with Hydra's own node.
        context: Hydra's.
        tasks: what to train.
        say: told what went wrong with the launcher itself.

    Returns:
        The state of each run afterwards; `interrupted` for one that has not ended.

    Raises:
        MachineFaultError: a job, or the launcher, has met a fault of the machine.
    """
    folder = tasks[0].folder.parent.absolute()
    config = copy.deepcopy(base)
    with open_dict(config):
        config.hydra.job.config_name = JOB
        config.hydra.sweep.dir = str(folder / LAUNCHED)
    launcher = Plugins.instance().instantiate_launcher(config=config, hydra_context=context, task_function=train_one)
    # A letter first: digits and an e would be read as a number.
    jobs = [[f"folder={as_override(str(folder))}", f"run=id{task.run_id}"] for task in tasks]
    fault = None
    try:
        returned = launcher.launch(jobs, initial_job_idx=0)
        with redirect_stderr(StringIO()):  # where Hydra would write what is said below
            for job in returned:  # the value raises what the job has raised
                fault = job.return_value if isinstance(job.return_value, MachineFaultError) else fault
    except Exception as error:  # each launcher has its own
        if faults.is_fault(error):
            fault = faults.stopping(error)
        else:
            say(f"the launcher failed: {type(error).__name__}: {one_line(error)}")
    states = [(read_status(task.folder) or {}).get("state", "interrupted") for task in tasks]
    counts = ", ".join(f"{number} {state}" for state, number in Counter(states).items())
    say(f"{tasks[0].folder.parent}: {counts}; study status name={base.name} tells which")
    if fault is not None:
        raise fault
    return states


def train_one(job: DictConfig) -> str | MachineFaultError:
    """What a job does; returns the state of its run, or the fault of the machine that has stopped it.

    Neither that nor a run that fails is raised, or others might be ended too.
    """
    try:
        task = recorded_task(Path(job.folder), job.run.removeprefix("id"))
        (outcome,) = train_all([task], workers=1, each_epoch=False)
    except Exception as error:
        if not faults.is_fault(error):
            raise
        return faults.stopping(error)
    return outcome.state
