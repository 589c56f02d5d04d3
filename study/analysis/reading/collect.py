"""Read the runs of a study from their files; name those that cannot be used, and why."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from study.analysis.reading import index
from study.analysis.reading.csv_files import AGAIN, DamagedError, Rows, read_correct, read_histograms, read_tables
from study.analysis.reading.entries import entry_of, histogram_of, joined
from study.analysis.reading.index import Entry, Identity, identity_of
from study.analysis.reading.ledger import LEDGER
from study.analysis.reading.seals import FITS, checking, heed_seals
from study.config.run_config import RunConfig
from study.errors import StudyError
from study.measures.weights import BINS, is_histogram_epoch
from study.records.claims import work_folders
from study.records.contract import CONFIG, CONTRACT, FILES, STATUS
from study.records.existing import read_config
from study.records.status import read_status

ANALYSIS = "analysis"
GROWING = ("metrics.csv", "weights.csv")  # of every run; histogram.csv is read when it is drawn
FINAL = ("val.csv", "sparsity.csv", "pruning.csv", "invariants.csv")  # of complete runs
OPTIONAL = ("test.csv", "label_noise.csv")  # trials of a tuned study have no test.csv
TABLES = (*GROWING, *FINAL, *OPTIONAL)
CORRECT = "correct"  # in the index: how many test images there are, and which a run gets right, as bits


@dataclass(frozen=True)
class Study:
    """The usable runs of a study, as tidy tables.

    Attributes:
        folder: outputs/<name>.
        runs: a row per complete or diverged run: `run, variant, reg, lam` (NaN where several parts have one each),
            `takes_lam, setting` (all but the regularizer, as JSON), `scope, seed, state, epochs` (the budget),
            `epochs_trained, scored_epoch` (whose weights are the result), `data, split, path, threads, numerics,
            checksums, label_noise, train_images, val_images, run_id, model_regularizers` (outside `reg`, by comma),
            `seal` (`fits`, `none`, or `changed`, as allowed); in the order in which variants are shown.
        tables: the CSVs of all runs by name, each with `run, variant, seed` besides its own columns: metrics.csv (a
            row per epoch), weights.csv (per epoch and parameter), label_noise.csv, and of complete runs val.csv,
            test.csv, sparsity.csv, pruning.csv and invariants.csv.
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

    def test_correct(self, rows: pd.DataFrame) -> dict[str, np.ndarray]:
        """Which test images complete runs get right, bool (images,), by run; only runs with a test score.

        Raises:
            StudyError: a predictions.npz is not sound, though it fits its seal.
        """
        found = {}
        for run in rows["run"]:
            entry = self.entries[run]
            if len(entry.tables.get("test.csv", ())) == 0:
                continue
            if CORRECT not in entry.tables:
                try:
                    right = read_correct(self.folder / run, "test")
                except DamagedError as problem:
                    raise StudyError(f"{self.folder / run} {problem}") from None
                bits = np.concatenate([np.array([len(right)]).view(np.uint8), np.packbits(right)])
                entry = self.entries[run] = replace(entry, tables={**entry.tables, CORRECT: bits})
            count, bits = entry.tables[CORRECT][:8].view(np.int64)[0], entry.tables[CORRECT][8:]
            found[run] = np.unpackbits(bits, count=int(count)).astype(bool)
        return found

    def of_variants(self, variants: Collection[str]) -> "Study":
        """The same with some variants only."""
        return self.of_runs(self.runs["variant"].isin(variants))

    def of_runs(self, mask: pd.Series) -> "Study":
        """The same with some runs only.

        Args:
            mask: bool, by row of `runs`.
        """
        names = set(self.runs.loc[mask, "run"])

        def kept(table: pd.DataFrame) -> pd.DataFrame:
            return table[table["run"].isin(names)].reset_index(drop=True)

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
                histogram = entry.histograms[int(row.epoch)]
                _, bins, counts = histogram[histogram[:, 0] == code].T
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
        missing = [row for row in rows.itertuples() if int(row.epoch) not in self.entries[row.run].histograms]
        epochs = [
            [e for e in range(int(row.epoch), -1, -1) if e == row.epoch or is_histogram_epoch(e, int(row.epochs))]
            for row in missing
        ]
        tables = read_histograms([self.folder / row.run for row in missing], epochs)
        for row, table in zip(missing, tables, strict=True):
            entry = self.entries[row.run]
            try:
                histogram = histogram_of(table, entry.facts)
            except DamagedError as problem:
                raise StudyError(f"{self.folder / row.run} {problem}") from None
            histograms = {**entry.histograms, int(row.epoch): histogram}
            self.entries[row.run] = replace(entry, histograms=histograms)


