"""What a tuned study's choices were worth: the tuned score, the fresh one, and how much more tuning could help."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from study.analysis import statistics
from study.analysis.formats import signed
from study.measures import MEASURES

COLUMNS = (
    *("context", "reg", "values", "trials", "trainings", "tuned", "tuned_leave_one_seed_out", "fresh", "fresh_n"),
    *("fresh_ci_low", "fresh_ci_high", "winners_curse"),
)


def fresh_ids(manifest: Mapping[str, Any]) -> list[str]:
    """Ids of the runs that are compared."""
    return [run_id for winner in manifest["winners"] for run_id in winner["runs"].values()]


def tuned_contexts(manifest: Mapping[str, Any]) -> dict[str, str]:
    """The context of each run by its id, in words: what the choices were made apart for."""
    parts = [*manifest["trials"], *manifest["winners"]]
    return {run_id: _words(part["context"]) for part in parts for run_id in part["runs"].values()}


def tuned_table(manifest: Mapping[str, Any], rows: pd.DataFrame) -> pd.DataFrame:
    """A row per choice: its score on the seeds that chose it, and on fresh ones.

    Args:
        manifest: of the study.
        rows: one row per run, the fresh ones among them.

    Returns:
        COLUMNS, scores in the measure's own unit. `tuned_leave_one_seed_out` is the score of the choice that the other
        seeds make, on the seed left out; `winners_curse` is tuned minus fresh, in the direction of better.
    """
    select = manifest["tuning"]["select"]
    better, by_id = MEASURES[select].better, rows.set_index("run_id")
    lines = []
    for winner in manifest["winners"]:
        trials = _trials_of(manifest, winner)
        scores = better * np.array([list(trial["scores"].values()) for trial in trials], float)
        scores = np.where(np.isnan(scores), -np.inf, scores)
        own = next(i for i, trial in enumerate(trials) if trial["values"] == winner["values"])
        fresh = np.array([by_id.loc[i, select] for i in winner["runs"].values() if i in by_id.index], float)
        interval, tuned = statistics.mean_interval(fresh), better * scores[own].mean()
        lines.append(
            {
                **{"context": _words(winner["context"]), "reg": winner["reg"], "values": _words(winner["values"])},
                **{"trials": len(trials), "trainings": scores.size, "tuned": tuned},
                "tuned_leave_one_seed_out": better * statistics.leave_one_seed_out(scores),
                **{"fresh": interval.mean, "fresh_n": len(fresh)},
                **{"fresh_ci_low": interval.low, "fresh_ci_high": interval.high},
                "winners_curse": better * (tuned - interval.mean),
            }
        )
    return pd.DataFrame(lines, columns=list(COLUMNS))


def best_of_n(manifest: Mapping[str, Any]) -> pd.DataFrame:
    """What n trials of each regularizer give in expectation, for n up to half of its trials: `context, reg, measure,
    n, expected`.

    A method that wins only after more trials than another is seen by the crossing of their curves.
    """
    measure = manifest["tuning"]["select"]
    better, lines = MEASURES[measure].better, []
    for winner in manifest["winners"]:
        own, scores = {"context": _words(winner["context"]), "reg": winner["reg"], "measure": measure}, []
        for trial in _trials_of(manifest, winner):
            values = np.array(list(trial["scores"].values()), float)
            if not np.isnan(values).any():
                scores.append(better * values.mean())
        for n, expected in enumerate(statistics.best_of(np.array(scores))[: len(scores) // 2], start=1):
            lines.append({**own, "n": n, "expected": better * expected})
    return pd.DataFrame(lines, columns=["context", "reg", "measure", "n", "expected"])


def tuned_text(table: pd.DataFrame, select: str) -> pd.DataFrame:
    """The choices as text."""
    factor, decimals = (100, 2) if MEASURES[select].unit == "fraction" else (1, 4)

    def shown(value: float) -> str:
        return "–" if pd.isna(value) else f"{factor * value:.{decimals}f}"

    lines = [
        {
            "Regularizer": row.reg + (f" ({row.context})" if row.context else ""),
            "Chosen": row.values or "fixed",
            "Trials": str(row.trials),
            "Trainings": str(row.trainings),
            "Tuned": shown(row.tuned),
            "Leave one seed out": shown(row.tuned_leave_one_seed_out),
            "Fresh": shown(row.fresh),
            "95 % interval": f"[{shown(row.fresh_ci_low)}, {shown(row.fresh_ci_high)}]"
            if row.fresh_n >= statistics.INTERVALS_FROM
            else "–",
            "n": str(row.fresh_n),
            "Winner's curse": signed(factor * row.winners_curse, decimals),
        }
        for row in table.itertuples()
    ]
    return pd.DataFrame(lines)


def tuned_notes(manifest: Mapping[str, Any]) -> list[str]:
    """What a reader of the choices must know, as sentences."""
    tuning = manifest["tuning"]
    lines = [
        f"Chosen by {tuning['select']}, the mean over the tuning seeds {_listed(tuning['tuning_seeds'])}; compared on"
        f" the fresh seeds {_listed(tuning['fresh_seeds'])}, whose number was fixed beforehand. Trials never scored the"
        " test set. Winner's curse: tuned minus fresh, in the direction of better."
    ]
    if manifest["fixed_learning_rate"]:
        lines.append("Fixed learning rate: the trials that none does not need for a λ were not spent on it.")
    trials = {(_words(w["context"]), w["reg"]): len(_trials_of(manifest, w)) for w in manifest["winners"]}
    least = min(count for (_, reg), count in trials.items() if reg != "none" or not manifest["fixed_learning_rate"])
    more = [" ".join(filter(None, (reg, context))) for (context, reg), count in trials.items() if count > least]
    if more:
        lines.append(f"Trials beyond the edge of the space, where the best lay on it: {', '.join(more)}.")
    return lines


BEST_NOTES = (
    "Each number is the expected best mean over the tuning seeds among n trials drawn at random (Tang et al. 2020),"
    " for n up to half of the trials.",
)


def best_text(curves: pd.DataFrame, select: str) -> pd.DataFrame:
    """The expected best of n trials as text, a row per regularizer."""
    factor, decimals = (100, 2) if MEASURES[select].unit == "fraction" else (1, 4)
    wide = curves.pivot_table(index=["context", "reg"], columns="n", values="expected", sort=False)
    text = pd.DataFrame({"Regularizer": [reg + (f" ({context})" if context else "") for context, reg in wide.index]})
    for n in wide.columns:
        text[f"n = {n}"] = [f"{factor * v:.{decimals}f}" if pd.notna(v) else "–" for v in wide[n]]
    return text


def _trials_of(manifest: Mapping[str, Any], winner: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [t for t in manifest["trials"] if t["reg"] == winner["reg"] and t["context"] == winner["context"]]


def _words(values: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}" for key, value in values.items()
    )


def _listed(seeds: list[int]) -> str:
    return f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else str(seeds[0])
