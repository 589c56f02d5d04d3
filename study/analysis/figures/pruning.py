"""Pruning: the score that is left after the smallest weights are removed."""

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from study.analysis.drawing.bands import RANGE, draw_band
from study.analysis.drawing.layout import legend_below
from study.analysis.drawing.view import View
from study.errors import ConfigError
from study.measures.catalog import MAIN
from study.tasks import CLASSIFICATION


def pruning(view: View, band: str = RANGE) -> Figure:
    """Draw the validation accuracy against the fraction of weights set to 0, those with the smallest |w| first.

    Nothing is trained after pruning. For regression, the validation loss takes the place of accuracy.

    Args:
        view: the runs.
        band: `range`: from the minimum to the maximum over seeds. `interval`: the 95 % t-interval of the mean.

    Raises:
        ConfigError: no run has pruning_curve.csv, or `band` is not allowed.
    """
    table = view.study.tables["pruning_curve.csv"]
    table = table[table["run"].isin(view.complete()["run"])]
    if table.empty:
        raise ConfigError(
            "figures: pruning requires pruning_curve.csv, which runs have that are trained by this version. Train the"
            " study again under another name=..."
        )
    column, factor = ("accuracy", 100) if view.task == CLASSIFICATION else ("loss", 1)
    figure, axis = plt.subplots(figsize=(view.style.single, 0.8 * view.style.single))
    for variant, look in view.looks.items():
        own = table[table["variant"] == variant]
        if len(own):
            arguments = {**look.line(), "marker": look.marker}
            # The fraction that was asked for: ties are removed together, and no two seeds remove the same fraction.
            x = pd.Series(100 * own["fraction"].to_numpy())
            draw_band(axis, x, pd.Series(factor * own[column].to_numpy()), band, arguments, look.label)
    axis.set_xlabel("Weights removed, smallest |w| first (%)")
    axis.set_ylabel(view.label(MAIN[view.task].val))
    axis.xaxis.set_major_locator(MaxNLocator(5))
    legend_below(figure, *axis.get_legend_handles_labels())
    return figure
