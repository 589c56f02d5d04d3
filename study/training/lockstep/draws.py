"""Random numbers of several runs at once. Each run has a stream of its own, whatever its companions draw."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

SHIFT, FIRST, SECOND = 16, 0x7FEB352D, 0x846CA68B  # of a hash of 32 bits (Wellons 2018, "lowbias32")
MASK = 0xFFFFFFFF
UNIFORM = 2**-24  # a hash keeps 24 bits, which float32 represents exactly


class Draws(Protocol):
    """Draws for one step after the other."""

    def start_step(self, step: Tensor) -> None:
        """Begin the steps of these numbers, int64 (width,), on the device."""

    def kept(self, rate: Sequence[float], rates: Tensor, layer: int, like: Tensor) -> Tensor:
        """The factors of dropout, (width, n, units): 0, or 1/(1 − p) with the probability 1 − p; 1 for rate 0."""

    def normal(self, slots: Sequence[int], like: Tensor) -> Tensor:
        """Standard normal numbers of the shape of `like`, (width, n, ...); zeros for all but some slots."""

    def order(self, slots: Sequence[int], width: int, count: int, device: torch.device) -> Tensor:
        """A random order of `count` examples for some slots, int64 (width, count); ascending for the others."""


class Generators:
    """Draws from a generator of torch for each run, the same as the general loop draws. For the CPU."""

    def __init__(self, generators: Sequence[torch.Generator]):
        self.generators = generators

    def start_step(self, step: Tensor) -> None:
        pass

    def kept(self, rate: Sequence[float], rates: Tensor, layer: int, like: Tensor) -> Tensor:
        factors = torch.ones_like(like)
        for slot, generator in enumerate(self.generators):
            if rate[slot]:
                factors[slot].bernoulli_(1 - rate[slot], generator=generator)
        return factors.div_((1 - rates).view(-1, 1, 1))

    def normal(self, slots: Sequence[int], like: Tensor) -> Tensor:
        drawn = torch.zeros_like(like)
        for slot in slots:
            drawn[slot].normal_(generator=self.generators[slot])
        return drawn

    def order(self, slots: Sequence[int], width: int, count: int, device: torch.device) -> Tensor:
        orders = torch.arange(count).repeat(width, 1)
        for slot in slots:
            orders[slot] = torch.randperm(count, generator=self.generators[slot])
        return orders


class Counted:
    """Draws by a hash of the run's key, the number of the step, and the place of the number: no state, no order.

    For accelerators: one kernel draws for all runs, and can be captured as part of a graph.
    """

    NORMAL, ORDER, LAYERS = 1, 3, 8  # what is drawn; layers have the numbers from LAYERS on

    def __init__(self, keys: Tensor):
        """Set the streams. `keys`: int64 (width,), in [0, 2³²)."""
        self.keys = keys
        self.step = torch.zeros_like(keys)

    def start_step(self, step: Tensor) -> None:
        self.step = step

    def kept(self, rate: Sequence[float], rates: Tensor, layer: int, like: Tensor) -> Tensor:
        keep = 1 - rates.view(-1, 1, 1)
        return (self._uniform(self.LAYERS + layer, like.shape[1:]) < keep).to(like.dtype) / keep

    def normal(self, slots: Sequence[int], like: Tensor) -> Tensor:
        radius = (-2 * torch.log1p(-self._uniform(self.NORMAL, like.shape[1:]))).sqrt()
        turn = 2 * torch.pi * self._uniform(self.NORMAL + 1, like.shape[1:])
        return (radius * turn.cos()).to(like.dtype)  # Box and Muller 1958

    def order(self, slots: Sequence[int], width: int, count: int, device: torch.device) -> Tensor:
        return self._uniform(self.ORDER, torch.Size([count])).argsort(dim=1, stable=True)

    def _uniform(self, what: int, shape: torch.Size) -> Tensor:
        """Numbers in [0, 1), float32 (width, *shape)."""
        place = torch.arange(shape.numel(), device=self.keys.device)
        seed = _hashed(self.keys ^ _hashed(self.step * 64 + what))
        bits = _hashed(_hashed(place[None] ^ seed[:, None]) + seed[:, None])
        return ((bits >> 8).to(torch.float32) * UNIFORM).view(-1, *shape)


def _hashed(x: Tensor) -> Tensor:
    """A permutation of the numbers in [0, 2³²), int64, that looks random."""
    x = x & MASK
    x = ((x ^ (x >> SHIFT)) * FIRST) & MASK
    x = ((x ^ (x >> SHIFT - 1)) * SECOND) & MASK
    return x ^ (x >> SHIFT)
