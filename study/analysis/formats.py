"""Numbers as text, and a table of text as Markdown, as LaTeX, and on the terminal."""

from collections.abc import Sequence

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

LEFT = ("Variant", "Measure", "Note", "Regularizer", "Chosen")  # columns of words; all others are numbers
WIDE = 400  # characters of a line where the output is no terminal
# Text that needs another spelling in LaTeX; the longer ones first.
LATEX = (
    ("\\", r"\textbackslash "),
    ("_", r"\_"),
    ("%", r"\%"),
    ("&", r"\&"),
    ("#", r"\#"),
    ("|w|", "$|w|$"),
    ("‖w‖₂", r"$\lVert w\rVert_2$"),
    ("Σ", r"$\Sigma$"),
    ("Δ", r"$\Delta$"),
    ("λ", r"$\lambda$"),
    (" ± ", r" $\pm$ "),
    ("<", "$<$"),
    ("≤", r"$\leq$"),
    ("–", "--"),
    ("−", "$-$"),
)


def number(mean: float, decimals: int, sd: float = float("nan")) -> str:
    """A number, with ± its deviation where there is one."""
    if pd.isna(mean):
        return "–"
    return f"{mean:.{decimals}f}" + ("" if pd.isna(sd) else f" ± {sd:.{decimals}f}")


def signed(value: float, decimals: int) -> str:
    """A difference with its sign."""
    if pd.isna(value):
        return "–"
    text = f"{value:+.{decimals}f}"
    return text.replace("-", "−") if float(text) else f"{0:.{decimals}f}"


def to_markdown(text: pd.DataFrame, notes: Sequence[str], bold: str = "**") -> str:
    """A Markdown table with its footer.

    Args:
        text: cells; those that begin with `*` are bold.
        notes: sentences below the table.
        bold: what stands around a bold cell.
    """

    def cell(value: str) -> str:
        value = value.replace("|", "\\|")
        return f"{bold}{value[1:]}{bold}" if value.startswith("*") else value

    lines = ["| " + " | ".join(map(cell, text.columns)) + " |"]
    lines.append("|" + "|".join("---" if header in LEFT else "---:" for header in text.columns) + "|")
    lines += ["| " + " | ".join(map(cell, row)) + " |" for row in text.itertuples(index=False)]
    return "\n".join([*lines, "", *notes]) + "\n"


def to_latex(text: pd.DataFrame, notes: Sequence[str]) -> str:
    """A booktabs table with its footer as a comment; needs \\usepackage{booktabs}."""

    def escaped(cell: str) -> str:
        is_bold, cell = cell.startswith("*"), cell.removeprefix("*")
        for plain, code in LATEX:
            cell = cell.replace(plain, code)
        return rf"\textbf{{{cell}}}" if is_bold else cell

    shown = text.map(escaped).rename(columns=escaped)
    columns = "".join("l" if header in LEFT else "r" for header in text.columns)
    body = shown.style.hide(axis="index").to_latex(hrules=True, column_format=columns)
    return "".join(f"% {note}\n" for note in notes) + body


def show(text: pd.DataFrame, notes: Sequence[str]) -> None:
    """Print the table to the terminal; wide enough for every column where the output is no terminal."""
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = WIDE
    table = Table(box=box.SIMPLE_HEAD)
    for header in text.columns:
        left = header in LEFT
        table.add_column(header, justify="left" if left else "right", overflow="fold", no_wrap=header == "Variant")
    for row in text.itertuples(index=False):
        table.add_row(*(f"[bold]{cell[1:]}[/bold]" if cell.startswith("*") else cell for cell in row))
    console.print(table)
    for note in notes:
        console.print(note, markup=False)
