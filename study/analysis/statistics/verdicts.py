"""Verdicts on the contrasts of a study with a margin of equivalence: better, worse, equivalent or undecided.

Two families of tests decide, each over all contrasts in the primary measure, and each corrected by Holm: the paired
t-tests of the differences, as without a margin, and the tests of equivalence. A difference cannot be both zero and as
large as the margin, so of one contrast at most one of the two null hypotheses is true. A study then has a false
`better` or `worse` with a probability of at most 5 %, and a false `equivalent` with at most 5 %.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from study.analysis.statistics import inference, tost
from study.analysis.statistics.contrasts import FEW, LEVEL, counted, number_range
from study.analysis.statistics.in_rounds import FIXED, Testing
from study.analysis.statistics.units import shown_unit
from study.measures.catalog import measures_of

COLUMNS = ("margin", "p_equivalence", "p_equivalence_holm", "provable_margin", "verdict")
BETTER, WORSE, EQUIVALENT, UNDECIDED = "better", "worse", "equivalent", "undecided"


def with_verdicts(
    table: pd.DataFrame, primary: str, margin: float, task: str, testing: Testing = FIXED
) -> pd.DataFrame:
    """Add COLUMNS to contrasts; they are empty for all measures but the primary one.

    A difference that is both significant and within the margin is `equivalent`: it exists, but it is smaller than what
    matters (Lakens, Scheel and Isager 2018). Contrasts without spread enter with one-sided sign-flip tests, contrasts
    with too few seeds with p = 1. Verdicts other than `undecided` need as many seeds as a star.

    Args:
        table: from `contrasts.contrasts`.
        primary: the measure that was fixed before the runs.
        margin: the margin of equivalence, in the unit of displayed differences.
        task: `classification` or `regression`.
        testing: how tests allow for rounds of seeds.

    Returns:
        The table with `margin`, `p_equivalence`, `provable_margin` (found with 80 % power for variants without a true
        difference, at the corrected level), both margins in the unit of `mean_difference`.
    """
    described, found = measures_of(task)[primary], table[table["measure"] == primary]
    own, level = margin / described.factor, testing.level(2 * LEVEL / max(1, len(found))) / 2
    lines: list[dict[str, Any]] = []
    for row in found.itertuples():
        tested = row.n >= inference.INTERVALS_FROM
        p = tost.p_value(row.mean_difference, row.sd, row.n, own) if tested else np.nan
        provable = tost.provable_margin(row.sd, row.n, level=level) if tested and row.sd > 0 else np.nan
        lines.append({"margin": own, "p_equivalence": p, "provable_margin": provable})
    new = pd.DataFrame(lines, found.index, columns=list(COLUMNS))
    each = testing.p_one_sided(new["p_equivalence"].to_numpy(float))
    new["p_equivalence"] = each
    new["p_equivalence_holm"] = inference.holm(np.nan_to_num(each, nan=1.0)) if not np.isnan(each).all() else np.nan
    new["verdict"] = [
        _verdict(row.n, row.p_holm, corrected, described.better * row.mean_difference)
        for row, corrected in zip(found.itertuples(), new["p_equivalence_holm"], strict=True)
    ]
    return table.join(new)


def _verdict(n: int, p_holm: float, p_equivalence_holm: float, gain: float) -> str:
    """The verdict on a contrast. `gain`: the difference, positive if the variant is better."""
    if n < inference.STARS_FROM:
        return UNDECIDED
    if p_equivalence_holm < LEVEL:
        return EQUIVALENT
    return (BETTER if gain > 0 else WORSE) if p_holm < LEVEL else UNDECIDED


def notes(table: pd.DataFrame, primary: str) -> list[str]:
    """The notes on the verdicts, as sentences; none without verdicts."""
    own = table[table["measure"] == primary]
    if own.empty or "verdict" not in own:
        return []
    of_all = counted(len(own), "contrast")
    lines = [
        f"Verdict: the margin of equivalence is {margin_text(own)}, fixed before the first run. Equivalent: the"
        f" difference is within the margin (two one-sided paired t-tests, corrected for {of_all} by Holm, p < .05)."
        " Better, worse: p (Holm) < .05, and not equivalent. Undecided: neither is shown. A verdict needs"
        f" {inference.STARS_FROM} seeds or more."
    ]
    both = list(own.loc[(own["verdict"] == EQUIVALENT) & (own["p_holm"] < LEVEL), "variant"])
    if both:
        more = f" and {len(both) - FEW} more" if len(both) > FEW else ""
        lines.append(f"Significantly different, but by less than the margin: {', '.join(both[:FEW])}{more}.")
    provable, undecided = own["provable_margin"].dropna().astype(float), own["verdict"] == UNDECIDED
    if undecided.any() and len(provable):
        factor, unit = shown_unit(own)
        lines.append(
            f"Undecided does not mean equal. With {int(own['n'].min())} seeds, a variant without a true difference is"
            f" found equivalent with 80 % power if the margin is {number_range(provable * factor)}{unit} or more,"
            f" corrected for {of_all}."
        )
    return lines


def margin_text(own: pd.DataFrame) -> str:
    """The margin with its unit, such as `±0.3 points`, from the contrasts in the primary measure."""
    factor, unit = shown_unit(own)
    return f"±{own['margin'].iloc[0] * factor:.6g}{unit}"


def verdict_text(row: Mapping[str, Any] | pd.Series, factor: float) -> str:
    """The verdict on a contrast: `better`, `worse`, `undecided` or `equivalent within ±0.3`; – if there is none.

    Args:
        row: the contrast.
        factor: from stored to displayed differences.
    """
    verdict = row.get("verdict")
    if pd.isna(verdict):
        return "–"
    return f"{verdict} within ±{row['margin'] * factor:.6g}" if verdict == EQUIVALENT else str(verdict)
