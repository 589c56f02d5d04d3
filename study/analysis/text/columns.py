"""Tables of text: their columns, which of them are shown, and how the values of a column align."""

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from study.errors import ConfigError

SHORT, FULL = "short", "full"  # presets
ASKED = "asked"  # columns that only columns=[...] shows
NUMBER = re.compile(r"[−+<]?\d+(?:\.\d+)?(?:e[+−-]?\d+)?(?: of \d+)?|^–")
BREAK = re.compile(r" (?![=±])(?<![<=±] )")  # a space where a line may end: not inside `λ = 0.1`


@dataclass(frozen=True)
class Column:
    """A column of a table of text.

    Attributes:
        key: its column in the CSV, and its name in `columns=[...]`.
        header: its header. The unit is last, in parentheses.
        factor: from the values of the CSV to the displayed values.
        decimals: of the displayed values; None: as many as four significant digits need.
        priority: 0 if the column is always shown. Where there is too little space, columns with a larger number are
            dropped first.
        preset: `short` (also in `full`), `full`, or `asked`.
        words: whether it holds words, aligned to the left; all other columns hold numbers.
        also: further names in `columns=[...]`.
    """

    key: str
    header: str
    factor: float = 1
    decimals: int | None = 2
    priority: int = 5
    preset: str = FULL
    words: bool = False
    also: Sequence[str] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names by which `columns=[...]` selects it."""
        return (self.key, *self.also)


@dataclass(frozen=True)
class TextTable:
    """The cells of a table as text.

    Attributes:
        columns: the columns, in order.
        cells: the cells of each column. In a column of numbers, a cell that begins with `*` is bold.
    """

    columns: Sequence[Column]
    cells: Sequence[Sequence[str]]

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.cells[0]) if self.cells else 0

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The cells of each row."""
        return list(zip(*self.cells, strict=True))

    def head(self, count: int) -> "TextTable":
        """The first rows."""
        return TextTable(self.columns, [cells[:count] for cells in self.cells])

    def only(self, columns: Iterable[Column]) -> "TextTable":
        """The table with these of its columns, in this order."""
        by_key = {column.key: cells for column, cells in zip(self.columns, self.cells, strict=True)}
        kept = list(columns)
        return TextTable(kept, [by_key[column.key] for column in kept])

    def chosen(self, wanted: Sequence[str]) -> "TextTable":
        """The table with the columns that `columns=...` names, in this order.

        Columns that say what a row is come first if they are not named. A table without any of the columns shows those
        of `short`.

        Args:
            wanted: names of columns, and presets.
        """
        named = [column for word in wanted for column in self._meant(word)]
        if not named:
            return self.chosen([SHORT])
        first = [column for column in self.columns if is_identity(column) and column not in named]
        return self.only(dict.fromkeys([*first, *named]))

    def _meant(self, word: str) -> list[Column]:
        presets = {SHORT: (SHORT,), FULL: (SHORT, FULL)}
        if word in presets:
            return [column for column in self.columns if column.preset in presets[word]]
        return [column for column in self.columns if word in column.names]


def is_identity(column: Column) -> bool:
    """Whether a column says what a row is, so that the table makes no sense without it."""
    return column.words and column.priority == 0


def check_columns(wanted: object, known: Sequence[str]) -> list[str]:
    """Return the names in `columns=...` as a list.

    Args:
        wanted: a preset, a name, or a list of them.
        known: the names of the columns of all tables.

    Raises:
        ConfigError: the list is empty, or has something twice or a name that no table has.
    """
    example = "Example: columns=[val_accuracy,accuracy_gap]"
    if not isinstance(wanted, str | list | tuple) or not all(isinstance(word, str) for word in wanted):
        raise ConfigError(f"columns={wanted}: must be {SHORT}, {FULL}, or a list of names of columns. {example}")
    words = [wanted] if isinstance(wanted, str) else list(wanted)
    if not [word for word in words if word]:
        raise ConfigError(f"columns={wanted}: names no column. Allowed: {SHORT}, {FULL}, or a list of names. {example}")
    for word in words:
        if word not in (SHORT, FULL, *known):
            close = difflib.get_close_matches(word, [SHORT, FULL, *known], n=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            allowed = ", ".join(dict.fromkeys(known))
            raise ConfigError(
                f"columns: no table of this study has {word}.{hint} Allowed: {SHORT}, {FULL}, or a list of {allowed}"
            )
        if words.count(word) > 1:
            raise ConfigError(f"columns: {word} is named twice. Name each column once")
    return words


def most_important(
    columns: Sequence[Column], widths: Sequence[float], between: float, available: float
) -> list[Column]:
    """The columns that fit side by side, the most important ones first to be taken; in the given order.

    Args:
        columns: the columns.
        widths: the width of each.
        between: the space between two columns.
        available: the width of all.
    """
    kept: set[int] = set()
    used = 0.0
    for place in sorted(range(len(columns)), key=lambda place: columns[place].priority):
        more = widths[place] + (between if kept else 0)
        if columns[place].priority == 0 or used + more <= available:
            kept.add(place)
            used += more
    return [column for place, column in enumerate(columns) if place in kept]


def is_bold(cell: str, column: Column) -> bool:
    """Whether a cell is bold: its column holds numbers, and it begins with `*`."""
    return not column.words and cell.startswith("*")


def plain(cell: str, column: Column) -> str:
    """The text of a cell, without the mark of a bold cell."""
    return cell[1:] if is_bold(cell, column) else cell


def aligned(cells: Sequence[str], pad: str = " ") -> list[str]:
    """Pad the numbers of a column, so that decimal points stand below each other, and so do ± and brackets.

    Args:
        cells: texts such as `88.73 ± 0.41` and `−2.41 [−4.05, −0.77]`, without marks.
        pad: the character to pad with, as wide as a digit.

    Returns:
        The texts, all equally long.
    """
    split = [_split(cell) for cell in cells]
    places = max((len(parts) for parts in split), default=0)
    padded = ["" for _ in cells]
    for place in range(places):
        here = [parts[place] if place < len(parts) else "" for parts in split]
        left = [part.partition(".")[0] if place % 2 and " of " not in part else part for part in here]
        right = [part[len(whole) :] for part, whole in zip(here, left, strict=True)]
        last = all(not "".join(parts[place + 1 :]) for parts in split)
        most_left, most_right = max(map(len, left)), max(map(len, right)) if last else 0
        padded = [
            text + pad * (most_left - len(one)) + one + other + pad * (most_right - len(other))
            for text, one, other in zip(padded, left, right, strict=True)
        ]
    longest = max(map(len, padded), default=0)
    return [
        text.rjust(longest, pad) if len(parts) == places else text.ljust(longest, pad)
        for text, parts in zip(padded, split, strict=True)
    ]


def _split(cell: str) -> list[str]:
    """Text, number, text, number, ..., text."""
    parts, end = [], 0
    for found in NUMBER.finditer(cell):
        parts += [cell[end : found.start()], found[0]]
        end = found.end()
    return [*parts, cell[end:]]


def wrapped(text: str, width: float, measure: Callable[[str], float] = len) -> list[str]:
    """Break a text into lines at spaces; a unit in parentheses gets a line of its own.

    Args:
        text: the text.
        width: the width of a line. A word that is wider stays whole.
        measure: the function that returns the width of a text.
    """
    lines: list[str] = []
    for word in BREAK.split(text):
        if lines and not word.startswith("(") and measure(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
