"""Devices: what the key `device` means, and which of them this machine has.

A run's config names the kind of device alone. Which card trains a run is decided where it is trained.
"""

import re
from dataclasses import dataclass
from typing import Any

from study.errors import ConfigError

CUDA = "cuda"
KINDS = ("cpu", CUDA, "mps")
CARD = re.compile(r"cuda:(0|[1-9]\d*)")
ALLOWED = "Allowed: auto, cpu, cuda, mps, cuda:<number>, or a list of cards. Example: device=[cuda:0,cuda:1]"


@dataclass(frozen=True)
class Devices:
    """The devices of this machine that train runs.

    Attributes:
        kind: cpu, cuda or mps.
        names: as torch names them: one name, or one for each card.
    """

    kind: str
    names: tuple[str, ...]


def kind_of(device: Any) -> str:
    """The part of `device` that a run's config keeps: auto, cpu, cuda or mps. Numbers of cards are left out.

    Args:
        device: as given: a name, or a list of cards.

    Raises:
        ConfigError: it is neither.
    """
    if device in ("auto", *KINDS):
        return str(device)
    cards = device if isinstance(device, list) else [device]
    given = f"device={as_text(device)}"
    if not cards:
        raise ConfigError(f"{given}: the list is empty. {ALLOWED}")
    if not all(isinstance(card, str) and CARD.fullmatch(card) for card in cards):
        wrong = "a list may name cards only, as cuda:<number>" if cards is device else "there is no such device"
        raise ConfigError(f"{given}: {wrong}. {ALLOWED}")
    if len(set(map(_number, cards))) < len(cards):
        raise ConfigError(f"{given}: names a card twice. Name each once; workers=... sets how many runs they train")
    return CUDA


def as_text(device: Any) -> str:
    """The value of `device` as it is typed on a command line."""
    return f"[{','.join(map(str, device))}]" if isinstance(device, list) else str(device)


def _number(card: str) -> int:
    return int(card.partition(":")[2])


def devices_here(device: Any) -> Devices:
    """Find the devices that `device` means on this machine: of `auto` and `cuda`, all cards.

    Args:
        device: as in `kind_of`.

    Raises:
        ConfigError: it is neither a name nor a list of cards.
        RuntimeError: this machine has no such device.
    """
    kind = kind_here(kind_of(device))
    found = names_of(kind)
    if not found:
        raise RuntimeError(f"no {kind.upper()} device on this machine")
    if device in ("auto", *KINDS):
        return Devices(kind, found)
    numbers = [_number(card) for card in (device if isinstance(device, list) else [device])]
    for number in numbers:
        if number >= len(found):
            cards = f"{len(found)} cards, cuda:0 to cuda:{len(found) - 1}" if len(found) > 1 else "one card, cuda:0"
            raise RuntimeError(f"there is no cuda:{number}. This machine has {cards}")
    return Devices(kind, tuple(found[number] for number in numbers))


def kind_here(kind: str) -> str:
    """The kind of device that a config's `device` means on this machine. Only `auto` asks torch for its devices."""
    return next(other for other in (CUDA, "mps", "cpu") if names_of(other)) if kind == "auto" else kind


def names_of(kind: str) -> tuple[str, ...]:
    """The devices of one kind that this machine has, as torch names them. Tests replace this function."""
    import torch  # here, not above: composing and --help do not need it

    if kind == CUDA:
        number = torch.cuda.device_count() if torch.cuda.is_available() else 0
        return tuple(f"cuda:{card}" for card in range(number))
    return (kind,) if kind == "cpu" or torch.backends.mps.is_available() else ()
