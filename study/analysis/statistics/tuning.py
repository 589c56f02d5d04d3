"""Numbers of a tuned study: its choices on tuning seeds and on fresh seeds, its trials, expected best of n trials."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from study.analysis.statistics import inference
from study.config.names import short_names
from study.config.tuning.protocol import in_words
from study.config.tuning.rounds import ADAPTIVE
from study.config.tuning.search import Dimension, near_ends
from study.measures.catalog import MEASURES
from study.records.manifest import tuning_of

COLUMNS = (
    *("context", "reg", "values", "trials", "trainings", "epochs", "tuned", "tuned_leave_one_seed_out"),
    *("fresh", "fresh_n", "fresh_ci_low", "fresh_ci_high", "winners_curse", "search", "searched", "trial", "boundary"),
)
TRIAL_KEYS = 9  # number of columns of `trial_table` before those of the tuned keys


def fresh_ids(manifest: Mapping[str, Any]) -> list[str]:
    """Ids of the runs on fresh seeds, which are the ones to compare."""
    return [run_id for winner in manifest["winners"] for run_id in winner["runs"].values()]


def tuned_contexts(manifest: Mapping[str, Any]) -> dict[str, str]:
    """The context of each run as text, by run id. Each context has its own choices."""
    parts, names = [*manifest["trials"], *manifest["winners"]], context_names(manifest)
    return {run_id: names[str(part["context"])] for part in parts for run_id in part["runs"].values()}


def context_names(manifest: Mapping[str, Any]) -> dict[str, str]:
    """The name of each context by its text: all its keys, or for a suite the fewest that tell its settings apart."""
    contexts = {str(part["context"]): part["context"] for part in [*manifest["trials"], *manifest["winners"]]}
    if not manifest["tuning"]["suite"]:
        return {text: in_words(context) for text, context in contexts.items()}
    return dict(zip(contexts, short_names(list(contexts.values())), strict=True))


def tuned_table(manifest: Mapping[str, Any], rows: pd.DataFrame) -> pd.DataFrame:
    """A row per choice: its score on the tuning seeds and on fresh seeds.

    Args:
        manifest: the manifest of the study.
        rows: one row per run, including those on fresh seeds.

    Returns:
        COLUMNS, scores in the measure's own unit. `trainings` counts the runs of all trials, `epochs` the epochs of
        these runs (empty for a study of an earlier version). `tuned_leave_one_seed_out`: one seed is left out, the
        other seeds choose among the trials that were trained to their end, and the choice is scored on the seed left
        out. `winners_curse`: tuned minus fresh, positive if tuned is
        better. `searched`: each key with its range. `trial`: the number of the chosen trial. `boundary`: the keys whose
        chosen value lies within 5 % of an end of the range.
    """
    select = manifest["tuning"]["select"]
    better, by_id = MEASURES[select].better, rows.set_index("run_id")
    lines, names = [], context_names(manifest)
    tuning = manifest["tuning"]
    for winner in manifest["winners"]:
        trials, space = _trials_of(manifest, winner), space_of(manifest, winner["reg"])
        whole = [trial for trial in trials if not trial.get("pruned")]
        scores = better * np.array([list(trial["scores"].values()) for trial in whole], float)
        scores = np.where(np.isnan(scores), -np.inf, scores)
        own = next(i for i, trial in enumerate(whole) if trial["values"] == winner["values"])
        fresh = np.array([by_id.loc[i, select] for i in winner["runs"].values() if i in by_id.index], float)
        interval, tuned = inference.mean_interval(fresh), better * scores[own].mean()
        lines.append(
            {
                **{
                    "context": names[str(winner["context"])],
                    "reg": winner["reg"],
                    "values": in_words(winner["values"]),
                },
                **{"trials": len(trials), "trainings": len(trials) * scores.shape[1]},
                **{"epochs": sum(map(_epochs, trials)), "tuned": tuned},
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
    """The search space of a regularizer; empty for the manifest of an earlier version, which does not store it."""
    return tuning_of(manifest).space_of(reg) if "trial" in next(iter(manifest["trials"]), {}) else {}


def trial_table(manifest: Mapping[str, Any]) -> pd.DataFrame:
    """A row per trial.

    Returns:
        `context, reg, trial, measure, score` (the mean over the tuning seeds, empty if a run diverged), `score_sd`,
        `epochs` (of all its runs; empty for a study of an earlier version), `pruned` (a search stopped it before its
        last epoch, and the score is that after its last one), `chosen`, and a column for each tuned key.
    """
    names = context_names(manifest)
    chosen = {(names[str(w["context"])], w["reg"], w.get("trial"), in_words(w["values"])) for w in manifest["winners"]}
    lines = []
    for trial in manifest["trials"]:
        scores = np.array(list(trial["scores"].values()), float)
        key = (names[str(trial["context"])], trial["reg"])
        lines.append(
            {
                **{"context": key[0], "reg": key[1], "trial": trial.get("trial")},
                **{"measure": manifest["tuning"]["select"], "score": scores.mean()},
                "score_sd": scores.std(ddof=1) if len(scores) > 1 else float("nan"),
                **{"epochs": _epochs(trial), "pruned": bool(trial.get("pruned"))},
                "chosen": (*key, trial.get("trial"), in_words(trial["values"])) in chosen,
                **trial["values"],
            }
        )
    return pd.DataFrame(lines)


def best_of_n(manifest: Mapping[str, Any]) -> pd.DataFrame:
    """The expected best score of n trials of each regularizer, for n up to half of its trials.

    If one method needs more trials than another to be better, their curves cross.

    Returns:
        `context, reg, measure, n, expected`. No rows for an adaptive search: the estimate requires trials that do not
        depend on one another.
    """
    measure = manifest["tuning"]["select"]
    better, lines, names = MEASURES[measure].better, [], context_names(manifest)
    for winner in [] if is_adaptive(manifest) else manifest["winners"]:
        own, scores = {"context": names[str(winner["context"])], "reg": winner["reg"], "measure": measure}, []
        for trial in _trials_of(manifest, winner):
            values = np.array(list(trial["scores"].values()), float)
            if not np.isnan(values).any():
                scores.append(better * values.mean())
        for n, expected in enumerate(inference.best_of(np.array(scores))[: len(scores) // 2], start=1):
            lines.append({**own, "n": n, "expected": better * expected})
    return pd.DataFrame(lines, columns=["context", "reg", "measure", "n", "expected"])


def is_adaptive(manifest: Mapping[str, Any]) -> bool:
    """Whether later trials of a study depend on the scores of earlier ones."""
    return manifest["tuning"]["search"] in ADAPTIVE


def _epochs(trial: Mapping[str, Any]) -> float:
    """Epochs of all runs of a trial; NaN if an earlier version wrote the manifest."""
    return sum(trial["epochs"].values()) if "epochs" in trial else float("nan")


def _trials_of(manifest: Mapping[str, Any], winner: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [t for t in manifest["trials"] if t["reg"] == winner["reg"] and t["context"] == winner["context"]]
