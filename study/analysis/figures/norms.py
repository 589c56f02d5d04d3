"""Norm and effective rank of the weights over the epochs."""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from study.analysis.drawing.bands import RANGE, draw_band
from study.analysis.drawing.layout import grid_shape, legend_below
from study.analysis.drawing.scaling import chosen
from study.analysis.drawing.view import View

COLUMNS = 3


def norms(view: View, parameters: str = "weights", matrices: int = 2, band: str = RANGE) -> Figure:
    """Draw the norm of all chosen weights over the epochs, and the effective rank of the largest matrices.

    The effective rank is the exponential of the entropy of σ/Σσ (Roy and Vetterli 2007). It is there at the epochs of
    histogram.csv, for runs of this version.

    Args:
        view: the runs.
        parameters: `all`, `weights`, `biases`, or a regular expression that must match whole names: of the norm.
        matrices: the largest number of matrices whose rank is drawn.
        band: `range`: from the minimum to the maximum over seeds. `interval`: the 95 % t-interval of the mean.

    Raises:
        ConfigError: `parameters` matches no name, or `band` is not allowed.
    """
    weights = chosen(view.study.weights, parameters)
    squares = weights.assign(square=weights["l2"] ** 2)
    norm = squares.groupby(["run", "variant", "epoch"], as_index=False)["square"].sum()
    panels = [("$\\|w\\|_2$", norm.assign(value=np.sqrt(norm["square"])))]
    ranks = view.study.tables["ranks.csv"]
    sizes = weights.groupby("parameter")["count"].max().reindex(ranks["parameter"].unique()).nlargest(matrices)
    for name in [name for name in ranks["parameter"].unique() if name in sizes.index]:
        own = ranks[ranks["parameter"] == name]
        panels.append((f"Effective rank of\n{name}", own.assign(value=own["effective_rank"])))
    rows, columns = grid_shape(len(panels), COLUMNS)
    width = view.style.double if columns > 1 else view.style.single
    size = (width, (0.85 if columns > 1 else 0.75) * width / columns * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for axis in axes.ravel()[len(panels) :]:
        axis.set_axis_off()
    for axis, (label, table) in zip(axes.ravel(), panels, strict=False):
        for variant, look in view.looks.items():
            own = table[table["variant"] == variant]
            arguments = {**look.line(), "marker": look.marker, "markevery": 0.15}
            draw_band(axis, pd.Series(own["epoch"]), pd.Series(own["value"]), band, arguments, look.label)
        axis.set_xlabel("Epoch")
        axis.set_ylabel(label)
        axis.set_ylim(bottom=0)
        axis.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
    legend_below(figure, *axes[0, 0].get_legend_handles_labels())
    return figure
