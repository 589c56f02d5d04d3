"""The gap table and the contrasts as text, with units, rounding and notes."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from study.analysis.reading.collect import Study
from study.analysis.statistics import inference
from study.analysis.statistics.contrasts import stars
from study.analysis.statistics.gaps import NAMED_VARIANTS, SMALLER_GAP
from study.analysis.text.columns import ASKED, SHORT, Column, TextTable
from study.analysis.text.formats import number, signed, significant
from study.errors import ConfigError
from study.measures.catalog import MAIN, MSE, measures_of
from study.tasks import CLASSIFICATION, REGRESSION

VARIANT = Column("variant", "Variant", priority=0, preset=SHORT, words=True)
OF_WEIGHTS = (
    Column("abs_max", "Max |w|", 1, 3, priority=4, preset=SHORT),
    Column("zero_fraction", "w = 0 (%)", 100, 1, priority=9),
    Column("near_zero_fraction", "|w| < 0.001 (%)", 100, 1, priority=3, preset=SHORT),
)
OF_RUNS = (
    VARIANT,
    Column("reg", "reg", priority=9, preset=ASKED, words=True),
    Column("lam", "λ", priority=9, preset=ASKED),
    Column("n", "n", priority=5, preset=SHORT),
    Column("epochs", "Epochs", priority=6),
    Column("epochs_trained", "Used", 1, 1, priority=6, preset=ASKED),
    Column("epoch", "Epoch", 1, 1, priority=9, preset=ASKED),
)
SCORES = {
    CLASSIFICATION: (
        Column("val_accuracy", "Val acc. (%)", 100, 2, priority=0, preset=SHORT),
        Column("train_accuracy", "Train acc. (%)", 100, 2, priority=6),
        Column("accuracy_gap", "Acc. gap (points)", 1, 2, priority=0, preset=SHORT),
        Column("test_accuracy", "Test acc. (%)", 100, 2, priority=1, preset=SHORT),
        Column("loss_gap", "Loss gap (nats)", 1, 3, priority=7),
        Column("val_ece", "ECE (%)", 100, 1, priority=8),
        *OF_WEIGHTS,
    ),
    REGRESSION: (
        Column("val_loss", "Val loss (MSE)", 1, None, priority=0, preset=SHORT),
        Column("train_loss", "Train loss (MSE)", 1, None, priority=6),
        Column("loss_gap", "Loss gap (MSE)", 1, None, priority=0, preset=SHORT),
        Column("test_loss", "Test loss (MSE)", 1, None, priority=1, preset=SHORT),
        Column("val_r2", "Val R²", 1, 3, priority=7),
        Column("test_r2", "Test R²", 1, 3, priority=7),
        Column("val_mae", "Val MAE", 1, None, priority=8),
        Column("test_mae", "Test MAE", 1, None, priority=8),
        *OF_WEIGHTS,
    ),
}
DELTAS = (
    Column("delta_train", "Δtrain", priority=8),
    Column("delta_val", "Δval", priority=2, preset=SHORT, also=("delta_val_ci_low", "delta_val_ci_high")),
    Column("delta_gap", "Δgap", priority=8),
)
OF_ROWS = (
    Column("mark", "Note", priority=7, words=True, also=("note",)),
    Column("diverged", "Diverged", priority=1, preset=ASKED),
)
CONTRASTS = (
    Column("measure", "Measure", priority=0, preset=SHORT, words=True),
    VARIANT,
    Column("n", "n", priority=5, preset=SHORT),
    Column("mean_difference", "Difference", priority=0, preset=SHORT),
    Column("ci_low", "95 % interval", priority=1, preset=SHORT, also=("ci_high",)),
    Column(
        "new_data_low",
        "and new data",
        priority=7,
        also=("new_data_high", "new_images_low", "new_images_high"),
    ),
    Column("p_t", "p", priority=3, preset=SHORT),
    Column("p_holm", "p (Holm)", priority=2, preset=SHORT),
    Column("p_flip", "p (sign flips)", priority=6),
    Column("wins", "Wins", priority=4, preset=SHORT),
)
SD = "sd"
SPREADS = {SD: "the standard deviation over seeds", "interval": "half of the 95 % t-interval of the mean over seeds"}
SELECTED = (
    "The validation set chose the epoch of some runs, so their validation scores are too high. Test scores are shown"
    " only if every run has one for that epoch."
)
SHOWN_CONTRASTS = {
    CLASSIFICATION: ("val_accuracy", "test_accuracy", "accuracy_gap", "val_loss", "loss_gap", "train_accuracy"),
    REGRESSION: ("val_loss", "test_loss", "loss_gap", "val_r2", "val_mae", "train_loss"),
}
NAMES = {
    "val_accuracy": "Val acc. (points)",
    "test_accuracy": "Test acc. (points)",
    "train_accuracy": "Train acc. (points)",
    "accuracy_gap": "Acc. gap (points)",
    "val_loss": "Val loss (nats)",
    "loss_gap": "Loss gap (nats)",
}
NAMES_OF_REGRESSION = {
    **{f"{split}_loss": f"{split.capitalize()} loss ({MSE})" for split in ("train", "val", "test")},
    "loss_gap": f"Loss gap ({MSE})",
    "val_r2": "Val R²",
    "val_mae": "Val MAE",
}


def gap_columns(task: str) -> tuple[Column, ...]:
    """All columns that the gap table of a task can show; measures that no preset has come last."""
    own, unit = SCORES[task], "points" if task == CLASSIFICATION else MSE
    listed = {column.key for column in own}
    others = [
        Column(
            name,
            f"{measure.label} ({measure.shown_unit})" if measure.shown_unit else measure.label,
            measure.factor,
            2 if measure.unit in ("fraction", "points") else None,
            priority=9,
            preset=ASKED,
        )
        for name, measure in measures_of(task).items()
        if name not in listed
    ]
    deltas = (replace(column, header=f"{column.header} ({unit})") for column in DELTAS)
    return (*OF_RUNS, *own, *deltas, *OF_ROWS, *others)


def gap_text(
    table: pd.DataFrame, best: Collection[str], selected: bool, spread: str = SD, task: str = CLASSIFICATION
) -> TextTable:
    """The gap table as text: mean and, with several seeds, ± the requested spread.

    Args:
        table: from `gaps.gap_table`.
        best: variants whose validation score is bold: those not significantly worse than the best one.
        selected: whether the validation set chose the epoch of some runs.
        spread: `sd`, the standard deviation, or `interval`, half of the 95 % t-interval of the mean.
        task: `classification` or `regression`, which decides the columns.

    Raises:
        ConfigError: there is no such spread.
    """
    if spread not in SPREADS:
        raise ConfigError(f"spread={spread}: allowed: {', '.join(SPREADS)}")
    measures, main = measures_of(task), MAIN[task].val
    columns, cells = [], []
    for declared in gap_columns(task):
        key = declared.key
        if key not in table or (key in measures and table[key].isna().all()):
            continue
        column = replace(declared, preset=_preset(declared, table))
        if key == main and selected:
            column = replace(column, header=column.header.replace(" (", ", selected ("))
        if key in measures:
            texts = _measured(table, column, spread)
        elif key.startswith("delta_"):
            texts = _deltas(table, key, 2 if task == CLASSIFICATION else significant(table[main]))
        elif key in ("epochs_trained", "epoch"):
            texts = [number(mean, 1) for mean in table[key]]
        elif key == "lam":
            texts = ["–" if pd.isna(lam) else f"{lam:g}" for lam in table[key]]
        else:
            texts = list(table[key].fillna("").astype(str))
        if key == main:
            texts = [
                f"*{text}" if variant in best else text for text, variant in zip(texts, table["variant"], strict=True)
            ]
        columns.append(column)
        cells.append(texts)
    return TextTable(columns, cells)


def _preset(column: Column, table: pd.DataFrame) -> str:
    """The preset of a column. What makes the comparison of variants unfair or incomplete is always shown."""
    notable = {
        "epochs": table["epochs"].nunique() > 1,
        "epochs_trained": bool((table["epochs_trained"] < table["epochs"].str.split("/").str[-1].astype(int)).any()),
        "diverged": bool(table["diverged"].any()),
    }
    return SHORT if notable.get(column.key) else column.preset


def _measured(table: pd.DataFrame, column: Column, spread: str) -> list[str]:
    means = table[column.key] * column.factor
    decimals = significant(means) if column.decimals is None else column.decimals
    behind = _behind(table, column.key, spread) * column.factor
    return [number(mean, decimals, sd) for mean, sd in zip(means, behind, strict=True)]


def _deltas(table: pd.DataFrame, key: str, decimals: int) -> list[str]:
    texts = [signed(value, decimals) for value in table[key]]
    if f"{key}_ci_low" not in table:
        return texts
    bounds = zip(table[f"{key}_ci_low"], table[f"{key}_ci_high"], strict=True)
    return [
        text if pd.isna(low) else f"{text} {_interval(low, high, 1, decimals)}"
        for text, (low, high) in zip(texts, bounds, strict=True)
    ]


def _behind(table: pd.DataFrame, column: str, spread: str) -> pd.Series:
    return table[f"{column}_sd"] if spread == SD else table[f"{column}_ci_high"] - table[column]


def gap_notes(
    rows: pd.DataFrame, at: str | int, notes: Sequence[str], looks: int | None, spread: str = SD
) -> list[str]:
    """The notes below the gap table, as sentences.

    Args:
        rows: one row per run.
        at: the requested epoch.
        notes: further sentences.
        looks: the number of looks at test scores; None if the table shows none.
        spread: the number after ±.
    """
    task = rows["task"].iloc[0]
    score = MAIN[task].words
    highest = "highest" if measures_of(task)[MAIN[task].val].better > 0 else "lowest"
    words = {"last": "the end of training", "best": f"the epoch of the {highest} {score}"}
    where = words.get(str(at), f"epoch {at}")
    of_accuracy = " Accuracy gap: train − val." if task == CLASSIFICATION else ""
    lines = [
        f"All values are those at {where}. Rows are sorted by {score}. All splits are scored in eval mode"
        f" by the same code; losses are without the penalty.{of_accuracy} Loss gap: val − train."
    ]
    if task == REGRESSION:
        lines.append(_unit_note(rows))
    if chosen_by_val(rows, at):
        lines.append(SELECTED)
    if (rows.groupby("variant")["seed"].count() > 1).any():
        lines.append(f"± is {SPREADS[spread]}.")
    else:
        lines.append("One seed per variant: differences of this size may be noise.")
    if rows["seed"].nunique() >= 3:
        worse = "below" if highest == "highest" else "above"
        lines.append(f"Bold: not significantly {worse} the best {score} (paired t-tests, Holm).")
    seeds = sorted(rows.groupby("variant")["seed"].nunique().unique())
    images = {"train_images": "training", "val_images": "validation"}
    counts = [f"{_listed(rows[key])} {words}" for key, words in images.items()]
    lines.append(
        f"Seeds per variant: {_listed(seeds)}; budget: {_listed(rows['epochs'])} epochs; data: {_listed(rows['data'])},"
        f" data.split={_listed(rows['split'])}, {' and '.join(counts)} images."
    )
    if "textbook" in set(rows["split"]):
        lines.append(
            "The validation set is the official test set (data.split=textbook): there is no separate test score."
        )
    return [*lines, *test_note(looks), *notes]


def column_notes(table: pd.DataFrame) -> tuple[dict[str, str], dict[str, str]]:
    """The notes on columns of the gap table, by key: for a table with the column, and for one without it."""
    about, instead = {}, {}
    if "delta_val_ci_low" in table and table["delta_val_ci_low"].notna().any():
        about["delta_val"] = "Δval: mean seed-paired difference to the baseline [its 95 % t-interval]."
    if "mark" in table and len(marked := table.loc[table["mark"] == SMALLER_GAP, "variant"]):
        named = ", ".join(marked[:NAMED_VARIANTS])
        more = f" and {len(marked) - NAMED_VARIANTS} more" if len(marked) > NAMED_VARIANTS else ""
        instead["mark"] = f"Smaller gap than the baseline, but worse validation: {named}{more}."
    return about, instead


def _unit_note(rows: pd.DataFrame) -> str:
    """The note on the units of a regression's scores."""
    standardized = {json.loads(setting).get("data.standardize_target") for setting in rows["setting"].unique()}
    unit = (
        "in units of the variance of the training targets, because targets are standardized by the training split"
        if standardized == {True}
        else "of the targets as they are"
        if True not in standardized
        else "of standardized targets where data.standardize_target is true, and of the targets as they are elsewhere"
    )
    return f"Loss: mean squared error (MSE), {unit}. R²: about the mean of each split. MAE: in the targets' own unit."


