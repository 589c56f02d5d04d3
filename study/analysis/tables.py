"""The gap table for people: on the terminal, in Markdown, and in LaTeX."""

from collections.abc import Sequence

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

# Header, column of the gap table, factor, decimals
COLUMNS = (
    ("Train acc. (%)", "train_accuracy", 100, 2),
    ("Val acc. (%)", "val_accuracy", 100, 2),
    ("Acc. gap (points)", "accuracy_gap", 1, 2),
    ("Loss gap (nats)", "loss_gap", 1, 3),
    ("ECE (%)", "val_ece", 100, 1),
    ("Max |w|", "abs_max", 1, 3),
    ("w = 0 (%)", "zero_fraction", 100, 1),
    ("|w| < 0.001 (%)", "near_zero_fraction", 100, 1),
)


def formatted(table: pd.DataFrame) -> pd.DataFrame:
    """The gap table as text: mean, and ± standard deviation where there are several seeds."""
    text = pd.DataFrame(
        {"Variant": table["variant"], "n": table["n"].astype(str), "Epochs": table["epochs"].astype(str)}
    )
    if (table["epochs_trained"] < table["epochs"].str.split("/").str[-1].astype(int)).any():
        text["Used"] = [_number(mean, float("nan"), 1) for mean in table["epochs_trained"]]
    for header, column, factor, decimals in COLUMNS:
        if table[column].isna().all():
            continue
        text[header] = [
            _number(mean * factor, sd * factor, decimals)
            for mean, sd in zip(table[column], table[f"{column}_sd"], strict=True)
        ]
    text["Diverged"] = table["diverged"].astype(str)
    return text


def _number(mean: float, sd: float, decimals: int) -> str:
    if pd.isna(mean):
        return "–"
    return f"{mean:.{decimals}f}" + ("" if pd.isna(sd) else f" ± {sd:.{decimals}f}")


def footer(rows: pd.DataFrame, at: str | int, notes: Sequence[str]) -> list[str]:
    """What a reader of the table must know, as sentences."""
    where = {"last": "the end of training", "best": "the epoch of the highest val accuracy"}.get(at, f"epoch {at}")
    lines = [
        f"All values at {where}; train and val by one scorer, in eval mode; losses without the penalty."
        " Accuracy gap: train − val; loss gap: val − train."
    ]
    if (rows["scored_epoch"] < rows["epochs"]).any() and at == "last":
        lines.append(
            "Runs that choose an epoch by val are taken at that one: their val scores are selected, and too high."
        )
    if (rows.groupby("variant")["seed"].count() > 1).any():
        lines.append("± is the standard deviation over seeds.")
    else:
        lines.append("One seed per variant: differences of this size may be noise.")
    if "textbook" in set(rows["split"]):
        lines.append("Val is the official test set (data.split=textbook): nothing here is an untouched test score.")
    if at == "best":
        lines.append("Val accuracy is selected: it is the best of all epochs, and too high by that choice.")
    return [*lines, *notes]


def to_markdown(text: pd.DataFrame, notes: Sequence[str]) -> str:
    """A Markdown table with its footer."""
    lines = ["| " + " | ".join(header.replace("|", "\\|") for header in text.columns) + " |"]
    lines.append("|" + "|".join("---" if header == "Variant" else "---:" for header in text.columns) + "|")
    lines += ["| " + " | ".join(row) + " |" for row in text.itertuples(index=False)]
    return "\n".join([*lines, "", *notes]) + "\n"


def to_latex(text: pd.DataFrame, notes: Sequence[str]) -> str:
    """A booktabs table with its footer as a comment; needs \\usepackage{booktabs}."""
    math = {"|w|": r"$|w|$", "|w| <": r"$|w| <$"}

    def escaped(cell: str) -> str:
        for plain, code in (
            ("\\", r"\textbackslash "),
            ("_", r"\_"),
            ("%", r"\%"),
            ("&", r"\&"),
            ("#", r"\#"),
        ):
            cell = cell.replace(plain, code)
        return cell.replace(" ± ", r" $\pm$ ").replace("–", "--")

    def header(cell: str) -> str:
        return escaped(cell).replace("|w| <", math["|w| <"]).replace("Max |w|", "Max " + math["|w|"])

    shown = text.map(escaped).rename(columns=header)
    body = shown.style.hide(axis="index").to_latex(hrules=True, column_format="l" + "r" * (text.shape[1] - 1))
    return "".join(f"% {note}\n" for note in notes) + body


def show(text: pd.DataFrame, notes: Sequence[str]) -> None:
    """Print the table to the terminal; wide enough for every column where the output is no terminal."""
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = 200
    table = Table(box=box.SIMPLE_HEAD)
    for header in text.columns:
        table.add_column(header, justify="left" if header == "Variant" else "right", overflow="fold")
    for row in text.itertuples(index=False):
        table.add_row(*row)
    console.print(table)
    for note in notes:
        console.print(note, markup=False)
