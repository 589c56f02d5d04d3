"""The tables of a tuned study as text: choices, trials, and the expected best of n trials."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from study.analysis.statistics import inference
from study.analysis.statistics.tuning import TRIAL_KEYS, context_names, space_of
from study.analysis.text.columns import FULL, SHORT, Column, TextTable
from study.analysis.text.formats import number, signed
from study.config.tuning.rounds import HYPERBAND, TPE
from study.config.tuning.search import near_ends
from study.config.tuning.tpe import START
from study.measures.catalog import MEASURES

REGULARIZER = Column("reg", "Regularizer", priority=0, preset=SHORT, words=True, also=("context",))
TUNED = (
    REGULARIZER,
    Column("searched", "Searched", priority=9, words=True),
    Column("values", "Chosen", priority=1, preset=SHORT, words=True),
    Column("trials", "Trials", priority=5, preset=SHORT),
    Column("trainings", "Trainings", priority=8),
    Column("epochs", "Epochs", priority=6, preset=SHORT),
    Column("tuned", "Tuned", priority=2, preset=SHORT),
    Column("tuned_leave_one_seed_out", "Leave one seed out", priority=7),
    Column("fresh", "Fresh", priority=0, preset=SHORT),
    Column("fresh_ci_low", "95 % interval", priority=1, preset=SHORT, also=("fresh_ci_high",)),
    Column("fresh_n", "n", priority=4, preset=SHORT, also=("n",)),
    Column("winners_curse", "Winner's curse", priority=3, preset=SHORT),
)
BEST = (REGULARIZER, Column("expected", "n = {n}", priority=1, preset=SHORT))  # a column for each n
TRIALS = (
    REGULARIZER,
    Column("trial", "Trial", priority=2, preset=SHORT),
    Column("epochs", "Epochs", priority=3, preset=SHORT, also=("pruned",)),
    Column("score", "", priority=0, preset=SHORT, also=("score_sd", "measure")),
)  # and one before the last for each tuned key


def tuned_text(table: pd.DataFrame, select: str) -> TextTable:
    """The table of choices as text."""
    factor, decimals = (100, 2) if MEASURES[select].unit == "fraction" else (1, 4)

    def shown(value: float) -> str:
        return "–" if pd.isna(value) else f"{factor * value:.{decimals}f}"

    lines = [
        {
            "reg": _named_row(row),
            "searched": row.searched,
            "values": row.values or "fixed",
            "trials": str(row.trials),
            "trainings": str(row.trainings),
            "epochs": _plain(row.epochs),
            "tuned": shown(row.tuned),
            "tuned_leave_one_seed_out": shown(row.tuned_leave_one_seed_out),
            "fresh": shown(row.fresh),
            "fresh_ci_low": f"[{shown(row.fresh_ci_low)}, {shown(row.fresh_ci_high)}]"
            if row.fresh_n >= inference.INTERVALS_FROM
            else "–",
            "fresh_n": str(row.fresh_n),
            "winners_curse": signed(factor * row.winners_curse, decimals),
        }
        for row in table.itertuples()
    ]
    return TextTable(TUNED, [[line[column.key] for line in lines] for column in TUNED])


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
    names = context_names(manifest)
    on_boundary = [
        f"{' '.join(filter(None, (winner['reg'], names[str(winner['context'])])))} ({', '.join(keys)})"
        for winner in manifest["winners"]
        if (keys := near_ends(space_of(manifest, winner["reg"]), winner["values"]))
    ]
    if on_boundary:
        lines.append(
            "Best value on the boundary of the range (within 5 % of an end), so a better value may lie beyond it:"
            f" {'; '.join(on_boundary)}."
        )
    return lines


PRUNED = " (pruned)"


def trial_notes(table: pd.DataFrame) -> list[str]:
    """The notes below the table of trials, as sentences."""
    lines = ["Score: mean ± standard deviation over the tuning seeds. Bold: chosen. Epochs: of all its runs."]
    if table["pruned"].any():
        lines.append(
            "A pruned trial was stopped before its last epoch. Its score is the one at that moment, and it cannot be"
            " chosen."
        )
    return lines


def trial_text(table: pd.DataFrame) -> TextTable:
    """The table of trials as text."""
    measure = MEASURES[table["measure"].iloc[0]]
    decimals = 2 if measure.unit == "fraction" else 4
    scores = zip(measure.factor * table["score"], measure.factor * table["score_sd"], table["chosen"], strict=True)
    named, trial, epochs, score = TRIALS
    keys = [Column(key, key, priority=1, preset=SHORT) for key in table.columns[TRIAL_KEYS:]]
    header = measure.label.replace("Validation", "Val")  # headers are short
    cells = [
        [_named_row(row) for row in table[["reg", "context"]].itertuples()],
        [_plain(value) for value in table["trial"]],
        [_plain(row.epochs) + (PRUNED if row.pruned else "") for row in table.itertuples()],
        *([_plain(value) for value in table[key.key]] for key in keys),
        [("*" if chosen else "") + number(mean, decimals, sd) for mean, sd, chosen in scores],
    ]
    return TextTable([named, trial, epochs, *keys, replace(score, header=header)], cells)


BEST_NOTES = (
    "Each number is the expected best score of n random trials (Tang et al. 2020), for n up to half of the trials. The"
    " score of a trial is its mean over the tuning seeds.",
)


def best_text(curves: pd.DataFrame, select: str) -> TextTable:
    """The expected best of n trials as text; a row per regularizer. `short` has the powers of two and the last n."""
    factor, decimals = (100, 2) if MEASURES[select].unit == "fraction" else (1, 4)
    wide = curves.pivot_table(index=["context", "reg"], columns="n", values="expected", sort=False)
    named, expected = BEST
    columns = [named]
    cells = [[reg + (f" ({context})" if context else "") for context, reg in wide.index]]
    for n in wide.columns:
        few = n == wide.columns[-1] or n & (n - 1) == 0
        columns.append(
            Column(
                f"expected_{n}",
                expected.header.format(n=n),
                priority=1 if few else 2,
                preset=SHORT if few else FULL,
                also=(expected.key, "n"),
            )
        )
        cells.append([f"{factor * v:.{decimals}f}" if pd.notna(v) else "–" for v in wide[n]])
    return TextTable(columns, cells)


def _search_note(tuning: Mapping[str, Any]) -> str:
    """The note on how the trials were drawn."""
    if tuning["search"] == "grid":
        return "Trials: all combinations of the listed values."
    shared = ", ".join(tuning["shared"]) or "no key"
    independent = "The expected best of n trials is left out: later trials depend on the scores of earlier ones."
    if tuning["search"] == TPE:
        return (
            f"Trials: the first {min(START, tuning['trials'])} of each variant from one scrambled Sobol' sequence, with"
            f" the same values of {shared} in all variants; the others by a tree-structured Parzen estimator (Optuna)"
            f" from the scores of the variant's own trials. {independent}"
        )
    if tuning["search"] == HYPERBAND:
        return (
            "Trials: brackets of successive halving (Hyperband), which stop two thirds of the trials at each rung. The"
            f" first trials are from one scrambled Sobol' sequence, with the same values of {shared} in all variants;"
            " of later brackets, two thirds are by a tree-structured Parzen estimator (Optuna) from the scores of the"
            f" variant's own trials. All variants have the same budget in epochs. {independent}"
        )
    drawn = "one scrambled Sobol' sequence" if tuning["search"] == "sobol" else "one sequence of independent points"
    return f"Trials: {drawn}. Trial k has the same values of {shared} in all variants."


def _named_row(row: Any) -> str:
    return row.reg + (f" ({row.context})" if row.context else "")


def _plain(value: Any) -> str:
    return "–" if pd.isna(value) else f"{value:g}" if isinstance(value, int | float) else str(value)


def _listed(seeds: list[int]) -> str:
    return f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else str(seeds[0])
