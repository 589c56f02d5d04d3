"""Every seed as a point, with means and intervals."""

from collections.abc import Sequence

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from study.analysis.drawing.view import View, known, listed, shown
from study.analysis.statistics.inference import mean_interval

BELOW = (0.12, 0.36)  # where the points of the first and the last seed are below the mean, in rows


def seeds(view: View, measures: Sequence[str] = ("val_accuracy", "accuracy_gap")) -> Figure:
    """Draw each seed as a point, the mean, and with three seeds or more the 95 % t-interval of the mean.

    Points are below the mean, in the order of seeds, so that a seed is at the same height for all variants.

    Args:
        view: the runs.
        measures: columns of runs.csv; each is one panel. For regression, the loss takes the place of accuracy.

    Raises:
        ConfigError: a column does not exist, or holds text.
    """
    rows = view.complete()
    measures = list(dict.fromkeys(view.in_task(name, "measures") for name in listed(measures, "measures")))
    for measure in measures:
        known(rows, measure, "measures")
    variants = [variant for variant in view.looks if variant in set(rows["variant"])]
    height = 0.3 * view.style.size / 9 * len(variants) + 0.7
    figure, axes = plt.subplots(1, len(measures), figsize=(view.style.double, height), sharey=True, squeeze=False)
    everyone = sorted(rows["seed"].unique())
    offsets = dict(zip(everyone, np.linspace(*BELOW, len(everyone)), strict=True))
    for axis, measure in zip(axes[0], measures, strict=True):
        for place, variant in enumerate(variants):
            own, look = rows[rows["variant"] == variant], view.looks[variant]
            values = shown(own[measure], measure)
            heights = [place + offsets[seed] for seed in own["seed"]]
            axis.plot(values, heights, "o", color=look.colour, alpha=0.7, markersize=2.5, markeredgewidth=0)
            found = mean_interval(values)
            if view.has_interval(own):
                axis.plot([found.low, found.high], [place, place], color=look.colour, linewidth=1.6)
            axis.plot(found.mean, place, look.marker, color=look.colour, markersize=5)
        axis.set_xlabel(view.label(measure))
        axis.xaxis.set_major_locator(MaxNLocator(5))
        axis.grid(visible=False, axis="y")
    axes[0, 0].set_yticks(range(len(variants)), [view.looks[variant].label for variant in variants])
    axes[0, 0].set_ylim(len(variants) - 0.5, -0.5)
    return figure
