"""Compare the accuracy of the compiled and the general loop, which differ in rounding."""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy import stats

SEEDS = 20  # with 5 seeds, the interval is wider than the target


def agreement(options: argparse.Namespace) -> None:
    """Print the difference in final val accuracy between the two loops over the same seeds, with its 95 % interval."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "without").mkdir()
        (folder / "without" / "numba.py").write_text("raise ImportError('switched off')\n")
        compiled = _val_accuracies(folder, options, "mlp", {})
        path = os.pathsep.join([str(folder / "without"), *filter(None, [os.environ.get("PYTHONPATH")])])
        general = _val_accuracies(folder, options, "general", {"PYTHONPATH": path})
    difference = 100 * (compiled - general)
    low, high = stats.t.interval(0.95, SEEDS - 1, difference.mean(), stats.sem(difference))
    print(f"{options.reg}, {options.many} epochs, val accuracy of {SEEDS} seeds, starting at {options.first_seed}:")
    for label, values in (("compiled", compiled), ("general", general)):
        print(f"  {label:<9} {100 * values.mean():.2f} % ({', '.join(f'{100 * value:.2f}' for value in values)})")
    print(f"  difference {difference.mean():+.2f} points, 95 % interval {low:+.2f} to {high:+.2f}")


def _val_accuracies(folder: Path, options: argparse.Namespace, path: str, environment: dict[str, str]) -> np.ndarray:
    """Train runs with one of the loops; return their final val accuracies, ordered by seed."""
    seeds = range(options.first_seed, options.first_seed + SEEDS)
    command = [sys.executable, "-m", "study", "-m", f"reg={options.reg}", f"epochs={options.many}"]
    command.append(f"seed={','.join(map(str, seeds))}")
    subprocess.run(
        [*command, f"name={path}"], cwd=folder, env=os.environ | environment, check=True, stdout=subprocess.DEVNULL
    )
    found = {}
    for run in (folder / "outputs" / path).glob("*-seed*"):
        status = json.loads((run / "status.json").read_text())
        assert status["path"] == path, status["path"]
        with open(run / "metrics.csv") as rows:
            found[int(run.name.split("-seed")[1].split("-")[0])] = float([*csv.DictReader(rows)][-1]["val_accuracy"])
    return np.array([found[seed] for seed in seeds])