def collect(folder: Path, allow_changed: bool = False) -> Study:
    """Read a study's folder; what an earlier analysis has read, and has not changed, comes from its index.

    Args:
        folder: outputs/<name>.
        allow_changed: whether runs whose files have changed since they ended are read, or left out and named.

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
    known, entries, ended = index.load(folder), {}, []
    left_out: list[str] = []
    damaged: dict[Path, str | DamagedError] = {}
    for path in sorted(folder.iterdir()):
        if path.name in (ANALYSIS, LEDGER) or path.name.startswith("."):
            continue
        identity = identity_of(path, FILES)
        if identity is not None and path.name in known and known[path.name].identity == identity:
            entries[path.name] = known[path.name]
        elif path.is_file():
            if path.suffix == ".csv":
                damaged[path] = "is not a file of this study: move it elsewhere"
        else:
            try:
                status = _read_ended(path, left_out)
            except DamagedError as problem:
                damaged[path] = problem
                continue
            if status is not None:
                ended.append((path, identity, status))
    with checking([(path, status) for path, _, status in ended]) as changes:
        entries |= _read(ended, damaged)
        found = {path: of_run for (path, *_), of_run in zip(ended, changes(), strict=True)}
    heed_seals(found, allow_changed, entries, damaged)
    _leave_out_twins(folder, entries, damaged)
    for path in work_folders(folder):
        state = (read_status(path) or {"state": "running"})["state"]
        name = path.name.rpartition("@")[0]
        left_out.append(f"{folder / name} is {state if state == 'interrupted' else 'running or stale'}: left out")
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
        {name: joined(entries, name) for name in TABLES},
        tuple(left_out),
        problems,
        entries,
        known,
    )


def _read_ended(path: Path, left_out: list[str]) -> dict[str, Any] | None:
    """The status of a run; None for one that has not ended, or failed."""
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
    return status


def _read(
    ended: Sequence[tuple[Path, Identity | None, Mapping[str, Any]]], damaged: dict[Path, str | DamagedError]
) -> dict[str, Entry]:
    """The config and tables of runs, by run; what is not sound goes to `damaged`."""
    facts, found = {}, {}
    for path, _, status in ended:
        try:
            facts[path] = _facts_of(path, status)
        except DamagedError as problem:
            damaged[path] = problem
    tables: dict[Path, dict[str, Rows | DamagedError]] = {path: {} for path in facts}
    for name in TABLES:
        paths = [path for path in facts if _has(path, name, facts[path]["state"])]
        for path, table in zip(paths, read_tables(paths, name), strict=True):
            tables[path][name] = table
    for path, identity, _ in ended:
        if path in facts:
            try:
                found[path.name] = entry_of(identity, facts[path], tables[path])
            except DamagedError as problem:
                damaged[path] = problem
    return found


def _has(path: Path, name: str, state: str) -> bool:
    """Whether a run must have a file, or may have it and does."""
    return name in GROWING or (name in FINAL and state == "complete") or (name in OPTIONAL and (path / name).is_file())


def _leave_out_twins(folder: Path, entries: dict[str, Entry], damaged: dict[Path, str | DamagedError]) -> None:
    """Leave out a second run of the same variant and seed, which would count twice; rather one without a sound seal."""
    seen: dict[tuple[str, int], str] = {}
    for run in sorted(entries, key=lambda run: (entries[run].facts["seal"] != FITS, run)):
        variant, seed = key = entries[run].facts["variant"], entries[run].facts["seed"]
        if key in seen:
            damaged[folder / run] = f"is {variant} with seed {seed}, as {seen[key]} is; move one of them elsewhere"
            del entries[run]
        else:
            seen[key] = run


def _facts_of(path: Path, status: Mapping[str, Any]) -> dict[str, Any]:
    """A row of `Study.runs`, from status.json and config.yaml."""
    config = read_config(path)
    if config is None:
        raise DamagedError(f"has no readable {CONFIG}; {AGAIN}")
    try:
        return _facts(path.name, status, config)
    except KeyError as error:
        raise DamagedError(f"has no {error} in {STATUS}: an earlier version wrote it; train it again") from None
    except (TypeError, ValueError) as error:
        raise DamagedError(f"has values in {STATUS} that this project does not write ({error}); {AGAIN}") from None


def _facts(run: str, status: Mapping[str, Any], config: RunConfig) -> dict[str, Any]:
    return {
        "run": run,
        "variant": status["variant"],
        "reg": config.reg["option"],
        "lam": float("nan") if config.lam is None else config.lam,
        "takes_lam": status["takes_lam"],
        "setting": json.dumps(status["setting"]),
        "scope": config.reg.get("scope"),
        "seed": config.seed,
        "state": status["state"],
        "epochs": config.epochs,
        "epochs_trained": status.get("epochs_trained", config.epochs),
        "scored_epoch": status.get("scored_epoch", config.epochs),
        "data": config.data["option"],
        "split": config.data["split"],
        "path": status["path"],
        "threads": status["threads"],
        "numerics": status["numerics"],
        "checksums": hashlib.sha256(json.dumps(status["data_checksums"], sort_keys=True).encode()).hexdigest()[:12],
        "label_noise": config.data["label_noise"],
        "train_images": int(status["images"]["train"]),
        "val_images": int(status["images"]["val"]),
        "run_id": status["run_id"],
        "model_regularizers": ", ".join(_model_regularizers(status)),
        "seal": FITS,
    }


def _model_regularizers(status: Mapping[str, Any]) -> list[str]:
    """What a run's model has of regularizers outside `reg`; of runs that do not tell, what the options of `mlp` say."""
    names = {"model.dropout": "Dropout", "model.batch_norm": "BatchNorm"}
    setting = status["setting"]
    return status.get("model_regularizers", [name for key, name in names.items() if setting.get(key)])
