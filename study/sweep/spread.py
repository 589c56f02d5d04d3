"""Spread the workers of a sweep over the devices of this machine."""

import math
from collections.abc import Sequence

from study.config.devices import CUDA, Devices


class Spread:
    """Which device each worker trains on.

    Workers take the devices in turn. If their number is not given, a card of CUDA starts with one worker. When this one
    has trained an epoch, it has shown how much memory it needs, and the card gets as many more as fit.
    """

    def __init__(self, devices: Devices, workers: int, fill: bool):
        """Set the rule.

        Args:
            devices: the devices.
            workers: the number of workers; with `fill` the largest number.
            fill: whether memory decides how many of these a card gets.
        """
        self.names = devices.names
        self.fill = fill and devices.kind == CUDA
        self.workers = workers
        self.measured: set[str] = set()

    def first(self) -> list[str]:
        """The device of each worker that starts at once."""
        number = min(len(self.names), self.workers) if self.fill else self.workers
        return [self.names[worker % len(self.names)] for worker in range(number)]

    def further(self, device: str, room: int, at_work: Sequence[str], waiting: int) -> int:
        """How many workers a card gets in addition, now that one of its workers has measured its memory.

        Args:
            device: the card.
            room: how many more fit in its memory.
            at_work: the devices of all workers.
            waiting: number of runs that no worker has yet.
        """
        if not self.fill or device in self.measured:
            return 0
        self.measured.add(device)
        share = math.ceil(self.workers / len(self.names))
        return max(0, min(room, share - at_work.count(device), self.workers - len(at_work), waiting))
