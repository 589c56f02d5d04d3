"""Read the runs of a study from their files; name those that cannot be used, and why."""

from collections.abc import Collection, Mapping
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
from study.weights import ALL, BINS, is_histogram_epoch

ANALYSIS, LEDGER = "analysis", "ledger.csv"
GROWING = ("metrics.csv", "weights.csv")  # of every run; histogram.csv is read when it is drawn
FINAL = ("val.csv", "test.csv", "sparsity.csv", "pruning.csv")  # of complete runs
IDENTIFIED = (STATUS, CONFIG, *GROWING, *FINAL)
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Study:
    """The usable runs of a study, as tidy tables.

    Attributes:
        folder: outputs/<name>.
        runs: a row per complete or diverged run: `run, variant, reg, lam` (NaN where several parts have one each),
            `takes_lam, scope, seed, state, epochs` (the budget), `epochs_trained, scored_epoch` (whose weights are the
            result), `data, split, path, threads, run_id`; in the order in which variants are shown.
        tables: the CSVs of all runs by name, each with `run, variant, seed` besides its own columns: metrics.csv (a
            row per epoch), weights.csv (per epoch and parameter), and of complete runs val.csv, test.csv, sparsity.csv
            and pruning.csv.
        left_out: lines naming runs that have not ended, or failed.
        damaged: lines naming what is in the folder and is not a sound run.
        entries: what was read, by run.
        known: what an earlier analysis had read.
    """

    folder: Path
    runs: pd.DataFrame
    tables: Mapping[str, pd.DataFrame]
    left_out: tuple[str, ...]
    damaged: tuple[str, ...]
    entries: dict[str, Entry]
    known: Mapping[str, Entry]

    @property
    def metrics(self) -> pd.DataFrame:
        """metrics.csv of all runs."""
        return self.tables["metrics.csv"]

    @property
    def weights(self) -> pd.DataFrame:
        """weights.csv of all runs."""
        return self.tables["weights.csv"]

    def of_variants(self, variants: Collection[str]) -> "Study":
        """The same with some variants only."""

        def kept(table: pd.DataFrame) -> pd.DataFrame:
            return table[table["variant"].isin(variants)].reset_index(drop=True)

        return replace(self, runs=kept(self.runs), tables={name: kept(table) for name, table in self.tables.items()})

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
            [e for e in range(int(row.epoch), -1, -1) if e == row.epoch or is_histogram_epoch(e, int(row.epochs))]
            for row, _ in missing
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
    found: dict[str, dict[str, pd.DataFrame | DamagedError]] = {path.name: {} for path, *_ in fresh}
    for name in (*GROWING, *FINAL):
        paths = [path for path, _, facts in fresh if name in GROWING or facts["state"] == "complete"]
        for path, table in zip(paths, read_tables(paths, name), strict=True):
            found[path.name][name] = table
    for path, identity, facts in fresh:
        try:
            entries[path.name] = _entry(identity, facts, found[path.name])
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
    table["penalized"] = table["reg"] != "none"  # references come first
    table = table.sort_values(["penalized", "reg", "lam", "variant", "seed"]).drop(columns="penalized")
    return Study(
        folder,
        table.reset_index(drop=True),
        {name: _joined(entries, name) for name in (*GROWING, *FINAL)},
        tuple(left_out),
        problems,
        entries,
        known,
    )


def _joined(entries: Mapping[str, Entry], name: str) -> pd.DataFrame:
    """One CSV of all runs that have it."""
    having = [entry for entry in entries.values() if name in entry.tables]
    tables = [entry.tables[name] for entry in having]
    lengths = [len(table) for table in tables]
    columns = COLUMNS[name]
    joined = pd.DataFrame(np.concatenate([np.empty((0, len(columns))), *tables]), columns=columns)
    for column in {"epoch", "count", "removed", "effective_parameters"} & set(columns):
        joined[column] = joined[column].astype(int)
    for column in {"parameter", "split"} & set(columns):
        words = [np.array(_words(entry.facts, column), object) for entry in having]
        codes = [table[:, columns.index(column)].astype(int) for table in tables]
        joined[column] = np.concatenate(
            [np.empty(0, object), *(word[code] for word, code in zip(words, codes, strict=True))]
        )
    for key in ("run", "variant", "seed"):
        joined[key] = np.repeat([entry.facts[key] for entry in having], lengths)
    return joined


def _words(facts: Mapping[str, Any], column: str) -> list[str]:
    """What the codes of a column stand for."""
    return [*facts["parameters"], ALL] if column == "parameter" else list(SPLITS)


def _entry(
    identity: index.Identity | None, facts: Mapping[str, Any], tables: Mapping[str, pd.DataFrame | DamagedError]
) -> Entry:
    """A run as read, checked; raises DamagedError where rows are missing."""
    for table in tables.values():
        if isinstance(table, DamagedError):
            raise table
    metrics, weights = tables["metrics.csv"], tables["weights.csv"]
    epochs, last = metrics["epoch"].tolist(), len(metrics) - 1
    if epochs != list(range(last + 1)) or (facts["state"] == "complete" and last != facts["epochs_trained"]):
        raise DamagedError(
            f"has {len(epochs)} rows in metrics.csv, expected epochs 0 to {facts['epochs_trained']}; train it again"
        )
    if sorted(set(weights["epoch"].tolist())) != list(range(last + 1)):
        raise DamagedError("has another set of epochs in weights.csv than in metrics.csv; delete it and train it again")
    facts = {**facts, "parameters": list(pd.unique(weights["parameter"]))}
    if facts["state"] == "diverged":
        facts |= {"epochs_trained": last, "scored_epoch": last}
    return Entry(identity, facts, {name: _coded(table, name, facts) for name, table in tables.items()})


def _coded(table: pd.DataFrame, name: str, facts: Mapping[str, Any]) -> np.ndarray:
    """A table as numbers; raises DamagedError where it speaks of an unknown parameter or split."""
    for column in {"parameter", "split"} & set(table.columns):
        codes = table[column].map({word: code for code, word in enumerate(_words(facts, column))})
        if codes.isna().any():
            raise DamagedError(f"has an unknown {column} in {name}; delete it and train it again")
        table = table.assign(**{column: codes})
    return table.to_numpy(float)


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
        "lam": float("nan") if config.lam is None else config.lam,
        "takes_lam": status["takes_lam"],
        "scope": config.reg.get("scope"),
        "seed": config.seed,
        "state": state,
        "epochs": config.epochs,
        "epochs_trained": status.get("epochs_trained", config.epochs),
        "scored_epoch": status.get("scored_epoch", config.epochs),
        "data": config.data["option"],
        "split": config.data["split"],
        "path": status["path"],
        "threads": status["threads"],
        "run_id": status["run_id"],
    }
