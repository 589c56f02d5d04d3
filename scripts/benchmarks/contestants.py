"""The programs to compare: other libraries, each in one process and in one process per core, and regstudy."""

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
    "notebook": "plain PyTorch loop",
    "lightning": "PyTorch Lightning",
    "skorch": "skorch",
    "keras": "Keras 3 on TensorFlow",
    "jax": "JAX, jitted scan",
}


def install_peers() -> None:
    """Install the other libraries into .venv-bench with pinned versions, once."""
    stamp = PEER_PYTHON.parent.parent / "pins.txt"
    if stamp.is_file() and stamp.read_text() == PINS.read_text():
        return
    print(f"installing the other libraries into {PEER_PYTHON.parent.parent}; this takes minutes", flush=True)
    if not PEER_PYTHON.is_file():
        subprocess.run([sys.executable, "-m", "venv", PEER_PYTHON.parent.parent], check=True)
    subprocess.run([PEER_PYTHON, "-m", "pip", "install", "--quiet", "-r", PINS], check=True)
    stamp.write_text(PINS.read_text())


def write_data(file: Path, mini: bool = False, train_size: int | None = None) -> None:
    """Write the images for all libraries to a file, as regstudy reads and checks them.

    Args:
        file: an .npz file.
        mini: whether these are the images of fashion_mnist_mini.
        train_size: number of training images; None: all.
    """
    from study.data import fashion_mnist

    dataset = fashion_mnist.mini() if mini else fashion_mnist.full()
    raw = dataset.read(Path(data_root()).expanduser())
    arrays = {
        f"{name}_{kind}": np.asarray(getattr(raw, f"{part}_{kind}"))[:size]
        for name, part, size in (("train", "train", train_size), ("val", "test", None))
        for kind in ("images", "labels")
    }
    np.savez(file, **arrays)


def data_root() -> str:
    """Return the data folder of regstudy."""
    import os

    return os.environ.get("REGSTUDY_DATA", "~/.cache/regstudy")


def peers(
    data: Path,
    reg: str,
    names: Sequence[str],
    hidden: int = 1000,
    batch: int = 32,
    running: bool = False,
    model: str = "mlp",
) -> list[Contestant]:
    """Return each library twice: as its users run it (one process, default threads), and with one process per core.

    Args:
        data: the file that `write_data` wrote.
        reg: the penalty.
        names: keys of NAMES.
        hidden: width of the hidden layer.
        batch: images per step.
        running: whether train is scored during training, instead of in a separate pass.
        model: `mlp`, or `cnn`, `batch_norm` or `dropout` for a plain PyTorch loop and Lightning.
    """

    def command(name: str, epochs: int, core: int | None = None) -> list[str]:
        general = [str(PEER_PYTHON), str(HERE / "peers.py"), name, "--data", str(data), "--epochs", str(epochs)]
        work = ["--reg", reg, "--hidden", str(hidden), "--batch", str(batch), "--model", model]
        return [*general, *work, *(["--running"] * running), *([] if core is None else ["--core", str(core)])]

    def printed(folder: Path, outputs: Sequence[str]) -> list[float]:
        return [value for output in outputs for value in json.loads(output.splitlines()[-1])[SETTLED - 1 :]]

    as_used = [Contestant(NAMES[name], lambda epochs, name=name: [command(name, epochs)], 1, printed) for name in names]
    a_core_each = [
        Contestant(
            f"{NAMES[name]}, one process per core",
            lambda epochs, name=name: [command(name, epochs, core) for core in CORES],
            len(CORES),
            printed,
        )
        for name in names
    ]
    return list(itertools.chain.from_iterable(zip(as_used, a_core_each, strict=True)))


def ours(label: str, reg: str, *overrides: str, runs: int = len(CORES)) -> Contestant:
    """Return regstudy, which writes all files of a run, with one run per core at the same time."""

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
    """Return the seconds per run and epoch of the arithmetic alone, by part; see floor.py."""
    command = [sys.executable, HERE / "floor.py", "--hidden", str(hidden), "--batch", str(batch)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
