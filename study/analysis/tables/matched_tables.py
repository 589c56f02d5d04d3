"""The comparison of regularizers at matched strength, as text."""

from collections.abc import Mapping, Sequence

import pandas as pd

from study.analysis.statistics.matched import WideStep
from study.analysis.text.columns import SHORT, Column, TextTable
from study.analysis.text.formats import interval, signed
from study.measures.catalog import Measure, measures_of

COLUMNS = (
    Column("measure", "Measure", priority=0, preset=SHORT, words=True, also=("matched_on", "level")),
    Column("reg", "Variant", priority=0, preset=SHORT, words=True, also=("other", "variant")),
    Column("n", "n", priority=4, preset=SHORT),
    Column("mean", "First", priority=3, preset=SHORT),
    Column("other_mean", "Second", priority=3, preset=SHORT),
    Column("mean_difference", "Difference", priority=0, preset=SHORT),
    Column("ci_low", "95 % interval", priority=1, preset=SHORT, also=("ci_high",)),
)


def matched_text(table: pd.DataFrame, task: str) -> TextTable:
    """The table from `matched.matched` as text.

    Args:
        table: the comparisons.
        task: of the study, which gives the losses their unit.
    """
    measures, lines = measures_of(task), []
    for row in table.itertuples():
        measure, on = measures[row.measure], measures[row.matched_on]
        decimals = 4 if row.measure.endswith("loss") else 2 if row.measure == "val_accuracy" else 1
        level = f"{on.factor * row.level:.4g} {on.shown_unit}".rstrip()
        lines.append(
            (
                f"{_in_unit(measure)} at {on.words} {level}",
                f"{row.reg} − {row.other}",
                str(row.n),
                f"{measure.factor * row.mean:.{decimals}f}",
                f"{measure.factor * row.other_mean:.{decimals}f}",
                signed(measure.factor * row.mean_difference, decimals),
                interval(row.ci_low, row.ci_high, measure.factor, decimals),
            )
        )
    return TextTable(COLUMNS, list(zip(*lines, strict=True)))


def step_notes(steps: Mapping[str, Sequence[WideStep]], task: str) -> list[str]:
    """A note on steps of λ in which values are interpolated far from any run.

    Args:
        steps: by the measure that is held equal, from `matched.wide_steps`.
        task: of the study.
    """
    measures = measures_of(task)
    return [
        f"Interpolated far from any run, because {measures[on].words} changes by more than half of the"
        f" compared range: {', '.join(map(str, own))}. Train λ in between."
        for on, own in steps.items()
        if own
    ]


def _in_unit(measure: Measure) -> str:
    """The label of a measure with its displayed unit: `Validation accuracy (%)`."""
    return f"{measure.label} ({measure.shown_unit})" if measure.shown_unit else measure.label
