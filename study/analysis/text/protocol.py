"""The sentences on the protocol of runs, which tables and captions share."""

from collections.abc import Iterable
from typing import Any

import pandas as pd


def protocol(rows: pd.DataFrame) -> list[str]:
    """Return the sentences on seeds, budget and data.

    Args:
        rows: one row per run, with `variant, seed, epochs, data, split, train_images, val_images`.
    """
    examples = f"{listed(rows['train_images'])} training and {listed(rows['val_images'])} validation examples"
    lines = [
        f"Seeds per variant: {listed(rows.groupby('variant')['seed'].nunique())}. Budget: {listed(rows['epochs'])}"
        f" epochs. Data: {listed(rows['data'])}, data.split={listed(rows['split'])}, {examples}."
    ]
    if "textbook" in set(rows["split"]):
        lines.append(
            "The validation set is the official test set (data.split=textbook): there is no separate test score."
        )
    return lines


def listed(values: Iterable[Any]) -> str:
    """Return the different values in order, such as `10/30`; whole numbers with commas between thousands."""
    different = sorted({value.item() if hasattr(value, "item") else value for value in values})
    return "/".join(f"{value:,}" if isinstance(value, int) else str(value) for value in different)
