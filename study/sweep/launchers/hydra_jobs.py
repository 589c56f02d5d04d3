"""Train by one of Hydra's launchers (hydra/launcher=joblib, ...) instead of this package's workers.

The command plans, checks and records its runs as in any sweep, and gives the launcher one job for each run. A job reads
its run from the sweep's record, because the YAML files may have been edited since. It claims the run like any other
process. The state of each run is read from its folder afterwards, because a launcher that stops early loses what its
jobs returned.
"""

import copy
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

from hydra.core.plugins import Plugins
from hydra.types import HydraContext
from omegaconf import DictConfig, open_dict

from study.config.points.grid import as_override
from study.errors import MachineFaultError, faults, one_line
from study.sweep.launchers.recorded import LAUNCHED, states_of, train_recorded
from study.training.task import Task

JOB = "task"  # the config of a job, conf/task.yaml


def launch(base: DictConfig, context: HydraContext, tasks: Sequence[Task], say: Callable[[str], None]) -> list[str]:
    """Let a launcher train all tasks. Their sweep must be recorded already.

    Args:
        base: the composed config, with Hydra's own node.
        context: Hydra's context.
        tasks: the runs to train.
        say: prints a line; called with the states of the runs, and with an error of the launcher itself.

    Returns:
        The state of each run afterwards; `interrupted` for a run that has not ended.

    Raises:
        MachineFaultError: a fault of the machine stopped a job or the launcher.
    """
    folder = tasks[0].folder.parent.absolute()
    config = copy.deepcopy(base)
    with open_dict(config):
        config.hydra.job.config_name = JOB
        config.hydra.sweep.dir = str(folder / LAUNCHED)
    launcher = Plugins.instance().instantiate_launcher(config=config, hydra_context=context, task_function=train_one)
    # The id gets letters in front, because digits with an e would be read as a number.
    jobs = [[f"folder={as_override(str(folder))}", f"run=id{task.run_id}"] for task in tasks]
    fault = None
    try:
        returned = launcher.launch(jobs, initial_job_idx=0)
        with redirect_stderr(StringIO()):  # Hydra would print the error that is printed below
            for job in returned:  # return_value raises the error of the job
                fault = job.return_value if isinstance(job.return_value, MachineFaultError) else fault
    except Exception as error:  # each launcher has its own exceptions
        if faults.is_fault(error):
            fault = faults.stopping(error)
        else:
            say(f"the launcher failed: {type(error).__name__}: {one_line(error)}")
    states = states_of(tasks, say)
    if fault is not None:
        raise fault
    return states


def train_one(job: DictConfig) -> str | MachineFaultError:
    """Train the run of one job; return its state, or the fault of the machine that stopped it."""
    return train_recorded(Path(job.folder), job.run.removeprefix("id"))
