"""The tables of a tuned study as text: choices, trials, and the expected best of n trials."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from study.analysis.statistics import inference
from study.analysis.statistics.tuning import TRIAL_KEYS, in_words, space_of
from study.analysis.text.formats import number, signed
from study.config.tuning.search import near_ends
from study.measures.catalog import MEASURES


def tuned_text(table: pd.DataFrame, select: str) -> pd.DataFrame:
    """The table of choices as text."""
    factor, decimals = (100, 2) if MEASURES[select].unit == "fraction" else (1, 4)

    def shown(value: float) -> str:
        return "–" if pd.isna(value) else f"{factor * value:.{decimals}f}"

    lines = [
        {
            "Regularizer": _named_row(row),
            "Searched": row.searched,
            "Chosen": row.values or "fixed",
            "Trials": str(row.trials),
            "Trainings": str(row.trainings),
            "Tuned": shown(row.tuned),
            "Leave one seed out": shown(row.tuned_leave_one_seed_out),
            "Fresh": shown(row.fresh),
            "95 % interval": f"[{shown(row.fresh_ci_low)}, {shown(row.fresh_ci_high)}]"
            if row.fresh_n >= inference.INTERVALS_FROM
            else "–",
            "n": str(row.fresh_n),
            "Winner's curse": signed(factor * row.winners_curse, decimals),
        }
        for row in table.itertuples()
    ]
    return pd.DataFrame(lines)


def unequal_notes(manifest: Mapping[str, Any] | None) -> list[str]:
    """A note for each way in which the variants were tuned unequally."""
    return [f"Tuned unequally: {line.removeprefix('tune: ')}." for line in (manifest or {}).get("unequal", ())]


def tuned_notes(manifest: Mapping[str, Any]) -> list[str]:
    """The notes below the table of choices, as sentences."""
    tuning = manifest["tuning"]
    lines = [
        f"Chosen by the mean {tuning['select']} over the tuning seeds {_listed(tuning['tuning_seeds'])}. Compared on"
        f" the fresh seeds {_listed(tuning['fresh_seeds'])}; their number was fixed in advance. Trials never score the"
        " test set. Winner's curse: tuned minus fresh, positive if tuned is better."
    ]
    lines.append(_search_note(tuning))
    if manifest["fixed_learning_rate"]:
        lines.append("Fixed learning rate: not all variants tune it.")
    on_boundary = [
        f"{_named(winner)} ({', '.join(keys)})"
        for winner in manifest["winners"]
        if (keys := near_ends(space_of(manifest, winner["reg"]), winner["values"]))
    ]
    if on_boundary:
        lines.append(
            "Best value on the boundary of the range (within 5 % of an end), so a better value may lie beyond it:"
            f" {'; '.join(on_boundary)}."
        )
    return lines


TRIAL_NOTES = ("Score: mean ± standard deviation over the tuning seeds. Bold: chosen.",)


def trial_text(table: pd.DataFrame) -> pd.DataFrame:
    """The table of trials as text."""
    measure = MEASURES[table["measure"].iloc[0]]
    decimals = 2 if measure.unit == "fraction" else 4
    text = pd.DataFrame({"Regularizer": [_named_row(row) for row in table[["reg", "context"]].itertuples()]})
    text["Trial"] = [_plain(value) for value in table["trial"]]
    for key in table.columns[TRIAL_KEYS:]:
        text[key] = [_plain(value) for value in table[key]]
    scores = zip(measure.factor * table["score"], measure.factor * table["score_sd"], table["chosen"], strict=True)
    header = measure.label.replace("Validation", "Val")  # headers are short
    text[header] = [("*" if chosen else "") + number(mean, decimals, sd) for mean, sd, chosen in scores]
    return text


BEST_NOTES = (
    "Each number is the expected best score of n random trials (Tang et al. 2020), for n up to half of the trials. The"
    " score of a trial is its mean over the tuning seeds.",
)


def best_text(curves: pd.DataFrame, select: str) -> pd.DataFrame:
    """The expected best of n trials as text; a row per regularizer."""
    factor, decimals = (100, 2) if MEASURES[select].unit == "fraction" else (1, 4)
    wide = curves.pivot_table(index=["context", "reg"], columns="n", values="expected", sort=False)
    text = pd.DataFrame({"Regularizer": [reg + (f" ({context})" if context else "") for context, reg in wide.index]})
    for n in wide.columns:
        text[f"n = {n}"] = [f"{factor * v:.{decimals}f}" if pd.notna(v) else "–" for v in wide[n]]
    return text


def _search_note(tuning: Mapping[str, Any]) -> str:
    """The note on how the trials were drawn."""
    if tuning["search"] == "grid":
        return "Trials: all combinations of the listed values."
    drawn = "one scrambled Sobol' sequence" if tuning["search"] == "sobol" else "one sequence of independent points"
    shared = ", ".join(tuning["shared"])
    return f"Trials: {drawn}. Trial k has the same values of {shared or 'no key'} in all variants."


def _named_row(row: Any) -> str:
    return row.reg + (f" ({row.context})" if row.context else "")


def _plain(value: Any) -> str:
    return "–" if pd.isna(value) else f"{value:g}" if isinstance(value, int | float) else str(value)


def _named(winner: Mapping[str, Any]) -> str:
    return " ".join(filter(None, (winner["reg"], in_words(winner["context"]))))


def _listed(seeds: list[int]) -> str:
    return f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else str(seeds[0])
