"""The answers to a study's questions, as text."""

from collections.abc import Sequence

import pandas as pd

from study.analysis.statistics.hypotheses import SEPARATOR
from study.analysis.text.columns import SHORT, Column, TextTable
from study.analysis.text.formats import interval, p_value, signed, significant
from study.config.hypotheses import Hypothesis
from study.measures.catalog import described

COLUMNS = (
    Column("hypothesis", "Question", priority=0, preset=SHORT, words=True, also=("question",)),
    Column("compared", "Compared", priority=0, preset=SHORT, words=True, also=("measure",)),
    Column("settings", "Settings", priority=3, preset=SHORT),
    Column("estimate", "Estimate", priority=0, preset=SHORT, also=("unit",)),
    Column("ci_low", "95 % interval", priority=1, preset=SHORT, also=("ci_high",)),
    Column("above", "> 0, < 0", priority=2, preset=SHORT, also=("below",)),
    Column("p", "p", priority=5),
    Column("p_holm", "p (Holm)", priority=1, preset=SHORT),
    Column("margin", "Margin", priority=4),
    Column("answer", "Answer", priority=0, preset=SHORT, words=True),
)
NOTES = (
    "The questions were fixed before the first run. A contrast of several settings is tested over settings, each with"
    " its mean over seeds (paired t-test); of one setting, over seeds. P-values are corrected for the contrasts of a"
    " question (Holm), not for the number of questions.",
)
OF_ASSOCIATION = (
    "An estimate without unit is Spearman's rank correlation over the variants of a setting, averaged over settings."
    " Its p-value is that of permutations of the variants within settings. An answer also requires that the interval"
    " over settings excludes zero."
)

MOST = 4  # steps of λ that a note names


def hypothesis_text(table: pd.DataFrame, task: str) -> TextTable:
    """The table from `hypotheses.answers` as text; the name of a question stands in its first row only."""
    lines, before = [], ""
    for row in table.itertuples():
        measure = described(row.measure, task)
        is_contrast = " − " in row.compared
        factor, unit = (measure.factor, measure.difference_unit) if is_contrast else (1, "")
        of_what = f"{row.compared}, {measure.words}" if is_contrast else row.compared
        decimals = 2 if unit == "points" or not is_contrast else significant([factor * row.estimate], 3)
        lines.append(
            (
                row.hypothesis if row.hypothesis != before else "",
                of_what,
                str(row.settings),
                f"{signed(factor * row.estimate, decimals)} {unit}".rstrip(),
                interval(row.ci_low, row.ci_high, factor, decimals),
                f"{row.above:.0f}, {row.below:.0f}" if pd.notna(row.above) else "–",
                p_value(row.p),
                p_value(row.p_holm),
                f"±{factor * row.margin:g}" if pd.notna(row.margin) else "–",
                row.answer,
            )
        )
        before = row.hypothesis
    return TextTable(COLUMNS, list(zip(*lines, strict=True)))


def hypothesis_notes(hypotheses: Sequence[Hypothesis], table: pd.DataFrame) -> list[str]:
    """The notes below the table from `hypotheses.answers`, as sentences."""
    asked = [f"{one.name}: {one.question}" for one in hypotheses]
    of_association = [OF_ASSOCIATION] if any(one.other for one in hypotheses) else []
    lacking = table[(table["left_out"] != "") & (table["settings"] > 0)]
    without = [
        f"{hypothesis} has no value in: {left_out}."
        for hypothesis, left_out in dict.fromkeys(zip(lacking["hypothesis"], lacking["left_out"], strict=True))
    ]
    return [*asked, *NOTES, *of_association, *without, *_of_wide_steps(table)]


def _of_wide_steps(table: pd.DataFrame) -> list[str]:
    """Notes on contrasts at equal fit of which a level lies far from any run."""
    lines = []
    for hypothesis, steps in table.loc[table["wide_steps"] != "", ["hypothesis", "wide_steps"]].itertuples(index=False):
        each = steps.split(SEPARATOR)
        more = f" and {len(each) - MOST} more (hypotheses.csv has them)" if len(each) > MOST else ""
        lines.append(
            f"{hypothesis}: some levels are interpolated far from any run: {SEPARATOR.join(each[:MOST])}{more}. Train"
            " λ in between."
        )
    return lines
