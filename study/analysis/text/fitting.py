"""Fit a table into a width of LaTeX: size of text, space between columns, line breaks, and at last fewer columns.

Widths are those of Times (as STIX, which comes with Matplotlib). Computer Modern is wider: its letters by a tenth, and
small sizes once more. A table for an unknown document therefore assumes Computer Modern.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from study.analysis.text.columns import BREAK, TextTable, aligned, is_bold, most_important, plain, wrapped
from study.analysis.text.escaping import SPELLINGS, TOKEN, mathtext

SIZES_AND_LINES = ((9, 1), (8, 1), (9, 2), (8, 2), (7, 1), (7, 2), (7, 3), (7, 4))  # points, and lines of a cell
SPACES = (6.0, 4.5, 3.0, 2.0)  # values of tabcolsep, in points
MARGIN = 1.03  # rounding, and characters that the fonts of a document set wider
MATHEMATICS = 1.05  # indices are relatively larger in small sizes
TIMES = (1.0, 1.0, 1.0)  # width of words, of numbers and of bold numbers, relative to Times
COMPUTER_MODERN = {9: (1.13, 1.03, 1.19), 8: (1.17, 1.07, 1.23), 7: (1.25, 1.15, 1.32)}  # the same, by size
WIDE_AS_DIGIT = "\u2007"
LONGEST_WORD = 0.25  # the widest word that is not broken, relative to the table
WORD_BREAK = re.compile(r"[-_/=]|\.(?=[A-Za-z])")
SPREAD = re.compile(r" (?=[±\[])")  # where a value ends and its spread or interval begins


@dataclass(frozen=True)
class Width:
    """The width for a table.

    Attributes:
        points: in points of TeX, 72.27 per inch.
        words: the width as the user gave it.
        times: whether the document is set in Times; else it may be in Computer Modern.
    """

    points: float
    words: str
    times: bool


@dataclass(frozen=True)
class Layout:
    """How a table is set.

    Attributes:
        table: the columns that are kept.
        headers: the lines of each header.
        cells: the lines of each cell, by column. Words are mathtext, numbers are plain text.
        size: size of text in points; None: the document's.
        space: tabcolsep in points; None: the document's.
    """

    table: TextTable
    headers: Sequence[Sequence[str]]
    cells: Sequence[Sequence[Sequence[str]]]
    size: int | None = None
    space: float | None = None


def as_it_is(table: TextTable, labels: Mapping[str, str]) -> Layout:
    """A line for each row, in the document's size."""
    return Layout(table, [[column.header] for column in table.columns], _lines(table, labels, 1, 0.0))


def fitted(table: TextTable, labels: Mapping[str, str], width: Width) -> Layout:
    """The most readable layout that fits into a width. Columns are dropped only if none does.

    Args:
        table: the columns to show.
        labels: the labels of variants, as mathtext.
        width: the width.
    """
    for size, lines in SIZES_AND_LINES:
        for layout, widths in _of_size(table, labels, width, size, lines):
            if sum(widths) + 2 * (layout.space or 0) * (len(widths) - 1) <= width.points:
                return layout
    kept = most_important(table.columns, widths, 2 * SPACES[-1], width.points)
    return next(reversed([layout for layout, _ in _of_size(table.only(kept), labels, width, size, lines)]))


def _of_size(
    table: TextTable, labels: Mapping[str, str], width: Width, size: int, lines: int
) -> Iterator[tuple[Layout, list[float]]]:
    """The layouts of a size, with the widths of their columns in points, from wide to narrow spaces."""
    words, numbers, bold = (size * MARGIN * factor for factor in (TIMES if width.times else COMPUTER_MODERN[size]))
    cells = _lines(table, labels, lines, width.points / words)
    headers, widths = [], []
    for column, texts, of_column in zip(table.columns, table.cells, cells, strict=True):
        measure, set_cells = (_of_mathtext, of_column) if column.words else (measured, straight(of_column))
        em = words if column.words else bold if any(is_bold(text, column) for text in texts) else numbers
        own = em * max((measure(line) for cell in set_cells for line in cell), default=0.0)
        longest = max(measured(word) for word in BREAK.split(column.header))
        headers.append(wrapped(column.header, max(own / words, longest), measured))
        widths.append(max([own, *(words * measured(line) for line in headers[-1])]))
    for space in SPACES:
        yield Layout(table, headers, cells, size, space), widths


