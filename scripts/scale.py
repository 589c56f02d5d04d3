"""Measure planning, claims, analysis and compaction of studies with many runs. Only the training is a stub.

    python scripts/scale.py 1000 10000 50000

For each number it makes one study in a temporary folder, by the same commands and files as any other study: points are
planned, runs are claimed, written, sealed and published. In place of training, a run gets the files of one of a few
runs that were trained before, with other numbers in its CSVs. 50,000 runs take 8 GB there, and about an hour. The table
is written to outputs/benchmark/scale.csv.
"""

import argparse
import csv
import hashlib
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from study.records.contract import CONFIG, LOG, PREDICTIONS, SEALED, STATUS
from study.records.files import as_csv, write_whole
from study.records.run_folder import RunFolder
from study.records.status import read_status
from study.training.run import Outcome
from study.training.task import Task

OUT = Path(__file__).parent.parent / "outputs" / "benchmark"
SEEDS = 10
SMALL = ("data=digits", "model.hidden=[32]", "epochs=5", "workers=1")
MODELS, LARGE = "models", "large"  # names of the studies: the trained runs, and the many
STUB = "--stub"  # first argument of the process that trains by the stub
VARIED = 0.02  # standard deviation of the factor on each number
KEPT_WHOLE = ("epoch", "parameter", "split", "measure", "count", "threshold", "units", "dead_units")
PARTS = ("test.csv", "val.csv", "sparsity.csv", "pruning.csv", "invariants.csv")


def main() -> None:
    """Measure each number of runs, and print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=int, nargs="+", help="numbers of runs, such as 1000 10000")
    parser.add_argument("--place", type=Path, help="an existing folder for the study, on the disk to be measured")
    options = parser.parse_args()
    rows = [measured(runs, options.place) for runs in options.runs]
    names = list(dict.fromkeys(name for row in rows for name in row))
    OUT.mkdir(parents=True, exist_ok=True)
    write_whole(OUT / "scale.csv", as_csv([names, *([row.get(name, "") for name in names] for row in rows)]))
    for name in names:
        print("  ".join([f"{name:<44}", *(f"{row.get(name, ''):>12}" for row in rows)]))


def measured(runs: int, place: Path | None) -> dict[str, str]:
    """Measure one study; return each result with its unit, by name."""
    found = {"runs": f"{runs:,}"}
    with tempfile.TemporaryDirectory(dir=place) as name:
        folder = Path(name)
        study = folder / "outputs" / LARGE

        def time_command(what: str, *command: str) -> None:
            wall, peak = timed(folder, command)
            found[what] = f"{wall:.1f} s"
            found[f"{what}, memory"] = f"{peak / 1e9:.2f} GB"
            print(f"{runs:,} runs: {what} {wall:.1f} s, {peak / 1e9:.2f} GB", flush=True)

        cli = (sys.executable, "-m", "study")
        timed(folder, (*cli, "-m", "reg=none,l1,l2", "seeds=2", *SMALL, f"name={MODELS}"))
        sweep = ("-m", "reg=none,l1,l2", f"lam={strengths(runs)}", f"seeds={SEEDS}", *SMALL, f"name={LARGE}")
        time_command("plan (dry_run=true)", *cli, *sweep, "dry_run=true")
        time_command("train by the stub", sys.executable, __file__, STUB, *sweep)
        found["runs made"] = f"{sum(1 for _ in study.glob('*-seed*')):,}"
        measure_study(folder, study, cli, sweep, found, time_command)
    return found


def measure_study(
    folder: Path,
    study: Path,
    cli: Sequence[str],
    sweep: Sequence[str],
    found: dict[str, str],
    time_command: Callable[..., None],
) -> None:
    """Measure what is done with the runs, and check that compacting changes nothing but the layout."""
    files, size, taken = count_files(study)
    found |= {"files": f"{files:,}", "size": f"{size / 1e9:.2f} GB", "on disk": f"{taken / 1e9:.2f} GB"}
    time_command("plan again, all complete", *cli, *sweep)
    time_command("study status", *cli, "status", f"name={LARGE}")
    time_command("study analyze, first", *cli, "analyze", f"name={LARGE}")
    time_command("study analyze, again", *cli, "analyze", f"name={LARGE}")
    before, tables = hashes(study, "*-seed*/*"), hashes(study, "analysis/*")
    time_command("study compact", *cli, "compact", f"name={LARGE}")
    files, size, taken = count_files(study)
    found |= {"files, compacted": f"{files:,}", "on disk, compacted": f"{taken / 1e9:.2f} GB"}
    time_command("plan again, compacted", *cli, *sweep)
    time_command("study status, compacted", *cli, "status", f"name={LARGE}")
    time_command("study analyze, compacted, first", *cli, "analyze", f"name={LARGE}")
    time_command("study analyze, compacted, again", *cli, "analyze", f"name={LARGE}")
    found["same analysis"] = str(hashes(study, "analysis/*") == tables)
    time_command("study expand", *cli, "expand", f"name={LARGE}")
    found["same bytes"] = str(hashes(study, "*-seed*/*") == before)


def strengths(runs: int) -> str:
    """As many values of λ as two regularizers and all seeds need for a number of runs."""
    return ",".join(f"{10 ** (-6 + 4 * number / runs):.6g}" for number in range(0, runs, 2 * SEEDS))


def timed(folder: Path, command: Sequence[str]) -> tuple[float, int]:
    """Run a command in a folder; return its wall time in seconds and its peak memory in bytes, without children's."""
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            errors.seek(0)
            raise SystemExit(f"{' '.join(command)[:200]}\n{errors.read()[-2000:]}")
    return time.perf_counter() - began, usage.ru_maxrss * 1024


