"""Independent random streams, all derived from the seed of the run, or from that of their source in it.

Variants of one seed share split, initialization and batch order, even if one of them draws more random numbers: with
and without dropout, the batches are the same. This makes seed-paired differences possible.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import numpy as np
import torch

from study.seeds import Seed, seed_of


class Stream(IntEnum):
    """The purpose of a random stream. The numbers determine a run's results, so never change them."""

    SPLIT = 0
    INITIALIZATION = 1
    BATCH_ORDER = 2
    DROPOUT = 3
    LABEL_NOISE = 4
    AUGMENT = 5
    CUTOUT = 6
    CUTMIX = 7


# The source of randomness that each stream belongs to; `seed.<source>` sets its seed.
SOURCE_OF = {
    Stream.SPLIT: "split",
    Stream.INITIALIZATION: "init",
    Stream.BATCH_ORDER: "order",
    Stream.DROPOUT: "dropout",
    Stream.LABEL_NOISE: "split",
    Stream.AUGMENT: "dropout",
    Stream.CUTOUT: "dropout",
    Stream.CUTMIX: "dropout",
}


def numpy_generator(seed: Seed, stream: Stream) -> np.random.Generator:
    """Return a NumPy generator for one stream of a seed."""
    return np.random.default_rng(np.random.SeedSequence(seed_of(seed, SOURCE_OF[stream]), spawn_key=(int(stream),)))


def torch_seed(seed: Seed, stream: Stream, number: int = 0) -> int:
    """Return a 63-bit seed for torch, for one stream of a seed.

    Args:
        seed: the run's seed.
        stream: what is drawn.
        number: tells apart several that draw the same in one run. The first is 0.
    """
    key = (int(stream), number) if number else (int(stream),)
    state = np.random.SeedSequence(seed_of(seed, SOURCE_OF[stream]), spawn_key=key).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


def torch_generator(seed: Seed, stream: Stream, number: int = 0) -> torch.Generator:
    """Return a torch generator for one stream of a seed; see `torch_seed` for the arguments.

    It is on the CPU, so its draws do not depend on the device.
    """
    return torch.Generator().manual_seed(torch_seed(seed, stream, number))


@contextmanager
def global_stream(seed: Seed, stream: Stream) -> Iterator[None]:
    """Seed torch's global generators in the block, and restore the state of the CPU's generator afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed(seed, stream))
        yield
