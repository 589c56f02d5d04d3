"""`study analyze`: from a study's folder to its tables and figures."""

import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from study.analysis import figures, tables, weight_figures
from study.analysis.collect import ANALYSIS, Study, collect
from study.analysis.gaps import at_epoch, check_comparable, gap_table
from study.config import check_name
from study.errors import ConfigError, StudyError
from study.recording import write_whole
from study.sweep import OUTPUTS

FIGURES: dict[str, Callable[[Study, pd.DataFrame], Figure]] = {
    "curves": lambda study, _rows: figures.curves(study),
    "gap": lambda study, _rows: figures.gap(study),
    "weights": weight_figures.weights,
}


def analyze_study(name: str, at: str | int, allow: Sequence[str], drawn: Sequence[str] = tuple(FIGURES)) -> int:
    """Write runs.csv, the gap table and the figures of a study, and print the table.

    Args:
        name: the study.
        at: epoch of the tables, see `gaps.at_epoch`.
        allow: what may differ between runs, see `gaps.check_comparable`.
        drawn: names of the figures to draw.

    Returns:
        The command's exit status: 1 where something in the folder is not a sound run, which is named and left out.

    Raises:
        StudyError: there is nothing to analyze, or nothing can be written.
        ConfigError: an argument is not allowed.
    """
    unknown = [figure for figure in drawn if figure not in FIGURES]
    if unknown:
        raise ConfigError(f"figures={list(drawn)}: of {', '.join(FIGURES)} any are allowed")
    folder = OUTPUTS / check_name(name)
    study = collect(folder)
    notes = check_comparable(study.runs, allow)
    rows = at_epoch(study, at)
    table = gap_table(rows)
    if study.damaged:
        notes = [*notes, f"Left out as unsound: {len(study.damaged)} of the study's folder, named by study analyze."]
    text, notes = tables.formatted(table), tables.footer(rows, at, notes)
    target = folder / ANALYSIS
    try:
        _write(target, study, rows, table, text, notes, drawn)
    except OSError as error:
        raise StudyError(
            f"{target} cannot be written to ({error.strerror}): make room or choose another folder"
        ) from None
    tables.show(text, notes)
    for line in study.left_out:
        print(line)
    print(f"tables and figures: {target}")
    for line in study.damaged:
        print(f"study: error: {line}", file=sys.stderr)
    return 1 if study.damaged else 0


def _write(
    target: Path,
    study: Study,
    rows: pd.DataFrame,
    table: pd.DataFrame,
    text: pd.DataFrame,
    notes: Sequence[str],
    drawn: Sequence[str],
) -> None:
    (target / "figures").mkdir(parents=True, exist_ok=True)
    write_whole(target / "runs.csv", rows.to_csv(index=False))
    write_whole(target / "gap_table.csv", table.to_csv(index=False))
    write_whole(target / "gap_table.md", tables.to_markdown(text, notes))
    write_whole(target / "gap_table.tex", tables.to_latex(text, notes))
    for name in drawn:
        figure = FIGURES[name](study, rows)
        for kind in ("png", "pdf"):
            content = io.BytesIO()
            figure.savefig(content, format=kind, dpi=200, metadata={"CreationDate": None} if kind == "pdf" else None)
            write_whole(target / "figures" / f"{name}.{kind}", content.getvalue())
        plt.close(figure)
