"""Round numbers for the page, where they are drawn and need few digits."""

import math
from collections.abc import Iterable


def rounded(values: Iterable[float], digits: int = 5) -> list[float | None]:
    """Return numbers with so many significant digits; None for those that are not finite, which JSON lacks."""
    return [float(f"{value:.{digits}g}") if math.isfinite(value) else None for value in values]
