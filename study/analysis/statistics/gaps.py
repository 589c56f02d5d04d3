"""The gap between train and val, per run and epoch, and its summary per variant."""

from collections.abc import Mapping, Sequence

import pandas as pd

from study.analysis.reading.collect import Study
from study.analysis.reading.seals import CHANGED
from study.analysis.statistics.inference import half_width_factor
from study.errors import ConfigError, StudyError
from study.measures.catalog import MEASURES

# What a comparison must hold fixed; the word of `allow=[...]` that lifts it.
FIXED = {
    "epochs": "epochs",
    "data": "data",
    "split": "split",
    "checksums": "content of the data (checksums)",
    "numerics": "numerics version",
}
PAIRS = "pairs"  # of `allow` as well: seeds that only one variant of a pair has
TUNING = "tuning"  # likewise: variants that were tuned unequally
ALLOWED = (*FIXED, PAIRS, TUNING, CHANGED)
PATH = "path"  # was to be allowed once: loops may be mixed
NAMED_RUNS = 3  # at most, in a note
SMALLER_GAP = "smaller gap, worse val"
NAMED_VARIANTS = 6  # likewise
SHARES = ("zero_fraction", "near_zero_fraction")


def with_gaps(metrics: pd.DataFrame) -> pd.DataFrame:
    """The metrics and `accuracy_gap` (train − val, in percentage points) and `loss_gap` (val − train, in nats)."""
    return metrics.assign(
        accuracy_gap=100 * (metrics["train_accuracy"] - metrics["val_accuracy"]),
        loss_gap=metrics["val_loss"] - metrics["train_loss"],
    )


def model_notes(runs: pd.DataFrame) -> list[str]:
    """A line for each set of regularizers that models have outside `reg`, to be printed under the table."""
    notes, everything = [], runs["variant"].nunique()
    for names, own in runs[runs["model_regularizers"] != ""].groupby("model_regularizers"):
        variants = list(own["variant"].unique())
        more = f" and {len(variants) - NAMED_VARIANTS} more" if len(variants) > NAMED_VARIANTS else ""
        where = "all variants" if len(variants) == everything else ", ".join(variants[:NAMED_VARIANTS]) + more
        notes.append(f"The model itself regularizes, outside reg, in {where}: {names}.")
    return notes


def check_comparable(runs: pd.DataFrame, allow: Sequence[str]) -> list[str]:
    """Refuse to compare what differs in more than its variant.

    Returns:
        A line for each difference that was allowed, or that may be, to be printed under the table.

    Raises:
        StudyError: runs differ in what must be fixed and is not in `allow`.
        ConfigError: `allow` holds an unknown word.
    """
    unknown = [word for word in allow if word not in (*ALLOWED, PATH)]
    if unknown:
        raise ConfigError(f"allow={unknown}: of {', '.join(ALLOWED)} any are allowed")
    notes = []
    for key, words in FIXED.items():
        values = sorted(runs[key].unique())
        if len(values) == 1:
            continue
        mixed = f"the runs differ in {words}: {', '.join(map(str, values))}"
        if key in allow:
            notes.append(f"Compared nevertheless, as allowed: {mixed}.")
        else:
            raise StudyError(
                f"{mixed}; a fair comparison has one. Compare them nevertheless with allow=[{key}],"
                " or give each its own study with name=..."
            )
    paths = sorted(runs["path"].unique())
    if len(paths) > 1:
        notes.append(
            f"Mixed training loops ({', '.join(paths)}): they differ by rounding, so differences between runs of"
            " different loops are paired less closely."
        )
    changed = list(runs.loc[runs["seal"] == CHANGED, "run"])
    if changed:
        named = f" ({', '.join(changed)})" if len(changed) <= NAMED_RUNS else ""
        counted = f"{len(changed)} of {len(runs)} runs{named}"
        notes.append(f"Compared nevertheless, as allowed: files changed since the run ended in {counted}.")
    threads = sorted(runs["threads"].unique())
    if len(threads) > 1:
        listed = ", ".join(map(str, threads))
        notes.append(f"Warning: the runs differ in threads: {listed}; their results differ by rounding.")
    return notes


