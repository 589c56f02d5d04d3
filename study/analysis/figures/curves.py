"""Training and validation loss and accuracy over the epochs, a panel per variant. For regression: loss and R²."""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from study.analysis.drawing.bands import RANGE, draw_band
from study.analysis.drawing.layout import grid_shape, legend_below, wrapped
from study.analysis.drawing.view import View
from study.tasks import CLASSIFICATION, REGRESSION

COLUMNS = 4  # panels side by side
TITLE_WIDTH = 19  # characters that fit over a panel, for 9-point text on 7 inches
# By task, the upper and the lower panel: column, label, factor, and which values are best.
PANELS = {
    CLASSIFICATION: (("loss", "Data loss (nats)", 1, "low"), ("accuracy", "Accuracy (%)", 100, "")),
    REGRESSION: (("loss", "Data loss (MSE)", 1, "low"), ("r2", "R²", 1, "high")),
}
TRAINING = {"color": "#888888", "linestyle": (0, (4, 1.5)), "linewidth": 1.0}


def curves(view: View, band: str = RANGE) -> Figure:
    """Draw training and validation loss and accuracy over the epochs, a panel per variant, with bands over seeds.

    Validation has the colour of the variant, training is grey. For regression, R² takes the place of accuracy. All
    panels share the limits of their axes.

    Args:
        view: the runs.
        band: `range`: from the minimum to the maximum over seeds. `interval`: the 95 % t-interval of the mean.
    """
    per_epoch, kinds = view.per_epoch, PANELS[view.task]
    blocks, columns = grid_shape(len(view.looks), COLUMNS)
    width = view.style.double * min(1.0, (columns + 0.4) / (COLUMNS + 0.4))
    height = 0.47 * width * (1 if columns > 2 else 1.3)
    figure, axes = plt.subplots(2 * blocks, columns, figsize=(width, height * blocks), sharex=True, squeeze=False)
    trained = per_epoch[per_epoch["epoch"] > 0]
    limits = {
        kind: _limits(factor * trained[[f"train_{kind}", f"val_{kind}"]], best) for kind, _, factor, best in kinds
    }
    title_width = int(TITLE_WIDTH * (width / columns / 1.75) * 9 / view.style.size)
    for number in range(blocks * columns):
        block, column = divmod(number, columns)
        upper, lower = axes[2 * block, column], axes[2 * block + 1, column]
        if number >= len(view.looks):
            upper.set_axis_off()
            lower.set_axis_off()
            continue
        variant = list(view.looks)[number]
        rows = per_epoch[per_epoch["variant"] == variant]
        for axis, (kind, label, factor, _) in zip((upper, lower), kinds, strict=True):
            validation = {"color": view.looks[variant].colour, "linestyle": "solid"}
            for split, look, name in (("train", TRAINING, "Training"), ("val", validation, "Validation")):
                draw_band(axis, rows["epoch"], factor * rows[f"{split}_{kind}"], band, look, name)
            axis.set_ylim(limits[kind])
            axis.xaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]))
            axis.tick_params(labelbottom=axis is lower, labelleft=column == 0)
            if column == 0:
                axis.set_ylabel(label)
        upper.set_title(wrapped(view.looks[variant].label, title_width))
        lower.set_xlabel("Epoch")
    legend_below(figure, *axes[0, 0].get_legend_handles_labels())
    return figure


def _limits(values: pd.DataFrame, best: str) -> tuple[float, float]:
    """Return axis limits for all panels from epochs ≥ 1; the values of epoch 0 would make the limits too wide.

    Args:
        values: of all epochs ≥ 1.
        best: `low`: few very large values are cut off. `high`: few very low ones, such as an R² far below 0. Else none.
    """
    finite = values.to_numpy()[np.isfinite(values.to_numpy())]
    if not finite.size:
        return 0.0, 1.0
    low, high = np.quantile(finite, [0.005 if best == "high" else 0.0, 0.995])
    margin = 0.05 * (high - low) or 0.5
    return low - margin, high + margin
