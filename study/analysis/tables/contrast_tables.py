"""The differences to the baseline as text, with units, rounding and the notes on what intervals cover."""

import pandas as pd

from study.analysis.statistics import inference
from study.analysis.statistics.contrasts import stars
from study.analysis.statistics.verdicts import verdict_text
from study.analysis.tables.gap_tables import VARIANT
from study.analysis.text.columns import SHORT, Column, TextTable
from study.analysis.text.formats import interval, p_value, signed, significant
from study.measures.catalog import MSE, measures_of
from study.tasks import CLASSIFICATION, REGRESSION

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
OF_EQUIVALENCE = (
    Column("p_equivalence_holm", "p equivalent (Holm)", priority=6, also=("p_equivalence",)),
    Column("verdict", "Verdict", priority=1, preset=SHORT, words=True, also=("margin", "provable_margin")),
)  # with a margin of equivalence
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


def contrast_text(table: pd.DataFrame, primary: str, task: str = CLASSIFICATION) -> TextTable:
    """The contrasts as text: the primary measure, then those of SHOWN_CONTRASTS. significance.csv has all measures.

    With a margin of equivalence, the columns of OF_EQUIVALENCE are last.
    """
    columns = CONTRASTS + (OF_EQUIVALENCE if "verdict" in table else ())
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
                    "ci_low": interval(row["ci_low"], row["ci_high"], factor, decimals),
                    "new_data_low": interval(row[f"{wide}_low"], row[f"{wide}_high"], factor, decimals),
                    "p_t": p_value(row["p_t"]),
                    "p_holm": p_value(row["p_holm"]),
                    "p_flip": p_value(row["p_flip"]),
                    "wins": "–" if pd.isna(row["wins"]) else f"{row['wins']:g} of {row['n']}",
                    "p_equivalence_holm": p_value(row.get("p_equivalence_holm", float("nan"))),
                    "verdict": verdict_text(row, factor),
                }
            )
    return TextTable(columns, [[line[column.key] for line in lines] for column in columns])


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
