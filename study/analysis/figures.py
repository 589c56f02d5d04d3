"""Figures of overfitting: train against val over the epochs, and the gap between them."""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from study.analysis.collect import Study
from study.analysis.gaps import with_gaps
from study.analysis.style import grid_shape, legend_below, looks, wrapped

COLUMNS = 4  # panels side by side
TITLE_WIDTH = 20  # characters over a panel
TRAIN = {"color": "black", "linestyle": "solid"}
VAL = {"color": "#D55E00", "linestyle": (0, (5, 1.5))}


def curves(study: Study) -> Figure:
    """Loss and accuracy of train and val over the epochs, a panel a variant, on shared axes; bands from the least to
    the greatest seed.
    """
    styles = looks(study.runs)
    blocks, columns = grid_shape(len(styles), COLUMNS)
    figure, axes = plt.subplots(
        2 * blocks,
        columns,
        figsize=(1.65 * columns + 0.6, 3.1 * blocks),
        sharex=True,
        sharey=False,
        squeeze=False,
    )
    trained = study.metrics[study.metrics["epoch"] > 0]
    limits = {
        "loss": _limits(trained[["train_loss", "val_loss"]]),
        "accuracy": _limits(100 * trained[["train_accuracy", "val_accuracy"]]),
    }
    for number in range(blocks * columns):
        block, column = divmod(number, columns)
        upper, lower = axes[2 * block, column], axes[2 * block + 1, column]
        if number >= len(styles):
            upper.set_axis_off()
            lower.set_axis_off()
            continue
        variant = list(styles)[number]
        rows = study.metrics[study.metrics["variant"] == variant]
        for axis, kind, factor in ((upper, "loss", 1), (lower, "accuracy", 100)):
            for split, look in (("train", TRAIN), ("val", VAL)):
                _band(axis, rows, f"{split}_{kind}", factor, look, split)
            axis.set_ylim(limits[kind])
            axis.xaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]))
            axis.tick_params(labelbottom=axis is lower, labelleft=column == 0)
        upper.set_title(wrapped(styles[variant].label, TITLE_WIDTH))
        lower.set_xlabel("Epoch")
        if column == 0:
            upper.set_ylabel("Data loss (nats)")
            lower.set_ylabel("Accuracy (%)")
    legend_below(figure, *axes[0, 0].get_legend_handles_labels())
    return figure


def _limits(values: pd.DataFrame) -> tuple[float, float]:
    """Axis limits for all panels from trained epochs: epoch 0 would press everything else flat."""
    finite = values.to_numpy()[np.isfinite(values.to_numpy())]
    if not finite.size:
        return 0.0, 1.0
    low, high = np.quantile(finite, [0.0, 0.995])
    margin = 0.05 * (high - low) or 0.5
    return low - margin, high + margin


def gap(study: Study) -> Figure:
    """Accuracy gap and loss gap over the epochs, all variants."""
    styles = looks(study.runs)
    metrics = with_gaps(study.metrics)
    figure, axes = plt.subplots(1, 2, figsize=(7.0, 2.8))
    panels = (
        ("accuracy_gap", "Accuracy gap, train − val (points)"),
        ("loss_gap", "Loss gap, val − train (nats)"),
    )
    for axis, (column, title) in zip(axes, panels, strict=True):
        for variant, style in styles.items():
            rows = metrics[metrics["variant"] == variant]
            look = {"color": style.colour, "linestyle": style.dash, "marker": style.marker, "markersize": 3.5}
            _band(axis, rows, column, 1, {**look, "markevery": 0.12}, style.label)
        axis.axhline(0, color="#777777", linewidth=0.8, zorder=1)
        axis.set_xlabel("Epoch")
        axis.set_ylabel(title)
        axis.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
    legend_below(figure, *axes[0].get_legend_handles_labels())
    return figure


def _band(axis: Axes, rows: pd.DataFrame, column: str, factor: float, look: dict, label: str) -> None:
    """The mean over seeds, and a band from the least to the greatest where there are several."""
    by_epoch = (factor * rows.set_index("epoch")[column].where(np.isfinite(rows.set_index("epoch")[column]))).groupby(
        "epoch"
    )
    mean = by_epoch.mean()
    axis.plot(mean.index, mean, label=label, **look)
    if rows["run"].nunique() > 1:
        axis.fill_between(mean.index, by_epoch.min(), by_epoch.max(), color=look["color"], alpha=0.18, linewidth=0)
