"""The effect of each regularizer in each setting, as a heat map."""

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib import pyplot as plt
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from study.analysis.drawing.labels import variant_label
from study.analysis.drawing.view import View, difference_label
from study.analysis.statistics.interaction import ALL_KEYS, better, marked
from study.analysis.text.escaping import mathtext, plain
from study.analysis.text.formats import signed
from study.errors import ConfigError

OF_DIFFERENCES = ()
ALL_VARIANTS = ("interaction",)
COLOURS = "PuOr"  # readable with any colour vision, and its two sides differ in grey only by the printed sign
LONG = 12  # letters of a value that does not fit below its column, so that all of them are drawn at an angle
DARK = 0.62  # distance from the middle, in [0, 1], from which text is white
NAMES = {
    "optimizer": "Optimizer",
    "optimizer.lr": "Learning rate",
    "data.train_size": "Training images",
    "batch_size": "Batch size",
    "epochs": "Epochs",
    "data.label_noise": "Flipped labels",
    ALL_KEYS: "Setting",
}


def interaction(view: View) -> Figure:
    """Draw differences to the baseline in the same setting: a row per regularizer, a panel per key, a column per value.

    A frame is the reference setting, which data sets have none of. A star is a difference that is significant after
    Holm's correction, a dagger an effect that differs significantly from that in the reference setting, corrected for
    all of these.

    Raises:
        ConfigError: no regularizer has several settings with a baseline in each.
    """
    table = _shown(view)
    measure = view.measures[table["measure"].iloc[0]]
    keys, names = list(dict.fromkeys(table["key"])), list(dict.fromkeys(table["row"]))
    values = {key: list(dict.fromkeys(table.loc[table["key"] == key, "value"])) for key in keys}
    widths = [len(of_key) for of_key in values.values()]
    size = view.style.size
    angled = max(len(value) for of_key in values.values() for value in of_key) > LONG
    height = size / 9 * (0.3 * len(names) + (2.0 if angled else 1.0))
    figure, axes = plt.subplots(
        1, len(keys), figsize=(view.style.double, height), sharey=True, squeeze=False, width_ratios=widths
    )
    numbers = measure.factor * table["difference"].to_numpy(float)
    largest = float(np.nanmax(np.abs(numbers), initial=0.0)) or 1.0
    norm, colours = Normalize(-largest, largest), colormaps[COLOURS if better(table) > 0 else f"{COLOURS}_r"]
    decimals = 1 if largest >= 1 else 2
    star, dagger = marked(table, "p_holm"), marked(table, "p_change_holm")
    text_size = min(size - 2, 0.95 * size * 11 / max(sum(widths), 1))
    for axis, key in zip(axes[0], keys, strict=True):
        shade = np.full((len(names), len(values[key])), np.nan)
        for place in np.flatnonzero((table["key"] == key).to_numpy()):
            row, column = names.index(table["row"].iloc[place]), values[key].index(table["value"].iloc[place])
            shade[row, column] = numbers[place]
            strong = abs(numbers[place]) > DARK * largest
            marks = ("*" if star.iloc[place] else "") + ("$^\\dagger$" if dagger.iloc[place] else "")
            text = "–" if np.isnan(numbers[place]) else signed(numbers[place], decimals) + marks
            colour = "white" if strong else "black"
            axis.text(column, row, text, ha="center", va="center", color=colour, fontsize=text_size)
        axis.imshow(shade, cmap=colours, norm=norm, aspect="auto")
        for value in table.loc[(table["key"] == key) & table["is_reference"].astype(bool), "value"].unique():
            at = values[key].index(value) - 0.5
            frame = Rectangle((at, -0.5), 1, len(names), fill=False, edgecolor="black", linewidth=1.2, zorder=3)
            frame.set_clip_on(False)
            axis.add_patch(frame)
        axis.set_xticks(range(len(values[key])), [mathtext(value) for value in values[key]])
        if angled:
            plt.setp(axis.get_xticklabels(), rotation=40, ha="right", rotation_mode="anchor")
        axis.set_xlabel(NAMES.get(key, mathtext(key)))
        axis.tick_params(length=0)
        axis.grid(visible=False)
        axis.spines[:].set_visible(False)
    axes[0, 0].set_yticks(range(len(names)), [_label(table, name) for name in names])
    mapped = plt.cm.ScalarMappable(norm, colours)
    bar = figure.colorbar(mapped, ax=list(axes[0]), pad=0.02, aspect=12)
    bar.outline.set_visible(False)
    bar.set_label(difference_label(measure.name, "\n", view.task))
    return figure


def _label(table: pd.DataFrame, name: str) -> str:
    reg = table.loc[table["row"] == name, "reg"].iloc[0]
    lam = float(name.rpartition("-lam")[2]) if "-lam" in name else float("nan")
    return variant_label(name, reg, lam, "")


def _shown(view: View) -> pd.DataFrame:
    table = view.interactions
    if table.empty:
        raise ConfigError(
            "figures: interaction requires a regularizer in several settings, with its baseline in each. Example:"
            " experiment=interaction"
        )
    return table


def in_words(view: View) -> str:
    """Return the effects as sentences."""
    table, parts = _shown(view), []
    measure = view.measures[table["measure"].iloc[0]]
    for (key, name), own in table.groupby(["key", "row"], sort=False):
        each = (f"{row.value} {signed(measure.factor * row.difference, 2)}" for row in own.itertuples())
        parts.append(f"{plain(_label(table, name))}, {NAMES.get(key, key).lower()}: {', '.join(each)}")
    return f"{plain(difference_label(measure.name, task=view.task))}. {'; '.join(parts)}."
