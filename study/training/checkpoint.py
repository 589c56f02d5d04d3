"""Save and restore the state of a run between two steps, so that a resumed run ends with the same bytes."""

import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from study.errors import faults
from study.measures import weights
from study.records.changes import changes
from study.records.contract import CHECKPOINT, GROWING, MODEL
from study.records.files import write_whole
from study.records.status import read_status, versions
from study.training.state import State, UnderWay


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run at the end of an epoch.

    Attributes:
        epoch: the last epoch trained. Part of the next one may be trained, too.
        content: the state, as `save` wrote it and `restore` reads it.
        sizes: bytes of each CSV of the run at that moment. The run cuts its CSVs to these sizes.
        rows: the rows of the CSVs up to that epoch, if the checkpoint is that of another run.
    """

    epoch: int
    content: Mapping[str, Any]
    sizes: Mapping[str, int] | None = None
    rows: Mapping[str, bytes] | None = None


def made_by(device: torch.device, threads: int, path: str) -> dict[str, Any]:
    """Everything besides the config that the bytes of a run depend on.

    A run resumes only from a checkpoint for which all of this is equal.
    """
    libraries = {name: versions()[name] for name in ("torch", "scipy", "numba")}
    return {"path": path, "threads": threads, "device": device.type, **libraries, "files": ",".join(GROWING)}


def save(folder: Path, epoch: int, sizes: Mapping[str, int], state: State, maker: Mapping[str, Any]) -> None:
    """Write a checkpoint into the run's folder, after an epoch or within the next one. It replaces the last one."""
    content = {
        "epoch": epoch,
        "sizes": dict(sizes),
        "made_by": dict(maker),
        "model": state.model.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "schedule": state.schedule and state.schedule.state_dict(),
        "regularizer": state.regularizer.state_dict(),
        "order": state.order.get_state(),
        "under_way": _packed(state.under_way),
        "cpu_generator": torch.get_rng_state(),
        "device_generator": _generator_of(maker["device"]).get_rng_state() if maker["device"] != "cpu" else None,
    }
    buffer = io.BytesIO()
    torch.save(_compact(content), buffer)
    write_whole(folder / CHECKPOINT, buffer.getvalue())


def _compact(content: Any) -> Any:
    """The same content, in which tensors are no views of larger ones: torch would save these whole."""
    if isinstance(content, Tensor):
        return content.clone() if content.untyped_storage().nbytes() > content.nbytes else content
    if isinstance(content, dict):
        return type(content)((key, _compact(value)) for key, value in content.items())
    if isinstance(content, list | tuple):
        return type(content)(_compact(value) for value in content)
    return content


def _packed(under_way: UnderWay) -> tuple[Tensor, Tensor, float] | None:
    if under_way.left is None:
        return None
    return under_way.left, torch.stack(under_way.objective).cpu(), under_way.learning_rate


def _generator_of(device: str) -> Any:
    """The module torch.cuda or torch.mps, which has the random generator of its devices."""
    return torch.get_device_module(device)


def load(folder: Path, maker: Mapping[str, Any]) -> Checkpoint | None:
    """Read the checkpoint in a run's folder; None if there is none from which the run can resume here.

    Raises:
        OSError, RuntimeError: it cannot be read because of a fault of the machine. The checkpoint itself may be good.
    """
    try:
        content = torch.load(folder / CHECKPOINT, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        if faults.is_fault(error):
            raise
        return None
    if not isinstance(content, dict) or content.get("made_by") != dict(maker):
        return None
    for name, size in content["sizes"].items():  # if a CSV is shorter, rows were lost
        if not (folder / name).is_file() or (folder / name).stat().st_size < size:
            return None
    return Checkpoint(content["epoch"], content, sizes=content["sizes"])


def load_shorter(folder: Path, maker: Mapping[str, Any], epochs: int) -> Checkpoint | None:
    """Read the last checkpoint of a complete run with fewer epochs, as the start of a longer run.

    The folder of the shorter run is not changed. Its last histogram and effective ranks are left out if the longer run
    has none at that epoch.

    Args:
        folder: the shorter run's folder.
        maker: `made_by` of the longer run.
        epochs: budget of the longer run.

    Returns:
        The checkpoint with the rows of the CSVs. None if it is missing or changed, or was made in another way.
    """
    found = load(folder, maker)
    if found is None or found.sizes is None or changes(folder, read_status(folder) or {}, (CHECKPOINT, *found.sizes)):
        return None
    rows = {name: (folder / name).read_bytes()[:size] for name, size in found.sizes.items()}
    if not weights.is_histogram_epoch(found.epoch, epochs):
        last = f"{found.epoch},".encode()
        for name in ("histogram.csv", "ranks.csv"):
            lines = rows[name].splitlines(keepends=True)
            rows[name] = b"".join(line for line in lines if not line.startswith(last))
    return Checkpoint(found.epoch, found.content, rows=rows)


def restore(state: State, checkpoint: Checkpoint) -> None:
    """Set a state, and torch's global generators, to those of the checkpoint."""
    content = checkpoint.content
    state.model.load_state_dict(content["model"])
    state.optimizer.load_state_dict(content["optimizer"])
    if state.schedule is not None:
        state.schedule.load_state_dict(content["schedule"])
    state.regularizer.load_state_dict(content["regularizer"])
    state.order.set_state(content["order"])
    if content["under_way"] is not None:
        left, objective, state.under_way.learning_rate = content["under_way"]
        state.under_way.left, state.under_way.objective = left, list(objective)
    torch.set_rng_state(content["cpu_generator"])
    if content["device_generator"] is not None:
        _generator_of(content["made_by"]["device"]).set_rng_state(content["device_generator"])


def save_model(folder: Path, model: nn.Module) -> None:
    """Write the weights as safetensors, under the names in the module's state."""
    write_whole(folder / MODEL, to_bytes({name: t.contiguous() for name, t in model.state_dict().items()}))
