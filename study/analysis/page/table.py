"""The tables of the report, as plain values."""

from collections.abc import Sequence
from typing import Any

from study.analysis.sections import TITLES, Section
from study.analysis.text.columns import FULL, is_bold, plain

MOST_ROWS = 600  # of one table on the page; its files have all rows


def tables(sections: Sequence[Section]) -> list[dict[str, Any]]:
    """Return each table with its headers, its displayed cells and its notes.

    Returns:
        For each table `stem, title, headers, words` (for each column, whether it holds words), `rows` (cells), `bold`
        (row and column of each bold cell), `total` (its number of rows, of which `rows` has the first), `notes`.
    """
    return [_table(section) for section in sections if len(section.text)]


def _table(section: Section) -> dict[str, Any]:
    shown = section.text.chosen([FULL])
    rows = shown.head(MOST_ROWS).rows
    places = [(place, number) for place in range(len(rows)) for number in range(len(shown.columns))]
    return {
        "stem": section.stem,
        "title": TITLES[section.stem],
        "headers": [column.header for column in shown.columns],
        "words": [column.words for column in shown.columns],
        "rows": [[plain(cell, column) for cell, column in zip(row, shown.columns, strict=True)] for row in rows],
        "bold": [[place, number] for place, number in places if is_bold(rows[place][number], shown.columns[number])],
        "total": len(shown),
        "notes": section.notes_of(shown),
    }
