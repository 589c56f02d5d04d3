"""Read the runs of a study from their files; name those that cannot be used, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from study.analysis import index
from study.analysis.index import Entry, identity_of
from study.analysis.reading import DamagedError, read_histograms, read_tables
from study.claims import work_folders
from study.errors import StudyError
from study.plan import read_config
from study.recording import COLUMNS, CONFIG, CONTRACT, STATUS, read_status
from study.weights import BINS, is_histogram_epoch

ANALYSIS, LEDGER = "analysis", "ledger.csv"
IDENTIFIED = (STATUS, CONFIG, "metrics.csv", "weights.csv")  # files of a run that are read first


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
        entries: what was read, by run.
        known: what an earlier analysis had read.
    """

    folder: Path
    runs: pd.DataFrame
    metrics: pd.DataFrame
    weights: pd.DataFrame
    left_out: tuple[str, ...]
    damaged: tuple[str, ...]
    entries: dict[str, Entry]
    known: Mapping[str, Entry]

    def remember(self) -> None:
        """Keep what was read for the next analysis."""
        if any(self.known.get(run) is not entry for run, entry in self.entries.items()):
            index.save(self.folder, self.entries)

    def histograms(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The histograms of some runs, each at one epoch, summed over the runs of a variant.

        Args:
            rows: `run`, `variant`, `epochs` (the budget) and `epoch`: the latest recorded epoch up to it counts.

        Returns:
            `variant, parameter, bin_left, bin_right, count`, occupied bins only, and `runs`, how many were summed.

        Raises:
            StudyError: a histogram.csv is not sound.
        """
        self._read_histograms(rows)
        sums: dict[tuple[str, str], tuple[np.ndarray, int]] = {}
        for row in rows.itertuples():
            entry = self.entries[row.run]
            for code, parameter in enumerate(entry.facts["parameters"]):
                _, bins, counts = entry.histogram[entry.histogram[:, 0] == code].T
                if len(bins):
                    total, runs = sums.get((row.variant, parameter), (np.zeros(len(BINS), np.int64), 0))
                    total[bins] += counts
                    sums[row.variant, parameter] = (total, runs + 1)
        tables = []
        for (variant, parameter), (total, runs) in sums.items():
            occupied = np.flatnonzero(total)
            left, right = np.array(BINS)[occupied].T
            columns = {"bin_left": left, "bin_right": right, "count": total[occupied], "runs": runs}
            tables.append(pd.DataFrame({"variant": variant, "parameter": parameter, **columns}))
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["parameter"])

    def _read_histograms(self, rows: pd.DataFrame) -> None:
        """Read those that the index does not hold."""
        missing, names = [], ("histogram.csv",)
        for row in rows.itertuples():
            entry, identity = self.entries[row.run], identity_of(self.folder / row.run, names)
            same = identity is not None and entry.histogram_identity == identity
            if entry.histogram is None or entry.histogram_epoch != row.epoch or not same:
                missing.append((row, identity))
        epochs = [
            [e for e in range(int(row.epoch), -1, -1) if is_histogram_epoch(e, int(row.epochs))] for row, _ in missing
        ]
        tables = read_histograms([self.folder / row.run for row, _ in missing], epochs)
        for (row, identity), table in zip(missing, tables, strict=True):
            if isinstance(table, DamagedError):
                raise StudyError(f"{self.folder / row.run} {table}")
            entry = self.entries[row.run]
            codes = {name: code for code, name in enumerate(entry.facts["parameters"])}
            rows_read = np.stack([table["parameter"].map(codes), table["bin"], table["count"]], 1).astype(np.int32)
            self.entries[row.run] = replace(
                entry, histogram_identity=identity, histogram_epoch=int(row.epoch), histogram=rows_read
            )


def collect(folder: Path) -> Study:
    """Read a study's folder; what an earlier analysis has read, and has not changed, comes from its index.

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
    known, entries, fresh, left_out, damaged = index.load(folder), {}, [], [], {}
    for path in sorted(folder.iterdir()):
        if path.name in (ANALYSIS, LEDGER) or path.name.startswith("."):
            continue
        identity = identity_of(path, IDENTIFIED)
        if identity is not None and path.name in known and known[path.name].identity == identity:
            entries[path.name] = known[path.name]
        elif path.is_file():
            if path.suffix == ".csv":
                damaged[path] = "is not a file of this study: move it elsewhere"
        else:
            try:
                facts = _read_facts(path, left_out)
            except DamagedError as problem:
                damaged[path] = problem
                continue
            if facts is not None:
                fresh.append((path, identity, facts))
    paths = [path for path, *_ in fresh]
    tables = (read_tables(paths, "metrics.csv"), read_tables(paths, "weights.csv"))
    for (path, identity, facts), metrics, weights in zip(fresh, *tables, strict=True):
        try:
            entries[path.name] = _entry(identity, facts, metrics, weights)
        except DamagedError as problem:
            damaged[path] = problem
    for path in work_folders(folder):
        state = (read_status(path) or {"state": "running"})["state"]
        name = path.name.rpartition("@")[0]
        left_out.append(f"{folder / name} is {state if state == 'interrupted' else 'running or broken off'}: left out")
    problems = tuple(f"{path} {damaged[path]}" for path in sorted(damaged))
    if not entries:
        reasons = "; ".join([*problems, *left_out]) or "it is empty"
        raise StudyError(f"{folder} has no run to analyze: {reasons}")
    entries = {run: entries[run] for run in sorted(entries)}
    table = pd.DataFrame([entry.facts for entry in entries.values()]).drop(columns="parameters")
    table["penalized"] = table["scope"].notna()  # unpenalized references come first
    table = table.sort_values(["penalized", "reg", "lam", "variant", "seed"]).drop(columns="penalized")
    return Study(
        folder,
        table.reset_index(drop=True),
        _joined(entries, "metrics.csv", [entry.metrics for entry in entries.values()]),
        _joined(entries, "weights.csv", [entry.weights for entry in entries.values()]),
        tuple(left_out),
        problems,
        entries,
        known,
    )


def _joined(entries: Mapping[str, Entry], name: str, tables: Sequence[np.ndarray]) -> pd.DataFrame:
    """The tables of all runs as one."""
    lengths = [len(table) for table in tables]
    joined = pd.DataFrame(np.concatenate(tables), columns=COLUMNS[name])
    for column in {"epoch", "count"} & set(joined.columns):
        joined[column] = joined[column].astype(int)
    if "parameter" in joined:
        joined["parameter"] = np.concatenate(
            [np.array(e.facts["parameters"], object)[e.weights[:, 1].astype(int)] for e in entries.values()]
        )
    for key in ("run", "variant", "seed"):
        joined[key] = np.repeat([entry.facts[key] for entry in entries.values()], lengths)
    return joined


def _entry(
    identity: index.Identity | None,
    facts: Mapping[str, Any],
    metrics: pd.DataFrame | DamagedError,
    weights: pd.DataFrame | DamagedError,
) -> Entry:
    """A run as read, checked; raises DamagedError where rows are missing."""
    for table in (metrics, weights):
        if isinstance(table, DamagedError):
            raise table
    epochs, last = metrics["epoch"].tolist(), len(metrics) - 1
    if epochs != list(range(last + 1)) or (facts["state"] == "complete" and last != facts["epochs"]):
        raise DamagedError(
            f"has {len(epochs)} rows in metrics.csv, expected epochs 0 to {facts['epochs']}; train it again"
        )
    if sorted(set(weights["epoch"].tolist())) != list(range(last + 1)):
        raise DamagedError("has another set of epochs in weights.csv than in metrics.csv; delete it and train it again")
    codes, parameters = pd.factorize(weights["parameter"])
    return Entry(
        identity,
        {**facts, "parameters": list(parameters)},
        metrics.to_numpy(float),
        weights.assign(parameter=codes).to_numpy(float),
    )


def _read_facts(path: Path, left_out: list[str]) -> dict[str, Any] | None:
    """A row of `Study.runs`, from status.json and config.yaml; None for a run that has not ended, or failed."""
    status = read_status(path)
    if status is None:
        raise DamagedError(f"has no readable {STATUS}: it is not a run of this project; move it elsewhere")
    if status.get("contract") != CONTRACT:
        raise DamagedError(
            f"has contract {status.get('contract')}, this version reads {CONTRACT}; use the version that wrote it"
        )
    state = status["state"]
    if state not in ("complete", "diverged"):
        cause = f" ({status['cause']})" if status.get("cause") else ""
        left_out.append(f"{path} is {state}{cause}: left out")
        return None
    config = read_config(path)
    if config is None:
        raise DamagedError("has no readable config.yaml; delete the folder and train the run again")
    return {
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
