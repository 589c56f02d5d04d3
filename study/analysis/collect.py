"""Read the runs of a study from their files; name those that cannot be used, and why."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from study.claims import work_folders
from study.config import RunConfig
from study.errors import StudyError
from study.plan import read_config
from study.recording import COLUMNS, CONTRACT, STATUS, read_status

ANALYSIS, LEDGER = "analysis", "ledger.csv"


@dataclass(frozen=True)
class Study:
    """The usable runs of a study, as tidy tables.

    Attributes:
        folder: outputs/<name>.
        runs: a row per complete or diverged run: `run, variant, reg, lam, scope, seed, state, epochs, data, split,
            path, threads, run_id`; in the order in which variants are shown.
        metrics: a row per run and epoch: `run, variant, seed` and the columns of metrics.csv.
        weights: a row per run, epoch and parameter: `run, variant, seed` and the columns of weights.csv.
        left_out: lines naming runs that have not ended, or failed.
        damaged: lines naming what is in the folder and is not a sound run.
    """

    folder: Path
    runs: pd.DataFrame
    metrics: pd.DataFrame
    weights: pd.DataFrame
    left_out: tuple[str, ...]
    damaged: tuple[str, ...]

    def histogram(self, run: str) -> pd.DataFrame:
        """histogram.csv of one run."""
        return _read(self.folder / run, "histogram.csv")


def collect(folder: Path) -> Study:
    """Read a study's folder.

    Raises:
        StudyError: there is no such folder, or no usable run in it.
    """
    if not folder.is_dir():
        beside = (
            sorted(path.name for path in folder.parent.glob("*/") if path.is_dir()) if folder.parent.is_dir() else []
        )
        there = f"studies here: {', '.join(beside)}" if beside else "there are no studies here"
        raise StudyError(
            f"{folder} does not exist; {there}. Give one with name=..., from the folder that holds outputs/"
        )
    runs, metrics, weights, left_out, damaged = [], [], [], [], []
    for path in sorted(folder.iterdir()):
        if path.name in (ANALYSIS, LEDGER) or path.name.startswith("."):
            continue
        if path.is_file():
            if path.suffix == ".csv":
                damaged.append(f"{path} is not a file of this study: move it elsewhere")
            continue
        try:
            run = _read_run(path, left_out)
        except _Damaged as problem:
            damaged.append(f"{path} {problem}")
            continue
        if run is not None:
            facts, run_metrics, run_weights = run
            runs.append(facts)
            for tables, table in ((metrics, run_metrics), (weights, run_weights)):
                table[["run", "variant", "seed"]] = facts["run"], facts["variant"], facts["seed"]
                tables.append(table)
    for path in work_folders(folder):
        state = (read_status(path) or {"state": "running"})["state"]
        name = path.name.rpartition("@")[0]
        left_out.append(f"{folder / name} is {state if state == 'interrupted' else 'running or broken off'}: left out")
    if not runs:
        reasons = "; ".join([*damaged, *left_out]) or "it is empty"
        raise StudyError(f"{folder} has no run to analyze: {reasons}")
    table = pd.DataFrame(runs)
    table["penalized"] = table["scope"].notna()  # unpenalized references come first
    table = table.sort_values(["penalized", "reg", "lam", "variant", "seed"]).drop(columns="penalized")
    return Study(
        folder,
        table.reset_index(drop=True),
        pd.concat(metrics, ignore_index=True),
        pd.concat(weights, ignore_index=True),
        tuple(left_out),
        tuple(damaged),
    )


class _Damaged(Exception):
    """Why a folder is no sound run, and what to do."""


def _read_run(path: Path, left_out: list[str]) -> tuple[dict, pd.DataFrame, pd.DataFrame] | None:
    status = read_status(path)
    if status is None:
        raise _Damaged(f"has no readable {STATUS}: it is not a run of this project; move it elsewhere")
    if status.get("contract") != CONTRACT:
        raise _Damaged(
            f"has contract {status.get('contract')}, this version reads {CONTRACT}; use the version that wrote it"
        )
    state = status["state"]
    if state not in ("complete", "diverged"):
        cause = f" ({status['cause']})" if status.get("cause") else ""
        left_out.append(f"{path} is {state}{cause}: left out")
        return None
    config = read_config(path)
    if config is None:
        raise _Damaged("has no readable config.yaml; delete the folder and train the run again")
    metrics, weights = _read(path, "metrics.csv"), _read(path, "weights.csv")
    last = _check_epochs(metrics, config, state)
    if sorted(weights["epoch"].unique()) != list(range(last + 1)):
        raise _Damaged("has another set of epochs in weights.csv than in metrics.csv; delete it and train it again")
    facts = {
        "run": path.name,
        "variant": status["variant"],
        "reg": config.reg["option"],
        "lam": config.lam,
        "scope": config.reg["scope"],
        "seed": config.seed,
        "state": state,
        "epochs": config.epochs,
        "data": config.data["option"],
        "split": config.data["split"],
        "path": status["path"],
        "threads": status["threads"],
        "run_id": status["run_id"],
    }
    return facts, metrics, weights


def _read(path: Path, name: str) -> pd.DataFrame:
    """A CSV of a run, checked against the file contract.

    Raises:
        _Damaged: the file is missing, half-written, or not what the contract says.
    """
    again = "delete the folder and train the run again"
    try:
        text = (path / name).read_bytes()
        table = pd.read_csv(path / name)
    except (OSError, ValueError) as error:
        raise _Damaged(f"has an unreadable {name} ({str(error).splitlines()[0]}); {again}") from None
    if tuple(table.columns) != COLUMNS[name]:
        raise _Damaged(f"has a {name} with other columns than this project writes; {again}")
    numeric = table.drop(columns=["parameter", "split"], errors="ignore")
    if not text.endswith(b"\n") or any(dtype.kind not in "if" for dtype in numeric.dtypes):
        raise _Damaged(f"has a half-written {name}; {again}")
    return table


def _check_epochs(metrics: pd.DataFrame, config: RunConfig, state: str) -> int:
    """The last epoch; raises _Damaged where rows are missing."""
    epochs = metrics["epoch"].tolist()
    last = len(epochs) - 1
    if epochs != list(range(last + 1)) or (state == "complete" and last != config.epochs):
        raise _Damaged(f"has {len(epochs)} rows in metrics.csv, expected epochs 0 to {config.epochs}; train it again")
    return last
