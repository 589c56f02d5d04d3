"""Load what all workers need once: libraries, compiled code, and the data sets of the sweep.

Workers are forked from a server process, so they share its memory and start at once. The server only imports this
module. It loads libraries while the command is still planning. Then it gets the tasks, and loads their data.
"""

import gc
import importlib
import json
import multiprocessing
import os
import pickle
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing import util
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from study.config.run_config import arguments
from study.errors import StudyError
from study.records.files import write_whole
from study.sweep import temporary
from study.training.task import Task

if TYPE_CHECKING:
    from study.data import Part

# Windows has no fork server, so each worker loads everything itself there.
START_METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
VARIABLE = "REGSTUDY_PRELOAD"  # environment variable for the server: its parent's id, and the file of the tasks
LONGEST = 84  # bytes of a folder's name: systems allow 104, and the name of a socket takes 20
MODULES = ("study.training.run", "study.cli.main", "study.training.compiled.kernels")


def start_server() -> None:
    """Start the process that workers will be forked from, without waiting for it.

    Raises:
        StudyError: the name of the temporary folder is too long for the socket of the workers.
    """
    if START_METHOD != "forkserver":
        return
    from multiprocessing import forkserver  # does not exist on Windows

    folder = util.get_temp_dir()
    if len(os.fsencode(folder)) > LONGEST:
        raise StudyError(
            f"{tempfile.gettempdir()}: the name of the temporary folder is too long for the sockets of several workers."
            " Set TMPDIR to a folder with a shorter name (TMPDIR=/tmp), or give workers=1"
        )
    temporary.mark(Path(folder))
    os.environ[VARIABLE] = f"{os.getpid()} {_tasks_file()}"
    multiprocessing.get_context("forkserver").set_forkserver_preload([__name__])
    forkserver.ensure_running()
    del os.environ[VARIABLE]


def tell_server(tasks: Sequence[Task], loop: str, kind: str) -> None:
    """Let the server load what workers need for these tasks.

    Args:
        tasks: of the sweep.
        loop: as in `loop_choice.choose_loops`.
        kind: of their device: cpu, cuda or mps. With `auto` the server would look for cards itself. Processes that are
            forked after this cannot use CUDA.
    """
    if START_METHOD == "forkserver":
        known = [replace(task, config=replace(task.config, device=kind)) for task in tasks]
        write_whole(_tasks_file(), pickle.dumps((known, loop)))


def _tasks_file() -> Path:
    return Path(util.get_temp_dir()) / "tasks"  # Python removes this folder when the process ends


def _load(tasks_file: Path) -> None:
    # Here, not above: the command imports this module as well, and starts the server before it loads torch itself.
    import torch

    torch.set_num_threads(1)  # a pool of threads does not survive a fork
    for module in MODULES:
        with suppress(Exception):  # the worker that needs the module reports the error
            importlib.import_module(module)
    import numpy as np

    from study.measures import weights
    from study.training.compiled import mlp
    from study.training.loop_choice import choose_loops

    while not tasks_file.exists():
        time.sleep(0.01)
    tasks, loop = pickle.loads(tasks_file.read_bytes())
    weights.ordered(np.zeros(1, np.float32))
    parts = load_data_once(tasks)
    if any(task.path == mlp.PATH for task in choose_loops(tasks, loop, lambda line: None)):
        for part in parts:
            mlp.listed(part.all_images)


def load_data_once(tasks: Sequence[Task], say: Callable[[str], None] = lambda line: None) -> list["Part"]:
    """Fetch, check and read the data of a sweep before any run starts, so that an error is reported once.

    Args:
        tasks: of the sweep.
        say: gets a line for each warning about the data.

    Returns:
        The training and the test images of each data set.
    """
    # Here, not above, as in `_load`.
    import torch

    from study.config.build import build_dataset
    from study.data import read_once

    each = {_of_content(task.config.data): task.config.data for task in tasks}
    parts: list[Part] = []
    for data in each.values():
        dataset = build_dataset(data)
        for warning in dataset.warnings:
            say(f"warning: {warning}")
        parts += read_once(dataset, data["root"], torch.device("cpu"))
    return parts


def _of_content(data: Mapping[str, Any]) -> str:
    """What decides which data are read."""
    return json.dumps([data["_target_"], data["root"], arguments(data)])


def _end_with(parent: int, done: Event) -> None:
    """End this process when the command that started it ends early, by an error or because no run is missing."""
    while not done.wait(0.2):
        if os.getppid() != parent:
            os._exit(1)


def _serve(parent: str, tasks_file: str) -> None:
    done = Event()
    watch = Thread(target=_end_with, args=(int(parent), done), daemon=True)
    watch.start()
    gc.disable()
    with suppress(Exception):
        _load(Path(tasks_file))
    gc.freeze()  # otherwise the first garbage collection in each worker would copy the shared memory
    gc.enable()
    done.set()
    watch.join()  # a process that forks should have one thread


if os.environ.get(VARIABLE):
    _serve(*os.environ.pop(VARIABLE).split(" ", 1))
