"""The gap table and the contrasts as text, with units, rounding and notes."""

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import pandas as pd

from study.analysis.reading.collect import Study
from study.analysis.statistics import inference
from study.analysis.statistics.contrasts import stars
from study.analysis.text.formats import number, signed, significant
from study.errors import ConfigError
from study.measures.catalog import MAIN, MSE, measures_of
from study.tasks import CLASSIFICATION, REGRESSION

# Header, column of the gap table, factor, decimals; None: as many as four significant digits need
OF_WEIGHTS = (
    ("Max |w|", "abs_max", 1, 3),
    ("w = 0 (%)", "zero_fraction", 100, 1),
    ("|w| < 0.001 (%)", "near_zero_fraction", 100, 1),
)
COLUMNS = {
    CLASSIFICATION: (
        ("Val acc. (%)", "val_accuracy", 100, 2),
        ("Train acc. (%)", "train_accuracy", 100, 2),
        ("Test acc. (%)", "test_accuracy", 100, 2),
        ("Acc. gap (points)", "accuracy_gap", 1, 2),
        ("Loss gap (nats)", "loss_gap", 1, 3),
        ("ECE (%)", "val_ece", 100, 1),
        *OF_WEIGHTS,
    ),
    REGRESSION: (
        ("Val loss (MSE)", "val_loss", 1, None),
        ("Train loss (MSE)", "train_loss", 1, None),
        ("Test loss (MSE)", "test_loss", 1, None),
        ("Loss gap (MSE)", "loss_gap", 1, None),
        ("Val R²", "val_r2", 1, 3),
        ("Test R²", "test_r2", 1, 3),
        ("Val MAE", "val_mae", 1, None),
        ("Test MAE", "test_mae", 1, None),
        *OF_WEIGHTS,
    ),
}
DELTAS = (("Δtrain", "delta_train"), ("Δval", "delta_val"), ("Δgap", "delta_gap"))
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


def gap_text(
    table: pd.DataFrame, best: Collection[str], selected: bool, spread: str = SD, task: str = CLASSIFICATION
) -> pd.DataFrame:
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
    main = MAIN[task].val
    text = pd.DataFrame(
        {"Variant": table["variant"], "n": table["n"].astype(str), "Epochs": table["epochs"].astype(str)}
    )
    if (table["epochs_trained"] < table["epochs"].str.split("/").str[-1].astype(int)).any():
        text["Used"] = [number(mean, 1) for mean in table["epochs_trained"]]
    if spread not in SPREADS:
        raise ConfigError(f"spread={spread}: allowed: {', '.join(SPREADS)}")
    for header, column, factor, given in COLUMNS[task]:
        if table[column].isna().all():
            continue
        decimals = significant(table[column]) if given is None else given
        if column == main and selected:
            header = header.replace(" (", ", selected (")
        text[header] = [
            number(mean * factor, decimals, sd * factor)
            for mean, sd in zip(table[column], _behind(table, column, spread), strict=True)
        ]
        if column == main:
            text[header] = [f"*{t}" if v in best else t for t, v in zip(text[header], table["variant"], strict=True)]
    if "delta_gap" in table:
        unit, decimals = ("points", 2) if task == CLASSIFICATION else (MSE, significant(table[main]))
        for name, column in DELTAS:
            text[f"{name} ({unit})"] = [signed(value, decimals) for value in table[column]]
        text["Note"] = table["mark"].fillna("")
    if table["diverged"].any():
        text["Diverged"] = table["diverged"].astype(str)
    return text


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


def contrast_text(table: pd.DataFrame, primary: str, task: str = CLASSIFICATION) -> pd.DataFrame:
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
                    "Measure": names.get(measure, measure),
                    "Variant": row["variant"],
                    "n": str(row["n"]),
                    "Difference": signed(row["mean_difference"] * factor, decimals) + marks[index],
                    "95 % interval": _interval(row["ci_low"], row["ci_high"], factor, decimals),
                    "and new data": _interval(row[f"{wide}_low"], row[f"{wide}_high"], factor, decimals),
                    "p": _p(row["p_t"]),
                    "p (Holm)": _p(row["p_holm"]),
                    "p (sign flips)": _p(row["p_flip"]),
                    "Wins": "–" if pd.isna(row["wins"]) else f"{row['wins']:g} of {row['n']}",
                }
            )
    return pd.DataFrame(lines)


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
