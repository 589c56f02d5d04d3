"""How figures look: sizes and fonts of venues, colours and line styles of variants, readable labels.

Drawn with Agg, no display needed. Fonts are those that ship with Matplotlib, so that figures look alike everywhere.
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

# Okabe and Ito (2008): distinguishable with every common colour blindness. Black is for the unpenalized reference.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES = ((0, (5, 1.5)), (0, (1, 1)), (0, (5, 1.5, 1, 1.5)), (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1)), "solid", (0, (2, 2)))
MARKERS = ("s", "^", "D", "v", "P", "X", "<")  # one more than colours, as dashes: no pair comes twice in 40
REFERENCE = ("black", "solid", "o")  # colour, dash and marker of what has no regularizer
NAMES = {
    "none": "No regularizer",
    "l1": "L1",
    "l2": "L2",
    "l2_norm": "L2 norm",
    "l1_proximal": "L1, proximal",
    "max_norm": "Max norm",
}
PNG_DPI = 300
SMALLER = (0.85, 0.7)  # sizes of a legend whose longest name would not fit otherwise


@dataclass(frozen=True)
class Style:
    """What a venue asks of figures.

    Attributes:
        name: of the style.
        single: width of one column, in inches.
        double: width of the text, in inches.
        size: of the text in figures, in points.
        family: of fonts: `serif` (STIX, a Times) or `sans` (DejaVu).
        line: width of lines, in points.
    """

    name: str
    single: float
    double: float
    size: float
    family: str
    line: float = 1.2

    def rc(self, usetex: bool = False) -> Any:
        """Matplotlib's settings."""
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
            "pdf.fonttype": 42,  # text stays text, as venues demand
            "svg.fonttype": "none",
            "svg.hashsalt": "regstudy",  # the same bytes every time
            "axes.prop_cycle": cycler(color=COLOURS),
        }


STYLES = {
    style.name: style
    for style in (
        Style("plain", 3.5, 7.0, 9, "sans"),
        Style("neurips", 2.7, 5.5, 8, "serif"),  # one column of 5.5 inches; half of it side by side
        Style("icml", 3.25, 6.75, 8, "serif"),
        Style("ieee", 3.5, 7.16, 8, "serif", 1.0),
        Style("nature", 3.5, 7.2, 7, "sans", 1.0),  # 89 and 183 mm, text of 5 to 7 points
        Style("slides", 6.0, 12.0, 16, "sans", 2.4),
        Style("book", 3.4, 6.8, 10, "serif"),
    )
}


def style_of(name: str) -> Style:
    """The style of a venue.

    Raises:
        ConfigError: there is no such style.
    """
    if name not in STYLES:
        raise ConfigError(f"style={name}: allowed: {', '.join(STYLES)}")
    return STYLES[name]


@dataclass(frozen=True)
class Look:
    """How one variant is drawn, in every figure of a study."""

    label: str
    colour: str
    dash: Any
    marker: str

    def line(self) -> dict[str, Any]:
        """Arguments of a line without markers."""
        return {"color": self.colour, "linestyle": self.dash}


def looks(runs: pd.DataFrame) -> dict[str, Look]:
    """The look of each variant, in the order in which variants are shown.

    Colour, dash and marker differ together, so that a grey print can be read as well.
    """
    found = {}
    references = runs.loc[runs["reg"] == "none", "variant"].unique()
    for row in runs.drop_duplicates("variant").itertuples():
        label = variant_label(row.variant, row.reg, row.lam, row.model_regularizers)
        found[row.variant] = label, row.variant == "none" or list(references) == [row.variant]
    return _assigned(found)


def group_looks(values: Sequence[Any], column: str, runs: pd.DataFrame) -> dict[Any, Look]:
    """The look of each value of another column than the variant, such as `reg`, in order.

    Args:
        values: of the column.
        column: its name.
        runs: all that may be drawn; what their models have of regularizers is part of the label of `none`.
    """
    found = {}
    for value in values:
        text = f"{100 * value:g} % flipped" if column == "label_noise" else mathtext(str(value))
        if column == "reg":
            text = reference_label(runs) if value == "none" else option_label(value)
        found[value] = text, value == "none"
    return _assigned(found)


def reference_label(runs: pd.DataFrame) -> str:
    """What runs of `reg=none` are called: a model of theirs may have regularizers of its own."""
    own = runs.loc[runs["reg"] == "none", "model_regularizers"].unique()
    names = ", ".join(dict.fromkeys(name for of_run in own if of_run for name in of_run.split(", ")))
    return option_label("none", names, "model has" if all(own) else "some models have")


