"""Tables as LaTeX: booktabs, with columns of siunitx on request."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from study.analysis.text.columns import Column, TextTable, is_bold
from study.analysis.text.escaping import UNICODE_OR, latex, latex_of_mathtext
from study.analysis.text.fitting import WIDE_AS_DIGIT, Layout, Width, as_it_is, fitted, measured, straight
from study.analysis.text.pages import on_pages

# A value, its spread, a star, an interval
VALUE = re.compile(r"(?P<sign>[−+])?(?P<whole>\d+)(?:\.(?P<part>\d+))?(?: ± (?P<sd>[\d.]+))?(?P<after>\*?(?: \[.*\])?)")
SISETUP = (
    "uncertainty-mode=separate,tight-spacing=true,retain-explicit-plus,table-number-alignment=right,"
    "table-text-alignment=right,"
)
# How siunitx prints bold numbers; as text in Times, whose documents often have other digits in mathematics
AS_TEXT, AS_MATHEMATICS = "mode=text,reset-text-series=false", "text-series-to-math=true,reset-math-version=false"


@dataclass(frozen=True)
class Form:
    """The form of a table in LaTeX.

    Attributes:
        caption: the caption; empty for a table without `table` environment, caption and label.
        label: the label.
        siunitx: whether columns of numbers are S columns.
        width: the width to fit into; None: as wide as the table is.
    """

    caption: str = ""
    label: str = ""
    siunitx: bool = False
    width: Width | None = None


def to_latex(table: TextTable, notes: Sequence[str], labels: Mapping[str, str], form: Form, stem: str = "") -> str:
    """Format a table with its notes for pdflatex, LuaLaTeX and XeLaTeX.

    Args:
        table: the columns to show.
        notes: sentences below the table.
        labels: the labels of variants, as in figures.
        form: caption, width and kind of columns.
        stem: name of the table's files.
    """
    layout = as_it_is(table, labels) if form.width is None else fitted(table, labels, form.width)
    kept = {column.key for column in layout.table.columns}
    if dropped := [column.header for column in table.columns if column.key not in kept]:
        notes = [*notes, f"Left out to fit: {', '.join(dropped)} ({stem}.csv has all columns)."]
    columns: Sequence[tuple[str, list[list[str]]]] = [
        _set_column(column, cells, of_column, form.siunitx)
        for column, cells, of_column in zip(layout.table.columns, layout.table.cells, layout.cells, strict=True)
    ]
    size, ends = "", "@{}" if form.width else ""
    if layout.size is not None:
        size = f"\\fontsize{{{layout.size}}}{{{1.2 * layout.size:g}}}\\selectfont\n"
        size += f"\\setlength{{\\tabcolsep}}{{{layout.space:g}pt}}\n"
    if any(kind.startswith("S") for kind, _ in columns):
        mode = AS_TEXT if form.width and form.width.times else AS_MATHEMATICS
        size += f"\\sisetup{{{SISETUP}{mode}}}\n"
    small = r"\scriptsize" if form.width else r"\footnotesize"
    footer = "\n".join(map(latex, notes))
    bodies = []
    for rows in on_pages(layout, notes, form.width) if form.caption else [slice(None)]:
        lines = [
            size + f"\\begin{{tabular}}{{{ends}{''.join(kind for kind, _ in columns)}{ends}}}",
            r"\toprule",
            *_headers(layout, [kind for kind, _ in columns]),
            r"\midrule",
            *_rows([codes[rows] for _, codes in columns]),
            r"\bottomrule",
            r"\end{tabular}",
        ]
        bodies.append("\n".join(lines) + "\n")
    bodies[-1] += f"\n\\par\\smallskip\n{{{small}\\raggedright\n{footer}\n\\par}}\n"
    packages = "booktabs,siunitx" if form.siunitx else "booktabs"
    page = "".join(_framed(body, form, number) for number, body in enumerate(bodies))
    return f"% requires \\usepackage{{{packages}}}\n" + (f"{UNICODE_OR}\n{page}" if r"\unicodeor" in page else page)


def _framed(body: str, form: Form, part: int) -> str:
    """The body in a `table` environment, or, without a caption, in a group of its own. `part`: of a long table."""
    if not form.caption:
        return f"{{{body}}}\n"
    label = f"\\label{{{form.label}}}\n" if form.label and not part else ""
    again, caption = (
        ("\\addtocounter{table}{-1}\n", f"{form.caption.removesuffix('.')} (continued).")
        if part
        else ("", form.caption)
    )
    return f"\\begin{{table}}[tp]\n{again}\\caption{{{latex(caption)}}}\n{label}\\centering\n{body}\\end{{table}}\n"


def _headers(layout: Layout, kinds: Sequence[str]) -> list[str]:
    """The rows of the header. Lines of one header stand below each other, the last ones in the last row."""
    deepest = max(map(len, layout.headers))
    padded = [[*[""] * (deepest - len(lines)), *lines] for lines in layout.headers]
    codes = [
        [f"{{{latex(line)}}}" if kind.startswith("S") else latex(line) for line in lines]
        for kind, lines in zip(kinds, padded, strict=True)
    ]
    return [" & ".join(map(_protected, row)) + r" \\" for row in zip(*codes, strict=True)]


def _rows(columns: Sequence[Sequence[Sequence[str]]]) -> list[str]:
    """The rows of the body, from the lines of each cell by column."""
    rows: list[str] = []
    for cells in zip(*columns, strict=True):
        lines = list(zip_longest(*cells, fillvalue=""))
        if rows and len(lines) > 1:
            rows.append(r"\addlinespace[2pt]")
        rows += [" & ".join(map(_protected, line)) + r" \\" for line in lines]
    return rows


def _protected(code: str) -> str:
    """The code of a cell. Without {}, LaTeX reads a leading [ or * as an argument of the previous \\\\."""
    return f"{{}}{code}" if code.startswith(("[", "*")) else code


def _set_column(
    column: Column, cells: Sequence[str], lines: Sequence[Sequence[str]], siunitx: bool
) -> tuple[str, list[list[str]]]:
    """The kind of a column, and the code of each line of its cells."""
    if column.words:
        return "l", [[latex_of_mathtext(line) for line in cell] for cell in lines]
    bold = [is_bold(cell, column) for cell in cells]
    first = [cell[0] for cell in lines]
    found = [VALUE.fullmatch(text) for text in first]
    if siunitx and any(found) and all(match or text in ("–", "") for match, text in zip(found, first, strict=True)):
        codes = [_number(text, match, strong) for text, match, strong in zip(first, found, bold, strict=True)]
        rest = [[f"{{{_code(line, strong)}}}" for line in cell[1:]] for cell, strong in zip(lines, bold, strict=True)]
        return f"S[{_table_format([match for match in found if match])}]", [
            [code, *more] for code, more in zip(codes, rest, strict=True)
        ]
    return "r", [[_code(line, strong) for line in cell] for cell, strong in zip(straight(lines), bold, strict=True)]


def _code(text: str, bold: bool) -> str:
    code = r"\phantom{0}".join(latex(part) if part else "" for part in text.split(WIDE_AS_DIGIT))
    return rf"\textbf{{{code}}}" if bold and code else code


def _number(text: str, match: re.Match[str] | None, bold: bool) -> str:
    """The code of a number in an S column."""
    if match is None:
        return f"{{{latex(text)}}}"
    value = text[: match.start("after")].replace("−", "-").replace("±", "+-")
    after = f"{{{latex(match['after']).replace(' [', '~[', 1)}}}" if match["after"] else ""
    return (r"\bfseries " if bold else "") + value + after


def _table_format(found: Sequence[re.Match[str]]) -> str:
    """The option table-format that reserves space for the widest of some numbers, and for what stands behind it."""
    sign = "-" if any(match["sign"] for match in found) else ""
    whole, part = (max(len(match[name] or "") for match in found) for name in ("whole", "part"))
    spreads = [match["sd"].partition(".") for match in found if match["sd"]]
    uncertainty = ""
    if spreads:
        widest, digits = (max(len(spread[place]) for spread in spreads) for place in (0, 2))
        uncertainty = f" +- {widest}.{digits}"
    after = max((match["after"] for match in found), key=measured)
    space = f",table-space-text-post={{{latex(after).replace(' [', '~[', 1)}}}" if after else ""
    return f"table-format={sign}{whole}.{part}{uncertainty}{space}"
