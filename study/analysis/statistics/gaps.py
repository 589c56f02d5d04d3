"""The gap between training and validation scores, per run and epoch, and its summary per variant."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from study.analysis.reading.seals import CHANGED
from study.analysis.reading.study import Study
from study.analysis.statistics.inference import INTERVALS_FROM, LEVEL, half_width_factor, mean_interval, no_spread
from study.analysis.statistics.seed_design import shares_seeds
from study.errors import ConfigError, StudyError
from study.measures.catalog import MAIN, MEASURES, Main, measures_of
from study.measures.weights import ALL
from study.tasks import REGRESSION

# What must be equal in a comparison. Each key is the word for `allow=[...]` that permits differences.
FIXED = {
    "epochs": "epochs",
    "data": "data",
    "split": "split",
    "checksums": "content of the data (checksums)",
    "numerics": "numerics version",
}
BY_SETTING = ("epochs", "data", "split", "checksums")  # of these, what must be equal in each setting of a suite alone
PAIRS = "pairs"  # also a word for `allow`: seeds that only one variant of a pair has
TUNING = "tuning"  # also a word for `allow`: variants that were tuned unequally
ALLOWED = (*FIXED, PAIRS, TUNING, CHANGED)
PATH = "path"  # accepted without effect: earlier versions required it for studies with several training loops
NAMED_RUNS = 3  # most runs that a note names
SMALLER_GAP = "smaller gap, worse val"
NAMED_VARIANTS = 6  # most variants that a note names
SHARES = ("zero_fraction", "near_zero_fraction")
SUPPORT = ("support_precision", "support_recall")  # columns of sparsity.csv


def with_gaps(metrics: pd.DataFrame) -> pd.DataFrame:
    """Add `accuracy_gap` (train − val, in percentage points) and `loss_gap` (val − train) to the metrics."""
    return metrics.assign(
        accuracy_gap=100 * (metrics["train_accuracy"] - metrics["val_accuracy"]),
        loss_gap=metrics["val_loss"] - metrics["train_loss"],
    )


def model_notes(runs: pd.DataFrame) -> list[str]:
    """A note for each set of regularizers that models contain outside `reg`."""
    notes, everything = [], runs["variant"].nunique()
    for names, own in runs[runs["model_regularizers"] != ""].groupby("model_regularizers"):
        variants = list(own["variant"].unique())
        more = f" and {len(variants) - NAMED_VARIANTS} more" if len(variants) > NAMED_VARIANTS else ""
        where = "all variants" if len(variants) == everything else ", ".join(variants[:NAMED_VARIANTS]) + more
        notes.append(f"The model itself contains regularizers, outside reg, in {where}: {names}.")
    return notes


def sample_notes(runs: pd.DataFrame) -> list[str]:
    """A note if the training scores are those of a sample (score_train)."""
    sampled = runs[runs["scored_train"] < runs["train_images"]]
    if sampled.empty:
        return []
    counts = "/".join(f"{count:,}" for count in sorted(sampled["scored_train"].unique()))
    return [f"Training scores, and the gaps, are those of a fixed sample of {counts} training images (score_train)."]


def check_comparable(runs: pd.DataFrame, allow: Sequence[str], settings: pd.Series | None = None) -> list[str]:
    """Refuse to compare runs that differ in more than their variant.

    Args:
        runs: one row per run.
        allow: words for what may differ.
        settings: the setting of each run of a suite, each with its own data and budget; None for other studies.

    Returns:
        A note for each difference that `allow` permits, or that needs no permission.

    Raises:
        StudyError: the runs differ in something that must be equal and is not in `allow`.
        ConfigError: `allow` holds an unknown word.
    """
    unknown = [word for word in allow if word not in (*ALLOWED, PATH)]
    if unknown:
        raise ConfigError(f"allow={unknown}: allowed: any of {', '.join(ALLOWED)}")
    notes = []
    for key, words in FIXED.items():
        apart = settings if settings is not None and key in BY_SETTING else pd.Series("", runs.index)
        mixtures = {name: sorted(own[key].unique()) for name, own in runs.groupby(apart, sort=False)}
        mixtures = {name: values for name, values in mixtures.items() if len(values) > 1}
        if not mixtures:
            continue
        name, values = next(iter(mixtures.items()))
        mixed = f"the runs{f' in {name}' if name else ''} differ in {words}: {', '.join(map(str, values))}"
        if key in allow:
            notes.append(f"With allow=[{key}], compared although {mixed}.")
        else:
            raise StudyError(
                f"{mixed}. A fair comparison requires one value. Compare them anyway with allow=[{key}],"
                " or train each in its own study with name=..."
            )
    paths = sorted(runs["path"].unique())
    if len(paths) > 1:
        notes.append(
            f"Mixed training loops ({', '.join(paths)}): their results differ by rounding. Runs of different loops are"
            " therefore less correlated within a seed."
        )
    changed = list(runs.loc[runs["seal"] == CHANGED, "run"])
    if changed:
        named = f" ({', '.join(changed)})" if len(changed) <= NAMED_RUNS else ""
        counted = f"{len(changed)} of {len(runs)} runs{named}"
        notes.append(f"With allow=[{CHANGED}], compared although files changed since the run ended in {counted}.")
    threads = sorted(runs["threads"].unique())
    if len(threads) > 1:
        listed = ", ".join(map(str, threads))
        notes.append(f"Warning: the runs differ in threads: {listed}. Their results differ by rounding.")
    return notes


def at_epoch(study: Study, at: str | int) -> pd.DataFrame:
    """One row per run: its settings, and its metrics, gaps and weights at one epoch.

    Args:
        study: the runs.
        at: which epoch.
            `last`: the epoch whose weights are the run's result. With early stopping, this may be an earlier epoch.
            `best`: the first epoch with the highest validation accuracy; for regression, with the lowest loss.
            A number: this epoch; for a run that stopped itself before it, the epoch of the run's result.
            For a diverged run, it is always the last epoch.

    Returns:
        The columns of `Study.runs`, then `epoch`, the columns of metrics.csv, `accuracy_gap`, `loss_gap`. Over all
        parameters together: `abs_max`, `weights_l1` = Σ|w|, `weights_l2` = √Σw², `zero_fraction`, `near_zero_fraction`.
        If the epoch is that of the run's result: `val_ece`, `val_brier`, `test_loss`, `test_accuracy`, `test_ece` and
        `test_brier`; for regression also `test_r2` and `test_mae`; for data with a known support `support_precision`
        and `support_recall`.

    Raises:
        ConfigError: `at` is none of these.
        StudyError: a run does not have the epoch.
    """
    facts = study.runs.set_index("run")
    last, result = facts["epochs_trained"], facts["scored_epoch"]
    if at == "last":
        chosen = result
    elif at == "best":
        val = MAIN[study.task].val
        score = MEASURES[val].better * study.metrics[val]
        best = study.metrics.loc[score.groupby(study.metrics["run"]).idxmax()]
        chosen = best.set_index("run")["epoch"].reindex(facts.index)
    elif isinstance(at, int) and not isinstance(at, bool) and at >= 0:
        ended_itself = (last < facts["epochs"]) & (last < at)
        chosen = result.where(ended_itself, at)
    else:
        raise ConfigError(f"at={at}: allowed: last, best, or the number of an epoch")
    chosen = chosen.where(facts["state"] != "diverged", last)
    short = last[chosen > last]
    if len(short):
        raise StudyError(f"at={at}: {short.index[0]} has only epochs 0 to {short.iloc[0]}")
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
    of_test = ("loss", "accuracy", "ece", "brier", *(("r2", "mae") if study.task == REGRESSION else ()))
    for split, columns in {"val": ("ece", "brier"), "test": of_test}.items():
        scores = study.tables[f"{split}.csv"].rename(columns={column: f"{split}_{column}" for column in columns})
        named = [f"{split}_{column}" for column in columns]
        tables.append(wanted.merge(scores[["run", "epoch", *named]], how="left", on=["run", "epoch"])[named])
    whole = study.tables["sparsity.csv"].query("parameter == @ALL", local_dict={"ALL": ALL})
    of_result = wanted.merge(facts["scored_epoch"].rename("epoch").reset_index(), on=["run", "epoch"])
    of_support = whole[["run", *SUPPORT]].merge(of_result, on="run")
    tables.append(wanted.merge(of_support, how="left", on=["run", "epoch"])[list(SUPPORT)])
    return pd.concat(tables, axis=1)


def gap_table(
    rows: pd.DataFrame, baselines: Mapping[str, str] | None = None, confidence: float = LEVEL
) -> pd.DataFrame:
    """Mean, deviation and interval of every measure over seeds; one row per variant, best validation score first.

    The score is the accuracy; for regression, the loss. Diverged runs are counted but not averaged. A penalty can also
    shrink the gap by fitting less. The gap is therefore always shown with its parts: Δgap = Δtrain − Δval, or for
    regression Δval − Δtrain.

    Args:
        rows: one row per run, from `at_epoch`.
        baselines: the baseline of each variant, for the differences over the common seeds.
        confidence: of the intervals of differences.

    Returns:
        `variant, reg, lam, n, diverged, epochs, epochs_trained, epoch`, then each measure with `<measure>_sd` (sample
        standard deviation) and `<measure>_ci_low`, `<measure>_ci_high` (95 % t-interval), empty for n = 1 and
        if runs share seeds of single sources; then
        `delta_train, delta_val, delta_gap` (points; MSE), the 95 % t-interval of the paired difference
        `delta_val_ci_low, delta_val_ci_high` (empty for fewer than three common seeds) and `mark`. Accuracies are in
        [0, 1] like all fractions, the accuracy gap is in percentage points, losses are in nats (MSE). `epochs` is the
        budget, `epochs_trained` the mean number of epochs trained, `epoch` the mean of the epochs that the values come
        from.
    """
    by_variant, complete = rows.groupby("variant", sort=False), rows[rows["state"] == "complete"]
    table = by_variant[["reg", "lam"]].first()
    of_complete = complete.groupby("variant", sort=False)
    table["n"] = of_complete.size().reindex(table.index, fill_value=0)
    table["diverged"] = by_variant.size() - table["n"]
    table["epochs"] = by_variant["epochs"].agg(lambda budgets: "/".join(map(str, sorted(set(budgets)))))
    table["epochs_trained"] = of_complete["epochs_trained"].mean()
    table["epoch"] = of_complete["epoch"].mean()
    task = rows["task"].iloc[0]
    main, measures = MAIN[task], measures_of(task)
    measured = of_complete[list(measures)]
    everywhere = measured.count().eq(table["n"], axis=0)  # with epochs chosen by val, some runs may lack test scores
    means, deviations = measured.mean().where(everywhere), measured.std(ddof=1).where(everywhere)
    shared = shares_seeds(rows)
    half = pd.Series(half_width_factor(table["n"].to_numpy()) * (np.nan if shared else 1), table.index)
    for measure in measures:
        mean, sd = means[measure].reindex(table.index), deviations[measure].reindex(table.index)
        table[measure], table[f"{measure}_sd"] = mean, sd
        table[f"{measure}_ci_low"], table[f"{measure}_ci_high"] = mean - half * sd, mean + half * sd
    if baselines:
        table = table.join(_deltas(complete, baselines, main, confidence, intervals=not shared))
    ascending = measures[main.val].better < 0
    return table.reset_index().sort_values(main.val, ascending=ascending, kind="stable", ignore_index=True)


def _deltas(
    complete: pd.DataFrame, baselines: Mapping[str, str], main: Main, confidence: float, intervals: bool
) -> pd.DataFrame:
    """Mean differences to the baseline over the common seeds (accuracies in points), and the mark of each variant."""
    names = {"delta_train": main.train, "delta_val": main.val}
    found: dict[str, dict[str, float]] = {key: {} for key in (*names, "delta_val_ci_low", "delta_val_ci_high")}
    for name, measure in names.items():
        values = complete.pivot_table(index="seed", columns="variant", values=measure)
        for variant, baseline in baselines.items():
            if {variant, baseline} <= set(values.columns):
                differences = MEASURES[measure].factor * (values[variant] - values[baseline]).dropna().to_numpy()
                interval = mean_interval(differences, confidence)
                found[name][variant] = interval.mean
                enough = intervals and len(differences) >= INTERVALS_FROM
                if name == "delta_val" and enough and not no_spread(differences):
                    found["delta_val_ci_low"][variant] = interval.low
                    found["delta_val_ci_high"][variant] = interval.high
    table = pd.DataFrame(found, columns=list(found), dtype=float)
    table.insert(2, "delta_gap", main.sign * (table["delta_train"] - table["delta_val"]))
    worse = (table["delta_gap"] < 0) & (MEASURES[main.val].better * table["delta_val"] < 0)
    return table.assign(mark=worse.map({True: SMALLER_GAP, False: ""}))