def _assigned(labels: dict[Any, tuple[str, bool]]) -> dict[Any, Look]:
    result, number = {}, 0
    texts = Counter(text for text, _ in labels.values())
    for key, (text, is_reference) in labels.items():
        if texts[text] > 1:  # a_b and "a b" are the same in words
            text = mathtext(str(key))
        if is_reference:
            result[key] = Look(text, *REFERENCE)
            continue
        kind, block = number % len(COLOURS), number // len(COLOURS)
        result[key] = Look(text, COLOURS[kind], DASHES[(kind + block) % len(DASHES)], MARKERS[number % len(MARKERS)])
        number += 1
    return result


def option_label(reg: str, model_regularizers: str = "", having: str = "model has") -> str:
    """An option of `reg` in words; `none` is no penalty, but not nothing, where the model regularizes by itself."""
    if reg == "none" and model_regularizers:
        return f"No penalty ({having} {model_regularizers})"
    words = mathtext(reg.replace("_", " "))
    return NAMES.get(reg, words[:1].upper() + words[1:])


def variant_label(variant: str, reg: str, lam: float, model_regularizers: str) -> str:
    """A variant in words: `L1, λ = 10⁻⁴`, then whatever else its key names; see `option_label`."""
    option = for_file_name(reg)
    rest = variant.removeprefix(option).removeprefix(f"-lam{lam:.15g}").strip("-")
    parts = [option_label(reg, model_regularizers)]
    if variant.startswith(f"{option}-lam"):
        parts.append(f"$\\lambda$ = {power(lam)}")
    if rest:  # train_size500-lr0.01
        rest = mathtext(re.sub(r"-(?!\d)", ", ", rest).replace("_", " "))
        parts.append(re.sub(r"(?<=[a-z])(?=\d)", " ", rest))
    return ", ".join(parts)


def checked_label(text: str) -> str:
    """A label that a user has given, which may have mathematics between dollar signs.

    Raises:
        ConfigError: that is no mathematics.
    """
    try:
        if cbook.is_math_text(text):  # otherwise a dollar sign is one
            MathTextParser("path").parse(text)
    except ValueError:
        raise ConfigError(
            f"variants: the label {text} has no mathematics between its dollar signs. A dollar sign is written \\$;"
            " mathematics is allowed as in '$\\ell_1$'"
        ) from None
    return text


def as_drawn(text: str) -> str:
    """A text of a figure as it is handed to what sets it: for LaTeX as LaTeX, otherwise without characters that the
    font lacks, which become `[U+4E2D]`.
    """
    if plt.rcParams["text.usetex"]:
        return latex_of_mathtext(text)
    font = get_font(findfont(FontProperties(family=plt.rcParams["font.family"])))
    return "".join(c if c == "\n" or font.get_char_index(ord(c)) else f"[U+{ord(c):04X}]" for c in text)


def power(value: float) -> str:
    """A number as mathtext: 10⁻⁴ rather than 0.0001."""
    if value == 0 or 0.1 <= value < 1000:
        return f"{value:g}"
    mantissa, exponent = f"{value:.2e}".split("e")
    factor = "" if float(mantissa) == 1 else f"{float(mantissa):g} \\cdot "
    return f"${factor}10^{{{int(exponent)}}}$"


def grid_shape(panels: int, columns: int) -> tuple[int, int]:
    """Rows and columns for so many panels, at most so many side by side, rows as equally full as can be."""
    rows = -(-panels // columns)
    return rows, -(-panels // rows)


def legend_below(figure: plt.Figure, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """One legend for all panels, below them, in as many columns as fit; the figure grows by its rows."""
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
    for text, label in zip(legend.get_texts(), labels, strict=True):  # changed with all others when it is drawn
        text.set_text(label)
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + extent.height / figure.dpi)


def is_logarithmic(values: Sequence[float]) -> bool:
    """Whether an axis of such values is better read on a logarithmic scale."""
    positive = [value for value in values if value > 0 and math.isfinite(value)]
    return len(positive) == len(list(values)) and bool(positive) and max(positive) >= 30 * min(positive)


def wrapped(label: str, width: int) -> str:
    """A label of comma-separated parts on as many lines as keep each below a width in characters, if possible."""
    lines = [""]
    for part in label.split(", "):
        longer = f"{lines[-1]}, {part}".removeprefix(", ")
        if lines[-1] and len(re.sub(r"\\\w+|[${}^]", "", longer)) > width:
            lines[-1] += ","
            lines.append(part)
        else:
            lines[-1] = longer
    return "\n".join(lines)
