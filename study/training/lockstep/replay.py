"""Steps without Python: on CUDA, a step of all runs is captured once as a graph, and replayed.

What differs between steps is read from tables on the device by the number of the step, which the graph itself advances.
So an epoch is a row of replays, and nothing is read back before its end.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

WARM_UP = 3  # steps before a capture, in which libraries choose their kernels

# Makes a step of all runs: batch int64 (width, n), step numbers int64 (width,), learning rates (width,), factors of the
# optimizer (factors, width), shares of mixup (width,). Returns the objectives, (width,).
Step = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Tables:
    """What differs between the steps of an epoch.

    Attributes:
        order: int64 (width, images): the order of each run's images.
        numbers: int64 (steps, width): the number of each run's step, from 0.
        lr: (steps, width).
        factors: (steps, factors, width).
        shares: (steps, width).
    """

    order: Tensor
    numbers: Tensor
    lr: Tensor
    factors: Tensor
    shares: Tensor


class Replay:
    """Makes the steps of an epoch from tables."""

    def __init__(self, step: Step, batch_size: int, tables: Tables, changed: list[Tensor]):
        """Reserve the memory of the tables, and capture the steps if the device is CUDA.

        Args:
            step: makes one step.
            batch_size: images of a run per step; the last step of an epoch may have fewer.
            tables: of any epoch.
            changed: all tensors that a step changes. Warming up leaves them as they are.
        """
        self.step, self.batch_size = step, batch_size
        self.tables = Tables(**{key: value.clone() for key, value in vars(tables).items()})
        self.device = tables.order.device
        self.at = torch.zeros(1, dtype=torch.int64, device=self.device)
        self.objectives = torch.zeros_like(self.tables.lr)
        self.full, self.rest = divmod(tables.order.shape[1], batch_size)
        self.graphs: dict[int, torch.cuda.CUDAGraph] = {}
        if self.device.type == "cuda":
            self._try_to_capture(changed)

    def epoch(self, tables: Tables) -> Tensor:
        """Make all steps of an epoch; return the objectives, (steps, width)."""
        for key, value in vars(tables).items():
            getattr(self.tables, key).copy_(value)
        self.at.zero_()
        for size in [self.batch_size] * self.full + ([self.rest] if self.rest else []):
            if size in self.graphs:
                self.graphs[size].replay()
            else:
                self._one(size)
        return self.objectives

    def _one(self, size: int) -> None:
        """Make the next step, with `size` images of each run."""
        tables, at = self.tables, self.at
        if size == self.batch_size:
            place = at * self.batch_size + torch.arange(size, device=self.device)
            batch = tables.order.index_select(1, place)
        else:
            batch = tables.order[:, -size:]
        row = [table.index_select(0, at)[0] for table in (tables.numbers, tables.lr, tables.factors, tables.shares)]
        objective = self.step(batch, *row)
        self.objectives.index_copy_(0, at, objective[None])
        self.at.add_(1)

    def _try_to_capture(self, changed: list[Tensor]) -> None:
        """Capture the steps; where that fails, they are made one by one, and a warning says so."""
        before = [tensor.detach().clone() for tensor in changed]
        try:
            self._capture()
        except RuntimeError as error:  # a user's penalty may do what a graph cannot
            self.graphs = {}
            first = (str(error).splitlines() or [""])[0]
            warnings.warn(f"a step cannot be captured as a CUDA graph, and lockstep is slower: {first}", stacklevel=2)
        with torch.no_grad():
            for tensor, kept in zip(changed, before, strict=True):
                tensor.copy_(kept)

    def _capture(self) -> None:
        for size in [self.batch_size] * bool(self.full) + ([self.rest] if self.rest else []):
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(WARM_UP):
                    self.at.zero_()
                    self._one(size)
            torch.cuda.current_stream().wait_stream(stream)
            self.at.zero_()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self._one(size)
            self.graphs[size] = graph
