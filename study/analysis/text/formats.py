"""Format numbers as text, and tables of text as Markdown, as LaTeX, and for the terminal."""

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from study.analysis.text.escaping import UNICODE_OR, latex, latex_of_mathtext, markdown

LEFT = ("Variant", "Measure", "Note", "Regularizer", "Searched", "Chosen")  # columns of words; all others hold numbers
WIDE = 400  # characters per line if the output is not a terminal


def number(mean: float, decimals: int, sd: float = float("nan")) -> str:
    """Format a number, followed by ± and its deviation if there is one."""
    if pd.isna(mean):
        return "–"
    return f"{mean:.{decimals}f}".replace("-", "−") + ("" if pd.isna(sd) else f" ± {sd:.{decimals}f}")


def significant(values: Iterable[float], digits: int = 4) -> int:
    """The decimals that show the largest of some numbers with so many significant digits, at most 6."""
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    return min(max(digits - 1 - math.floor(math.log10(largest)), 0), 6) if largest else digits


def signed(value: float, decimals: int) -> str:
    """Format a difference with its sign."""
    if pd.isna(value):
        return "–"
    text = f"{value:+.{decimals}f}"
    return text.replace("-", "−") if float(text) else f"{0:.{decimals}f}"


def to_markdown(text: pd.DataFrame, notes: Sequence[str], bold: str = "**") -> str:
    """Format a Markdown table with its notes.

    Args:
        text: cells; see `is_bold`.
        notes: sentences below the table.
        bold: the mark before and after the text of a bold cell.
    """

    def cell(value: str, header: str = "") -> str:
        plain, around = (value[1:], bold) if is_bold(value, header) else (value, "")
        return around + markdown(plain).replace("|", "\\|") + around

    lines = ["| " + " | ".join(map(cell, text.columns)) + " |"]
    lines.append("|" + "|".join("---" if header in LEFT else "---:" for header in text.columns) + "|")
    for row in text.itertuples(index=False):
        lines.append("| " + " | ".join(map(cell, row, text.columns)) + " |")
    return "\n".join([*lines, "", *map(markdown, notes)]) + "\n"


def to_html(text: pd.DataFrame, notes: Sequence[str]) -> str:
    """Format an HTML table with its notes; names that users chose cannot add markup.

    Args:
        text: cells; see `is_bold`.
        notes: sentences below the table.
    """

    def cell(value: str, header: str) -> str:
        shown = f"<strong>{escape(value[1:])}</strong>" if is_bold(value, header) else escape(value)
        return f'<td style="text-align: {"left" if header in LEFT else "right"}">{shown}</td>'

    head = "".join(f"<th>{escape(header)}</th>" for header in text.columns)
    rows = ["".join(map(cell, row, text.columns)) for row in text.itertuples(index=False)]
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    footer = "".join(f"<p><small>{escape(note)}</small></p>" for note in notes)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{footer}"


def to_latex(text: pd.DataFrame, notes: Sequence[str], labels: Mapping[str, str]) -> str:
    """Format a booktabs table with its notes, for use inside `table`; requires \\usepackage{booktabs}.

    Args:
        text: cells; see `is_bold`.
        notes: sentences below the table.
        labels: the labels of variants, as in figures.
    """

    def cell(value: str, header: str) -> str:
        if header in LEFT and value in labels:
            code = latex_of_mathtext(labels[value])
        else:
            code = rf"\textbf{{{latex(value[1:])}}}" if is_bold(value, header) else latex(value)
        # Without {}, LaTeX reads a leading [ or * as an argument of the previous \\
        return f"{{}}{code}" if code.startswith(("[", "*")) else code

    shown = text.apply(lambda column: [cell(value, column.name) for value in column]).rename(columns=latex)
    columns = "".join("l" if header in LEFT else "r" for header in text.columns)
    body = shown.style.hide(axis="index").to_latex(hrules=True, column_format=columns)
    footer = "\n".join(map(latex, notes))
    page = f"{body}\n\\par\\smallskip\n{{\\footnotesize\n{footer}\n\\par}}\n"
    return f"{UNICODE_OR}\n{page}" if r"\unicodeor" in page else page


def is_bold(value: str, header: str) -> bool:
    """Whether a cell is bold: its column holds numbers, and it begins with `*`."""
    return header not in LEFT and value.startswith("*")


def show(text: pd.DataFrame, notes: Sequence[str]) -> None:
    """Print a table with its notes. If the output is not a terminal, lines are wide enough for every column."""
    console = Console(highlight=False, soft_wrap=True, emoji=False)
    if not console.is_terminal:
        console.width = WIDE
    table = Table(box=box.SIMPLE_HEAD)
    for header in text.columns:
        left = header in LEFT
        table.add_column(
            Text(header), justify="left" if left else "right", overflow="fold", no_wrap=header == "Variant"
        )
    for row in text.itertuples(index=False):
        cells = zip(row, text.columns, strict=True)  # as Text: rich reads [red] in a string as markup
        table.add_row(*(Text(v[1:], style="bold") if is_bold(v, header) else Text(v) for v, header in cells))
    console.print(table)
    for note in notes:
        console.print(note, markup=False)