def _listed(values: Iterable[Any]) -> str:
    return "/".join(map(str, sorted(set(values))))


def scale_notes(study: Study) -> list[str]:
    """A note on max |w| and norms, for models whose weights can be rescaled without a change in the output."""
    if study.weights["parameter"].str.startswith("norms.").any():
        return [
            "Max |w| and norms: the scale of weights before batch normalization has no effect, so they do not measure"
            " capacity there."
        ]
    if (study.tables["sparsity.csv"]["units"] > 0).any():
        return [
            "Max |w| and norms: they change if ReLU units are rescaled, although the output does not. invariants.csv"
            " has measures that do not change."
        ]
    return []


def test_note(looks: int | None) -> list[str]:
    """The note on the number of looks at test scores; empty if the study has none."""
    if looks is None:
        return []
    times = "once, by this analysis" if looks == 1 else f"{looks} times, this analysis included"
    return [f"Test scores of this study have been looked at {times} (ledger.csv)."]


def chosen_by_val(rows: pd.DataFrame, at: str | int) -> bool:
    """Whether the validation set chose the epoch of some runs."""
    return at == "best" or (at == "last" and bool((rows["scored_epoch"] < rows["epochs"]).any()))


def contrast_text(table: pd.DataFrame, primary: str, task: str = CLASSIFICATION) -> TextTable:
    """The contrasts as text: the primary measure, then those of SHOWN_CONTRASTS. significance.csv has all measures."""
    described, names = measures_of(task), NAMES if task == CLASSIFICATION else NAMES_OF_REGRESSION
    measures = list(dict.fromkeys((primary, *SHOWN_CONTRASTS[task])))
    marks = pd.Series(stars(table, primary), table.index)
    lines = []
    for measure in measures:
        for index, row in table[table["measure"] == measure].iterrows():
            factor = described[measure].factor
            decimals = 2 if described[measure].unit in ("fraction", "points") else 3
            if task == REGRESSION:  # targets can have any unit
                differences = table.loc[table["measure"] == measure, "mean_difference"].abs()
                decimals = significant([differences.median()], digits=3)
            wide = "new_images" if measure.startswith("test") else "new_data"
            lines.append(
                {
                    "measure": names.get(measure, measure),
                    "variant": row["variant"],
                    "n": str(row["n"]),
                    "mean_difference": signed(row["mean_difference"] * factor, decimals) + marks[index],
                    "ci_low": _interval(row["ci_low"], row["ci_high"], factor, decimals),
                    "new_data_low": _interval(row[f"{wide}_low"], row[f"{wide}_high"], factor, decimals),
                    "p_t": _p(row["p_t"]),
                    "p_holm": _p(row["p_holm"]),
                    "p_flip": _p(row["p_flip"]),
                    "wins": "–" if pd.isna(row["wins"]) else f"{row['wins']:g} of {row['n']}",
                }
            )
    return of_lines(CONTRASTS, lines)


