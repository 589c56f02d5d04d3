"""Time `study analyze` on thousands of runs with full-size files: first, again, and compared with a plain loop."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from study.records.contract import SEALED
from study.records.seal import seal_of, with_own_sum

SEEDS = 5
PLAIN_LOOP = """
import sys
from pathlib import Path
import pandas as pd
files = ("metrics.csv", "weights.csv", "histogram.csv")
runs = sorted(path for path in Path(sys.argv[1]).iterdir() if path.name[0] != "." and (path / files[0]).is_file())
for name in files:
    print(name, len(pd.concat([pd.read_csv(run / name).assign(run=run.name) for run in runs])))
"""


def analysis(options: argparse.Namespace) -> None:
    """Print wall time and memory of `study analyze` on many runs of 30 epochs, the first time and again."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_study(folder, options.runs)
        study = folder / "outputs" / "large"
        size = sum(file.stat().st_size for file in study.rglob("*") if file.is_file())
        print(f"{options.runs} runs of 30 epochs, {size / 1e9:.1f} GB", flush=True)
        analyze = [sys.executable, "-m", "study", "analyze", "name=large"]
        _report("study analyze, the first time", analyze, folder)
        _report("study analyze, nothing changed", analyze, folder)
        _report("study analyze at=best, nothing changed", [*analyze, "at=best"], folder)
        shutil.rmtree(study / "analysis")
        _report("a plain loop of pandas.read_csv, no figures", [sys.executable, "-c", PLAIN_LOOP, str(study)], folder)


def write_study(folder: Path, runs: int) -> None:
    """Write outputs/large in a folder: copies of one real run, each with its own config, id and scores."""
    command = [sys.executable, "-m", "study", "-m", "data=digits", "epochs=30", "reg=l1", "lam=1e-4", "name=model"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    (model,) = (folder / "outputs" / "model").glob("l1-*")
    status = json.loads((model / "status.json").read_text())
    config = (model / "config.yaml").read_text()
    metrics = (model / "metrics.csv").read_text().splitlines(keepends=True)
    for number in range(runs):
        variant, seed = divmod(number, SEEDS)
        lam = 1e-6 * (1 + variant)
        key, run_id = f"l1-lam{lam:.6g}", f"{number:064x}"
        run = folder / "outputs" / "large" / f"{key}-seed{seed}-{run_id[-12:]}"
        shutil.copytree(model, run)
        own = config.replace("seed: 0", f"seed: {seed}").replace("lam: 0.0001", f"lam: {lam:.6e}")
        (run / "config.yaml").write_text(own)
        rows = [line.split(",") for line in metrics]
        for row in rows[1:]:
            row[4] = repr(float(row[4]) - 1e-5 * ((variant * 7919 + seed) % 1000))  # val_accuracy
        (run / "metrics.csv").write_text("".join(",".join(row) for row in rows))
        of_run = status | {"run_id": run_id, "variant": key, "variant_id": f"{variant:064x}"}
        of_run = with_own_sum(of_run | {"seal": seal_of(run, SEALED)})
        (run / "status.json").write_text(json.dumps(of_run, indent=2))


def _report(label: str, command: list[str], folder: Path) -> None:
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        if status:
            errors.seek(0)
            raise SystemExit(errors.read()[-2000:])
    print(f"{label}: {wall:.1f} s, {usage.ru_maxrss / 1024:.0f} MB", flush=True)
