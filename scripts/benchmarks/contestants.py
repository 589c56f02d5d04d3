"""Who takes part in the race: the peers, as their users run them and in their best arrangement, and ours."""

import csv
import itertools
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from benchmarks.race import CORES, SETTLED, Contestant

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PEER_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
PINS = HERE / "peers.txt"
NAMES = {
    "notebook": "notebook's loop",
    "lightning": "PyTorch Lightning",
    "skorch": "skorch",
    "keras": "Keras 3 on TensorFlow",
    "jax": "JAX, jitted scan",
}


def install_peers() -> None:
    """Install the peers into .venv-bench under exact pins, once."""
    stamp = PEER_PYTHON.parent.parent / "pins.txt"
    if stamp.is_file() and stamp.read_text() == PINS.read_text():
        return
    print(f"installing the peers into {PEER_PYTHON.parent.parent}; this takes minutes", flush=True)
    if not PEER_PYTHON.is_file():
        subprocess.run([sys.executable, "-m", "venv", PEER_PYTHON.parent.parent], check=True)
    subprocess.run([PEER_PYTHON, "-m", "pip", "install", "--quiet", "-r", PINS], check=True)
    stamp.write_text(PINS.read_text())


def write_data(file: Path) -> None:
    """The images that all train on, as ours reads and checks them."""
    from study.data.fashion_mnist import full

    raw = full().read(Path(data_root()).expanduser())
    arrays = {
        f"{name}_{kind}": np.asarray(getattr(raw, f"{part}_{kind}"))
        for name, part in (("train", "train"), ("val", "test"))
        for kind in ("images", "labels")
    }
    np.savez(file, **arrays)


def data_root() -> str:
    """Where the data of ours lies."""
    import os

    return os.environ.get("REGSTUDY_DATA", "~/.cache/regstudy")


def peers(
    data: Path, reg: str, names: Sequence[str], hidden: int = 1000, batch: int = 32, running: bool = False
) -> list[Contestant]:
    """Each peer as its users run it (a process, default threads), and one process on each core.

    Args:
        data: the file of `write_data`.
        reg: the penalty.
        names: keys of NAMES.
        hidden: width of the hidden layer.
        batch: images a step.
        running: whether train is scored while training, instead of in a pass of its own.
    """

    def command(name: str, epochs: int, core: int | None = None) -> list[str]:
        general = [str(PEER_PYTHON), str(HERE / "peers.py"), name, "--data", str(data), "--epochs", str(epochs)]
        work = ["--reg", reg, "--hidden", str(hidden), "--batch", str(batch)]
        return [*general, *work, *(["--running"] * running), *([] if core is None else ["--core", str(core)])]

    def printed(folder: Path, outputs: Sequence[str]) -> list[float]:
        return [value for output in outputs for value in json.loads(output.splitlines()[-1])[SETTLED - 1 :]]

    as_used = [Contestant(NAMES[name], lambda epochs, name=name: [command(name, epochs)], 1, printed) for name in names]
    a_core_each = [
        Contestant(
            f"{NAMES[name]}, a process a core",
            lambda epochs, name=name: [command(name, epochs, core) for core in CORES],
            len(CORES),
            printed,
        )
        for name in names
    ]
    return list(itertools.chain.from_iterable(zip(as_used, a_core_each, strict=True)))


def ours(label: str, reg: str, *overrides: str, runs: int = len(CORES)) -> Contestant:
    """`study` with all files of a run, as many of the runs at once as there are cores."""

    def commands(epochs: int) -> list[list[str]]:
        general = [sys.executable, "-m", "study", "-m", "data.split=textbook", f"reg={reg}", f"epochs={epochs}"]
        return [[*general, f"seeds={runs}", *overrides]]

    def recorded(folder: Path, _: Sequence[str]) -> list[float]:
        found = []
        for file in folder.glob("outputs/default/*/metrics.csv"):
            with open(file) as rows:
                found += [float(row["val_accuracy"]) for row in csv.DictReader(rows) if int(row["epoch"]) >= SETTLED]
        return found

    def busy(folder: Path) -> float:
        files = folder.glob("outputs/default/*/status.json")
        spent = [json.loads(file.read_text())["seconds"] for file in files]
        return sum(run["training"] + run["scoring"] for run in spent) / min(runs, len(CORES))

    return Contestant(label, commands, runs, recorded, busy)


def floor(hidden: int = 1000, batch: int = 32) -> dict:
    """Seconds per run and epoch of the arithmetic alone, by part; see floor.py."""
    command = [sys.executable, HERE / "floor.py", "--hidden", str(hidden), "--batch", str(batch)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
