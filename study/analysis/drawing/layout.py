"""The layout of figures: panels in a grid, a legend below them, and labels that fit."""

import math
import re
from collections.abc import Sequence
from typing import Any

from matplotlib import pyplot as plt

from study.analysis.drawing.labels import as_drawn

SMALLER = (0.85, 0.7)  # scales of a legend whose longest label does not fit


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
