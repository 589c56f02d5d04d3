"""What all workers have in common, loaded once: libraries, compiled code, and the data sets of the sweep.

Workers are forked from a server process that has done nothing but import this module, so they share its memory and
start at once. The server loads libraries while the command that started it still plans, and is told the rest then.
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

# Windows has no fork server: there each worker loads everything for itself.
START_METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
VARIABLE = "REGSTUDY_PRELOAD"  # tells the server its parent, and the file in which the tasks will be
LONGEST = 84  # bytes of a folder's name: with a socket's (20 more) systems allow 104
MODULES = ("study.training.run", "study.cli.main", "study.training.compiled.kernels")


def start_server() -> None:
    """Start the process that workers will be forked from, in case there will be any; returns at once.

    Raises:
        StudyError: the temporary folder cannot hold the socket by which they are reached.
    """
    if START_METHOD != "forkserver":
        return
    from multiprocessing import forkserver  # not there on Windows

    folder = util.get_temp_dir()
    if len(os.fsencode(folder)) > LONGEST:
        raise StudyError(
            f"{tempfile.gettempdir()}: this name is too long for the sockets of several workers. Set TMPDIR to a"
            " shorter one (TMPDIR=/tmp), or give workers=1"
        )
    temporary.mark(Path(folder))
    os.environ[VARIABLE] = f"{os.getpid()} {_tasks_file()}"
    multiprocessing.get_context("forkserver").set_forkserver_preload([__name__])
    forkserver.ensure_running()
    del os.environ[VARIABLE]


def tell_server(tasks: Sequence[Task], loop: str) -> None:
    """Let the server load what workers need for these tasks; `loop` as in `loop_choice.choose_loops`."""
    if START_METHOD == "forkserver":
        write_whole(_tasks_file(), pickle.dumps((list(tasks), loop)))


def _tasks_file() -> Path:
    return Path(util.get_temp_dir()) / "tasks"  # a folder that goes away when this process ends


def _load(tasks_file: Path) -> None:
    import torch

    torch.set_num_threads(1)  # a pool of threads, once started, does not survive a fork
    for module in MODULES:
        with suppress(Exception):  # whatever it is, the worker that needs it will say so
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
    """Read the data of a sweep, fetched and checked, before any run starts: what is wrong with it is said once.

    Args:
        tasks: of the sweep.
        say: gets a line for each warning about the data.

    Returns:
        Training and test images of each data set.
    """
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
    """End this process with the command that started it, which may fail, or have nothing to train."""
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
    gc.freeze()  # or the first garbage collection in each worker would copy what they share
    gc.enable()
    done.set()
    watch.join()  # a process that forks should have one thread


if os.environ.get(VARIABLE):
    _serve(*os.environ.pop(VARIABLE).split(" ", 1))