def at_epoch(study: Study, at: str | int) -> pd.DataFrame:
    """One row per run: its facts, and its metrics, gaps and weights at one epoch.

    Args:
        study: the runs.
        at: `last`, the epoch whose weights are a run's result, which early stopping chooses; `best`, the first epoch of
            the highest val accuracy; or an epoch's number, or the result of a run that ended itself earlier. A diverged
            run is taken at its last epoch.

    Returns:
        The columns of `Study.runs`, then `epoch`, the columns of metrics.csv, `accuracy_gap`, `loss_gap`; of all
        parameters together `abs_max`, `weights_l1` = Σ|w|, `weights_l2` = √Σw², `zero_fraction`, `near_zero_fraction`;
        and where the epoch is that of the run's result `val_ece`, `val_brier`, `test_loss`, `test_accuracy`,
        `test_ece` and `test_brier`.

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
    weights = weights.assign(**{share: weights[share] * weights["count"] for share in SHARES}, l2=weights["l2"] ** 2)
    by_run = weights.groupby("run")
    found = by_run[list(SHARES)].sum().div(by_run["count"].sum(), axis=0)
    found = found.assign(
        abs_max=by_run["abs_max"].max(), weights_l1=by_run["l1"].sum(), weights_l2=by_run["l2"].sum() ** 0.5
    )
    order = study.runs["run"]
    tables = [study.runs, metrics.drop(columns="run"), found.loc[order].reset_index(drop=True)]
    for split, columns in {"val": ("ece", "brier"), "test": ("loss", "accuracy", "ece", "brier")}.items():
        scores = study.tables[f"{split}.csv"].rename(columns={column: f"{split}_{column}" for column in columns})
        named = [f"{split}_{column}" for column in columns]
        tables.append(wanted.merge(scores[["run", "epoch", *named]], how="left", on=["run", "epoch"])[named])
    return pd.concat(tables, axis=1)


def gap_table(rows: pd.DataFrame, baselines: Mapping[str, str] | None = None) -> pd.DataFrame:
    """One row per variant, of the highest val accuracy first: mean, deviation and interval of every measure over seeds.

    Diverged runs are counted and have no part in the means. A penalty shrinks the gap by fitting less as well, so the
    gap never stands alone: Δgap = Δtrain − Δval.

    Args:
        rows: one row per run, from `at_epoch`.
        baselines: the variant to which each one's differences are taken, over the seeds that both have.

    Returns:
        `variant, reg, lam, n, diverged, epochs, epochs_trained, epoch`, then each measure with `<measure>_sd` (sample
        standard deviation) and `<measure>_ci_low`, `<measure>_ci_high` (95 % t-interval), empty for n = 1; then
        `delta_train, delta_val, delta_gap` (points) and `mark`. Accuracies and shares are fractions, the accuracy gap
        is in percentage points, losses in nats; `epochs` is the budget, `epochs_trained` the mean number of epochs that
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
    measured = of_complete[list(MEASURES)]
    everywhere = measured.count().eq(table["n"], axis=0)  # val may have chosen epochs of which some runs have no test
    means, deviations = measured.mean().where(everywhere), measured.std(ddof=1).where(everywhere)
    half = pd.Series(half_width_factor(table["n"].to_numpy()), table.index)
    for measure in MEASURES:
        mean, sd = means[measure].reindex(table.index), deviations[measure].reindex(table.index)
        table[measure], table[f"{measure}_sd"] = mean, sd
        table[f"{measure}_ci_low"], table[f"{measure}_ci_high"] = mean - half * sd, mean + half * sd
    if baselines:
        table = table.join(_deltas(complete, baselines))
    return table.reset_index().sort_values("val_accuracy", ascending=False, kind="stable", ignore_index=True)


def _deltas(complete: pd.DataFrame, baselines: Mapping[str, str]) -> pd.DataFrame:
    """Mean differences to the baseline in points, over common seeds, and what is to be noted about them."""
    found: dict[str, dict[str, float]] = {"delta_train": {}, "delta_val": {}}
    for name, measure in zip(found, ("train_accuracy", "val_accuracy"), strict=True):
        values = complete.pivot_table(index="seed", columns="variant", values=measure)
        for variant, baseline in baselines.items():
            if {variant, baseline} <= set(values.columns):
                found[name][variant] = 100 * (values[variant] - values[baseline]).mean()
    table = pd.DataFrame(found)
    table["delta_gap"] = table["delta_train"] - table["delta_val"]
    worse = (table["delta_gap"] < 0) & (table["delta_val"] < 0)
    return table.assign(mark=worse.map({True: SMALLER_GAP, False: ""}))
