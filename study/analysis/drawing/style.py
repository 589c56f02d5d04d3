"""The look of figures: sizes and fonts of venues, colours and line styles of variants, readable labels.

Figures are drawn with Agg, which needs no display. All fonts ship with Matplotlib, so figures look the same everywhere.
"""

import matplotlib

matplotlib.use("Agg")

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from cycler import cycler
from matplotlib import cbook
from matplotlib import pyplot as plt
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.mathtext import MathTextParser

from study.analysis.text.escaping import UNICODE_OR, latex_of_mathtext, mathtext
from study.config.names import for_file_name
from study.errors import ConfigError

# Okabe and Ito (2008): distinguishable under all common forms of colour blindness. Black is the unpenalized reference.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES = ((0, (5, 1.5)), (0, (1, 1)), (0, (5, 1.5, 1, 1.5)), (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1)), "solid", (0, (2, 2)))
MARKERS = ("s", "^", "D", "v", "P", "X", "<")  # one more than colours, like dashes: 40 variants, no pair twice
REFERENCE = ("black", "solid", "o")  # colour, dash and marker of a variant without a regularizer
NAMES = {
    "none": "No regularizer",
    "l1": "L1",
    "l2": "L2",
    "l2_norm": "L2 norm",
    "l1_proximal": "L1, proximal",
    "max_norm": "Max norm",
    "sam": "SAM",
    "ema": "EMA",
}
PNG_DPI = 300
SMALLER = (0.85, 0.7)  # scales of a legend whose longest label does not fit


@dataclass(frozen=True)
class Style:
    """The requirements of a venue on figures.

    Attributes:
        name: name of the style.
        single: width of one column, in inches.
        double: width of the text, in inches.
        size: size of text in figures, in points.
        family: font family: `serif` (STIX, similar to Times) or `sans` (DejaVu).
        line: width of lines, in points.
    """

    name: str
    single: float
    double: float
    size: float
    family: str
    line: float = 1.2

    def rc(self, usetex: bool = False) -> Any:
        """Return the settings for Matplotlib."""
        serif = self.family == "serif"
        return {
            "font.family": "STIXGeneral" if serif else "DejaVu Sans",
            "mathtext.fontset": "stix" if serif else "dejavusans",
            "text.usetex": usetex,
            "text.latex.preamble": UNICODE_OR if usetex else "",
            "font.size": self.size,
            "axes.titlesize": self.size,
            "axes.labelsize": self.size,
            "legend.fontsize": self.size - 1,
            "xtick.labelsize": self.size - 1,
            "ytick.labelsize": self.size - 1,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.linewidth": 0.6,
            "axes.grid": True,
            "grid.color": "#dddddd",
            "grid.linewidth": 0.5,
            "axes.axisbelow": True,
            "axes.unicode_minus": True,
            "lines.linewidth": self.line,
            "lines.markersize": 2.6 * self.line,
            "legend.frameon": False,
            "figure.constrained_layout.use": True,
            "pdf.fonttype": 42,  # embeds TrueType fonts: text stays text, as venues require
            "svg.fonttype": "none",
            "svg.hashsalt": "regstudy",  # the same figure gives the same bytes
            "axes.prop_cycle": cycler(color=COLOURS),
        }


STYLES = {
    style.name: style
    for style in (
        Style("plain", 3.5, 7.0, 9, "sans"),
        Style("neurips", 2.7, 5.5, 8, "serif"),  # a single column of 5.5 inches; single = two figures side by side
        Style("icml", 3.25, 6.75, 8, "serif"),
        Style("ieee", 3.5, 7.16, 8, "serif", 1.0),
        Style("nature", 3.5, 7.2, 7, "sans", 1.0),  # 89 mm and 183 mm, text of 5 to 7 points
        Style("slides", 6.0, 12.0, 16, "sans", 2.4),
        Style("book", 3.4, 6.8, 10, "serif"),
    )
}


