"""The gap between train and val, per run and epoch, and its summary per variant."""

from collections.abc import Sequence

import pandas as pd

from study.analysis.collect import Study
from study.errors import ConfigError, StudyError

# What a comparison must hold fixed; the word of `allow=[...]` that lifts it.
FIXED = ("epochs", "data", "split")
# What may differ, with a warning: it changes results by rounding.
ROUNDING = {"path": "training loops (path)", "threads": "threads"}

MEASURES = (
    *("train_accuracy", "val_accuracy", "accuracy_gap", "train_loss", "val_loss", "loss_gap"),
    *("abs_max", "zero_fraction", "near_zero_fraction", "val_ece", "val_brier"),
)


def with_gaps(metrics: pd.DataFrame) -> pd.DataFrame:
    """The metrics and `accuracy_gap` (train − val, in percentage points) and `loss_gap` (val − train, in nats)."""
    return metrics.assign(
        accuracy_gap=100 * (metrics["train_accuracy"] - metrics["val_accuracy"]),
        loss_gap=metrics["val_loss"] - metrics["train_loss"],
    )


def check_comparable(runs: pd.DataFrame, allow: Sequence[str]) -> list[str]:
    """Refuse to compare what differs in more than its variant.

    Returns:
        A line for each difference that was allowed, to be printed under the table.

    Raises:
        StudyError: runs differ in what must be fixed and is not in `allow`.
        ConfigError: `allow` holds an unknown word.
    """
    unknown = [word for word in allow if word not in FIXED]
    if unknown:
        raise ConfigError(f"allow={unknown}: of {', '.join(FIXED)} any are allowed")
    notes = []
    for key in FIXED:
        values = sorted(runs[key].unique())
        if len(values) == 1:
            continue
        mixed = f"the runs differ in {key}: {', '.join(map(str, values))}"
        if key in allow:
            notes.append(f"Compared all the same, as allowed: {mixed}.")
        else:
            raise StudyError(
                f"{mixed}; a fair comparison has one. Compare them all the same with allow=[{key}],"
                " or give each its own study with name=..."
            )
    for key, words in ROUNDING.items():
        values = sorted(runs[key].unique())
        if len(values) > 1:
            mixed = f"the runs differ in {words}: {', '.join(map(str, values))}"
            notes.append(f"Warning: {mixed}; their results differ by rounding.")
    return notes


def at_epoch(study: Study, at: str | int) -> pd.DataFrame:
    """One row per run: its facts, and its metrics, gaps and weights at one epoch.

    Args:
        study: the runs.
        at: `last`, the epoch whose weights are a run's result, which early stopping chooses; `best`, the first epoch of
            the highest val accuracy; or an epoch's number, or the result of a run that ended itself earlier. A diverged
            run is taken at its last epoch.

    Returns:
        The columns of `Study.runs`, then `epoch`, the columns of metrics.csv, `accuracy_gap`, `loss_gap`, `abs_max`
        (the largest |w| of all parameters), `zero_fraction` and `near_zero_fraction` (of all parameters together),
        and `val_ece` and `val_brier` where the epoch is that of the run's result.

    Raises:
        ConfigError: `at` is none of these.
        StudyError: a run does not have the epoch.
    """
    facts = study.runs.set_index("run")
    last, result = facts["epochs_trained"], facts["scored_epoch"]
    if at == "last":
        chosen = result
    elif at == "best":
        best = study.metrics.loc[study.metrics.groupby("run")["val_accuracy"].idxmax()]
        chosen = best.set_index("run")["epoch"].reindex(facts.index)
    elif isinstance(at, int) and not isinstance(at, bool) and at >= 0:
        ended_itself = (last < facts["epochs"]) & (last < at)
        chosen = result.where(ended_itself, at)
    else:
        raise ConfigError(f"at={at}: last, best, or the number of an epoch is allowed")
    chosen = chosen.where(facts["state"] != "diverged", last)
    short = last[chosen > last]
    if len(short):
        raise StudyError(f"at={at}: {short.index[0]} has epochs 0 to {short.iloc[0]} only")
    chosen = chosen.astype(int)
    wanted = pd.DataFrame({"run": study.runs["run"], "epoch": chosen[study.runs["run"]].to_numpy()})
    metrics = wanted.merge(with_gaps(study.metrics).drop(columns=["variant", "seed", "lam"]), on=["run", "epoch"])
    weights = study.weights.merge(wanted, on=["run", "epoch"])
    shares = ["zero_fraction", "near_zero_fraction"]
    weights = weights.assign(**{share: weights[share] * weights["count"] for share in shares}).groupby("run")
    found = weights[shares].sum().div(weights["count"].sum(), axis=0).assign(abs_max=weights["abs_max"].max())
    calibration = study.tables["val.csv"].rename(columns={"ece": "val_ece", "brier": "val_brier"})
    calibration = wanted.merge(calibration[["run", "epoch", "val_ece", "val_brier"]], how="left", on=["run", "epoch"])
    order = study.runs["run"]
    return pd.concat(
        [
            *(study.runs, metrics.drop(columns="run")),
            *(found.loc[order].reset_index(drop=True), calibration[["val_ece", "val_brier"]]),
        ],
        axis=1,
    )


def gap_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per variant: mean and standard deviation over seeds of every measure.

    Diverged runs are counted and have no part in the means.

    Args:
        rows: one row per run, from `at_epoch`.

    Returns:
        `variant, reg, lam, n, diverged, epochs, epochs_trained, epoch`, then each measure and its `<measure>_sd`
        (sample standard deviation, empty for n = 1). Accuracies and shares are fractions, the accuracy gap is in
        percentage points, losses in nats; `epochs` is the budget, `epochs_trained` the mean number of epochs that
        were used of it, `epoch` the mean epoch that was taken.
    """
    by_variant, complete = rows.groupby("variant", sort=False), rows[rows["state"] == "complete"]
    table = by_variant[["reg", "lam"]].first()
    of_complete = complete.groupby("variant", sort=False)
    table["n"] = of_complete.size().reindex(table.index, fill_value=0)
    table["diverged"] = by_variant.size() - table["n"]
    table["epochs"] = by_variant["epochs"].agg(lambda budgets: "/".join(map(str, sorted(set(budgets)))))
    table["epochs_trained"] = of_complete["epochs_trained"].mean()
    table["epoch"] = of_complete["epoch"].mean()
    means, deviations = of_complete[list(MEASURES)].mean(), of_complete[list(MEASURES)].std(ddof=1)
    for measure in MEASURES:
        table[measure], table[f"{measure}_sd"] = means[measure], deviations[measure]
    return table.reset_index()
