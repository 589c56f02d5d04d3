"""The score of every trial of a tuned study, over each tuned key."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from study.analysis.drawing.layout import is_logarithmic, legend_below
from study.analysis.drawing.looks import Look
from study.analysis.drawing.view import View, shown
from study.analysis.statistics.tuning import TRIAL_KEYS
from study.analysis.text.escaping import mathtext
from study.errors import ConfigError
from study.measures.catalog import MEASURES

NAMES = {"optimizer.lr": "Learning rate", "lam": "$\\lambda$"}
STEEPER = 4.0  # times the distance from best to median trial: range of the axis; worse trials are on its edge


def tuning(view: View) -> Figure:
    """Draw the score of each trial over the learning rate, λ, and every other tuned key.

    There is one panel per key and one row per setting. A ring marks the chosen trial of each regularizer. A trial that
    was pruned is small and pale. A trial whose score is too bad for the axis is drawn on its edge.

    Raises:
        ConfigError: the study is not tuned, or tunes no number.
    """
    table = view.trials
    keys = [key for key in table.columns[TRIAL_KEYS:] if pd.api.types.is_numeric_dtype(table[key])]
    if not keys:
        raise ConfigError("figures: tuning requires a tuned study that tunes a number. Example: experiment=tuned")
    contexts, styles = list(table["context"].unique()), view.looks_by("reg", list(table["reg"].unique()))
    measure = table["measure"].iloc[0]
    size = (view.style.double, (0.84 * view.style.double / max(len(keys), 2)) * len(contexts))
    figure, axes = plt.subplots(len(contexts), len(keys), figsize=size, sharey="row", sharex="col", squeeze=False)
    for row, context in zip(axes, contexts, strict=True):
        of_context = table[table["context"] == context]
        whole = of_context[~of_context["pruned"]]
        edge = _edge(shown(whole["score"], measure), MEASURES[measure].better)
        for axis, key in zip(row, keys, strict=True):
            for reg, own in of_context.groupby("reg", sort=False):
                _draw(axis, own, key, measure, styles[reg], edge)
            if is_logarithmic(of_context[key].dropna()):
                axis.set_xscale("log")
            if axis in axes[-1]:
                axis.set_xlabel(NAMES.get(key, mathtext(key)))
        row[0].set_ylabel(view.label(measure) + (f"\n{mathtext(context)}" if context else ""))
    handles: dict[str, Artist] = {}
    for axis in axes.flat:
        for handle, text in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(text, handle)
    legend_below(figure, list(handles.values()), list(handles))
    return figure


def _edge(scores: np.ndarray, better: int) -> float:
    """Return the score at the worse edge of the axis."""
    finite = better * scores[np.isfinite(scores)]
    lowest = finite.max() - STEEPER * max(finite.max() - np.median(finite), 1e-12)
    return better * max(lowest, finite.min())


def _draw(axis: plt.Axes, trials: pd.DataFrame, key: str, measure: str, look: Look, edge: float) -> None:
    """Draw the trials of one regularizer; if it does not have the key, draw a line at the score of its chosen trial."""
    better, scores = MEASURES[measure].better, shown(trials["score"], measure)
    chosen = trials["chosen"].to_numpy(bool)
    values = trials[key].to_numpy(float)
    if np.isnan(values).all():
        axis.axhline(scores[chosen][0], **look.line(), zorder=1, label=f"{look.label}: chosen trial")
        return
    scores = np.where(np.isnan(scores) | (better * scores < better * edge), edge, scores)
    style: dict[str, Any] = {"marker": look.marker, "color": look.colour, "linewidth": 0}
    pruned = trials["pruned"].to_numpy(bool)
    if pruned.any():
        axis.plot(values[pruned], scores[pruned], **style, markersize=2, alpha=0.25, clip_on=False)
    axis.plot(values[~pruned], scores[~pruned], **style, markersize=3.5, alpha=0.6, label=look.label, clip_on=False)
    axis.plot(values[chosen], scores[chosen], **style, markersize=5, clip_on=False)
    ring: dict[str, Any] = {"marker": "o", "markerfacecolor": "none", "markeredgecolor": look.colour, "linewidth": 0}
    axis.plot(values[chosen], scores[chosen], **ring, markersize=11, clip_on=False)