def style_of(name: str) -> Style:
    """Return the style of a venue.

    Raises:
        ConfigError: no style has this name.
    """
    if name not in STYLES:
        raise ConfigError(f"style={name}: there is no such style. Allowed: {', '.join(STYLES)}")
    return STYLES[name]


@dataclass(frozen=True)
class Look:
    """The label, colour, dash and marker of one variant, the same in every figure of a study."""

    label: str
    colour: str
    dash: Any
    marker: str

    def line(self) -> dict[str, Any]:
        """Return Matplotlib's arguments for a line without markers."""
        return {"color": self.colour, "linestyle": self.dash}


def looks(runs: pd.DataFrame) -> dict[str, Look]:
    """Return the look of each variant, in the order in which variants are shown.

    Variants differ in colour, dash and marker, so that a print in grey can be read as well.
    """
    found = {}
    references = runs.loc[runs["reg"] == "none", "variant"].unique()
    for row in runs.drop_duplicates("variant").itertuples():
        label = variant_label(row.variant, row.reg, row.lam, row.model_regularizers)
        found[row.variant] = label, row.variant == "none" or list(references) == [row.variant]
    return _assigned(found)


def group_looks(values: Sequence[Any], column: str, runs: pd.DataFrame) -> dict[Any, Look]:
    """Return the look of each value of a column such as `reg`, in order.

    Args:
        values: values of the column.
        column: name of the column, other than `variant`.
        runs: all runs that may be drawn. The label of `none` names the regularizers inside their models.
    """
    found = {}
    for value in values:
        text = f"{100 * value:g} % flipped labels" if column == "label_noise" else mathtext(str(value))
        if column == "reg":
            text = reference_label(runs) if value == "none" else option_label(value)
        found[value] = text, value == "none"
    return _assigned(found)


def reference_label(runs: pd.DataFrame) -> str:
    """Return the label of runs with `reg=none`; it names the regularizers inside their models."""
    own = runs.loc[runs["reg"] == "none", "model_regularizers"].unique()
    names = ", ".join(dict.fromkeys(name for of_run in own if of_run for name in of_run.split(", ")))
    return option_label("none", names, "model has" if all(own) else "some models have")


def _assigned(labels: dict[Any, tuple[str, bool]]) -> dict[Any, Look]:
    result, number = {}, 0
    texts = Counter(text for text, _ in labels.values())
    for key, (text, is_reference) in labels.items():
        if texts[text] > 1:  # a_b and "a b" give the same words
            text = mathtext(str(key))
        if is_reference:
            result[key] = Look(text, *REFERENCE)
            continue
        kind, block = number % len(COLOURS), number // len(COLOURS)
        result[key] = Look(text, COLOURS[kind], DASHES[(kind + block) % len(DASHES)], MARKERS[number % len(MARKERS)])
        number += 1
    return result


def option_label(reg: str, model_regularizers: str = "", having: str = "model has") -> str:
    """Return an option of `reg` in words; for `none`, the label names the regularizers inside the model."""
    if reg == "none" and model_regularizers:
        return f"No penalty ({having} {model_regularizers})"
    words = mathtext(reg.replace("_", " "))
    return NAMES.get(reg, words[:1].upper() + words[1:])


def variant_label(variant: str, reg: str, lam: float, model_regularizers: str) -> str:
    """Return a variant in words: `L1, λ = 10⁻⁴`, then the other parts of its key; see `option_label`."""
    option = for_file_name(reg)
    rest = variant.removeprefix(option).removeprefix(f"-lam{lam:.15g}").strip("-")
    parts = [option_label(reg, model_regularizers)]
    if variant.startswith(f"{option}-lam"):
        parts.append(f"$\\lambda$ = {power(lam)}")
    identity = re.search(r"(?:^|-)([0-9a-f]{6})$", rest)  # tells variants apart whose settings look alike
    rest = rest[: identity.start()] if identity else rest
    if rest:  # train_size500-lr0.01
        rest = mathtext(re.sub(r"-(?!\d)", ", ", rest).replace("_", " "))
        parts.append(re.sub(r"(?<=[a-z])(?=\d)", " ", rest))
    if identity:
        parts.append(identity[1])
    return ", ".join(parts)


