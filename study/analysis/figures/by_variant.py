"""Histograms of the weights in the style of textbooks: a panel per variant and parameter tensor, linear counts."""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from study.analysis.drawing.histograms import extent, parts, spread, zero_share
from study.analysis.drawing.layout import wrapped
from study.analysis.drawing.scaling import RAW, chosen, in_rms
from study.analysis.drawing.view import View

READS_HISTOGRAMS = True
BINS = 81


def histograms(view: View, parameters: str = "weights", share: float = 0.999) -> Figure:
    """Draw counts per bin, means over seeds, with one row per variant and one column per tensor.

    All panels of a column share bins and limits, so that rows can be compared. Exact zeros are in no bin: a text in the
    panel states their fraction.

    Args:
        view: the runs; each is drawn with its latest histogram up to its epoch.
        parameters: `all`, `weights`, `biases`, or a regular expression that must match whole names.
        share: fraction of the values of the widest variant that lies within the limits.

    Raises:
        StudyError, ConfigError: see `weights`.
    """
    of_part = parts(chosen(in_rms(view, view.rows, RAW), parameters))
    names = list(dict.fromkeys(parameter for _, parameter in of_part))
    variants = [variant for variant in view.looks if any((variant, name) in of_part for name in names)]
    width = view.style.double
    size = (width, (0.24 * len(variants) + 0.08) * width * min(1.0, 2 / len(names)))
    figure, axes = plt.subplots(len(variants), len(names), figsize=size, squeeze=False, sharex="col")
    title_width = int(40 * width / len(names) / 3.5 * 9 / view.style.size)
    for column, name in enumerate(names):
        limit = max(extent(table, share) for (_, parameter), table in of_part.items() if parameter == name)
        edges = np.linspace(-limit, limit, BINS + 1)
        for row, variant in enumerate(variants):
            axis, table = axes[row, column], of_part.get((variant, name))
            if table is None:
                axis.set_axis_off()
                continue
            counts = spread(table, edges) / table["runs"].iloc[0]
            axis.stairs(counts, edges, color=view.looks[variant].colour, fill=True)
            axis.set_xlim(-limit, limit)
            axis.yaxis.set_major_locator(MaxNLocator(3))
            axis.xaxis.set_major_locator(MaxNLocator(5))
            axis.ticklabel_format(axis="y", scilimits=(0, 4))
            title = wrapped(view.looks[variant].label, title_width)
            axis.set_title(f"{title}\n{name}" if len(names) > 1 else title, fontsize="small")
            zeros = zero_share(table)
            if zeros >= 0.001:
                text = f"w = 0: {100 * zeros:.1f} %"
                axis.text(0.98, 0.9, text, transform=axis.transAxes, ha="right", va="top", fontsize="x-small")
            if column == 0:
                axis.set_ylabel("Count")
        axes[-1, column].set_xlabel("Value")
    return figure
