"""The unit of displayed differences."""

import pandas as pd


def shown_unit(own: pd.DataFrame) -> tuple[int, str]:
    """The factor from the stored to the displayed differences of one measure, and their unit after a space."""
    unit = own["unit"].iloc[0]
    return (100, " points") if unit == "fraction" else (1, f" {unit}" if unit else "")
