"""The sentences below the gap table, of which other tables share some."""

import json
from collections.abc import Sequence

import pandas as pd

from study.analysis.reading.study import Study
from study.analysis.statistics.gaps import NAMED_VARIANTS, SMALLER_GAP
from study.analysis.statistics.seed_design import shares_seeds
from study.analysis.tables.gap_tables import SD, SPREADS
from study.analysis.text.protocol import protocol
from study.measures.catalog import MAIN, measures_of
from study.tasks import CLASSIFICATION, REGRESSION

SELECTED = (
    "The validation set chose the epoch of some runs, so their validation scores are too high. Test scores are shown"
    " only if every run has one for that epoch."
)


def gap_notes(
    rows: pd.DataFrame, at: str | int, notes: Sequence[str], looks: int | None, spread: str = SD
) -> list[str]:
    """The notes below the gap table, as sentences.

    Args:
        rows: one row per run.
        at: the requested epoch.
        notes: further sentences.
        looks: the number of looks at test scores; None if the table shows none.
        spread: the number after ±.
    """
    task = rows["task"].iloc[0]
    score = MAIN[task].words
    highest = "highest" if measures_of(task)[MAIN[task].val].better > 0 else "lowest"
    words = {"last": "the end of training", "best": f"the epoch of the {highest} {score}"}
    where = words.get(str(at), f"epoch {at}")
    of_accuracy = " Accuracy gap: train − val." if task == CLASSIFICATION else ""
    lines = [
        f"All values are those at {where}. Rows are sorted by {score}. All splits are scored in eval mode"
        f" by the same code; losses are without the penalty.{of_accuracy} Loss gap: val − train."
    ]
    if task == REGRESSION:
        lines.append(_unit_note(rows))
    if chosen_by_val(rows, at):
        lines.append(SELECTED)
    if (rows.groupby("variant")["seed"].count() > 1).any():
        spread_words = SPREADS[spread]
        lines.append(f"± is {spread_words.replace('seeds', 'runs') if shares_seeds(rows) else spread_words}.")
    else:
        lines.append("One seed per variant: differences of this size may be noise.")
    if rows["seed"].nunique() >= 3 and not shares_seeds(rows):
        worse = "below" if highest == "highest" else "above"
        lines.append(f"Bold: not significantly {worse} the best {score} (paired t-tests, Holm).")
    lines += protocol(rows)
    return [*lines, *test_note(looks), *notes]


def column_notes(table: pd.DataFrame) -> tuple[dict[str, str], dict[str, str]]:
    """The notes on columns of the gap table, by key: for a table with the column, and for one without it."""
    about, instead = {}, {}
    if "delta_val_ci_low" in table and table["delta_val_ci_low"].notna().any():
        about["delta_val"] = "Δval: mean seed-paired difference to the baseline [its 95 % t-interval]."
    if "mark" in table and len(marked := table.loc[table["mark"] == SMALLER_GAP, "variant"]):
        named = ", ".join(marked[:NAMED_VARIANTS])
        more = f" and {len(marked) - NAMED_VARIANTS} more" if len(marked) > NAMED_VARIANTS else ""
        instead["mark"] = f"Smaller gap than the baseline, but worse validation: {named}{more}."
    return about, instead


def _unit_note(rows: pd.DataFrame) -> str:
    """The note on the units of a regression's scores."""
    standardized = {json.loads(setting).get("data.standardize_target") for setting in rows["setting"].unique()}
    unit = (
        "in units of the variance of the training targets, because targets are standardized by the training split"
        if standardized == {True}
        else "of the targets as they are"
        if True not in standardized
        else "of standardized targets where data.standardize_target is true, and of the targets as they are elsewhere"
    )
    return f"Loss: mean squared error (MSE), {unit}. R²: about the mean of each split. MAE: in the targets' own unit."


def scale_notes(study: Study) -> list[str]:
    """A note on max |w| and norms, for models whose weights can be rescaled without a change in the output."""
    if study.weights["parameter"].str.startswith("norms.").any():
        return [
            "Max |w| and norms: the scale of weights before batch normalization has no effect, so they do not measure"
            " capacity there."
        ]
    if (study.tables["sparsity.csv"]["units"] > 0).any():
        return [
            "Max |w| and norms: they change if ReLU units are rescaled, although the output does not. invariants.csv"
            " has measures that do not change."
        ]
    return []


def test_note(looks: int | None) -> list[str]:
    """The note on the number of looks at test scores; empty if the study has none."""
    if looks is None:
        return []
    times = "once, by this analysis" if looks == 1 else f"{looks} times, this analysis included"
    return [f"Test scores of this study have been looked at {times} (ledger.csv)."]


def chosen_by_val(rows: pd.DataFrame, at: str | int) -> bool:
    """Whether the validation set chose the epoch of some runs."""
    return at == "best" or (at == "last" and bool((rows["scored_epoch"] < rows["epochs"]).any()))
