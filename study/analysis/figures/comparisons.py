"""Comparisons of variants: training against validation, differences to the baseline, the best of n trials."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from study.analysis.drawing.layout import legend_below
from study.analysis.drawing.view import View, difference_label, in_sentence, known, listed, shown
from study.analysis.statistics.inference import mean_interval
from study.analysis.statistics.seed_design import shares_seeds
from study.analysis.text.escaping import mathtext
from study.errors import ConfigError

OF_DIFFERENCES = ("forest",)  # figures whose captions state the verdicts on differences


def scatter(view: View, x: str = "train_accuracy", y: str = "val_accuracy") -> Figure:
    """Draw the means of two measures with 95 % intervals, and a small mark for each seed.

    Intervals need three seeds or more. Training against validation accuracy, or loss, also gets lines of equal gap.
    For regression, the loss takes the place of accuracy.

    Args:
        view: the runs.
        x: a column of runs.csv.
        y: another column of runs.csv.

    Raises:
        ConfigError: a column does not exist.
    """
    rows, x, y = view.complete(), view.in_task(x, "x"), view.in_task(y, "y")
    known(rows, x, "x"), known(rows, y, "y")
    figure, axis = plt.subplots(figsize=(view.style.single, 0.95 * view.style.single))
    for variant, look in view.looks.items():
        own = rows[rows["variant"] == variant]
        if own.empty:
            continue
        a, b = shown(own[x], x), shown(own[y], y)
        axis.plot(a, b, look.marker, color=look.colour, alpha=0.3, markersize=2, linewidth=0)
        across, up = mean_interval(a), mean_interval(b)
        axis.errorbar(
            across.mean,
            up.mean,
            xerr=across.mean - across.low if view.has_interval(own) else None,
            yerr=up.mean - up.low if view.has_interval(own) else None,
            fmt=look.marker,
            color=look.colour,
            elinewidth=0.8,
            capsize=0,
            label=look.label,
        )
    axis.set_xlabel(view.label(x))
    axis.set_ylabel(view.label(y))
    if {x, y} in ({"train_accuracy", "val_accuracy"}, {"train_loss", "val_loss"}):
        sign = -1 if x.endswith("loss") else 1  # the loss gap is val − train
        _equal_gaps(axis, view.measures[x].difference_unit, sign)
    legend_below(figure, *axis.get_legend_handles_labels())
    return figure


def _equal_gaps(axis: plt.Axes, unit: str, sign: int) -> None:
    """Draw lines y = x − sign · gap, each labelled with its gap at the upper or right edge."""
    (left, right), (low, high) = axis.get_xlim(), axis.get_ylim()
    named = False
    for gap in MaxNLocator(9, steps=[1, 2, 5, 10]).tick_values(left - high, right - low):
        begin, end = max(left, low + gap), min(right, high + gap)
        if end - begin < 0.2 * (right - left):
            continue
        drawn: dict[str, Any] = {
            "color": "#aaaaaa",
            "linewidth": 0.6,
            "zorder": 1,
            "label": None if named else f"Equal gap ({unit})",
        }
        axis.plot([begin, end], [begin - gap, end - gap], **drawn)
        named = True
        at_top = end - gap >= high - 1e-9 * abs(high)
        axis.annotate(
            f"{sign * gap + 0.0:g}".replace("-", "−"),
            (end, end - gap),
            xytext=(0, 2) if at_top else (2, 0),
            textcoords="offset points",
            ha="center" if at_top else "left",
            va="bottom" if at_top else "center",
            color="#777777",
            fontsize="x-small",
            annotation_clip=False,
        )
    axis.set_xlim(left, right)
    axis.set_ylim(low, high)


def forest(view: View, measures: Sequence[str] = ("val_accuracy", "accuracy_gap")) -> Figure:
    """Draw seed-paired differences to the baseline, one row per variant, with two intervals.

    The thick interval covers the variation over seeds. The thin one also covers new data or new images. A grey band is
    the margin of equivalence of the primary measure, if the study has one.

    Args:
        view: the runs.
        measures: names of measures; each is one panel, side by side. For regression, the loss takes the place of
            accuracy.

    Raises:
        ConfigError: there is no baseline, or a measure does not exist.
    """
    table = view.contrasts
    if table.empty and shares_seeds(view.rows):
        raise ConfigError(
            "figures: forest requires independent runs, and runs of this study share seeds of single sources. Use"
            " figures=[variance]"
        )
    if table.empty:
        raise ConfigError("figures: forest requires a baseline, and the study has none. Set one: baseline=...")
    measures = list(dict.fromkeys(view.in_task(name, "measures") for name in listed(measures, "measures")))
    unknown = [measure for measure in measures if measure not in set(table["measure"])]
    if unknown:
        raise ConfigError(f"measures: there is no {unknown[0]}. Allowed: {', '.join(table['measure'].unique())}")
    variants = [variant for variant in view.looks if variant in set(table["variant"])]
    height = 0.2 * view.style.size / 9 * len(variants) + 0.75
    separator = " "
    if len(measures) > 2:  # panels are too narrow for the label and its unit on one line
        separator, height = "\n", height + 0.2 * view.style.size / 9
    figure, axes = plt.subplots(1, len(measures), figsize=(view.style.double, height), sharey=True, squeeze=False)
    for axis, measure in zip(axes[0], measures, strict=True):
        factor = view.measures[measure].factor
        own = table[table["measure"] == measure].set_index("variant")
        for place, variant in enumerate(variants):
            row, look = own.loc[variant], view.looks[variant]
            for low, high, width in _intervals(row):
                axis.plot([factor * low, factor * high], [place, place], color=look.colour, linewidth=width)
            axis.plot(factor * row["mean_difference"], place, look.marker, color=look.colour)
        if measure == view.primary and (margin := view.margin) is not None:
            axis.axvspan(-margin, margin, color="#777777", alpha=0.15, linewidth=0, zorder=0)
        axis.axvline(0, color="#777777", linewidth=0.8, zorder=1)
        axis.set_xlabel(difference_label(measure, separator, view.task))
        axis.xaxis.set_major_locator(MaxNLocator(4))
        axis.grid(visible=False, axis="y")
    axes[0, 0].set_yticks(range(len(variants)), [view.looks[variant].label for variant in variants])
    axes[0, 0].set_ylim(len(variants) - 0.5, -0.5)
    baselines = table["baseline"].unique()
    against = view.looks[baselines[0]].label if len(baselines) == 1 and baselines[0] in view.looks else "the baseline"
    title = f"Difference to {in_sentence(against)}"
    if table["ci_low"].notna().any():
        title += "; 95 % intervals: over seeds (thick), with new data (thin)"
    figure.suptitle(title, fontsize=view.style.size)
    return figure


def _intervals(row: pd.Series) -> list[tuple[float, float, float]]:
    """Return the ends and the line width of each interval of a contrast."""
    wide = [("new_data_low", "new_data_high"), ("new_images_low", "new_images_high")]
    found = [(row[low], row[high], 0.7) for low, high in wide if pd.notna(row[low])]
    return found + ([(row["ci_low"], row["ci_high"], 2.2)] if pd.notna(row["ci_low"]) else [])


def best_of_n(view: View) -> Figure:
    """Draw the expected best of n trials for each regularizer of a tuned study, one panel per setting.

    Raises:
        ConfigError: the study is not tuned, its search is adaptive, or it has fewer than two trials.
    """
    table = view.best_of_n
    if table.empty:
        raise ConfigError(
            "figures: best_of_n requires a tuned study with at least two trials that do not depend on one another"
            " (tune.search=sobol, random or grid). Example: experiment=tuned"
        )
    measure = table["measure"].iloc[0]
    contexts, styles = list(table["context"].unique()), view.looks_by("reg", list(table["reg"].unique()))
    width = view.style.single if len(contexts) == 1 else view.style.double
    size = (width, 0.75 * width / min(len(contexts), 4))
    figure, axes = plt.subplots(1, len(contexts), figsize=size, sharey=True, squeeze=False)
    for axis, context in zip(axes[0], contexts, strict=True):
        for reg, own in table[table["context"] == context].groupby("reg", sort=False):
            look = styles[reg]
            axis.plot(own["n"], shown(own["expected"], measure), **look.line(), marker=look.marker, label=look.label)
        axis.set_title(mathtext(context))
        axis.set_xlabel("Trials")
        axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes[0, 0].set_ylabel(f"Expected best\n{in_sentence(view.label(measure))}")
    legend_below(figure, *axes[0, 0].get_legend_handles_labels())
    return figure
