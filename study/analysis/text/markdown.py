"""Tables as Markdown."""

from collections.abc import Sequence

from study.analysis.text.columns import Column, TextTable, is_bold, plain
from study.analysis.text.escaping import markdown


def to_markdown(table: TextTable, notes: Sequence[str], bold: str = "**") -> str:
    """Format a Markdown table with its notes.

    Args:
        table: the columns to show.
        notes: sentences below the table.
        bold: the mark before and after the text of a bold cell.
    """

    def cell(value: str, column: Column) -> str:
        around = bold if is_bold(value, column) else ""
        return around + _escaped(plain(value, column)) + around

    lines = ["| " + " | ".join(_escaped(column.header) for column in table.columns) + " |"]
    lines.append("|" + "|".join("---" if column.words else "---:" for column in table.columns) + "|")
    for row in table.rows:
        lines.append("| " + " | ".join(map(cell, row, table.columns)) + " |")
    return "\n".join([*lines, "", *map(markdown, notes)]) + "\n"


def _escaped(text: str) -> str:
    return markdown(text).replace("|", "\\|")
