"""What all workers have in common, loaded once: libraries, compiled code's imports, and the data sets of the sweep.

Workers are forked from a server process that has done nothing but import this module, so they share its memory and
start at once.
"""

import gc
import importlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress

from study import mlp_training
from study.plan import Task

VARIABLE = "REGSTUDY_PRELOAD"


def announce(tasks: Sequence[Task]) -> None:
    """Tell the server process, before it starts, what the workers of a sweep will need."""
    data = {json.dumps(task.config.data, sort_keys=True): task.config.data for task in tasks}
    compiled = any(task.path == mlp_training.PATH for task in tasks)
    os.environ[VARIABLE] = json.dumps({"compiled": compiled, "data": list(data.values())})


def _load(compiled: bool, data: Sequence[dict]) -> None:
    import torch

    from study.build import build_dataset
    from study.data import read_once

    torch.set_num_threads(1)  # a pool of threads, once started, does not survive a fork
    for module in ("study.run", "study.__main__", *(["study.mlp_kernels"] if compiled else [])):
        importlib.import_module(module)
    for options in data:
        read_once(build_dataset(options), options["root"], torch.device("cpu"))
    gc.freeze()  # or the first garbage collection in each worker would copy what they share


if os.environ.get(VARIABLE):
    with suppress(Exception):  # whatever it is, the worker that needs it will say so
        _load(**json.loads(os.environ.pop(VARIABLE)))
