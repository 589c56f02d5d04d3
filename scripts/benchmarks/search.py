"""Count the epochs that each search needs to be as good as a grid.

    PYTHONPATH=scripts python -m benchmarks.search                                  # all data sets, ten repeats
    PYTHONPATH=scripts python -m benchmarks.search --data digits --repeats 2       # a small version

Real tuned studies of L1 and L2 train: one with a grid of learning rate and λ, and for each search and repeat
(tune.seed) one with the same ranges. The table has the epochs that a search has trained, in the order in which it asks
for trials, when one of its whole trials is within 0.1 points of the grid's best mean validation accuracy over the
tuning seeds. A search that does not come so far in its budget counts as needing more than any number.

Each study writes a line to results.jsonl in --out, and its runs are then deleted. Give the same command again to go on.
One study trains on each core. Writes search.md.
"""

import argparse
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from study.records.files import append_whole, write_whole
from study.records.manifest import read_manifest
from study.records.sweeps import recorded_runs

DATA = ("digits", "mnist1d", "fashion_mnist_mini")
SEARCHES = ("sobol", "tpe", "hyperband")
EPOCHS, SEEDS, TRIALS, WITHIN = 9, 3, 20, 0.001  # trials of a search; a grid has 30. Accuracy is a fraction
RATES = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2]
LAMS = {"l1": [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3], "l2": [1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2]}
NEVER = float("inf")


def main() -> None:
    """Train the studies that are missing, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=list(DATA), choices=DATA)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--searches", nargs="+", default=list(SEARCHES), choices=SEARCHES)
    parser.add_argument("--out", default="outputs/benchmark_search", type=Path)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    known = {(line["data"], line["search"], line["seed"]) for line in results(given.out)}
    studies = [(data, "grid", 0) for data in given.data]
    each = itertools.product(range(given.repeats), given.data, given.searches)
    studies += [(data, search, seed) for seed, data, search in each]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(lambda of: train(given.out, *of), [of for of in studies if of not in known]))
    page = table(results(given.out), given.data, given.searches)
    write_whole(given.out / "search.md", page)
    print(page)


def train(out: Path, data: str, search: str, seed: int) -> None:
    """Train one study, add its result, and delete its runs."""
    name = f"{data}-{search}-{seed}"
    conf = out / "conf" / "experiment"
    conf.mkdir(parents=True, exist_ok=True)
    write_whole(conf / f"{name}.yaml", "# @package _global_\n" + json.dumps(experiment(data, name, search, seed)))
    command = [sys.executable, "-m", "study", "--config-dir", "conf", f"experiment={name}", "workers=1"]
    allowed = ["allow=[tuning]"] if search == "grid" else []
    subprocess.run([*command, *allowed], cwd=out, check=True, stdout=subprocess.DEVNULL)
    folder = out / "outputs" / name
    manifest = read_manifest(folder)
    assert manifest is not None
    line = {
        "data": data,
        "search": search,
        "seed": seed,
        "variants": {reg: course(folder, manifest, reg) for reg in LAMS},
    }
    append_whole(out / "results.jsonl", (json.dumps(line) + "\n").encode())
    shutil.rmtree(folder, ignore_errors=True)
    print(f"{name} has ended", flush=True)


def experiment(data: str, name: str, search: str, seed: int) -> dict[str, Any]:
    """The YAML file of a study."""
    if search == "grid":
        lr: Any = RATES
        spaces: Any = {reg: {"lam": lams} for reg, lams in LAMS.items()}
    else:
        lr = {"log": [RATES[0], RATES[-1]]}
        spaces = {reg: {"lam": {"log": [lams[0], lams[-1]]}} for reg, lams in LAMS.items()}
    trials = {} if search == "grid" else {"trials": TRIALS}
    return {
        "defaults": [{"override /data": data}, {"override /model": "mlp"}, {"override /optimizer": "adam"}],
        **{"name": name, "epochs": EPOCHS, "model": {"hidden": [64]}},
        "tune": {
            **{"search": search, "seed": seed, "seeds": SEEDS, "fresh": 1, **trials},
            **{"shared": {"optimizer.lr": lr}, "spaces": spaces},
        },
    }


def course(folder: Path, manifest: Mapping[str, Any], reg: str) -> list[list[float]]:
    """The course of a search: a pair for each whole trial, epochs trained by its end and its mean score."""
    trials = [trial for trial in manifest["trials"] if trial["reg"] == reg]
    scores = {
        run: sum(t["scores"].values()) / SEEDS if None not in t["scores"].values() else -1.0
        for t in trials
        for run in t["runs"].values()
        if not t["pruned"]
    }
    mine = {run for trial in trials for run in trial["runs"].values()}
    return list(_course([run for run in recorded_runs(folder) if run["run_id"] in mine], scores))


def _course(runs: Sequence[Mapping[str, Any]], scores: Mapping[str, float]) -> Iterator[list[float]]:
    spent: dict[str, int] = {}
    for run in runs:
        run_id = run["run_id"]
        spent[run_id] = max(run["until"] or EPOCHS, spent.get(run_id, 0))
        if run["until"] is None and run["config"]["seed"] == SEEDS - 1:  # the last run of a trial
            yield [sum(spent.values()), scores[run_id]]


def results(out: Path) -> list[dict[str, Any]]:
    """The results so far."""
    file = out / "results.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


def table(lines: Sequence[Mapping[str, Any]], datas: Sequence[str], searches: Sequence[str]) -> str:
    """The results as a table in Markdown."""
    head = ["Data", "Variant", "Grid: epochs", "by chance", *searches]
    rows = [head, ["---"] * 2 + ["---:"] * (len(head) - 2)]
    for data in datas:
        for reg in LAMS:
            grid = next(line for line in lines if line["data"] == data and line["search"] == "grid")["variants"][reg]
            best, whole = max(score for _, score in grid), grid[-1][0]
            good = sum(score >= best - WITHIN for _, score in grid)
            chance = whole / len(grid) * (len(grid) + 1) / (good + 1)
            cells = [data, reg, f"{whole:.0f}", f"{chance:.0f}"]
            for search in searches:
                each = [line["variants"][reg] for line in lines if line["data"] == data and line["search"] == search]
                cells.append(_cell([needed(own, best - WITHIN) for own in each], whole))
            rows.append(cells)
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def needed(own: Sequence[Sequence[float]], target: float) -> float:
    """The epochs after which a search has reached a score."""
    return next((epochs for epochs, score in own if score >= target), NEVER)


def _cell(each: Sequence[float], grid: float) -> str:
    """The median of several repeats, how many times fewer epochs than the grid these are, and how many reached it."""
    middle, reached = statistics.median(each), sum(epochs < NEVER for epochs in each)
    said = f"{middle:.0f} ({grid / middle:.1f}×)" if middle < NEVER else "–"
    return f"{said}, {reached} of {len(each)}"


if __name__ == "__main__":
    main()
