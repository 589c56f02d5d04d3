"""Independent random streams, all derived from the run's one seed.

Variants that share a seed share split, initialization and batch order, whatever else they draw: a variant with
dropout sees the batches of one without. That is what allows differences to be taken pairwise.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import numpy as np
import torch


class Stream(IntEnum):
    """What a random stream is for. The numbers are part of a run's numerics: never renumber."""

    SPLIT = 0
    INITIALIZATION = 1
    BATCH_ORDER = 2
    DROPOUT = 3
    LABEL_NOISE = 4


def numpy_generator(seed: int, stream: Stream) -> np.random.Generator:
    """A NumPy generator for one stream of one seed."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(int(stream),)))


def torch_seed(seed: int, stream: Stream) -> int:
    """A 63-bit seed for torch, for one stream of one seed."""
    state = np.random.SeedSequence(seed, spawn_key=(int(stream),)).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


def torch_generator(seed: int, stream: Stream) -> torch.Generator:
    """A torch generator on the CPU for one stream of one seed: the same draws whatever device trains."""
    return torch.Generator().manual_seed(torch_seed(seed, stream))


@contextmanager
def global_stream(seed: int, stream: Stream) -> Iterator[None]:
    """Seed torch's global generators within the block, and restore the CPU's afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed(seed, stream))
        yield
