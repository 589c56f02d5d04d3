"""What is recorded of the weights at an epoch: of one run by NumPy, or of many at once where their weights are.

Both compute the same statistics (see `measures.weights`), up to the order of sums. On a CPU, NumPy is as fast.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from study.measures import weights
from study.measures.invariants import MOST_ROWS, effective_rank_of
from study.measures.weights import EDGES, NEAR_ZERO, QUANTILES


@dataclass(frozen=True)
class Described:
    """What is recorded of a parameter tensor.

    Attributes:
        name: of the parameter.
        summary: as `weights.summarize` returns it.
        counts: as `weights.histogram` returns them; None if none is wanted, or the weights are not finite.
        rank: effective rank of a weight matrix; None if it is not wanted or not defined.
    """

    name: str
    summary: Mapping[str, float]
    counts: np.ndarray | None = None
    rank: float | None = None


def describe(name: str, w: np.ndarray, histograms: bool) -> Described:
    """Describe a parameter tensor.

    Args:
        name: of the parameter.
        w: its values.
        histograms: whether its histogram and its effective rank are computed too.
    """
    values = weights.ordered(w)
    summary = weights.summarize(values)
    if not histograms:
        return Described(name, summary)
    counts = weights.histogram(values) if np.isfinite(values[[0, -1]]).all() else None
    return Described(name, summary, counts, effective_rank_of(w))


@torch.no_grad()
def describe_stacked(
    names: Sequence[str], values: Sequence[Tensor], slots: Sequence[int], histograms: bool
) -> list[list[Described]]:
    """Describe the parameters of some runs.

    Args:
        names: of the parameters.
        values: the stacked weights, (runs, *shape) each.
        slots: the runs.
        histograms: whether histograms and effective ranks are computed too.

    Returns:
        For each of `slots` what `describe` returns for each parameter.
    """
    chosen = torch.tensor(list(slots), device=values[0].device)
    of_parameters = [
        _describe(name, w.index_select(0, chosen), histograms) for name, w in zip(names, values, strict=True)
    ]
    return [list(of_run) for of_run in zip(*of_parameters, strict=True)]


def _describe(name: str, stacked: Tensor, histograms: bool) -> list[Described]:
    ordered = stacked.flatten(1).sort(dim=1).values.double() + 0.0  # NaNs last, -0 becomes 0
    summaries = _summaries(ordered)
    finite = ordered[:, [0, -1]].isfinite().all(dim=1).tolist()
    counts = _histograms(ordered) if histograms else None
    ranks = _ranks(stacked, finite) if histograms else None
    return [
        Described(
            name,
            {key: of_runs[run] for key, of_runs in summaries.items()} | {"count": ordered.shape[1]},
            counts[run] if counts is not None and finite[run] else None,
            ranks[run] if ranks is not None else None,
        )
        for run in range(len(ordered))
    ]


def _summaries(ordered: Tensor) -> dict[str, list[float]]:
    """The statistics by name, in the order of the columns, of sorted values (runs, n)."""
    count = ordered.shape[1]
    highest = ordered[:, -1]
    lowest = torch.where(highest.isnan(), highest, ordered[:, 0])
    mean = ordered.mean(dim=1)
    squared = (ordered - mean[:, None]).square()
    variance = squared.mean(dim=1)
    kurtosis = squared.square().mean(dim=1) / variance**2 - 3
    near = torch.nextafter(torch.tensor(NEAR_ZERO, dtype=torch.float64), torch.tensor(0.0, dtype=torch.float64)).item()
    found = {
        "count": torch.full_like(mean, count),
        "mean": mean,
        "std": variance.sqrt(),
        "min": lowest,
        "max": highest,
        "l1": ordered.abs().sum(dim=1),
        "l2": ordered.square().sum(dim=1).sqrt(),
        "abs_max": torch.maximum(-lowest, highest),
        "zero_fraction": _between(ordered, 0.0, 0.0) / count,
        "near_zero_fraction": _between(ordered, -near, near) / count,
        "kurtosis": torch.where(variance > 0, kurtosis, torch.nan),
        **{name: _quantile(ordered, share) for name, share in QUANTILES.items()},
    }
    return {key: of_runs.tolist() for key, of_runs in found.items()}


def _places(ordered: Tensor, edges: Tensor, right: bool) -> Tensor:
    """How many values of each run lie below each edge, (runs, edges); with `right` also those at the edge."""
    return torch.searchsorted(ordered, edges.expand(len(ordered), -1).contiguous(), right=right)


def _between(ordered: Tensor, low: float, high: float) -> Tensor:
    edges = torch.tensor([low, high], dtype=torch.float64, device=ordered.device)
    inside = _places(ordered, edges[1:], right=True)[:, 0] - _places(ordered, edges[:1], right=False)[:, 0]
    return inside.double()


def _quantile(ordered: Tensor, share: float) -> Tensor:
    position = share * (ordered.shape[1] - 1)
    below = int(position)
    left, right = ordered[:, below], ordered[:, min(below + 1, ordered.shape[1] - 1)]
    between = torch.where(left == right, left, left + (position - below) * (right - left))
    return torch.where(ordered[:, -1].isnan(), torch.nan, between)


def _histograms(ordered: Tensor) -> list[np.ndarray]:
    """The counts of each run in each of `weights.BINS`."""
    edges = torch.tensor([0.0, *EDGES.tolist(), float("inf")], dtype=torch.float64, device=ordered.device)
    above = _places(ordered, edges, right=True).diff(dim=1)
    below = _places(ordered, 0.0 - edges.flip(0), right=False).diff(dim=1)
    zeros = _between(ordered, 0.0, 0.0)[:, None].long()
    return list(torch.cat([below, zeros, above], dim=1).cpu().numpy())


def _ranks(stacked: Tensor, finite: Sequence[bool]) -> list[float | None]:
    """As `invariants.effective_rank_of`, for each run."""
    if stacked.dim() < 3 or min(stacked.shape[1], stacked[0, 0].numel()) > MOST_ROWS:
        return [None] * len(stacked)
    matrices = torch.nan_to_num(stacked.flatten(2).double())
    wide = matrices if matrices.shape[1] < matrices.shape[2] else matrices.transpose(1, 2)
    singular = torch.linalg.eigvalsh(wide @ wide.transpose(1, 2)).clamp(min=0).sqrt()
    shares = singular / singular.sum(dim=1, keepdim=True)
    ranks = torch.special.entr(shares).sum(dim=1).exp().tolist()
    return [rank if is_finite else None for rank, is_finite in zip(ranks, finite, strict=True)]
