"""The usable runs of a study as tables, and what is read from their files only when it is asked for."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib.resources.abc import Traversable
from pathlib import Path

import numpy as np
import pandas as pd

from study.analysis.reading import index
from study.analysis.reading.csv_files import DamagedError, correct_bits, read_histograms
from study.analysis.reading.entries import histogram_of
from study.analysis.reading.index import Entry
from study.errors import StudyError
from study.measures.weights import BINS, is_histogram_epoch
from study.records.compacted import CompactedRun

CORRECT = "correct"  # in the index: the number of test images, then one bit per image: correctly classified or not


DAMAGED = "left out"  # the state of what is not a valid run
ALL_PRUNED = "pruned runs"  # the state of all pruned runs of a study together


@dataclass(frozen=True)
class Unused:
    """A run or file of a study's folder that is in no table; as text, a sentence.

    Attributes:
        place: its folder or file; for a run that has not ended, outputs/<name>/<run>; for all pruned runs, the study's.
        state: of the run, or DAMAGED, or ALL_PRUNED.
        reason: why; may be empty. For pruned runs, their number.
    """

    place: Traversable
    state: str
    reason: str = ""

    def __str__(self) -> str:
        if self.state == ALL_PRUNED:
            return f"{self.reason} of {self.place} are pruned (a search stopped them before their last epoch): left out"
        if self.state == DAMAGED:
            return f"{self.place} {self.reason}"
        return f"{self.place} is {self.state}{f' ({self.reason})' if self.reason else ''}: left out"


@dataclass(frozen=True)
class Study:
    """The usable runs of a study, as tidy tables.

    Attributes:
        folder: outputs/<name>.
        runs: a row per complete or diverged run: `run, variant, reg, lam` (NaN if several parts have a λ each),
            `takes_lam, setting` (everything but the regularizer, as JSON), `scope, seed` (texts such as 0-init3 if a
            run has seeds of single sources, and then also columns such as `seed_init`), `state, epochs` (the budget),
            `epochs_trained, scored_epoch` (its weights are the result), `data, split, path, threads, numerics,
            checksums, label_noise, scored_train, train_images, val_images, run_id, model_regularizers` (outside `reg`,
            separated by commas), `seal` (`fits`, `none`, or `changed` if that is allowed), `task` (the same in all
            rows). Rows are in the order of display.
        tables: the CSVs of all runs by name, with the columns `run, variant, seed` added: metrics.csv (a row per
            epoch), weights.csv and ranks.csv (a row per epoch and parameter), label_noise.csv; for complete runs also
            val.csv, test.csv, sparsity.csv, pruning.csv, pruning_curve.csv, invariants.csv and calibration.csv.
        unused: the runs that have not ended, or failed, and the files and folders that are not valid runs.
        entries: what was read, by run.
        compacted: the runs that have no folder, in the order of the data set.
        known: the entries that an earlier analysis read.
        unfinished: the folders of runs that have not ended, if their epochs so far are read.
    """

    folder: Path
    runs: pd.DataFrame
    tables: Mapping[str, pd.DataFrame]
    unused: tuple[Unused, ...]
    entries: dict[str, Entry]
    compacted: Mapping[str, CompactedRun]
    known: Mapping[str, Entry]
    unfinished: Mapping[str, Path] = field(default_factory=dict)

    @property
    def left_out(self) -> tuple[str, ...]:
        """A line for each run that has not ended, or failed."""
        return tuple(str(unused) for unused in self.unused if unused.state != DAMAGED)

    @property
    def damaged(self) -> tuple[str, ...]:
        """A line for each file or folder that is not a valid run."""
        return tuple(str(unused) for unused in self.unused if unused.state == DAMAGED)

    @property
    def task(self) -> str:
        """`classification` or `regression`."""
        return str(self.runs["task"].iloc[0])

    @property
    def metrics(self) -> pd.DataFrame:
        """metrics.csv of all runs."""
        return self.tables["metrics.csv"]

    @property
    def weights(self) -> pd.DataFrame:
        """weights.csv of all runs."""
        return self.tables["weights.csv"]

    def place(self, run: str) -> Path | CompactedRun:
        """Where the files of a run are: its folder, or its row among the compacted runs."""
        under_way = self.unfinished.get(run)
        if under_way is not None and under_way.is_dir():  # else it has ended since, and its folder has moved
            return under_way
        return self.compacted.get(run) or self.folder / run

    def in_order(self, runs: Iterable[str]) -> list[str]:
        """Runs in the order of reading, in which each part of the data set is read once."""
        places = {run: place for place, run in enumerate(self.compacted)}
        return sorted(runs, key=lambda run: places.get(run, -1))

    def test_correct(self, rows: pd.DataFrame) -> dict[str, np.ndarray]:
        """The correctly classified test images of each complete run with a test score, bool (images,), by run.

        Raises:
            StudyError: a predictions.npz is not valid, although it matches its seal.
        """
        found = {}
        for run in self.in_order(rows["run"]):
            entry = self.entries[run]
            if len(entry.tables.get("test.csv", ())) == 0:
                continue
            if CORRECT not in entry.tables:
                try:
                    bits = correct_bits(self.place(run))
                except DamagedError as problem:
                    raise StudyError(f"{self.folder / run} {problem}") from None
                entry = self.entries[run] = replace(entry, tables={**entry.tables, CORRECT: bits})
            count, bits = entry.tables[CORRECT][:8].view(np.int64)[0], entry.tables[CORRECT][8:]
            found[run] = np.unpackbits(bits, count=int(count)).astype(bool)
        return found

    def of_variants(self, variants: Collection[str]) -> "Study":
        """The same study with some of its variants."""
        return self.of_runs(self.runs["variant"].isin(variants))

    def of_runs(self, mask: pd.Series) -> "Study":
        """The same study with some of its runs.

        Args:
            mask: bool, one value per row of `runs`.
        """
        names = set(self.runs.loc[mask, "run"])

        def kept(table: pd.DataFrame) -> pd.DataFrame:
            return table[table["run"].isin(names)].reset_index(drop=True)

        return replace(self, runs=kept(self.runs), tables={name: kept(table) for name, table in self.tables.items()})

    def remember(self) -> None:
        """Save what was read for the next analysis."""
        if any(self.known.get(run) is not entry for run, entry in self.entries.items()):
            index.save(self.folder, self.entries)

    def histograms(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The histograms of some runs, each at one epoch, summed over the runs of a variant.

        Args:
            rows: `run`, `variant`, `epochs` (the budget) and `epoch`. The latest recorded epoch up to `epoch` is used.

        Returns:
            `variant, parameter, bin_left, bin_right, count` of the occupied bins, and `runs`, the number of runs
            summed.

        Raises:
            StudyError: a histogram.csv is not valid.
        """
        self.read_histograms(rows)
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

    def read_histograms(self, rows: pd.DataFrame) -> None:
        """Read the histograms of some runs, each at one epoch, into `entries`, unless the index holds them.

        Args:
            rows: see `histograms`.

        Raises:
            StudyError: a histogram.csv is not valid.
        """
        by_run = {row.run: row for row in rows.itertuples()}
        missing = [by_run[run] for run in self.in_order(by_run)]
        missing = [row for row in missing if int(row.epoch) not in self.entries[row.run].histograms]
        epochs = [
            [e for e in range(int(row.epoch), -1, -1) if e == row.epoch or is_histogram_epoch(e, int(row.epochs))]
            for row in missing
        ]
        tables = read_histograms([self.place(row.run) for row in missing], epochs)
        for row, table in zip(missing, tables, strict=True):
            entry = self.entries[row.run]
            try:
                histogram = histogram_of(table, entry.facts)
            except DamagedError as problem:
                raise StudyError(f"{self.folder / row.run} {problem}") from None
            histograms = {**entry.histograms, int(row.epoch): histogram}
            self.entries[row.run] = replace(entry, histograms=histograms)
