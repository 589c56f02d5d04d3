"""Tables of the final results per variant: sparsity, pruning, invariants, and training accuracy by kind of labels."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from study.analysis.reading.study import Study
from study.analysis.statistics.gaps import SUPPORT
from study.analysis.tables.gap_tables import VARIANT
from study.analysis.text.columns import SHORT, Column, TextTable
from study.analysis.text.formats import number, significant
from study.measures import catalog
from study.measures.weights import ALL, THRESHOLDS
from study.tasks import CLASSIFICATION

PLAIN = (1e-4, 1e6)  # the range of numbers that are written without an exponent
SPARSITY = (
    VARIANT,
    Column("zero_fraction", "w = 0 (%)", 100, 1, priority=1, preset=SHORT),
    Column("below_0.0001", "|w| < 0.0001 (%)", 100, 1, priority=6),
    Column("below_0.001", "|w| < 0.001 (%)", 100, 1, priority=1, preset=SHORT),
    Column("below_0.01", "|w| < 0.01 (%)", 100, 1, priority=6),
    Column("hoyer", "Hoyer", 1, 3, priority=7),
    Column("gini", "Gini", 1, 3, priority=3, preset=SHORT),
    Column("dead_units", "Dead units", 1, 1, priority=3, preset=SHORT),
    Column("support_precision", "Support precision (%)", 100, 1, priority=2, preset=SHORT),
    Column("support_recall", "Support recall (%)", 100, 1, priority=2, preset=SHORT),
    Column("accuracy_at_0", "Acc. pruned at 0 (%)", 100, 2, priority=7),
    Column("accuracy_at_0.0001", "Acc. pruned at 0.0001 (%)", 100, 2, priority=7),
    Column("accuracy_at_0.001", "Acc. pruned at 0.001 (%)", 100, 2, priority=2, preset=SHORT),
    Column("accuracy_at_0.01", "Acc. pruned at 0.01 (%)", 100, 2, priority=5),
    Column("loss_at_0", "Loss pruned at 0 (MSE)", 1, 4, priority=7),
    Column("loss_at_0.0001", "Loss pruned at 0.0001 (MSE)", 1, 4, priority=7),
    Column("loss_at_0.001", "Loss pruned at 0.001 (MSE)", 1, 4, priority=2, preset=SHORT),
    Column("loss_at_0.01", "Loss pruned at 0.01 (MSE)", 1, 4, priority=5),
)
# Of the whole network; decimals are significant digits
INVARIANTS = (
    VARIANT,
    Column("path_norm_l1", catalog.INVARIANTS["path_norm_l1"], 1, 4, priority=1, preset=SHORT),
    Column("path_norm_l2", catalog.INVARIANTS["path_norm_l2"], 1, 4, priority=1, preset=SHORT),
    Column("in_out", catalog.INVARIANTS["in_out"], 1, 4, priority=5),
    Column("margin_median", catalog.INVARIANTS["margin_median"], 1, 3, priority=2, preset=SHORT),
    Column(
        "margin_median_over_path_norm_l1",
        catalog.INVARIANTS["margin_median_over_path_norm_l1"],
        1,
        3,
        priority=3,
        preset=SHORT,
    ),
    Column(
        "margin_median_over_path_norm_l2",
        catalog.INVARIANTS["margin_median_over_path_norm_l2"],
        1,
        3,
        priority=3,
        preset=SHORT,
    ),
)
RANKS = (
    Column("stable_rank", "Stable rank", 1, 1, priority=7),
    Column("effective_rank", "Effective rank", 1, 1, priority=7),
)
LABELS = (
    VARIANT,
    *(
        Column(labels, f"Train acc., {labels} labels (%)", 100, 2, priority=1, preset=SHORT)
        for labels in ("given", "clean", "flipped")
    ),
)
SPARSITY_NOTE = (
    "Exact zeros and small weights are counted separately. With Adam, a subgradient of L1 does not set weights to zero:"
    " they move around zero by about the learning rate. The fractions below a threshold therefore partly measure Adam."
    " Hoyer and Gini: 0 for equal weights, 1 for a single nonzero weight. Dead units: never active on the training set."
    " {score}: on the validation set, after all weights below the threshold are set to 0."
)
SUPPORT_NOTE = (
    "Support: the features that decide the label. Precision: which fraction of the features that the first layer reads"
    " are in it. Recall: which fraction of it the first layer reads. A feature is read unless all its weights are below"
    " 0.001."
)
INVARIANT_NOTE = (
    "Multiply the weights into a ReLU unit by a number and divide those out of it by the same number: none of these"
    " values changes, except the ranks. Norms and histograms of weights do change."
)
LABEL_NOTES = (
    "Training accuracy at the scored epoch. Given: by the labels used in training. Clean: by the true labels. Flipped:"
    " by the wrong labels, over the images that got one; it shows how many were memorized. Gaps in other tables use the"
    " true labels.",
)


def invariant_note(task: str) -> str:
    """The note below the table of invariants."""
    return INVARIANT_NOTE + (" Margins are those of the training set." if task == CLASSIFICATION else "")


def sparsity_table(study: Study, variants: Sequence[str]) -> pd.DataFrame:
    """Mean and sd over seeds of sparsity.csv (all parameters together) and pruning.csv; a row per variant."""
    whole = study.tables["sparsity.csv"].query("parameter == @ALL", local_dict={"ALL": ALL})
    columns = ["zero_fraction", *(f"below_{t:g}" for t in THRESHOLDS), "hoyer", "gini", "units", "dead_units", *SUPPORT]
    pruned = study.tables["pruning.csv"].query("split == 'val'")
    score = "accuracy" if study.task == CLASSIFICATION else "loss"
    wide = pruned.pivot(index="run", columns="threshold", values=[score, "effective_parameters"])
    wide.columns = [f"{measure}_at_{threshold:g}" for measure, threshold in wide.columns]
    table = whole.set_index("run")[["variant", *columns]].join(wide)
    return _summary(table, variants)


def sparsity_text(table: pd.DataFrame) -> TextTable:
    """The sparsity table as text, accuracies and fractions in percent; for regression, losses instead of accuracies."""
    hidden = [] if (table["units"] > 0).any() else ["dead_units"]
    hidden += [] if table["support_recall"].notna().any() else ["support_precision", "support_recall"]
    return _text(table, [column for column in SPARSITY if column.key not in hidden])


def sparsity_notes(table: pd.DataFrame, task: str) -> list[str]:
    """The notes below the sparsity table, as sentences."""
    note = SPARSITY_NOTE.format(score="Accuracy" if task == CLASSIFICATION else "Loss")
    return [note, *([SUPPORT_NOTE] if table["support_recall"].notna().any() else [])]


def invariant_table(study: Study, variants: Sequence[str]) -> pd.DataFrame:
    """Mean and sd over seeds of invariants.csv; a row per variant, a column per rank and parameter."""
    rows = study.tables["invariants.csv"]
    names = rows["measure"] + rows["parameter"].map(lambda parameter: f" {parameter}" if parameter else "")
    wide = rows.assign(name=names).pivot(index="run", columns="name", values="value")
    return _summary(rows.drop_duplicates("run").set_index("run")[["variant"]].join(wide), variants)


def invariant_text(table: pd.DataFrame) -> TextTable:
    """The table of invariants as text, with three or four significant digits."""
    columns = [column for column in INVARIANTS if column.key in table]
    cells: list[Sequence[str]] = [list(table["variant"])]
    for column in columns[1:]:
        values = zip(table[column.key], table[f"{column.key}_sd"], strict=True)
        cells.append([_significant(mean, sd, column.decimals or 4) for mean, sd in values])
    for rank in RANKS:
        for key in table.columns:
            if key.startswith(f"{rank.key} ") and not key.endswith("_sd"):
                header = f"{rank.header}, {key.partition(' ')[2]}"
                columns.append(replace(rank, key=key, header=header, also=(rank.key,)))
                cells.append(_column(table, columns[-1]))
    return TextTable(columns, cells)


def label_table(study: Study, rows: pd.DataFrame, variants: Sequence[str]) -> pd.DataFrame:
    """Mean and sd over seeds of training accuracy by given, clean and flipped labels, at the epochs in `rows`."""
    noise = study.tables["label_noise.csv"].merge(rows[["run", "epoch"]], on=["run", "epoch"])
    wide = noise.pivot(index="run", columns="labels", values="accuracy")
    return _summary(noise.drop_duplicates("run").set_index("run")[["variant"]].join(wide), variants)


def label_text(table: pd.DataFrame) -> TextTable:
    """The table of labels as text, in percent."""
    return _text(table, LABELS)


def _text(table: pd.DataFrame, columns: Sequence[Column]) -> TextTable:
    """The columns that the table has, as text."""
    there = [column for column in columns if column.key in table]
    return TextTable(there, [list(table[c.key]) if c.words else _column(table, c) for c in there])


def _summary(by_run: pd.DataFrame, variants: Sequence[str]) -> pd.DataFrame:
    """Mean and `<column>_sd` of each column by variant, in the order given."""
    grouped = by_run.groupby("variant")
    means, deviations = grouped.mean(), grouped.std(ddof=1).add_suffix("_sd")
    columns = [name for column in means.columns for name in (column, f"{column}_sd")]
    there = [variant for variant in variants if variant in means.index]
    return means.join(deviations)[columns].loc[there].reset_index()


def _column(table: pd.DataFrame, column: Column) -> list[str]:
    pairs = zip(table[column.key], table[f"{column.key}_sd"], strict=True)
    return [number(column.factor * mean, column.decimals or 0, column.factor * sd) for mean, sd in pairs]


def _significant(mean: float, sd: float, digits: int) -> str:
    if pd.isna(mean) or PLAIN[0] <= abs(mean) < PLAIN[1]:
        return number(mean, significant([mean], digits), sd)
    return f"{mean:.{digits}g}".replace("-", "−") + ("" if pd.isna(sd) else f" ± {sd:.2g}")
