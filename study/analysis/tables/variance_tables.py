"""Variance components, and what more seeds buy, as text."""

from dataclasses import replace

import pandas as pd

from study.analysis.statistics.crossed_runs import ALL, DIFFERENCE, REPEATS, SCORE
from study.analysis.statistics.variance_components import INTERACTION, TOTAL
from study.analysis.tables.gap_tables import VARIANT
from study.analysis.text.columns import FULL, SHORT, Column, TextTable
from study.analysis.text.formats import interval, number, signed, significant
from study.measures.catalog import Measure, measures_of
from study.seeds import SOURCES

NAMES = {
    "split": "split",
    "init": "initial weights",
    "order": "batch order",
    "dropout": "dropout",
    INTERACTION: "interactions",
    TOTAL: "all together",
}
QUANTITY = Column("quantity", "Of", priority=0, preset=SHORT, words=True, also=("measure", "baseline"))
VARIANCE = (
    QUANTITY,
    VARIANT,
    Column("component", "Source", priority=0, preset=SHORT, words=True),
    Column("sd", "SD", priority=0, preset=SHORT, also=("variance", "variance_low", "variance_high")),
    Column("sd_low", "95 % interval", priority=1, preset=SHORT, also=("sd_high",)),
    Column("share", "Variance (%)", 100, 0, priority=2, preset=SHORT),
    Column("runs", "Runs", priority=5, preset=FULL),
)
MORE_SEEDS = (
    QUANTITY,
    VARIANT,
    Column("mean", "Mean", priority=1, preset=SHORT),
    Column("ci_low", "95 % interval", priority=1, preset=SHORT, also=("ci_high",)),
    Column("only", "Other seeds of", priority=0, preset=SHORT, words=True),
    *(
        Column(f"sd_{count}", f"SD ({count} seed{'s' if count > 1 else ''})", priority=1, preset=SHORT)
        for count in REPEATS
    ),
)


def _named(measure: Measure, quantity: str) -> str:
    if quantity == DIFFERENCE:
        return f"Δ {measure.words}"
    return measure.label


def variance_text(table: pd.DataFrame, task: str) -> TextTable:
    """The components from `crossed_runs.variance_tables` as text, in the displayed unit of differences."""
    measure = measures_of(task)[table["measure"].iloc[0]]
    decimals, factor = _decimals(measure, table["sd"]), measure.factor
    unit = f" ({measure.difference_unit})" if measure.difference_unit else ""
    bounds = zip(table["sd_low"] * factor, table["sd_high"] * factor, strict=True)
    cells = {
        "quantity": [_named(measure, quantity) for quantity in table["quantity"]],
        "variant": list(table["variant"]),
        "component": [NAMES[name] for name in table["component"]],
        "sd": [number(sd * factor, decimals) for sd in table["sd"]],
        "sd_low": [f"[{number(low, decimals)}, {number(high, decimals)}]" for low, high in bounds],
        "share": [number(100 * share, 0) for share in table["share"]],
        "runs": [str(runs) for runs in table["runs"]],
    }
    columns = [replace(column, header=f"SD{unit}") if column.key == "sd" else column for column in VARIANCE]
    return TextTable(columns, [cells[column.key] for column in columns])


def more_seeds_text(table: pd.DataFrame, task: str) -> TextTable:
    """The deviations of means from `crossed_runs.variance_tables` as text, in the displayed unit of differences."""
    measure = measures_of(task)[table["measure"].iloc[0]]
    decimals, factor = _decimals(measure, table["sd_1"]), measure.factor
    lines = []
    for row in table[table["only"].isin([ALL, "init"]) | (table["only"] == table["only"].iloc[0])].to_dict("records"):
        mean, low, high = (row[key] * factor for key in ("mean", "ci_low", "ci_high"))
        of_score = row["quantity"] == SCORE
        lines.append(
            {
                "quantity": _named(measure, row["quantity"]),
                "variant": row["variant"],
                "mean": number(mean, decimals) if of_score else signed(mean, decimals),
                "ci_low": f"[{number(low, decimals)}, {number(high, decimals)}]"
                if of_score
                else interval(low, high, 1, decimals),
                "only": row["only"] if row["only"] == ALL else f"{NAMES[row['only']]} only",
                **{f"sd_{count}": number(row[f"sd_{count}"] * factor, decimals) for count in REPEATS},
            }
        )
    return TextTable(MORE_SEEDS, [[line[column.key] for line in lines] for column in MORE_SEEDS])


def _decimals(measure: Measure, deviations: pd.Series) -> int:
    return 2 if measure.unit in ("fraction", "points") else significant(deviations, 2)


def variance_notes(table: pd.DataFrame, left_out: list[str]) -> list[str]:
    """The notes below the components, as sentences.

    Args:
        table: the components.
        left_out: variants without components.
    """
    there = set(table["component"])
    sources = [NAMES[source] for source in SOURCES if source in there]
    lines = [
        "SD: the standard deviation of one run's value that this source causes, all sources drawn at random (analysis"
        " of variance; Searle, Casella and McCulloch 1992). Intervals: modified large-sample (Ting et al. 1990)."
        " SD 0: the estimate of the variance is not above 0. Dropout: whatever a regularizer draws; without one that"
        " draws, its true SD is 0."
    ]
    if INTERACTION in there:
        lines.append(
            "Interactions: what a combination of seeds causes beyond its single sources. Training is deterministic, so"
            " nothing else is in it."
        )
    if missing := [NAMES[source] for source in SOURCES if source not in there]:
        lines.append(f"Only seeds of {' and '.join(sources)} vary here; {' and '.join(missing)}: one seed in all runs.")
    if left_out:
        lines.append(
            f"Left out: {', '.join(left_out)}. Their complete runs are not fully crossed; study status names what is"
            " missing or failed."
        )
    return lines


def more_seeds_notes(table: pd.DataFrame, task: str) -> list[str]:
    """The notes below the deviations of means: what more seeds buy, in words."""
    measure = measures_of(task)[table["measure"].iloc[0]]
    lines = [
        "SD: standard deviation of the mean over 1, 2, 5 and 10 seeds. 'Only': the other sources keep their seeds,"
        " so their part stays however many seeds there are; interactions are counted as if all of them changed, so the"
        " true SD may be larger. The interval of the mean covers other seeds of all sources (Satterthwaite 1946)."
    ]
    decimals, unit = _decimals(measure, table["sd_1"]), measure.difference_unit
    for (variant, quantity), own in table.groupby(["variant", "quantity"], sort=False):
        by_source = own.set_index("only")
        if quantity != (DIFFERENCE if DIFFERENCE in set(table["quantity"]) else SCORE) or ALL not in by_source.index:
            continue
        one, two, ten, init = (
            number(by_source.loc[source, key] * measure.factor, decimals) if source in by_source.index else ""
            for source, key in ((ALL, "sd_1"), (ALL, "sd_2"), (ALL, "sd_10"), ("init", "sd_10"))
        )
        only = f"; to {init} at best with ten initial weights alone" if init else ""
        what = "difference of " if quantity == DIFFERENCE else ""
        lines.append(
            f"The {what}{variant}: a second seed lowers the SD from {one} to {two} {unit}, ten to {ten}{only}."
        )
    return lines
