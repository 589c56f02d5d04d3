"""Tables of the final results per variant: sparsity, pruning, invariants, and training accuracy by kind of labels."""

from collections.abc import Sequence

import pandas as pd

from study.analysis.reading.collect import Study
from study.analysis.statistics.gaps import SUPPORT
from study.analysis.text.formats import number
from study.measures.weights import ALL, THRESHOLDS
from study.tasks import CLASSIFICATION

# Values of the whole network: header, measure of invariants.csv, significant digits
OF_NETWORK = (
    ("ℓ1 path norm", "path_norm_l1", 4),
    ("ℓ2 path norm", "path_norm_l2", 4),
    ("Σ‖in‖‖out‖", "in_out", 4),
    ("Median margin", "margin_median", 3),
    ("Margin / ℓ1 path norm", "margin_median_over_path_norm_l1", 3),
    ("Margin / ℓ2 path norm", "margin_median_over_path_norm_l2", 3),
)
RANKS = (("Stable rank", "stable_rank"), ("Effective rank", "effective_rank"))
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


def sparsity_text(table: pd.DataFrame, task: str) -> pd.DataFrame:
    """The sparsity table as text, accuracies and fractions in percent; for regression, losses instead of accuracies."""
    text = pd.DataFrame({"Variant": table["variant"]})
    text["w = 0 (%)"] = _column(table, "zero_fraction", 100, 1)
    for threshold in THRESHOLDS:
        text[f"|w| < {threshold:g} (%)"] = _column(table, f"below_{threshold:g}", 100, 1)
    text["Hoyer"], text["Gini"] = _column(table, "hoyer", 1, 3), _column(table, "gini", 1, 3)
    if (table["units"] > 0).any():
        text["Dead units"] = _column(table, "dead_units", 1, 1)
    if table["support_recall"].notna().any():
        text["Support precision (%)"] = _column(table, "support_precision", 100, 1)
        text["Support recall (%)"] = _column(table, "support_recall", 100, 1)
    for threshold in (0.0, *THRESHOLDS):
        if task == CLASSIFICATION:
            text[f"Acc. pruned at {threshold:g} (%)"] = _column(table, f"accuracy_at_{threshold:g}", 100, 2)
        else:
            text[f"Loss pruned at {threshold:g} (MSE)"] = _column(table, f"loss_at_{threshold:g}", 1, 4)
    return text


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


def invariant_text(table: pd.DataFrame) -> pd.DataFrame:
    """The table of invariants as text, with three or four significant digits."""
    text = pd.DataFrame({"Variant": table["variant"]})
    for header, measure, digits in OF_NETWORK:
        if measure in table:
            values = zip(table[measure], table[f"{measure}_sd"], strict=True)
            text[header] = [_significant(mean, sd, digits) for mean, sd in values]
    for header, measure in RANKS:
        for column in table.columns:
            if column.startswith(f"{measure} ") and not column.endswith("_sd"):
                text[f"{header}, {column.partition(' ')[2]}"] = _column(table, column, 1, 1)
    return text


def label_table(study: Study, rows: pd.DataFrame, variants: Sequence[str]) -> pd.DataFrame:
    """Mean and sd over seeds of training accuracy by given, clean and flipped labels, at the epochs in `rows`."""
    noise = study.tables["label_noise.csv"].merge(rows[["run", "epoch"]], on=["run", "epoch"])
    wide = noise.pivot(index="run", columns="labels", values="accuracy")
    return _summary(noise.drop_duplicates("run").set_index("run")[["variant"]].join(wide), variants)


def label_text(table: pd.DataFrame) -> pd.DataFrame:
    """The table of labels as text, in percent."""
    text = pd.DataFrame({"Variant": table["variant"]})
    for labels in ("given", "clean", "flipped"):
        if labels in table:
            text[f"Train acc., {labels} labels (%)"] = _column(table, labels, 100, 2)
    return text


def _summary(by_run: pd.DataFrame, variants: Sequence[str]) -> pd.DataFrame:
    """Mean and `<column>_sd` of each column by variant, in the order given."""
    grouped = by_run.groupby("variant")
    means, deviations = grouped.mean(), grouped.std(ddof=1).add_suffix("_sd")
    columns = [name for column in means.columns for name in (column, f"{column}_sd")]
    there = [variant for variant in variants if variant in means.index]
    return means.join(deviations)[columns].loc[there].reset_index()


def _column(table: pd.DataFrame, column: str, factor: float, decimals: int) -> list[str]:
    pairs = zip(table[column], table[f"{column}_sd"], strict=True)
    return [number(factor * mean, decimals, factor * sd) for mean, sd in pairs]


def _significant(mean: float, sd: float, digits: int) -> str:
    if pd.isna(mean):
        return "–"
    return f"{mean:.{digits}g}" + ("" if pd.isna(sd) else f" ± {sd:.2g}")
