"""How figures look: colours and line styles of variants, readable labels, sizes. Drawn with Agg, no display needed."""

import matplotlib

matplotlib.use("Agg")

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from cycler import cycler
from matplotlib import pyplot as plt

# Okabe and Ito (2008): distinguishable with every common colour blindness. Black is for the unpenalized reference.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES = ((0, (5, 1.5)), (0, (1, 1)), (0, (5, 1.5, 1, 1.5)), (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1)), "solid")
MARKERS = ("s", "^", "D", "v", "P", "X")
NAMES = {
    "none": "No regularizer",
    "l1": "L1",
    "l2": "L2",
    "l2_norm": "L2 norm",
    "l1_proximal": "L1, proximal",
    "max_norm": "Max norm",
}

RC = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "legend.fontsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.linewidth": 1.4,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "pdf.fonttype": 42,  # text stays text, as venues demand
    "axes.prop_cycle": cycler(color=COLOURS),
}
plt.rcParams.update(RC)


@dataclass(frozen=True)
class Look:
    """How one variant is drawn, in every figure of a study."""

    label: str
    colour: str
    dash: object
    marker: str


def looks(runs: pd.DataFrame) -> dict[str, Look]:
    """The look of each variant, in the order in which variants are shown.

    Colour, dash and marker differ together, so that a grey print can be read as well.
    """
    variants = runs.drop_duplicates("variant")
    result, number = {}, 0
    for row in variants.itertuples():
        label = variant_label(row.variant, row.reg, row.lam)
        if row.variant == "none":
            result[row.variant] = Look(label, "black", "solid", "o")
            continue
        kind, block = number % len(COLOURS), number // len(COLOURS)
        result[row.variant] = Look(label, COLOURS[kind], DASHES[(kind + block) % 6], MARKERS[(kind + 2 * block) % 6])
        number += 1
    return result


def variant_label(variant: str, reg: str, lam: float) -> str:
    """A variant in words: `L1, λ = 10⁻⁴`, then whatever else its key names."""
    rest = variant.removeprefix(reg).removeprefix(f"-lam{lam:.15g}").strip("-")
    parts = [NAMES.get(reg, reg.replace("_", " ").capitalize())]
    if variant.startswith(f"{reg}-lam"):
        parts.append(f"$\\lambda$ = {_power(lam)}")
    return ", ".join([*parts, *([re.sub(r"-(?!\d)", ", ", rest).replace("_", " ")] if rest else [])])


def _power(value: float) -> str:
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


def legend_below(figure: plt.Figure, handles: Sequence, labels: Sequence[str]) -> None:
    """One legend for all panels, below them, in as many columns as fit; the figure grows by its rows."""
    for columns in range(min(len(labels), 4), 0, -1):
        legend = figure.legend(handles, labels, loc="outside lower center", ncols=columns, handlelength=3)
        if legend.get_window_extent().width <= 0.98 * figure.bbox.width or columns == 1:
            break
        legend.remove()
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + legend.get_window_extent().height / figure.dpi)


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