def checked_label(text: str) -> str:
    """Return a label from the user unchanged; it may contain mathematics between dollar signs.

    Raises:
        ConfigError: the text between dollar signs is not valid mathematics.
    """
    try:
        if cbook.is_math_text(text):  # otherwise a dollar sign is an ordinary character
            MathTextParser("path").parse(text)
    except ValueError:
        raise ConfigError(
            f"variants: the text between dollar signs in the label {text} is not valid mathematics. Write a plain"
            " dollar sign as \\$. Example of mathematics: '$\\ell_1$'"
        ) from None
    return text


def as_drawn(text: str) -> str:
    """Return a text of a figure in the form that is drawn.

    With `usetex`, that is LaTeX. Otherwise each character that the font lacks becomes its code, such as `[U+4E2D]`.
    """
    if plt.rcParams["text.usetex"]:
        return latex_of_mathtext(text)
    font = get_font(findfont(FontProperties(family=plt.rcParams["font.family"])))
    return "".join(c if c == "\n" or font.get_char_index(ord(c)) else f"[U+{ord(c):04X}]" for c in text)


def power(value: float) -> str:
    """Return a number as mathtext: 10⁻⁴ rather than 0.0001."""
    if value == 0 or 0.1 <= value < 1000:
        return f"{value:g}"
    mantissa, exponent = f"{value:.2e}".split("e")
    factor = "" if float(mantissa) == 1 else f"{float(mantissa):g} \\cdot "
    return f"${factor}10^{{{int(exponent)}}}$"


def grid_shape(panels: int, columns: int) -> tuple[int, int]:
    """Return the numbers of rows and columns for `panels` panels, at most `columns` per row, rows equally filled."""
    rows = -(-panels // columns)
    return rows, -(-panels // rows)


def legend_below(figure: plt.Figure, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """Add one legend for all panels below them, in as many columns as fit; the figure grows by its height."""
    if not labels:
        return
    size = plt.rcParams["legend.fontsize"]
    for columns, scale in [*((n, 1.0) for n in range(min(len(labels), 4), 0, -1)), *((1, s) for s in SMALLER)]:
        arguments = {"loc": "outside lower center", "ncols": columns, "handlelength": 3, "fontsize": scale * size}
        legend = figure.legend(handles, labels, **arguments)
        for text, label in zip(legend.get_texts(), labels, strict=True):
            text.set_text(as_drawn(label))
        extent = legend.get_window_extent()
        if extent.width <= 0.98 * figure.bbox.width or scale == SMALLER[-1]:
            break
        legend.remove()
    for text, label in zip(legend.get_texts(), labels, strict=True):  # replaced again when the figure is drawn
        text.set_text(label)
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + extent.height / figure.dpi)


def is_logarithmic(values: Sequence[float]) -> bool:
    """Return whether values suit a logarithmic axis: all positive, and the ratio of largest to smallest is ≥ 30."""
    positive = [value for value in values if value > 0 and math.isfinite(value)]
    return len(positive) == len(list(values)) and bool(positive) and max(positive) >= 30 * min(positive)


def wrapped(label: str, width: int) -> str:
    """Return a label broken between its comma-separated parts, each line at most `width` characters if possible."""
    lines = [""]
    for part in label.split(", "):
        longer = f"{lines[-1]}, {part}".removeprefix(", ")
        if lines[-1] and len(re.sub(r"\\\w+|[${}^]", "", longer)) > width:
            lines[-1] += ","
            lines.append(part)
        else:
            lines[-1] = longer
    return "\n".join(lines)
