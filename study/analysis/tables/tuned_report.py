"""What a tuned study's choices were worth: the tuned score, the fresh one, and how much more tuning could help."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from study.analysis.statistics import inference
from study.analysis.tables.formats import number, signed
from study.config.tuning.search import Dimension, near_ends
from study.measures.catalog import MEASURES
from study.records.manifest import tuning_of

COLUMNS = (
    *("context", "reg", "values", "trials", "trainings", "tuned", "tuned_leave_one_seed_out", "fresh", "fresh_n"),
    *("fresh_ci_low", "fresh_ci_high", "winners_curse", "search", "searched", "trial", "boundary"),
)
TRIAL_KEYS = 7  # columns of `trial_table` before those of the keys


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
        seeds make, on the seed left out; `winners_curse` is tuned minus fresh, in the direction of better. `searched`
        has each key with its range, `trial` the number of the choice, `boundary` the keys whose choice lies within 5 %
        of an end of their range.
    """
    select = manifest["tuning"]["select"]
    better, by_id = MEASURES[select].better, rows.set_index("run_id")
    lines = []
    tuning = manifest["tuning"]
    for winner in manifest["winners"]:
        trials, space = _trials_of(manifest, winner), space_of(manifest, winner["reg"])
        scores = better * np.array([list(trial["scores"].values()) for trial in trials], float)
        scores = np.where(np.isnan(scores), -np.inf, scores)
        own = next(i for i, trial in enumerate(trials) if trial["values"] == winner["values"])
        fresh = np.array([by_id.loc[i, select] for i in winner["runs"].values() if i in by_id.index], float)
        interval, tuned = inference.mean_interval(fresh), better * scores[own].mean()
        lines.append(
            {
                **{"context": _words(winner["context"]), "reg": winner["reg"], "values": _words(winner["values"])},
                **{"trials": len(trials), "trainings": scores.size, "tuned": tuned},
                "tuned_leave_one_seed_out": better * inference.leave_one_seed_out(scores),
                **{"fresh": interval.mean, "fresh_n": len(fresh)},
                **{"fresh_ci_low": interval.low, "fresh_ci_high": interval.high},
                "winners_curse": better * (tuned - interval.mean),
                **{"search": tuning["search"], "searched": "; ".join(f"{key} {d.words()}" for key, d in space.items())},
                "trial": winner.get("trial"),
                "boundary": ", ".join(near_ends(space, winner["values"])),
            }
        )
    return pd.DataFrame(lines, columns=list(COLUMNS))


def space_of(manifest: Mapping[str, Any], reg: str) -> dict[str, Dimension]:
    """What a regularizer tuned; nothing in the manifest of an earlier version."""
    return tuning_of(manifest).space_of(reg) if "trial" in next(iter(manifest["trials"]), {}) else {}


def trial_table(manifest: Mapping[str, Any]) -> pd.DataFrame:
    """A row per trial: `context, reg, trial, measure, score` (the mean over the tuning seeds, empty if a run diverged),
    `score_sd`, `chosen`, and a column for each key that was tuned.
    """
    chosen = {(_words(w["context"]), w["reg"], _words(w["values"])) for w in manifest["winners"]}
    lines = []
    for trial in manifest["trials"]:
        scores = np.array(list(trial["scores"].values()), float)
        key = (_words(trial["context"]), trial["reg"])
        lines.append(
            {
                **{"context": key[0], "reg": key[1], "trial": trial.get("trial")},
                **{"measure": manifest["tuning"]["select"], "score": scores.mean()},
                "score_sd": scores.std(ddof=1) if len(scores) > 1 else float("nan"),
                "chosen": (*key, _words(trial["values"])) in chosen,
                **trial["values"],
            }
        )
    return pd.DataFrame(lines)


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
        for n, expected in enumerate(inference.best_of(np.array(scores))[: len(scores) // 2], start=1):
            lines.append({**own, "n": n, "expected": better * expected})
    return pd.DataFrame(lines, columns=["context", "reg", "measure", "n", "expected"])


def tuned_text(table: pd.DataFrame, select: str) -> pd.DataFrame:
    """The choices as text."""
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
    """In what the variants were tuned unequally, a sentence each, for the footer of every table."""
    return [
        f"Tuned unequally, as allowed: {line.removeprefix('tune: ')}." for line in (manifest or {}).get("unequal", ())
    ]


def tuned_notes(manifest: Mapping[str, Any]) -> list[str]:
    """What a reader of the choices must know, as sentences."""
    tuning = manifest["tuning"]
    lines = [
        f"Chosen by {tuning['select']}, the mean over the tuning seeds {_listed(tuning['tuning_seeds'])}; compared on"
        f" the fresh seeds {_listed(tuning['fresh_seeds'])}, whose number was fixed beforehand. Trials never scored the"
        " test set. Winner's curse: tuned minus fresh, in the direction of better."
    ]
    lines.append(_search_note(tuning))
    if manifest["fixed_learning_rate"]:
        lines.append("Fixed learning rate: it is not among what all variants tuned.")
    on_boundary = [
        f"{_named(winner)} ({', '.join(keys)})"
        for winner in manifest["winners"]
        if (keys := near_ends(space_of(manifest, winner["reg"]), winner["values"]))
    ]
    if on_boundary:
        lines.append(
            "Best value on the boundary of the range (within 5 % of an end), so that a better one may lie beyond it:"
            f" {'; '.join(on_boundary)}."
        )
    return lines


TRIAL_NOTES = ("Score: the mean over the tuning seeds, and its standard deviation. Bold: chosen.",)


def trial_text(table: pd.DataFrame) -> pd.DataFrame:
    """The trials as text."""
    measure = MEASURES[table["measure"].iloc[0]]
    decimals = 2 if measure.unit == "fraction" else 4
    text = pd.DataFrame({"Regularizer": [_named_row(row) for row in table[["reg", "context"]].itertuples()]})
    text["Trial"] = [_plain(value) for value in table["trial"]]
    for key in table.columns[TRIAL_KEYS:]:
        text[key] = [_plain(value) for value in table[key]]
    scores = zip(measure.factor * table["score"], measure.factor * table["score_sd"], table["chosen"], strict=True)
    text[measure.label] = [("*" if chosen else "") + number(mean, decimals, sd) for mean, sd, chosen in scores]
    return text


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


def _search_note(tuning: Mapping[str, Any]) -> str:
    """How the trials were drawn."""
    if tuning["search"] == "grid":
        return "Trials: all combinations of the listed values."
    drawn = "one scrambled Sobol' sequence" if tuning["search"] == "sobol" else "one sequence of independent points"
    shared = ", ".join(tuning["shared"])
    return f"Trials: {drawn}, of which all variants share {shared or 'no key'}: trial k has the same values for all."


def _named_row(row: Any) -> str:
    return row.reg + (f" ({row.context})" if row.context else "")


def _plain(value: Any) -> str:
    return "–" if pd.isna(value) else f"{value:g}" if isinstance(value, int | float) else str(value)


def _named(winner: Mapping[str, Any]) -> str:
    return " ".join(filter(None, (winner["reg"], _words(winner["context"]))))


def _words(values: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}" for key, value in values.items()
    )


def _listed(seeds: list[int]) -> str:
    return f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else str(seeds[0])
