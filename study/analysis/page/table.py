"""The tables of the report, as plain values."""

from collections.abc import Sequence
from typing import Any

from study.analysis.report import Section
from study.analysis.text.formats import LEFT, is_bold

MOST_ROWS = 600  # of one table on the page; its files have all rows


def tables(sections: Sequence[Section]) -> list[dict[str, Any]]:
    """Return each table with its headers, its displayed cells and its notes.

    Returns:
        For each table `stem, title, headers, words` (for each column, whether it holds words), `rows` (cells), `bold`
        (row and column of each bold cell), `total` (its number of rows, of which `rows` has the first), `notes`.
    """
    return [_table(section) for section in sections if len(section.text)]


def _table(section: Section) -> dict[str, Any]:
    headers = [str(header) for header in section.text.columns]
    cells = section.text.head(MOST_ROWS).astype(str).to_numpy().tolist()
    bold = [
        [place, column]
        for place, row in enumerate(cells)
        for column, value in enumerate(row)
        if is_bold(value, headers[column])
    ]
    for place, column in bold:
        cells[place][column] = cells[place][column][1:]
    return {
        "stem": section.stem,
        "title": section.title,
        "headers": headers,
        "words": [header in LEFT for header in headers],
        "rows": cells,
        "bold": bold,
        "total": len(section.text),
        "notes": list(section.notes),
    }
