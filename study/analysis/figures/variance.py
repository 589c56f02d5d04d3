"""The standard deviation that each source of randomness causes."""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from study.analysis.drawing.layout import legend_below
from study.analysis.drawing.view import View, difference_label, in_sentence
from study.analysis.statistics.crossed_runs import DIFFERENCE, SCORE
from study.analysis.tables.variance_tables import NAMES
from study.analysis.text.escaping import plain
from study.errors import ConfigError

PART = 0.62  # of the height of a row: its variants


def variance(view: View) -> Figure:
    """Draw the standard deviation that each source causes in one run, with 95 % intervals, a mark per variant.

    The first panel is about the primary measure, the second about its seed-paired difference to the baseline.

    Raises:
        ConfigError: the seeds of the study are not crossed.
    """
    table = _shown(view)
    measure = view.measures[table["measure"].iloc[0]]
    quantities = [quantity for quantity in (SCORE, DIFFERENCE) if quantity in set(table["quantity"])]
    components = [name for name in NAMES if name in set(table["component"])]
    variants = [variant for variant in view.looks if variant in set(table["variant"])]
    height = (0.09 * max(len(variants), 2) + 0.1) * view.style.size / 9 * len(components) + 0.75
    figure, axes = plt.subplots(
        1, len(quantities), figsize=(view.style.double, height), sharex=True, sharey=True, squeeze=False
    )
    offsets = np.linspace(-PART / 2, PART / 2, len(variants)) if len(variants) > 1 else [0.0]
    unit = f" ({measure.difference_unit})" if measure.difference_unit else ""
    for axis, quantity in zip(axes[0], quantities, strict=True):
        for variant, offset in zip(variants, offsets, strict=True):
            look, own = view.looks[variant], table[(table["variant"] == variant) & (table["quantity"] == quantity)]
            if own.empty:
                continue
            places = [components.index(name) + offset for name in own["component"]]
            low, high, sd = (measure.factor * own[key].to_numpy(float) for key in ("sd_low", "sd_high", "sd"))
            axis.hlines(places, low, high, color=look.colour, linewidth=1.2)
            axis.plot(sd, places, look.marker, color=look.colour, label=look.label, clip_on=False, zorder=3)
        words = (
            measure.label if quantity == SCORE else difference_label(measure.name, task=view.task).partition(" (")[0]
        )
        axis.set_title(words)
        axis.set_xlabel(f"SD of one run{unit}")
        axis.set_xlim(left=0)
        axis.xaxis.set_major_locator(MaxNLocator(4))
        axis.grid(visible=False, axis="y")
        for between in range(1, len(components)):
            axis.axhline(between - 0.5, color="#dddddd", linewidth=0.5, zorder=0)
    axes[0, 0].set_yticks(range(len(components)), [NAMES[name].capitalize() for name in components])
    axes[0, 0].set_ylim(len(components) - 0.5, -0.5)
    legend_below(figure, *axes[0, 0].get_legend_handles_labels())
    return figure


def _shown(view: View) -> pd.DataFrame:
    table = view.components
    if len(table):
        table = table[table["variant"].isin(list(view.looks))]
    if table.empty:
        raise ConfigError(
            "figures: variance requires crossed seeds of single sources, such as seeds={crossed: 7}. Example:"
            " experiment=variance"
        )
    return table


def in_words(view: View) -> str:
    """Return the standard deviations as sentences."""
    table, parts = _shown(view), []
    measure = view.measures[table["measure"].iloc[0]]
    for (quantity, variant), own in table.groupby(["quantity", "variant"], sort=False):
        each = (
            f"{NAMES[row.component]} {measure.factor * row.sd:.2g}"
            f" [{measure.factor * row.sd_low:.2g}, {measure.factor * row.sd_high:.2g}]"
            for row in own.itertuples()
        )
        what = f"{plain(view.looks[variant].label)}, {'difference' if quantity == DIFFERENCE else 'score'}"
        parts.append(f"{what}: {', '.join(each)}")
    return f"SD in {measure.difference_unit or in_sentence(measure.label)} [95 % interval]. {'; '.join(parts)}."
