"""Measure the cost of the sweep engine: time between runs, and memory of many workers."""

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

from benchmarks.race import descendants, megabytes


def engine(_: argparse.Namespace) -> None:
    """Print the time of a run besides training and scoring, and the time of a worker between two runs."""
    five_variants, workers = ["reg=none,l1,l2", "lam=1e-4,1e-3"], 2
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "study", "-m", *five_variants, "data=digits", "epochs=5", "seeds=60"]
        began = time.perf_counter()
        subprocess.run(
            [*command, f"workers={workers}", "name=sweep"], cwd=folder, check=True, stdout=subprocess.DEVNULL
        )
        wall = time.perf_counter() - began
        runs = [json.loads(file.read_text()) for file in Path(folder).glob("outputs/sweep/*/status.json")]
    spent = {part: sum(run["seconds"][part] for run in runs) / workers for part in runs[0]["seconds"]}
    rest = wall - spent["training"] - spent["scoring"]
    print(f"{len(runs)} five-epoch runs on digits, {workers} workers: {wall:.1f} s")
    print(f"(wall time - (training + scoring) / workers) / runs: {1000 * rest / len(runs):.0f} ms,")
    print(f"of this, statistics take {1000 * spent['statistics'] / len(runs):.0f} ms")
    gaps = sorted(1000 * gap for gap in _gaps(runs))
    print(
        "from the end of a run to the first step of the next in the same worker, without scoring and statistics:"
        f" median {statistics.median(gaps):.0f} ms, 95 % below {gaps[int(0.95 * len(gaps))]:.0f} ms"
    )


def _gaps(runs: list[dict]) -> Iterator[float]:
    """Yield the seconds between two runs of a process plus the preparation time of the second run."""
    by_worker: dict[int, list[dict]] = {}
    for run in sorted(runs, key=lambda run: run["started"]):
        by_worker.setdefault(run["owner"]["pid"], []).append(run)
    for before, after in (pair for of_one in by_worker.values() for pair in itertools.pairwise(of_one)):
        idle = datetime.fromisoformat(after["started"]) - datetime.fromisoformat(before["ended"])
        yield idle.total_seconds() + after["seconds"]["preparation"]


def memory(_: argparse.Namespace) -> None:
    """Print the largest proportional memory (PSS) of eight workers."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "study", "reg=l1", "epochs=1", "seeds=8", "workers=8", "name=memory"]
        sweep = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
        most, whole = 0.0, 0.0
        while sweep.poll() is None:
            workers = sum(map(megabytes, descendants(sweep.pid)))
            most, whole = max(most, workers), max(whole, workers + megabytes(sweep.pid))
            time.sleep(0.3)
    print(f"eight workers on Fashion-MNIST: {most:.0f} MB at most, {whole:.0f} MB with the command itself")
