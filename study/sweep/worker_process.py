"""What a worker does: train the crews that its parent sends, until the parent closes the connection or dies."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import Any

import torch

from study.errors import MachineFaultError
from study.training.crew import train_together
from study.training.epochs import OnEpoch, Outcome
from study.training.process import room_beside
from study.training.run import begin_run

STOP, PAUSE = "stop", "pause"  # messages to a worker: stop after the epoch, stop after the step
DONE = "done"  # message of a worker: all runs of its crew have ended


@dataclass(frozen=True)
class OfRun:
    """A worker's message about one run of its crew: a row of an epoch, or how the run has ended."""

    number: int
    epoch: int = 0
    row: Mapping[str, Any] | None = None
    outcome: Outcome | None = None


@dataclass(frozen=True)
class Room:
    """A worker's message after its first epoch on a card: how many more workers like this one fit in its memory."""

    workers: int


def serve(connection: Connection, device: str) -> None:
    """Receive crews, and send rows and outcomes. `device`: where to train, as torch names it."""
    for name in ("SIGINT", "SIGHUP"):  # Ctrl-C and a closed terminal reach all processes; the parent decides
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    with suppress(KeyboardInterrupt):
        signal.signal(signal.SIGTERM, _interrupt)
        threading.Thread(target=_die_with_parent, daemon=True).start()
        _train_what_comes(connection, device)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the process ends now


def _train_what_comes(connection: Connection, device: str) -> None:
    """Train each crew that the parent sends, until it closes the connection."""

    told: list[str] = []
    measured = False

    def has_been_told(words: set[str]) -> bool:
        try:
            while connection.poll():
                told.append(connection.recv())
        except (EOFError, OSError):  # the parent is gone
            return True
        return not words.isdisjoint(told)

    def on_epoch_of(number: int) -> OnEpoch:
        def on_epoch(epoch: int, row: Mapping[str, Any]) -> bool:
            nonlocal measured
            connection.send(OfRun(number, epoch, row))
            if epoch and not measured:
                measured = True
                room = room_beside(torch.device(device))
                if room is not None:
                    connection.send(Room(room))
            return not has_been_told({STOP, PAUSE})

        return on_epoch

    while True:
        try:
            message = connection.recv()
        except (EOFError, OSError):
            return
        if message in (STOP, PAUSE):
            continue  # it came after the last epoch
        told.clear()
        try:
            with ExitStack() as stack:
                runs = []
                for number, task, claim in message:
                    stack.enter_context(claim.ownership.heartbeat())
                    paused = partial(has_been_told, {PAUSE})
                    runs.append(begin_run(task, claim.work, on_epoch_of(number), paused, device, connection.send))
                numbers = [number for number, *_ in message]
                train_together(runs, lambda i, outcome: connection.send(OfRun(numbers[i], outcome=outcome)))  # noqa: B023
            message = DONE
        except MachineFaultError as fault:
            message = fault
        connection.send(message)


def _interrupt(number: int, _frame: Any) -> None:
    signal.signal(number, signal.SIG_IGN)  # the parent may send it too; a second one must not disturb the clean-up
    raise KeyboardInterrupt


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
    os._exit(1)