def of_lines(columns: Sequence[Column], lines: Sequence[Mapping[str, str]]) -> TextTable:
    """A table from its rows, each with a cell by column."""
    return TextTable(columns, [[line[column.key] for line in lines] for column in columns])


def _interval(low: float, high: float, factor: float, decimals: int) -> str:
    return "–" if pd.isna(low) else f"[{signed(low * factor, decimals)}, {signed(high * factor, decimals)}]"


def _p(value: float) -> str:
    if pd.isna(value):
        return "–"
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def scope_notes(rows: pd.DataFrame) -> list[str]:
    """The notes on what the intervals cover."""
    textbook = "textbook" in set(rows["split"])
    val = "hold for these images, and cover" if textbook else "cover another split of the same data,"
    if rows.groupby("variant")["seed"].nunique().max() < 3:
        return []
    lines = [
        f"Intervals of validation measures {val} other initial weights and another order of batches. 'and new data'"
        " also covers another draw of the data (Nadeau and Bengio 2003)."
    ]
    if rows["test_loss"].notna().any():
        crossed = (
            " 'and new data' also covers other images (seeds crossed with images, Satterthwaite's degrees of freedom)."
        )
        of_accuracy = rows["test_accuracy"].notna().any()
        lines.append(f"Intervals of test measures hold for these test images.{crossed if of_accuracy else ''}")
    if rows["seed"].nunique() >= inference.STARS_FROM:
        lines.append("*: p < .05 after Holm's correction, for the primary measure only.")
    return lines
