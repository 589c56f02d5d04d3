"""The comparison of regularizers at matched strength, as text."""

import pandas as pd

from study.analysis.text.columns import SHORT, Column, TextTable
from study.analysis.text.formats import interval, signed

COLUMNS = (
    Column("measure", "Measure", priority=0, preset=SHORT, words=True, also=("matched_on", "level")),
    Column("reg", "Variant", priority=0, preset=SHORT, words=True, also=("other", "variant")),
    Column("n", "n", priority=4, preset=SHORT),
    Column("mean", "First", priority=3, preset=SHORT),
    Column("other_mean", "Second", priority=3, preset=SHORT),
    Column("mean_difference", "Difference", priority=0, preset=SHORT),
    Column("ci_low", "95 % interval", priority=1, preset=SHORT, also=("ci_high",)),
)


def matched_text(table: pd.DataFrame) -> TextTable:
    """The table from `matched.matched` as text."""
    units = {"val_accuracy": (100, 2), "near_zero_fraction": (100, 1), "zero_fraction": (100, 1)}
    lines = []
    for row in table.itertuples():
        factor, decimals = units.get(row.measure, (1, 4 if row.measure.endswith("loss") else 1))
        lines.append(
            (
                f"{row.measure} at {row.matched_on} {row.level:.4g}",
                f"{row.reg} − {row.other}",
                str(row.n),
                f"{factor * row.mean:.{decimals}f}",
                f"{factor * row.other_mean:.{decimals}f}",
                signed(factor * row.mean_difference, decimals),
                interval(row.ci_low, row.ci_high, factor, decimals),
            )
        )
    return TextTable(COLUMNS, list(zip(*lines, strict=True)))
