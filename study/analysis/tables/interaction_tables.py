"""The effects of regularizers in each setting, and their changes, as text."""

from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from study.analysis.statistics.interaction import ALL_KEYS, marked
from study.analysis.tables.gap_tables import VARIANT
from study.analysis.text.columns import FULL, SHORT, Column, TextTable
from study.analysis.text.formats import interval, signed, significant
from study.measures.catalog import measures_of
from study.tasks import CLASSIFICATION

COLUMNS = (
    Column("key", "Key", priority=0, preset=SHORT, words=True, also=("context", "measure")),
    replace(VARIANT, key="row", header="Regularizer", also=("reg", "variant", "baseline")),
    Column("value", "Value", priority=0, preset=SHORT, words=True),
    Column("n", "n", priority=6, preset=FULL),
    Column("difference", "Effect", priority=0, preset=SHORT),
    Column("ci_low", "95 % interval", priority=5, preset=FULL, also=("ci_high",)),
    Column("p_holm", "p (Holm)", priority=5, preset=FULL),
    Column("change", "Change", priority=1, preset=SHORT, also=("is_reference",)),
    Column("change_low", "95 % interval", priority=3, preset=SHORT, also=("change_high",)),
    Column("p_change", "p", priority=4, preset=SHORT),
    Column("p_change_holm", "p (Holm)", priority=2, preset=SHORT),
)


def interaction_text(table: pd.DataFrame, task: str) -> TextTable:
    """The table from `interaction.interaction` as text."""
    measure = measures_of(task)[table["measure"].iloc[0]]
    decimals = 2 if task == CLASSIFICATION else significant(table["difference"].abs(), 3)
    unit, factor = f" ({measure.difference_unit})" if measure.difference_unit else "", measure.factor
    stars, changed = marked(table, "p_holm"), marked(table, "p_change_holm")
    lines = []
    for row, star, other in zip(table.to_dict("records"), stars, changed, strict=True):
        lines.append(
            {
                **{"key": row["key"], "row": row["row"], "value": row["value"], "n": str(row["n"])},
                "difference": signed(row["difference"] * factor, decimals) + ("*" if star else ""),
                "ci_low": interval(row["ci_low"], row["ci_high"], factor, decimals),
                "p_holm": _p(row["p_holm"]),
                "change": _change(row, factor, decimals) + ("†" if other else ""),
                "change_low": interval(row["change_low"], row["change_high"], factor, decimals),
                "p_change": _p(row["p_change"]),
                "p_change_holm": _p(row["p_change_holm"]),
            }
        )
    headers = {"difference": f"Effect{unit}", "change": f"Change{unit}"}
    shown = [column for column in COLUMNS if "change" not in column.key or table["is_reference"].any()]
    columns = [replace(column, header=headers.get(column.key, column.header)) for column in shown]
    return TextTable(columns, [[line[column.key] for line in lines] for column in columns])


def _change(row: Mapping[Hashable, Any], factor: float, decimals: int) -> str:
    if row["is_reference"]:
        return "reference"
    return "–" if pd.isna(row["change"]) else signed(row["change"] * factor, decimals)


def _p(value: float) -> str:
    if pd.isna(value):
        return "–"
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def interaction_notes(table: pd.DataFrame, task: str) -> list[str]:
    """The notes below the table, as sentences."""
    words = measures_of(task)[table["measure"].iloc[0]].words
    tested = int(table["p_change"].notna().sum())
    references = table[table["is_reference"].astype(bool)].drop_duplicates("key")
    named = ", ".join(
        f"{row.value}" if row.key == ALL_KEYS else f"{row.key} {row.value}" for row in references.itertuples()
    )
    effect = (
        f"Effect: seed-paired difference in {words} to the baseline in the same setting; *: p < .05, corrected as in"
        " the table of contrasts."
    )
    if references.empty:
        return [effect, "Effects on different data sets are not compared: nothing pairs their seeds."]
    lines = [f"{effect} Change: the effect minus the effect in the reference setting ({named}), by seed."]
    if not tested:
        return [*lines, "Fewer than three seeds: changes are not tested."]
    lines.append(
        f"A change that is not zero is an interaction (paired t-test of differences of differences; Maxwell and Delaney"
        f" 2004). Its p-values are corrected for all {tested} changes (Holm); †: p < .05, from six seeds on. A star in"
        " one setting and none in another is no interaction: only the change tests that."
    )
    if not marked(table, "p_change_holm").any():
        lines.append("No change is significant. That does not show that the effects are equal.")
    return lines
