"""The Ray cluster of a command: check what the command asks of it, start one on this machine or connect to another."""

import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from typing import Any

from omegaconf import DictConfig

from study.config.devices import CUDA, kind_here
from study.errors import ConfigError, StudyError, faults, one_line
from study.sweep.temporary import temporary_folder

ANSWER = 10.0  # seconds within which a running cluster must answer
STORE = 100 * 2**20  # bytes of shared memory for the results of tasks, which are words; Ray would take a third of all
LONGEST = 40  # characters of a temporary folder; with more, the paths of Ray's sockets would be longer than allowed
SETTINGS = {  # of Ray, unless the user has set them
    "RAY_USAGE_STATS_ENABLED": "0",  # sends nothing to Ray's makers
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # under `uv run` it would copy the current folder to all nodes
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # `environment` hides the cards instead
}
# What a run on another node needs of this command's environment.
HANDED_OVER = (
    *("PYTHONPATH", "REGSTUDY_DATA", "MLFLOW_TRACKING_URI", "WANDB_MODE", "WANDB_PROJECT", "WANDB_ENTITY"),
    *("MPLCONFIGDIR", "TORCH_HOME", "TORCHINDUCTOR_CACHE_DIR", "NUMBA_CACHE_DIR"),
)


def check_ray(base: DictConfig) -> None:
    """Check the options of hydra/launcher=ray, that Ray is installed, and that a running cluster answers.

    Args:
        base: the composed config, with Hydra's own node. With `dry_run` only the options are checked.

    Raises:
        ConfigError: a value is not allowed.
        StudyError: Ray is missing, or no cluster answers.
    """
    options = base.hydra.launcher
    for key in ("cpus", "parallel"):
        if options[key] is not None and options[key] < 1:
            raise ConfigError(f"hydra.launcher.{key}={options[key]}: allowed: numbers of at least 1, or null")
    if not 0 <= options.gpus <= 1:
        raise ConfigError(
            f"hydra.launcher.gpus={options.gpus:g}: allowed: numbers from 0 to 1, because a run trains on one GPU."
            " Example: hydra.launcher.gpus=0.25"
        )
    _check_device(base.device, options.gpus)
    if base.dry_run:
        return
    if find_spec("ray") is None:
        raise StudyError("hydra/launcher=ray needs Ray. Install it: pip install 'regstudy[ray]'")
    if options.address is None:
        if (cpus := options.cpus or base.threads) > cores():
            raise ConfigError(f"a run needs {cpus} CPUs, and this machine has {cores()}. Set hydra.launcher.cpus=...")
    else:
        _check_answers(options.address)


def _check_device(device: Any, gpus: float) -> None:
    """Refuse a device that the runs would not have: the training loop is chosen for it before they start."""
    advice = "Give hydra.launcher.gpus=1, or device=cpu"
    if device == CUDA and not gpus:
        raise ConfigError(f"device=cuda: hydra.launcher.gpus=0 gives the runs no GPU. {advice}")
    if device == "auto" and not gpus and kind_here(device) == CUDA:
        raise ConfigError(
            f"device=auto: this machine has a GPU, and hydra.launcher.gpus=0 gives the runs none. {advice}"
        )
    if device == "auto" and gpus and kind_here(device) != CUDA:
        raise ConfigError(
            f"device=auto: this machine has no GPU, and hydra.launcher.gpus={gpus:g} asks for one. Give device=cuda if"
            " other nodes have GPUs"
        )


def cores() -> int:
    """The number of cores of this machine that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _check_answers(address: str) -> None:
    given = f"hydra.launcher.address={address}"
    host, _, port = address.rpartition(":")
    if address != "auto" and (not host or not port.isdecimal() or "/" in host or " " in host):
        raise ConfigError(f"{given}: allowed: host:port, auto, or null. Example: hydra.launcher.address=10.0.0.1:6379")
    # Ray itself would wait for minutes, print many lines, and end the process.
    command = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", address]
    start = "Start one on each node: ray start --head, then ray start --address=host:port"
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER, check=False)
    except subprocess.TimeoutExpired:
        raise StudyError(f"{given}: nobody answers within {ANSWER:.0f} s. {start}") from None
    if "AuthenticationError" in done.stderr:
        raise StudyError(f"{given}: the cluster requires its token. Set RAY_AUTH_MODE=token, as Ray's docs say")
    if done.returncode != 0:
        raise StudyError(f"{given}: no running Ray cluster is there. {start}")


@contextmanager
def cluster(options: DictConfig) -> Iterator[None]:
    """Connect to a running cluster, or start one on this machine that ends with the block.

    Args:
        options: of hydra/launcher=ray.

    Raises:
        StudyError: Ray does not start, or refuses the connection.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    import ray  # an extra; reads the settings

    before = signal.getsignal(signal.SIGTERM)
    with ExitStack() as stack:
        where: dict[str, Any] = {"address": options.address}
        if options.address is None:
            where = {"address": "local", "num_cpus": cores(), "include_dashboard": False, "object_store_memory": STORE}
            if len(tempfile.gettempdir()) < LONGEST:
                where["_temp_dir"] = str(stack.enter_context(temporary_folder()))
        stack.callback(ray.shutdown)
        try:
            ray.init(**where, log_to_driver=False, logging_level=logging.CRITICAL)
        except Exception as error:
            if faults.is_fault(error):
                raise
            raise StudyError(f"Ray does not start: {one_line(error)}") from None
        finally:
            signal.signal(signal.SIGTERM, before)  # Ray sets one that ends the process in its own way
        yield


def check_room(cpus: float, gpus: float) -> None:
    """Check that a node has what a run needs, because the runs would wait for such a node for ever.

    Raises:
        StudyError: no node has it.
    """
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if any(node.get("CPU", 0) >= cpus and node.get("GPU", 0) >= gpus for node in nodes):
        return
    have = "; ".join(sorted({f"{node.get('CPU', 0):g} CPUs and {node.get('GPU', 0):g} GPUs" for node in nodes}))
    raise StudyError(
        f"a run needs {cpus:g} CPUs and {gpus:g} GPUs, and no node has them. The nodes have {have or 'nothing'}. Set"
        " hydra.launcher.cpus and hydra.launcher.gpus"
    )


def environment(gpus: float) -> dict[str, str]:
    """The variables that a run gets from this command."""
    found = {name: os.environ[name] for name in HANDED_OVER if os.environ.get(name)}
    return found if gpus else found | {"CUDA_VISIBLE_DEVICES": ""}
