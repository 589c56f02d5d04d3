"""What a Ray task does: train one run in the command's folder, on whatever node it is."""

import os
import socket
from pathlib import Path

from study.errors import MachineFaultError, StudyError
from study.sweep.launchers.recorded import train_recorded


def train_there(here: Path, folder: Path, run_id: str) -> str | StudyError:
    """Train a run; return its state, or the error after which no further run should start.

    Args:
        here: the folder of the command, from which relative paths of the config count.
        folder: of the study, absolute.
        run_id: the run, as the sweep has recorded it.
    """
    node = f"node {socket.gethostname()}"
    try:
        os.chdir(here)
        os.stat(folder)
    except OSError as error:
        return StudyError(f"{node} cannot use {folder} ({error.strerror}). All nodes must share this folder")
    try:
        return train_recorded(folder, run_id)
    except MachineFaultError as fault:
        return fault
    except StudyError as error:
        return StudyError(f"{node}: {error}")
