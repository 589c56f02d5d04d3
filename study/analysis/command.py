"""`study analyze`: from a study's folder to its tables and figures."""

import io
import multiprocessing
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from study.analysis import figures, tables, weight_figures
from study.analysis.collect import ANALYSIS, Study, collect
from study.analysis.gaps import at_epoch, check_comparable, gap_table
from study.analysis.selection import select
from study.config import check_name
from study.errors import ConfigError, StudyError
from study.recording import write_whole
from study.sweep import OUTPUTS

FIGURES: dict[str, Callable[[Study, pd.DataFrame], Figure]] = {
    "curves": lambda study, _rows: figures.curves(study),
    "gap": lambda study, _rows: figures.gap(study),
    "weights": weight_figures.weights,
}


def analyze_study(
    name: str,
    at: str | int,
    allow: Sequence[str],
    drawn: Sequence[str] = tuple(FIGURES),
    variants: Sequence[str] = (),
) -> int:
    """Write runs.csv, the gap table and the figures of a study, and print the table.

    Args:
        name: the study.
        at: epoch of the tables, see `gaps.at_epoch`.
        allow: what may differ between runs, see `gaps.check_comparable`.
        drawn: names of the figures to draw.
        variants: patterns of the variants that figures show, see `selection.select`.

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
    shown, shown_rows, selection = select(study, rows, variants)
    target = folder / ANALYSIS
    try:
        _write_tables(target, rows, table, text, notes)
        _draw_all(target, drawn, shown, shown_rows, selection)
        study.remember()
    except OSError as error:
        raise StudyError(
            f"{target} cannot be written to ({error.strerror}): make room or choose another folder"
        ) from None
    tables.show(text, notes)
    for line in study.left_out:
        print(line)
    if selection and drawn:
        print(f"figures show {selection}; variants=[...] chooses them")
    print(f"tables and figures: {target}")
    for line in study.damaged:
        print(f"study: error: {line}", file=sys.stderr)
    return 1 if study.damaged else 0


def _write_tables(
    target: Path, rows: pd.DataFrame, table: pd.DataFrame, text: pd.DataFrame, notes: Sequence[str]
) -> None:
    target.mkdir(parents=True, exist_ok=True)
    write_whole(target / "runs.csv", rows.to_csv(index=False))
    write_whole(target / "gap_table.csv", table.to_csv(index=False))
    write_whole(target / "gap_table.md", tables.to_markdown(text, notes))
    write_whole(target / "gap_table.tex", tables.to_latex(text, notes))


def _draw_all(target: Path, names: Sequence[str], study: Study, rows: pd.DataFrame, selection: str) -> None:
    """Draw the figures side by side; one by one where processes cannot be forked, or one of them failed."""
    (target / "figures").mkdir(exist_ok=True)
    if "weights" in names:
        study.histograms(rows)  # read here, so that the index gets them
    arguments = {name: (target, name, study, rows, selection) for name in names}
    if sys.platform == "linux":
        context = multiprocessing.get_context("fork")  # what was read is shared, not sent
        processes = {name: context.Process(target=_draw_quietly, args=arguments[name]) for name in names}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # threads of the BLAS, which takes part in forks
            for process in processes.values():
                process.start()
        for name, process in processes.items():
            process.join()
            if process.exitcode == 0:
                del arguments[name]
    for name in arguments:
        _draw(*arguments[name])


def _draw_quietly(*arguments: Any) -> None:
    try:
        _draw(*arguments)
    except Exception:
        os._exit(1)  # drawn once more where errors can be told


def _draw(target: Path, name: str, study: Study, rows: pd.DataFrame, selection: str) -> None:
    figure = FIGURES[name](study, rows)
    if selection:
        figure.suptitle(selection[0].upper() + selection[1:], fontsize=8)
    figure.draw_without_rendering()  # lays it out; once is enough, and half of the time of saving
    figure.set_layout_engine("none")
    for kind in ("png", "pdf"):
        content = io.BytesIO()
        figure.savefig(content, format=kind, dpi=200, metadata={"CreationDate": None} if kind == "pdf" else None)
        write_whole(target / "figures" / f"{name}.{kind}", content.getvalue())
    plt.close(figure)
