"""The distribution of the weights of each variant at each recorded epoch, on few bins."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from study.analysis.drawing.view import View
from study.analysis.page.rounding import rounded
from study.errors import StudyError
from study.measures.weights import BINS, is_histogram_epoch

PER_DECADE = 8  # bins for each power of ten of |w|
SMALLEST, LARGEST = -5, 2  # powers of ten: smaller weights share one bin in the middle
HALF = PER_DECADE * (LARGEST - SMALLEST) + 1  # bins on either side; the outermost is open
MOST_RUNS, MOST_PARAMETERS, MOST_EPOCHS = 120, 8, 12  # so that reading takes seconds at most, and the page stays small


def distributions(view: View) -> dict[str, Any] | None:
    """Return the distributions; None if no run has a histogram.

    A bin covers values of |w| whose ratio is the same everywhere, on both sides of zero. The bin in the middle holds
    all weights with |w| < 1e-5, exact zeros included.

    Returns:
        `per_decade, smallest, half` (how bins are laid out), `epochs`, `parameters`, `variants` (keys), `shares`:
        by parameter, variant and epoch, the position of the first bin that is not empty and the percentages of the
        weights in the bins from there, or None; `zeros`: the percentages of exact zeros; `note` on what is left out.
    """
    rows, notes = _of_few_runs(view)
    epochs, left_out = _epochs(rows)
    notes += left_out
    counts: dict[tuple[str, str, int], np.ndarray] = {}
    zeros: dict[tuple[str, str, int], int] = {}
    for epoch in epochs:
        own = rows[rows["epochs_trained"] >= epoch].assign(epoch=epoch)
        try:
            view.study.read_histograms(own)
        except StudyError as error:
            return _nothing(str(error))
        for row in own.itertuples():
            _add(counts, zeros, row.variant, epoch, view.study.entries[row.run])
    sizes: dict[str, float] = {}
    for (_, parameter, _), of_bins in counts.items():
        sizes[parameter] = max(sizes.get(parameter, 0.0), float(of_bins.sum()))
    if not sizes:
        return None
    parameters = list(sizes)
    if len(parameters) > MOST_PARAMETERS:
        largest = sorted(sizes, key=lambda name: -sizes[name])[:MOST_PARAMETERS]
        notes.append(f"The {MOST_PARAMETERS} largest of {len(parameters)} parameters are shown.")
        parameters = [name for name in parameters if name in largest]
    variants = [variant for variant in view.looks if variant in set(rows["variant"])]
    keys = [[[(v, p, e) for e in epochs] for v in variants] for p in parameters]
    return {
        "per_decade": PER_DECADE,
        "smallest": SMALLEST,
        "half": HALF,
        "epochs": epochs,
        "parameters": parameters,
        "variants": variants,
        "shares": [[[_packed(counts.get(key)) for key in of] for of in each] for each in keys],
        "zeros": [[[_zero_share(counts, zeros, key) for key in of] for of in each] for each in keys],
        "note": " ".join(notes),
    }


def _nothing(reason: str) -> dict[str, Any]:
    empty: list[Any] = []
    names = ("epochs", "parameters", "variants", "shares", "zeros")
    return {**dict.fromkeys(names, empty), "per_decade": PER_DECADE, "smallest": SMALLEST, "half": HALF, "note": reason}


def _of_few_runs(view: View) -> tuple[pd.DataFrame, list[str]]:
    """Return the runs whose histograms are read: the first seeds of each variant, if there are many runs."""
    rows = view.rows[["run", "variant", "epochs", "epochs_trained"]]
    rows = rows[rows["variant"].isin(list(view.looks))]
    seeds = max(MOST_RUNS // max(len(view.looks), 1), 1)
    kept = rows[rows.groupby("variant").cumcount() < seeds]
    if len(kept) == len(rows):
        return rows, []
    return kept, [f"The first {seeds} seeds of each variant are shown." if seeds > 1 else "One seed each is shown."]


def _epochs(rows: pd.DataFrame) -> tuple[list[int], list[str]]:
    """Return the recorded epochs that are read, with a note if some are left out."""
    lasts = {int(epoch) for epoch in rows["epochs"]}
    last = int(rows["epochs_trained"].max()) if len(rows) else 0
    found = [e for e in range(last + 1) if e in lasts or is_histogram_epoch(e, last)]
    if len(found) <= MOST_EPOCHS:
        return found, []
    kept = np.unique(np.round(np.linspace(0, len(found) - 1, MOST_EPOCHS)).astype(int))
    return [found[place] for place in kept], [f"{len(kept)} of {len(found)} recorded epochs are shown."]


def _coarse() -> np.ndarray:
    """Return the position of each of BINS among the bins of the page, from the most negative to the largest weight."""
    left, right = np.array(BINS).T
    inner = np.minimum(np.abs(left), np.abs(right))
    with np.errstate(divide="ignore"):
        # Edges of BINS are rounded to six digits, so one may lie just below a power of ten.
        place = np.floor(PER_DECADE * (np.log10(inner) - SMALLEST) + 1e-3) + 1
    place = np.where(np.isfinite(place), np.clip(place, 0, HALF), 0).astype(int)
    return HALF + np.where(right > 0, 1, -1) * place


PLACES = _coarse()
ZERO = BINS.index((0.0, 0.0))


def _add(
    counts: dict[tuple[str, str, int], np.ndarray],
    zeros: dict[tuple[str, str, int], int],
    variant: str,
    epoch: int,
    entry: Any,
) -> None:
    """Add the histogram of one run, at one epoch, to those of its variant."""
    codes, bins, of_bins = entry.histograms[epoch].T
    width = 2 * HALF + 1
    names: list[str] = entry.facts["parameters"]
    sums = np.bincount(codes * width + PLACES[bins], weights=of_bins, minlength=len(names) * width)
    is_zero = bins == ZERO
    exact: Mapping[int, int] = dict(zip(codes[is_zero].tolist(), of_bins[is_zero].tolist(), strict=True))
    for code, name in enumerate(names):
        own = sums[code * width : (code + 1) * width]
        if own.any():
            key = (variant, name, epoch)
            counts[key] = counts[key] + own if key in counts else own.copy()
            zeros[key] = zeros.get(key, 0) + exact.get(code, 0)


def _packed(of_bins: np.ndarray | None) -> list[Any] | None:
    """Return the first occupied bin and the percentages from there to the last occupied one."""
    if of_bins is None:
        return None
    occupied = np.flatnonzero(of_bins)
    first, last = int(occupied[0]), int(occupied[-1])
    return [first, rounded(100 * of_bins[first : last + 1] / of_bins.sum(), 3)]


def _zero_share(
    counts: Mapping[tuple[str, str, int], np.ndarray],
    zeros: Mapping[tuple[str, str, int], int],
    key: tuple[str, str, int],
) -> float | None:
    return rounded([100 * zeros[key] / counts[key].sum()], 3)[0] if key in counts else None
