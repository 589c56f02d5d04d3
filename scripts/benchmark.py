"""How fast a run is, against the loop that textbooks print: seconds per epoch, in one interleaved run.

    python scripts/benchmark.py              # a few minutes; --repeats 5 for less noise

Both train the same work: Fashion-MNIST, all 60,000 training images, 784-1000-10, batch 32, Adam 1e-3, L1 1e-4, one
objective per epoch, train and val scored each epoch. Ours writes all files of a run as well. Each command is run for
FEW and for MANY epochs, and the wall clock's difference divided by the difference in epochs, so that start-up takes
no part. Only ratios taken in one run travel to other machines.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
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


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--notebook", type=int, metavar="EPOCHS", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.notebook:
        notebook(arguments.notebook)
        return
    with tempfile.TemporaryDirectory() as folder:  # so that data is there and code compiled
        _seconds(_commands(FEW, Path(folder))["study, one run on one core"][0], Path(folder))
    measured: dict[str, list[float]] = {}
    for _ in range(arguments.repeats):
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


if __name__ == "__main__":
    main()
