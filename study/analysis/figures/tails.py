"""Magnitudes of the weights: the fraction above a threshold, and the fraction up to it."""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from study.analysis.drawing.histograms import parts, share_above
from study.analysis.drawing.layout import grid_shape, legend_below
from study.analysis.drawing.scaling import RAW, chosen, in_rms
from study.analysis.drawing.view import View

READS_HISTOGRAMS = True
COLUMNS = 2


def tails(view: View, parameters: str = "weights", scale: str = RAW) -> Figure:
    """Draw the fraction of weights with |w| > t against t, both logarithmic. It shows how heavy the tails are.

    Args:
        view: the runs.
        parameters: `all`, `weights`, `biases`, or a regular expression that must match whole names.
        scale: `raw`, or `rms`: each tensor divided by its root mean square.

    Raises:
        StudyError, ConfigError: see `weights`.
    """
    return _shares(view, parameters, scale, above=True)


def cumulative(view: View, parameters: str = "weights", scale: str = RAW) -> Figure:
    """Draw the fraction of weights with |w| ≤ t against log t.

    The value at the left end of a line is the fraction of exact zeros and of weights up to the smallest t.

    Args:
        view: the runs.
        parameters: `all`, `weights`, `biases`, or a regular expression that must match whole names.
        scale: `raw`, or `rms`: each tensor divided by its root mean square.

    Raises:
        StudyError, ConfigError: see `weights`.
    """
    return _shares(view, parameters, scale, above=False)


def _shares(view: View, parameters: str, scale: str, above: bool) -> Figure:
    of_part = parts(chosen(in_rms(view, view.rows, scale), parameters))
    names = list(dict.fromkeys(parameter for _, parameter in of_part))
    rows, columns = grid_shape(len(names), COLUMNS)
    width = view.style.double if columns > 1 else view.style.single
    size = (width, 0.75 * width / columns * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, sharey=True)
    for axis in axes.ravel()[len(names) :]:
        axis.set_axis_off()
    for number, (axis, name) in enumerate(zip(axes.ravel(), names, strict=False)):
        least = 1.0
        for variant, look in view.looks.items():
            if (variant, name) not in of_part:
                continue
            t, share = share_above(of_part[variant, name])
            t, share = t[1:], share[1:]
            y = share if above else 100 * (1 - share)
            seen = share > 0 if above else np.ones(len(t), bool)
            least = min([least, *share[share > 0]])
            axis.plot(t[seen], y[seen], **look.line(), marker=look.marker, markevery=0.15, label=look.label)
        axis.set_xscale("log")
        if above:
            axis.set_yscale("log")
            axis.set_ylim(0.5 * least, 1.5)
            axis.set_xlim(left=1e-4 if scale == RAW else 1e-2)
        else:
            axis.set_ylim(0, 100)
        axis.set_title(name, loc="left", family="monospace")
        if number % columns == 0:
            axis.set_ylabel("Fraction of weights with |w| > t" if above else "Weights with |w| ≤ t (%)")
        if number >= len(names) - columns:
            axis.set_xlabel("t / RMS" if scale != RAW else "t")
    legend_below(figure, *axes[0, 0].get_legend_handles_labels())
    return figure