def count_files(study: Path) -> tuple[int, int, int]:
    """The number of a study's files and folders, the bytes in the files, and the bytes that they take on the disk."""
    stats = [path.stat() for path in study.rglob("*") if "analysis" not in path.parts]
    return len(stats), sum(stat.st_size for stat in stats), sum(512 * stat.st_blocks for stat in stats)


def hashes(study: Path, pattern: str) -> dict[str, str]:
    """SHA-256 of the files that match a pattern, by path."""
    files = [path for path in study.glob(pattern) if path.is_file()]
    return {str(path.relative_to(study)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def train_by_stub(task: Task, work: Path, on_epoch: Callable[..., bool], *_: object) -> Outcome:
    """Write the files of a run in the place of `train_run`."""
    files, facts = model_of(task.config.reg["option"], task.config.seed % 2)
    drawn = random.Random(task.run_id)
    ids = ("run_id", "variant", "variant_id", "budget_free_id", "may_grow", "path", "takes_lam", "setting", "task")
    own = {key: getattr(task, key) for key in ids if hasattr(task, key)}
    folder = RunFolder(work, task.config, facts | own | {"setting": dict(task.setting)})
    write_whole(work / "histogram.csv", files["histogram.csv"])
    write_whole(work / PREDICTIONS, files[PREDICTIONS])
    for name in ("metrics.csv", "weights.csv", *PARTS):
        write_whole(work / name, varied(files[name].decode(), drawn))
    folder.log("made without training")
    folder.finish("complete")
    metrics = {"train_accuracy": 0.9, "val_accuracy": 0.8, "train_loss": 0.3, "val_loss": 0.5}
    on_epoch(task.config.epochs, {**metrics, "seconds": 0.0})
    return Outcome("complete", metrics=metrics)


@lru_cache(maxsize=8)
def model_of(reg: str, seed: int) -> tuple[Mapping[str, bytes], Mapping[str, Any]]:
    """The files of a trained run, and what its status.json says besides its identity."""
    (run,) = Path("outputs", MODELS).glob(f"{reg}-*seed{seed}-*")
    files = {name: (run / name).read_bytes() for name in SEALED if (run / name).is_file() and name not in (CONFIG, LOG)}
    status = read_status(run) or {}
    written = ("seal", "status_sha256", "state", "started", "ended", "resumed", "versions", "owner", "contract")
    return files, {key: value for key, value in status.items() if key not in (*written, STATUS)}


def varied(text: str, drawn: random.Random) -> str:
    """A CSV with another factor on each number between 0 and 1 that is no count, and so still a fraction."""
    header, *rows = csv.reader(text.splitlines())
    places = [place for place, column in enumerate(header) if column not in KEPT_WHOLE]
    for row in rows:
        for place in places:
            if "." in row[place]:
                value = float(row[place])
                other = value * (1 + drawn.gauss(0, VARIED))
                row[place] = repr(min(other, 1.0) if 0 <= value <= 1 else other)
    return as_csv([header, *rows])


if __name__ == "__main__":
    if sys.argv[1:2] == [STUB]:
        from study.cli import main as cli
        from study.sweep import workers

        del sys.argv[1]
        workers.train_run = train_by_stub  # type: ignore[assignment]
        cli.program()
    main()
