"""Tables on the terminal, as wide as the terminal at most."""

import os
from collections.abc import Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from study.analysis.text.columns import (
    BREAK,
    FULL,
    Column,
    TextTable,
    aligned,
    is_bold,
    is_identity,
    most_important,
    plain,
    wrapped,
)

WIDTH = 100  # characters per line if the output is not a terminal, and COLUMNS is not set
BETWEEN = 2  # characters between columns
WORDS = 24  # characters of a column of words, which may need several lines


class _Terminal(Console):
    """A console that leaves it to the command what to do if nobody reads its output."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def show(table: TextTable, stem: str, more: Sequence[str], notes: Sequence[str]) -> None:
    """Print a table with its notes. The least important columns are left out if the terminal is too narrow.

    Args:
        table: the columns to show.
        stem: name of the table's files.
        more: keys of the columns that `columns=full` adds.
        notes: sentences below the table.
    """
    console = _Terminal(highlight=False, soft_wrap=True, emoji=False)
    if not console.is_terminal and not os.environ.get("COLUMNS", "").isdigit():
        console.width = WIDTH
    cells = [
        list(of_column) if column.words else aligned([plain(cell, column) for cell in of_column])
        for column, of_column in zip(table.columns, table.cells, strict=True)
    ]
    headers = [
        wrapped(column.header, max(_widest(of_column), _widest(BREAK.split(column.header))), cell_len)
        for column, of_column in zip(table.columns, cells, strict=True)
    ]
    widths = [
        max(min(_widest(of_column), WORDS) if can_wrap(column) else _widest(of_column), _widest(lines))
        for column, lines, of_column in zip(table.columns, headers, cells, strict=True)
    ]
    kept = most_important(table.columns, widths, BETWEEN, console.width)
    places = [place for place, column in enumerate(table.columns) if column in kept]
    fits = sum(widths[place] for place in places) + BETWEEN * (len(places) - 1) <= console.width
    printed = Table(box=box.SIMPLE_HEAD, padding=(0, BETWEEN - 1, 0, 0), pad_edge=False, show_edge=False)
    for place in places:
        column, width = table.columns[place], widths[place]
        header = "\n".join(line if column.words else line.rjust(width) for line in headers[place])
        printed.add_column(Text(header), overflow="fold", vertical="top", no_wrap=fits and not can_wrap(column))
    for number, row in enumerate(table.rows):  # as Text: rich reads [red] in a string as markup
        printed.add_row(
            *(
                Text(
                    cells[place][number] if table.columns[place].words else cells[place][number].rjust(widths[place]),
                    style="bold" if is_bold(row[place], table.columns[place]) else "",
                )
                for place in places
            )
        )
    console.print(printed)
    console.print()
    for note in notes:
        console.print(note, markup=False)
    dropped = [column.key for column in table.columns if column not in kept]
    if line := _omitted(dropped, more, stem, console.width):
        console.print(line, markup=False)


def can_wrap(column: Column) -> bool:
    """Whether the cells of a column may need several lines."""
    return column.words and not is_identity(column)


def _widest(texts: Sequence[str]) -> int:
    return max(map(cell_len, texts), default=0)


def _omitted(dropped: Sequence[str], more: Sequence[str], stem: str, width: int) -> str:
    """The sentence on columns that are not printed; empty if there are none."""
    parts = []
    if dropped:
        parts.append(f"Left out, because a line has {width} characters: {', '.join(dropped)} ({stem}.md has them).")
    if more:
        parts.append(f"columns={FULL} adds {', '.join(more)}.")
    return " ".join(parts)
