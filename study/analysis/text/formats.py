"""Numbers as text, and a table of text as Markdown, as LaTeX, and on the terminal."""

from collections.abc import Mapping, Sequence

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from study.analysis.text.escaping import UNICODE_OR, latex, latex_of_mathtext, markdown

LEFT = ("Variant", "Measure", "Note", "Regularizer", "Searched", "Chosen")  # columns of words; all others are numbers
WIDE = 400  # characters of a line where the output is no terminal


def number(mean: float, decimals: int, sd: float = float("nan")) -> str:
    """A number, with ± its deviation where there is one."""
    if pd.isna(mean):
        return "–"
    return f"{mean:.{decimals}f}".replace("-", "−") + ("" if pd.isna(sd) else f" ± {sd:.{decimals}f}")


def signed(value: float, decimals: int) -> str:
    """A difference with its sign."""
    if pd.isna(value):
        return "–"
    text = f"{value:+.{decimals}f}"
    return text.replace("-", "−") if float(text) else f"{0:.{decimals}f}"


def to_markdown(text: pd.DataFrame, notes: Sequence[str], bold: str = "**") -> str:
    """A Markdown table with its footer.

    Args:
        text: cells; see `is_bold`.
        notes: sentences below the table.
        bold: what stands around a bold cell.
    """

    def cell(value: str, header: str = "") -> str:
        plain, around = (value[1:], bold) if is_bold(value, header) else (value, "")
        return around + markdown(plain).replace("|", "\\|") + around

    lines = ["| " + " | ".join(map(cell, text.columns)) + " |"]
    lines.append("|" + "|".join("---" if header in LEFT else "---:" for header in text.columns) + "|")
    for row in text.itertuples(index=False):
        lines.append("| " + " | ".join(map(cell, row, text.columns)) + " |")
    return "\n".join([*lines, "", *map(markdown, notes)]) + "\n"


def to_latex(text: pd.DataFrame, notes: Sequence[str], labels: Mapping[str, str]) -> str:
    """A booktabs table with its footer below it, to be used within `table`; needs \\usepackage{booktabs}.

    Args:
        text: cells; see `is_bold`.
        notes: sentences below the table.
        labels: what variants are called, as in figures.
    """

    def cell(value: str, header: str) -> str:
        if header in LEFT and value in labels:
            code = latex_of_mathtext(labels[value])
        else:
            code = rf"\textbf{{{latex(value[1:])}}}" if is_bold(value, header) else latex(value)
        return f"{{}}{code}" if code.startswith(("[", "*")) else code  # which would belong to the \\ before it

    shown = text.apply(lambda column: [cell(value, column.name) for value in column]).rename(columns=latex)
    columns = "".join("l" if header in LEFT else "r" for header in text.columns)
    body = shown.style.hide(axis="index").to_latex(hrules=True, column_format=columns)
    footer = "\n".join(map(latex, notes))
    page = f"{body}\n\\par\\smallskip\n{{\\footnotesize\n{footer}\n\\par}}\n"
    return f"{UNICODE_OR}\n{page}" if r"\unicodeor" in page else page


def is_bold(value: str, header: str) -> bool:
    """Whether a cell is bold: one of numbers that begins with `*`."""
    return header not in LEFT and value.startswith("*")


def show(text: pd.DataFrame, notes: Sequence[str]) -> None:
    """Print the table to the terminal; wide enough for every column where the output is no terminal."""
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
        cells = zip(row, text.columns, strict=True)  # as Text, or rich would take [red] for markup
        table.add_row(*(Text(v[1:], style="bold") if is_bold(v, header) else Text(v) for v, header in cells))
    console.print(table)
    for note in notes:
        console.print(note, markup=False)
