"""What all checks share: the level, the number of simulated studies, and the cells of the table."""

import numpy as np
from scipy import stats

LEVEL = 0.05
DRAWS = 4_000  # simulated studies
SIZES = (3, 5, 6, 7, 10)  # seeds
MARGIN = 0.3  # of equivalence, in points


def rate(hits: np.ndarray, level: float | None = None) -> list[str]:
    """Return table cells: the rate of hits with its exact 99 % interval, the level, and a mark if it is too high."""
    count, n = int(np.sum(hits)), len(hits)
    interval = stats.binomtest(count, n).proportion_ci(0.99)
    cells = [f"{count / n:.3f} [{interval.low:.3f}, {interval.high:.3f}]"]
    return cells if level is None else [*cells, f"{level:.3f}", "too often" if interval.low > level else ""]
