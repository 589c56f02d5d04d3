"""What all launchers share: train one run that a sweep has recorded, and read the states of runs afterwards."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from study.errors import MachineFaultError, faults
from study.records.status import read_status
from study.sweep.freeze import recorded_task
from study.sweep.workers import train_all
from study.training.task import Task

LAUNCHED = ".launched"  # folder in a study's folder for a launcher's own files; conf/task.yaml has the same name


def train_recorded(folder: Path, run_id: str) -> str | MachineFaultError:
    """Train a run in this process; return its state, or the fault of the machine that stopped it.

    The fault is returned and not raised, because a launcher may end all other jobs when one raises.

    Args:
        folder: of the study.
        run_id: the run, as the sweep has recorded it.
    """
    try:
        (outcome,) = train_all([recorded_task(folder, run_id)], workers=1, each_epoch=False)
    except Exception as error:
        if not faults.is_fault(error):
            raise
        return faults.stopping(error)
    return outcome.state


def states_of(tasks: Sequence[Task], say: Callable[[str], None]) -> list[str]:
    """Read the states of runs from their folders, and print their counts; `interrupted`: the run has not ended."""
    states = [(read_status(task.folder) or {}).get("state", "interrupted") for task in tasks]
    counts = ", ".join(f"{number} {state}" for state, number in Counter(states).items())
    folder = tasks[0].folder.parent
    say(f"{folder}: {counts}. study status name={folder.name} lists them")
    return states
