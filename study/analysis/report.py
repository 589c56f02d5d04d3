"""The report of a study: its tables as files and on the terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from study.analysis.drawing.labels import variant_labels
from study.analysis.sections import TITLES, Section
from study.analysis.tables import (
    contrast_tables,
    final_tables,
    gap_tables,
    hypothesis_tables,
    interaction_tables,
    matched_tables,
    sensitivity_tables,
    suite_tables,
    tuned_tables,
    variance_tables,
)
from study.analysis.text import latex, terminal
from study.analysis.text.columns import FULL, SHORT
from study.analysis.text.latex import Form
from study.analysis.text.markdown import to_markdown
from study.records.files import write_whole

MOST_PRINTED = 40  # rows of a table on the terminal


def column_names(task: str, manifest: Mapping[str, Any] | None) -> list[str]:
    """The names that `columns=[...]` may contain: those of the columns of all tables of a study."""
    tables = [
        *(gap_tables.gap_columns(task), contrast_tables.CONTRASTS, contrast_tables.OF_EQUIVALENCE),
        hypothesis_tables.COLUMNS,
        *(suite_tables.SUITE, suite_tables.RANKS, suite_tables.PAIRS),
        *(
            interaction_tables.COLUMNS,
            matched_tables.COLUMNS,
            sensitivity_tables.COLUMNS,
            variance_tables.VARIANCE,
            variance_tables.MORE_SEEDS,
        ),
        *(final_tables.SPARSITY, final_tables.INVARIANTS, final_tables.RANKS, final_tables.LABELS),
    ]
    if manifest is not None:
        tables += [tuned_tables.TUNED, tuned_tables.BEST, tuned_tables.TRIALS]
    names = [name for columns in tables for column in columns for name in column.names]
    keys = [key for trial in (manifest or {}).get("trials", ()) for key in trial["values"]]
    return list(dict.fromkeys([*names, *keys]))


def write_report(
    target: Path,
    rows: pd.DataFrame,
    sections: Sequence[Section],
    columns: Sequence[str] = (SHORT,),
    forms: Mapping[str, Form] | None = None,
) -> None:
    """Write every table as CSV, Markdown and LaTeX, all tables as report.md, and the runs as runs.csv.

    Args:
        target: the folder; created if missing.
        rows: one row per run.
        sections: the tables.
        columns: the columns of Markdown and LaTeX; see `TextTable.chosen`. CSVs have all columns.
        forms: the form of each table in LaTeX, by stem.
    """
    labels = variant_labels(rows)
    for section in sections:
        if section.stem == "ranks":  # its variants are those of `rows` without their settings
            labels |= variant_labels(section.table)
    target.mkdir(parents=True, exist_ok=True)
    for stem in TITLES.keys() - {section.stem for section in sections}:  # left by an earlier analysis
        for kind in ("csv", "md", "tex"):
            (target / f"{stem}.{kind}").unlink(missing_ok=True)
    write_whole(target / "runs.csv", rows.to_csv(index=False))
    pages = []
    for section in sections:
        shown = section.text.chosen(columns)
        notes, form = section.notes_of(shown), (forms or {}).get(section.stem, Form())
        page = to_markdown(shown, notes)
        write_whole(target / f"{section.stem}.csv", section.table.to_csv(index=False))
        write_whole(target / f"{section.stem}.md", page)
        write_whole(target / f"{section.stem}.tex", latex.to_latex(shown, notes, labels, form, section.stem))
        pages.append(f"## {TITLES[section.stem]}\n\n{page}")
    write_whole(target / "report.md", "\n".join(pages))


def print_report(sections: Sequence[Section], columns: Sequence[str] = (SHORT,)) -> None:
    """Print the main rows of each table."""
    for section in sections:
        printed = min(section.printed, MOST_PRINTED)
        if printed:
            print(f"\n{TITLES[section.stem]}")
            shown = section.text.chosen(columns)
            keys = {column.key for column in shown.columns}
            more = [column.key for column in section.text.chosen([FULL]).columns if column.key not in keys]
            left, notes = len(section.text) - printed, section.notes_of(shown)
            notes = [*notes, f"{left} more rows in {section.stem}.md"] if left else notes
            terminal.show(shown.head(printed), section.stem, more, notes)
