"""Tables of text as HTML."""

from collections.abc import Sequence
from html import escape

from study.analysis.text.columns import Column, TextTable, is_bold, plain


def to_html(table: TextTable, notes: Sequence[str]) -> str:
    """Format an HTML table with its notes; names that users chose cannot add markup.

    Args:
        table: the columns to show.
        notes: sentences below the table.
    """

    def cell(value: str, column: Column) -> str:
        text = escape(plain(value, column))
        shown = f"<strong>{text}</strong>" if is_bold(value, column) else text
        return f'<td style="text-align: {"left" if column.words else "right"}">{shown}</td>'

    head = "".join(f"<th>{escape(column.header)}</th>" for column in table.columns)
    rows = ["".join(map(cell, row, table.columns)) for row in table.rows]
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    footer = "".join(f"<p><small>{escape(note)}</small></p>" for note in notes)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{footer}"
