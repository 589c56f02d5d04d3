"""Comparison of regularizers at matched strength."""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from study.analysis.drawing.layout import legend_below
from study.analysis.drawing.view import View, shown
from study.analysis.statistics.inference import half_width_factor
from study.analysis.statistics.matched import MATCHES, interpolated
from study.errors import ConfigError
from study.measures.catalog import MEASURES
from study.tasks import CLASSIFICATION, REGRESSION

POINTS = 60  # per line
PANELS = {
    CLASSIFICATION: (("train_loss", "val_accuracy"), ("val_accuracy", "near_zero_fraction")),
    REGRESSION: (("train_loss", "val_loss"), ("val_loss", "near_zero_fraction")),
}


def matched(view: View) -> Figure:
    """Draw validation accuracy at equal training loss, and sparsity at equal validation accuracy.

    For regression, the validation loss takes the place of validation accuracy.
    Values are interpolated within each seed; see `analysis.statistics.matched`. Lines are means over seeds, bands are
    pointwise 95 % t-intervals.

    Raises:
        ConfigError: fewer than two regularizers have three λ or more, or their ranges do not overlap.
    """
    styles = view.looks_by("reg")
    matches = {match.on: match for match in MATCHES[view.task]}
    panels = {panel: interpolated(view.rows, matches[panel[0]], panel[1], POINTS) for panel in PANELS[view.task]}
    panels = {panel: found for panel, found in panels.items() if len(found[0])}
    if not panels:
        raise ConfigError(
            "figures: matched requires two regularizers with at least three λ each, and overlapping training losses or"
            f" validation {'accuracies' if view.task == CLASSIFICATION else 'losses'}. Example: experiment=lambda_path"
        )
    width = view.style.double if len(panels) > 1 else view.style.single
    size = (width, 0.84 * width / len(panels))
    figure, axes = plt.subplots(1, len(panels), figsize=size, squeeze=False)
    for axis, ((on, measure), (levels, values)) in zip(axes[0], panels.items(), strict=True):
        x = shown(levels, on)
        for reg, by_seed in values.items():
            look, y = styles[reg], shown(by_seed, measure)
            mean = y.mean(axis=0)
            axis.plot(x, mean, **look.line(), marker=look.marker, markevery=0.2, label=look.label)
            if view.has_interval(y):
                half = y.std(axis=0, ddof=1) * half_width_factor(np.array([len(y)]))
                axis.fill_between(x, mean - half, mean + half, color=look.colour, alpha=0.15, linewidth=0)
        axis.set_xlabel(view.label(on))
        axis.set_ylabel(view.label(measure))
        if measure in MEASURES and MEASURES[measure].unit == "fraction":
            axis.set_ylim(max(axis.get_ylim()[0], 0), min(axis.get_ylim()[1], 100))
        axis.xaxis.set_major_locator(MaxNLocator(5))
    legend_below(figure, *axes[0, 0].get_legend_handles_labels())
    return figure
