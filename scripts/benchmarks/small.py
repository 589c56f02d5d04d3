"""Measure lockstep against the other loops on a CPU: whole sweeps of small networks, interleaved."""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

RUNS, EPOCHS = 32, 20
SETTINGS = {"32 units": 32, "128 units": 128, "1,000 units": 1000}
LOOPS = {"general": (), "fastest": (), "lockstep": ("lockstep=32",), "lockstep, 8": ("lockstep=8",)}


def small(options: argparse.Namespace) -> None:
    """Print seconds of training, and of the whole command, for each run and epoch, and how they relate to general."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.repeats):
            for setting, hidden in SETTINGS.items():
                for loop, more in LOOPS.items():
                    rows.append({"network": setting, "loop": loop, **_measure(Path(folder), hidden, loop, more)})
    found = pd.DataFrame(rows).groupby(["network", "loop"], sort=False).median()
    for column in list(found):
        general = found[column].xs("general", level="loop")
        found[f"{column}: times general"] = general.reindex(found.index, level="network") / found[column]
    print(f"{RUNS} runs on digits (l1 and dropout), {EPOCHS} epochs, one worker; seconds per run and epoch")
    print(found.round(5).to_string())


def _measure(folder: Path, hidden: int, loop: str, more: tuple[str, ...]) -> dict[str, float]:
    name = f"study{time.time_ns()}"
    own = ("data=digits", f"model.hidden=[{hidden}]", "reg=l1,dropout", f"seeds={RUNS // 2}", f"epochs={EPOCHS}")
    how = ("workers=1", f"name={name}", f"loop={loop.split(',')[0]}", *more)
    command = [sys.executable, "-m", "study", "-m", *own, *how]
    began = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    whole = time.perf_counter() - began
    spent = [json.loads(file.read_text())["seconds"] for file in (folder / "outputs" / name).glob("*/status.json")]
    count = RUNS * EPOCHS
    return {"training": sum(own["training"] for own in spent) / count, "command": whole / count}
