"""The gap table as text: its columns, units and rounding."""

from collections.abc import Collection
from dataclasses import replace

import pandas as pd

from study.analysis.text.columns import ASKED, SHORT, Column, TextTable
from study.analysis.text.formats import interval, number, signed, significant
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
SD = "sd"
SPREADS = {SD: "the standard deviation over seeds", "interval": "half of the 95 % t-interval of the mean over seeds"}


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
        text if pd.isna(low) else f"{text} {interval(low, high, 1, decimals)}"
        for text, (low, high) in zip(texts, bounds, strict=True)
    ]


def _behind(table: pd.DataFrame, column: str, spread: str) -> pd.Series:
    return table[f"{column}_sd"] if spread == SD else table[f"{column}_ci_high"] - table[column]
