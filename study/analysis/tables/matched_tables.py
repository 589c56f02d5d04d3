"""The comparison of regularizers at matched strength, as text."""

import pandas as pd

from study.analysis.text.formats import signed


def matched_text(table: pd.DataFrame) -> pd.DataFrame:
    """The table from `matched.matched` as text."""
    units = {"val_accuracy": (100, 2), "near_zero_fraction": (100, 1), "zero_fraction": (100, 1)}
    lines = []
    for row in table.itertuples():
        factor, decimals = units.get(row.measure, (1, 4 if row.measure.endswith("loss") else 1))
        lines.append(
            {
                "Measure": f"{row.measure} at {row.matched_on} {row.level:.4g}",
                "Variant": f"{row.reg} − {row.other}",
                "n": str(row.n),
                "First": f"{factor * row.mean:.{decimals}f}",
                "Second": f"{factor * row.other_mean:.{decimals}f}",
                "Difference": signed(factor * row.mean_difference, decimals),
                "95 % interval": "–"
                if pd.isna(row.ci_low)
                else f"[{signed(factor * row.ci_low, decimals)}, {signed(factor * row.ci_high, decimals)}]",
            }
        )
    return pd.DataFrame(lines)
