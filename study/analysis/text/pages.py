"""Divide a table of LaTeX that is longer than a page."""

import math
from collections.abc import Sequence

from study.analysis.text.columns import is_identity
from study.analysis.text.fitting import Layout, Width, measured

# In points, for the shortest page in use: that of the class article, with room for a caption
ROOM = 480.0
LINE = 14.5  # of a document in 12 points, the largest in use
BETWEEN = 4.0  # rules, and the space before a row of several lines
TEXT_WIDTH = 345.0  # of the class article
NOTE_SIZE, NOTE_LINE = 8.0, 9.5
LEAST = 3  # rows above the notes on the last page
FULL_ENOUGH = 0.4  # the part of a page that may end before a new group of rows


def on_pages(layout: Layout, notes: Sequence[str], width: Width | None) -> list[slice]:
    """Return the rows on each page; the notes are below the last ones. A page ends before a group of rows if possible.

    A group has the same text in the first column, such as the measure of a comparison.

    Args:
        layout: how the table is set.
        notes: sentences below it.
        width: the width of the table; None: not known.
    """
    line = LINE if layout.size is None else 1.2 * layout.size
    room = ROOM - line * max(map(len, layout.headers)) - 2 * BETWEEN
    heights = [
        line * max(map(len, cells)) + BETWEEN * (max(map(len, cells)) > 1) for cells in zip(*layout.cells, strict=True)
    ]
    letters = sum(measured(note) for note in notes) * NOTE_SIZE
    of_notes = NOTE_LINE * math.ceil(1.15 * letters / (width.points if width else TEXT_WIDTH))
    starts = _starts_of_groups(layout)
    pages, first = [], 0
    while sum(heights[first:]) + of_notes > room and first < len(heights) - 1:
        end = first + 1
        while end < len(heights) - LEAST and sum(heights[first : end + 1]) <= room:
            end += 1
        whole = [start for start in starts if first < start <= end and sum(heights[first:start]) >= FULL_ENOUGH * room]
        end = whole[-1] if whole else end
        pages.append(slice(first, end))
        first = end
    return [*pages, slice(first, len(heights))]


def _starts_of_groups(layout: Layout) -> list[int]:
    """Return the rows whose first cell differs from the one above."""
    columns, cells = layout.table.columns, layout.table.cells
    if not columns or not is_identity(columns[0]):
        return []
    return [row for row in range(1, len(cells[0])) if cells[0][row] != cells[0][row - 1]]
