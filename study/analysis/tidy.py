"""A study as tidy DataFrames, for notebooks and other programs."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from study.analysis.reading.collect import collect
from study.analysis.reading.csv_files import DamagedError, read_tables
from study.analysis.reading.entries import coded, joined
from study.analysis.reading.index import Entry
from study.analysis.reading.study import Study
from study.analysis.statistics.gaps import at_epoch, with_gaps
from study.errors import ConfigError, StudyError
from study.records.files import write_whole

CSV, PARQUET = "csv", "parquet"  # formats of export, and the folders of their files in analysis/


@dataclass(frozen=True)
class Tidy:
    """The tables of a study; docs/reference/files.md defines every column.

    Attributes:
        runs: a row per run: its settings, and its metrics, gaps and norms at the scored epoch (columns of runs.csv).
        epochs: a row per run and epoch: metrics.csv, `accuracy_gap` (points) and `loss_gap` (nats, MSE).
        weights: a row per run, epoch and parameter: weights.csv.
        scores: a row per run and split: val.csv and test.csv.
        ranks: a row per run, epoch of histogram.csv and weight matrix: ranks.csv.
        sparsity: a row per run and parameter: sparsity.csv.
        pruning: a row per run and threshold: pruning.csv.
        invariants: a row per run and measure: invariants.csv.
        label_noise: a row per run, epoch and kind of labels: label_noise.csv; empty without label noise.
        calibration: a row per run, split and occupied bin: calibration.csv; empty for regressions.
        pruning_curve: a row per run and fraction: pruning_curve.csv.
        left_out: a line for each run or file of the folder that is in no table.

    Each table has `run`, `variant` and `seed`. Words are categories, counts are integers, all other columns float64.
    """

    runs: pd.DataFrame
    epochs: pd.DataFrame
    weights: pd.DataFrame
    scores: pd.DataFrame
    ranks: pd.DataFrame
    sparsity: pd.DataFrame
    pruning: pd.DataFrame
    invariants: pd.DataFrame
    label_noise: pd.DataFrame
    calibration: pd.DataFrame
    pruning_curve: pd.DataFrame
    left_out: Sequence[str]

    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables by name."""
        fields = [field.name for field in dataclasses.fields(self)]
        return {name: getattr(self, name) for name in fields if isinstance(getattr(self, name), pd.DataFrame)}


def load(folder: str | Path) -> Tidy:
    """Read a study like `study analyze`: incomplete, failed and invalid runs are left out, and named.

    Args:
        folder: outputs/<name>.

    Raises:
        StudyError: there is no such folder, or no usable run in it.
    """
    return tidy(collect(Path(folder)))


def tidy(study: Study) -> Tidy:
    """The tables of a study, from what `collect` has read."""
    scores = pd.concat([study.tables["val.csv"], study.tables["test.csv"]])
    return Tidy(
        runs=_typed(at_epoch(study, "last")),
        epochs=_typed(with_gaps(study.metrics)),
        weights=_typed(study.weights),
        scores=_typed(scores.sort_values(["run", "split"], kind="stable")),
        **{
            name: _typed(study.tables[f"{name}.csv"])
            for name in ("ranks", "sparsity", "pruning", "invariants", "label_noise", "calibration", "pruning_curve")
        },
        left_out=(*study.left_out, *study.damaged),
    )


def load_histograms(folder: str | Path) -> pd.DataFrame:
    """Read every row of histogram.csv of a study's usable runs. The table may be large.

    Args:
        folder: outputs/<name>.

    Returns:
        `epoch, parameter, bin_left, bin_right, count, run, variant, seed`.

    Raises:
        StudyError: there is no such folder, no usable run in it, or a histogram.csv is not valid.
    """
    study, name = collect(Path(folder)), "histogram.csv"
    runs, entries = list(study.runs["run"]), {}
    for run, rows in zip(runs, read_tables([study.place(run) for run in runs], name), strict=True):
        facts = study.entries[run].facts
        try:
            entries[run] = Entry(None, facts, {name: coded(rows, name, facts)})
        except DamagedError as problem:
            raise StudyError(f"{study.folder / run} {problem}") from None
    return _typed(joined(entries, name))


def export(target: Path, study: Study, kinds: Sequence[str]) -> list[Path]:
    """Write the tables of a study in other formats.

    Args:
        target: the study's folder analysis/.
        study: the study to write.
        kinds: the formats, `csv` or `parquet`.

    Returns:
        The folders written.

    Raises:
        ConfigError: there is no such format, or the package that it needs is not installed.
    """
    check_kinds(kinds)
    written = []
    for kind in kinds:
        folder = target / kind
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in tidy(study).tables().items():
            write_whole(folder / f"{name}.{kind}", _in_format(table, kind))
        written.append(folder)
    return written


def check_kinds(kinds: Sequence[str]) -> None:
    """Check the formats of `export`.

    Raises:
        ConfigError: there is no such format.
    """
    for kind in kinds:
        if kind not in (CSV, PARQUET):
            raise ConfigError(f"export={kind}: allowed: {CSV}, {PARQUET}")


def _in_format(table: pd.DataFrame, kind: str) -> str | bytes:
    if kind == CSV:
        return str(table.to_csv(index=False))
    try:
        return bytes(table.to_parquet(index=False))
    except ImportError:
        raise ConfigError("export=parquet requires pyarrow: pip install 'regstudy[parquet]'") from None


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    table = table.reset_index(drop=True)
    words = [column for column in table.columns if not pd.api.types.is_numeric_dtype(table[column])]
    return table.astype(dict.fromkeys(words, "category"))
