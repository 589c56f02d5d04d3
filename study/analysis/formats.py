"""Numbers as text, and a table of text as Markdown, as LaTeX, and on the terminal."""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

LEFT = ("Variant", "Measure", "Note", "Regularizer", "Searched", "Chosen")  # columns of words; all others are numbers
WIDE = 400  # characters of a line where the output is no terminal
# Text that needs another spelling in LaTeX; the longer ones first.
LATEX = (
    ("\\", r"\textbackslash "),
    ("_", r"\_"),
    ("%", r"\%"),
    ("&", r"\&"),
    ("#", r"\#"),
    ("~", r"\textasciitilde "),
    ("Σ|w|", r"$\Sigma|w|$"),
    ("Σ‖in‖‖out‖", r"$\Sigma\|\mathrm{in}\|\|\mathrm{out}\|$"),
    ("|w|", "$|w|$"),
    ("‖w‖₂", r"$\|w\|_2$"),
    ("Σ", r"$\Sigma$"),
    ("ℓ1", r"$\ell_1$"),
    ("ℓ2", r"$\ell_2$"),
    ("½", r"$\frac12$"),
    ("²", "$^2$"),
    ("≥", r"$\geq$"),
    ("×", r"$\times$"),
    ("Δ", r"$\Delta$"),
    ("λ", r"$\lambda$"),
    (" ± ", r" $\pm$ "),
    ("<", "$<$"),
    (">", "$>$"),
    ("≤", r"$\leq$"),
    ("–", "--"),
    ("−", "$-$"),
)


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


def to_latex(text: pd.DataFrame, notes: Sequence[str], labels: Mapping[str, str]) -> str:
    """A booktabs table with its footer below it, to be used within `table`; needs \\usepackage{booktabs}.

    Args:
        text: cells; those that begin with `*` are bold.
        notes: sentences below the table.
        labels: what variants are called, as LaTeX.
    """

    def cell(value: str) -> str:
        if value in labels:
            return labels[value]
        return rf"\textbf{{{latex(value[1:])}}}" if value.startswith("*") else latex(value)

    shown = text.map(cell).rename(columns=latex)
    columns = "".join("l" if header in LEFT else "r" for header in text.columns)
    body = shown.style.hide(axis="index").to_latex(hrules=True, column_format=columns)
    footer = "\n".join(map(latex, notes))
    return f"{body}\n\\par\\smallskip\n{{\\footnotesize\n{footer}\n\\par}}\n"


def outside_math(text: str, change: Callable[[str], str]) -> str:
    """A text with changes made to what does not stand between dollar signs."""
    return "$".join(part if number % 2 else change(part) for number, part in enumerate(text.split("$")))


def latex(text: str) -> str:
    """Plain text as LaTeX."""
    for plain, code in LATEX:
        text = text.replace(plain, code)
    return text


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
