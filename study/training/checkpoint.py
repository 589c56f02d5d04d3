"""The state of a run between two epochs: enough to resume with the same bytes as if nothing had happened."""

import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from study.errors import faults
from study.measures import weights
from study.records.changes import changes
from study.records.contract import CHECKPOINT, MODEL
from study.records.files import write_whole
from study.records.status import read_status, versions
from study.regularizers import Combined


@dataclass(frozen=True)
class State:
    """What changes while a run is trained; torch's global generators belong to it too."""

    model: nn.Module
    regularizer: Combined
    optimizer: torch.optim.Optimizer
    order: torch.Generator


@dataclass(frozen=True)
class Checkpoint:
    """A state at the end of an epoch.

    Attributes:
        epoch: the last epoch trained.
        content: what `restore` needs.
        sizes: bytes of each CSV of the run at that moment; whatever was written later is cut off.
        rows: the beginnings of the CSVs, where the checkpoint is another run's.
    """

    epoch: int
    content: Mapping[str, Any]
    sizes: Mapping[str, int] | None = None
    rows: Mapping[str, bytes] | None = None


def made_by(device: torch.device, threads: int, path: str) -> dict[str, Any]:
    """What the bytes of a run depend on besides its config. A checkpoint made by anything else is not continued."""
    libraries = {name: versions()[name] for name in ("torch", "scipy", "numba")}
    return {"path": path, "threads": threads, "device": device.type, **libraries}


def save(folder: Path, epoch: int, sizes: Mapping[str, int], state: State, maker: Mapping[str, Any]) -> None:
    """Write the checkpoint of an epoch into the run's folder, in place of the one before."""
    content = {
        "epoch": epoch,
        "sizes": dict(sizes),
        "made_by": dict(maker),
        "model": state.model.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "regularizer": state.regularizer.state_dict(),
        "order": state.order.get_state(),
        "cpu_generator": torch.get_rng_state(),
        "device_generator": _generator_of(maker["device"]).get_rng_state() if maker["device"] != "cpu" else None,
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_whole(folder / CHECKPOINT, buffer.getvalue())


def _generator_of(device: str) -> Any:
    """torch.cuda or torch.mps, which keep a random generator of their own."""
    return torch.get_device_module(device)


def load(folder: Path, maker: Mapping[str, Any]) -> Checkpoint | None:
    """The checkpoint in a run's folder; None where there is none that can be continued here.

    Raises:
        OSError, RuntimeError: a fault of the machine keeps it from being read, which says nothing of it.
    """
    try:
        content = torch.load(folder / CHECKPOINT, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        if faults.is_fault(error):
            raise
        return None
    if not isinstance(content, dict) or content.get("made_by") != dict(maker):
        return None
    for name, size in content["sizes"].items():  # rows that were lost cannot be cut to length
        if not (folder / name).is_file() or (folder / name).stat().st_size < size:
            return None
    return Checkpoint(content["epoch"], content, sizes=content["sizes"])


def load_shorter(folder: Path, maker: Mapping[str, Any], epochs: int) -> Checkpoint | None:
    """The last checkpoint of a complete run with fewer epochs, to begin a longer one with; its folder is only read.

    Args:
        folder: the shorter run's.
        maker: what trains now.
        epochs: budget of the longer run; the shorter one's last histogram may be none that the longer one has.
    """
    found = load(folder, maker)
    if found is None or found.sizes is None or changes(folder, read_status(folder) or {}, (CHECKPOINT, *found.sizes)):
        return None
    rows = {name: (folder / name).read_bytes()[:size] for name, size in found.sizes.items()}
    if not weights.is_histogram_epoch(found.epoch, epochs):
        lines = rows["histogram.csv"].splitlines(keepends=True)
        last = f"{found.epoch},".encode()
        rows["histogram.csv"] = b"".join(line for line in lines if not line.startswith(last))
    return Checkpoint(found.epoch, found.content, rows=rows)


def restore(state: State, checkpoint: Checkpoint) -> None:
    """Put a state, and torch's global generators, where the checkpoint was taken."""
    content = checkpoint.content
    state.model.load_state_dict(content["model"])
    state.optimizer.load_state_dict(content["optimizer"])
    state.regularizer.load_state_dict(content["regularizer"])
    state.order.set_state(content["order"])
    torch.set_rng_state(content["cpu_generator"])
    if content["device_generator"] is not None:
        _generator_of(content["made_by"]["device"]).set_rng_state(content["device_generator"])


def save_model(folder: Path, model: nn.Module) -> None:
    """Write the weights as safetensors, under the names of the module's parameters."""
    from safetensors.torch import save as to_bytes

    write_whole(folder / MODEL, to_bytes({name: t.contiguous() for name, t in model.state_dict().items()}))
