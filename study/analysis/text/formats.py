"""Format numbers as text."""

import math
from collections.abc import Iterable

import pandas as pd


def number(mean: float, decimals: int, sd: float = float("nan")) -> str:
    """Format a number, followed by ± and its deviation if there is one."""
    if pd.isna(mean):
        return "–"
    return f"{mean:.{decimals}f}".replace("-", "−") + ("" if pd.isna(sd) else f" ± {sd:.{decimals}f}")


def significant(values: Iterable[float], digits: int = 4) -> int:
    """The decimals that show the largest of some numbers with so many significant digits, at most 6."""
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    return min(max(digits - 1 - math.floor(math.log10(largest)), 0), 6) if largest else digits


def signed(value: float, decimals: int) -> str:
    """Format a difference with its sign."""
    if pd.isna(value):
        return "–"
    text = f"{value:+.{decimals}f}"
    return text.replace("-", "−") if float(text) else f"{0:.{decimals}f}"


def interval(low: float, high: float, factor: float, decimals: int) -> str:
    """Format an interval of differences, such as `[−4.05, +0.77]`, after a multiplication by a factor."""
    return "–" if pd.isna(low) else f"[{signed(low * factor, decimals)}, {signed(high * factor, decimals)}]"


def p_value(p: float) -> str:
    """Format a p-value with three decimals, such as `0.041` or `<0.001`."""
    if pd.isna(p):
        return "–"
    return "<0.001" if p < 0.001 else f"{p:.3f}"
