"""How fast runs are, what the engine around them costs, and how much memory they take.

    python scripts/benchmark.py speed              # against the textbook's loop; a few minutes, more with --repeats
    python scripts/benchmark.py engine             # a sweep of 300 short runs, and what is not training in it
    python scripts/benchmark.py memory             # eight workers on Fashion-MNIST; Linux

In `speed` both train the same work: Fashion-MNIST, all 60,000 training images, 784-1000-10, batch 32, Adam 1e-3,
L1 1e-4, one objective per epoch, train and val scored each epoch. Ours writes all files of a run as well. Each command
is run for FEW and for MANY epochs, and the wall clock's difference divided by the difference in epochs, so that
start-up takes no part. Only ratios taken in one run travel to other machines.
"""

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

FEW, MANY = 1, 3


def notebook(epochs: int) -> None:
    """The textbook's loop: DataLoader over tensors, autograd penalty, Adam, per-batch scoring, default threads."""
    import torch
    import torch.nn.functional as F
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    from study.data import load_splits
    from study.data.fashion_mnist import full

    options = {"root": _data_root(), "split": "textbook", "train_size": None}
    splits = load_splits(full(), options, 0, torch.device("cpu"))
    train = DataLoader(TensorDataset(splits.train.images, splits.train.labels), batch_size=32, shuffle=True)
    val = DataLoader(TensorDataset(splits.val.images, splits.val.labels), batch_size=32)
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 1000), nn.ReLU(), nn.Linear(1000, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(epochs):
        objective, correct = 0.0, 0
        for images, labels in train:
            optimizer.zero_grad()
            logits = model(images)
            loss = F.cross_entropy(logits, labels) + 1e-4 * sum(p.abs().sum() for p in model.parameters())
            loss.backward()
            optimizer.step()
            objective += loss.item()
            correct += (logits.argmax(dim=1) == labels).sum().item()
        val_loss, val_correct = 0.0, 0
        with torch.no_grad():
            for images, labels in val:
                logits = model(images)
                val_loss += F.cross_entropy(logits, labels).item()
                val_correct += (logits.argmax(dim=1) == labels).sum().item()


def _data_root() -> str:
    import os

    return os.environ.get("REGSTUDY_DATA", "~/.cache/regstudy")


def _commands(epochs: int, folder: Path) -> dict[str, tuple[list[str], int]]:
    """Command and number of runs that it trains, by the row's label."""
    study = [
        sys.executable,
        "-m",
        "study",
        "data.split=textbook",
        "reg=l1",
        f"epochs={epochs}",
        f"name=b{folder.name}",
    ]
    return {
        "notebook loop, default threads": ([sys.executable, __file__, "--notebook", str(epochs)], 1),
        "study, one run on one core": (study, 1),
        "study, two runs side by side": ([*study, "seeds=2"], 2),
    }


def _seconds(command: list[str], folder: Path) -> float:
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def speed(repeats: int) -> None:
    """Print seconds per epoch as a Markdown table."""
    with tempfile.TemporaryDirectory() as folder:  # so that data is there and code compiled
        _seconds(_commands(FEW, Path(folder))["study, one run on one core"][0], Path(folder))
    measured: dict[str, list[float]] = {}
    for _ in range(repeats):
        for label in _commands(FEW, Path()):
            walls = []
            for epochs in (FEW, MANY):
                with tempfile.TemporaryDirectory() as folder:
                    command, runs = _commands(epochs, Path(folder))[label]
                    walls.append(_seconds(command, Path(folder)))
            measured.setdefault(label, []).append((walls[1] - walls[0]) / (MANY - FEW) / runs)
    reference = measured["notebook loop, default threads"]
    print("| loop | seconds per epoch and run: median (min to max) | of the notebook's time, pair by pair |")
    print("|---|---|---|")
    for label, seconds in measured.items():
        ratio = statistics.median(own / other for own, other in zip(seconds, reference, strict=True))
        print(
            f"| {label} | {statistics.median(seconds):.1f} ({min(seconds):.1f} to {max(seconds):.1f}) | {ratio:.2f} |"
        )


def engine() -> None:
    """Print what a run costs besides its training and scoring, and how long a worker takes from run to run."""
    five_variants, workers = ["reg=none,l1,l2", "lam=1e-4,1e-3"], 2
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "study", "-m", *five_variants, "data=digits", "epochs=5", "seeds=60"]
        wall = _seconds([*command, f"workers={workers}", "name=sweep"], Path(folder))
        runs = [json.loads(file.read_text()) for file in Path(folder).glob("outputs/sweep/*/status.json")]
    spent = {part: sum(run["seconds"][part] for run in runs) / workers for part in runs[0]["seconds"]}
    rest = wall - spent["training"] - spent["scoring"]
    print(f"{len(runs)} five-epoch runs on digits, {workers} workers: {wall:.1f} s")
    print(f"(wall time - (training + scoring) / workers) / runs: {1000 * rest / len(runs):.0f} ms,")
    print(f"of which statistics take {1000 * spent['statistics'] / len(runs):.0f} ms")
    gaps = sorted(1000 * gap for gap in _gaps(runs))
    print(
        "from the end of a run to the first step of the next in the same worker, without scoring and statistics:"
        f" median {statistics.median(gaps):.0f} ms, 95 % below {gaps[int(0.95 * len(gaps))]:.0f} ms"
    )


def _gaps(runs: list[dict]) -> Iterator[float]:
    """Seconds between two runs of one process, and those that the second one took to prepare."""
    by_worker: dict[int, list[dict]] = {}
    for run in sorted(runs, key=lambda run: run["started"]):
        by_worker.setdefault(run["owner"]["pid"], []).append(run)
    for before, after in (pair for of_one in by_worker.values() for pair in itertools.pairwise(of_one)):
        idle = datetime.fromisoformat(after["started"]) - datetime.fromisoformat(before["ended"])
        yield idle.total_seconds() + after["seconds"]["preparation"]


def memory() -> None:
    """Print the proportional memory (PSS) of eight workers at its greatest."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "study", "reg=l1", "epochs=1", "seeds=8", "workers=8", "name=memory"]
        sweep = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
        most, whole = 0.0, 0.0
        while sweep.poll() is None:
            below = _descendants(sweep.pid)
            workers = sum(map(_megabytes, below))
            most, whole = max(most, workers), max(whole, workers + _megabytes(sweep.pid))
            time.sleep(0.3)
    print(f"eight workers on Fashion-MNIST: {most:.0f} MB at most; with the command itself {whole:.0f} MB")


def _descendants(pid: int) -> list[int]:
    try:
        children = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [*children, *(grandchild for child in children for grandchild in _descendants(child))]


def _megabytes(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # it has just ended
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("speed", "engine", "memory"), default="speed")
    parser.add_argument("--repeats", type=int, default=3, help="of speed")
    parser.add_argument("--notebook", type=int, metavar="EPOCHS", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.notebook:
        notebook(arguments.notebook)
    elif arguments.what == "speed":
        speed(arguments.repeats)
    else:
        {"engine": engine, "memory": memory}[arguments.what]()


if __name__ == "__main__":
    main()