def straight(cells: Sequence[Sequence[str]]) -> list[list[str]]:
    """The lines of the cells of a column of numbers. Cells of one line are aligned with WIDE_AS_DIGIT."""
    if any(len(cell) > 1 for cell in cells):
        return [list(cell) for cell in cells]
    firsts = [text.lstrip(WIDE_AS_DIGIT) for text in aligned([cell[0] for cell in cells], WIDE_AS_DIGIT)]
    return [[first, *cell[1:]] for first, cell in zip(firsts, cells, strict=True)]


def _lines(table: TextTable, labels: Mapping[str, str], lines: int, width: float) -> list[list[list[str]]]:
    """The lines of each cell, by column."""
    found = []
    for column, cells in zip(table.columns, table.cells, strict=True):
        if column.words:
            found.append(_of_words([labels.get(cell, mathtext(cell)) for cell in cells], lines, width))
        elif lines == 1:
            found.append([[plain(cell, column)] for cell in cells])
        else:
            found.append([SPREAD.split(plain(cell, column).replace("± ", "±")) for cell in cells])
    return found


def _of_words(texts: Sequence[str], lines: int, width: float) -> list[list[str]]:
    """Break texts into so many lines at most, as short as possible; more lines if one would be wider than the table."""
    if lines == 1:
        return [[text] for text in texts]
    protected = [re.sub(r"\$[^$]*\$", lambda found: found[0].replace(" ", "\u00a0"), text) for text in texts]
    words = [word for text in protected for word in BREAK.split(text)]
    narrow = min(max(map(_of_mathtext, words), default=0.0), LONGEST_WORD * width)
    while narrow < width / 3 and any(len(_narrow_lines(text, narrow)) > lines for text in protected):
        narrow += 0.25
    return [[line.replace("\u00a0", " ") for line in _narrow_lines(text, narrow)] for text in protected]


def _narrow_lines(text: str, width: float) -> list[str]:
    """Break a label at spaces, and words that are wider than a line inside."""
    return [part for line in wrapped(text, width, _of_mathtext) for part in _parts(line, width)]


def _parts(line: str, width: float) -> list[str]:
    """Break a line that is too wide: after -, _, /, = or a dot before a letter if possible. Mathematics stays whole."""
    parts = []
    while "$" not in line and _of_mathtext(line) > width:
        end = next((end for end in range(len(line) - 1, 1, -1) if _of_mathtext(line[:end]) <= width), 1)
        places = [found.end() for found in WORD_BREAK.finditer(line) if found.end() <= end]
        end = places[-1] if places else end
        parts.append(line[:end])
        line = line[end:]
    return [*parts, line]


@lru_cache(maxsize=4096)
def _of_mathtext(text: str) -> float:
    """The width of a label, whose text between dollar signs is mathematics, in ems."""
    font = FontProperties(family="STIXGeneral", math_fontfamily="cm", size=100)
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=True)
    return float(width) / 100 * (MATHEMATICS if "$" in text else 1)


def measured(text: str) -> float:
    """The width of a plain text in ems. What LaTeX sets as mathematics counts as Computer Modern."""
    return _of_mathtext(TOKEN.sub(lambda found: _as_set(found[0]), text.replace(WIDE_AS_DIGIT, "0")))


def _as_set(token: str) -> str:
    code = SPELLINGS.get(token, "")
    return code if code.startswith("$") else mathtext(token)
