"""The range of λ with a score close to the best one, as text."""

from dataclasses import replace

import pandas as pd

from study.analysis.statistics.sensitivity import SHARE
from study.analysis.tables.gap_tables import VARIANT
from study.analysis.text.columns import SHORT, Column, TextTable
from study.analysis.text.formats import number, significant
from study.measures.catalog import MAIN, measures_of
from study.tasks import CLASSIFICATION

COLUMNS = (
    replace(VARIANT, header="Regularizer", also=("reg",)),
    Column("best_lam", "Best λ", priority=2, preset=SHORT, words=True),
    Column("best", "", priority=4, preset=SHORT, also=("measure",)),
    Column("lam_low", "Lowest λ", priority=1, preset=SHORT, words=True),
    Column("lam_high", "Highest λ", priority=1, preset=SHORT, words=True),
    Column("decades", "Decades", priority=0, preset=SHORT),
    Column("inside", "λ inside", priority=3, preset=SHORT, also=("tried",)),
    Column("touches", "Touches", priority=5, preset=SHORT, words=True),
)


def sensitivity_text(table: pd.DataFrame, task: str) -> TextTable:
    """The table from `sensitivity.sensitivity` as text. ≥ marks a range that touches an end of the tried λ."""
    measure = measures_of(task)[MAIN[task].val]
    decimals = 2 if task == CLASSIFICATION else significant(table["best"])
    unit = f" ({measure.shown_unit})" if measure.shown_unit else ""
    header = {"best": f"{measure.label.replace('Validation', 'Val').replace('accuracy', 'acc.')}{unit}"}
    cells = {
        "variant": list(table["variant"]),
        "best": [number(measure.factor * best, decimals) for best in table["best"]],
        **{key: [f"{lam:g}" for lam in table[key]] for key in ("best_lam", "lam_low", "lam_high")},
        "decades": [
            ("≥" if touches else "") + f"{decades:.1f}"
            for decades, touches in zip(table["decades"], table["touches"], strict=True)
        ],
        "inside": [f"{inside} of {tried}" for inside, tried in zip(table["inside"], table["tried"], strict=True)],
        "touches": [touches or "–" for touches in table["touches"]],
    }
    columns = [replace(column, header=header.get(column.key, column.header)) for column in COLUMNS]
    return TextTable(columns, [cells[column.key] for column in columns])


def sensitivity_notes(table: pd.DataFrame, task: str, within: float | None) -> list[str]:
    """The notes below the table, as sentences.

    Args:
        table: from `sensitivity.sensitivity`.
        task: `classification` or `regression`.
        within: as given; None: the default of the task.
    """
    measure = measures_of(task)[MAIN[task].val]
    if within is None and task != CLASSIFICATION:
        distance = f"{SHARE:.0%}".replace("%", " %")
    else:
        distance = f"{table['within'].iloc[0] * measure.factor:.6g} {measure.difference_unit}"
    lines = [
        f"λ around the best one, without a gap, whose mean {MAIN[task].words} is within {distance} of the best mean"
        " (lam_within). One decade is a factor of 10. A wide range means that λ needs little tuning. The best"
        " mean is the best of several, so it is slightly too high."
    ]
    if (table["touches"] != "").any():
        lines.append("≥: the range touches an end of the tried λ, so it may be wider.")
    if len(named := table.loc[table["none_inside"].eq(True), "variant"]):
        lines.append(
            f"No regularizer at all is that close to the best, too: {', '.join(named)}. There a wide range says little."
        )
    return lines
