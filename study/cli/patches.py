"""Everything that the command `study` replaces in Python and in libraries.

Importing changes nothing: a command calls `patch` first. Notebooks and other programs that import `study` keep their
libraries as they are. `python scripts/benchmarks/start.py` measures what the changes save; one that saves less than
0.2 s in every command is not worth its place here.
"""

import atexit
import gc
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import yaml
from hydra._internal.hydra import Hydra
from hydra.types import RunMode
from omegaconf import DictConfig


def seldom_collect_garbage() -> None:
    """Collect garbage less often. Saves 0.3 to 0.7 s of a command.

    Imports create many objects that stay. Python would search all of them again and again. Safe, because only the
    time of a collection changes.
    """
    gc.set_threshold(100_000)


def read_yaml_in_c() -> None:
    """Let Hydra and OmegaConf read YAML with libyaml. Saves 0.4 s of planning 80 runs.

    They take the loader by this name. Safe, because the loader in C reads the same YAML.
    """
    yaml.SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


PATCHES = [seldom_collect_garbage, read_yaml_in_c]


def patch() -> None:
    """Apply the changes that make every command faster."""
    for change in PATCHES:
        change()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises its errors, and `messages` prints them


@contextmanager
def hydra_in_mode(mode: RunMode | None, check: Callable[[DictConfig], None]) -> Iterator[None]:
    """Give Hydra its mode in the block, and check each config that it composes before it acts on it.

    This is for messages; it saves 0.15 s besides. To learn its mode, Hydra composes the config once more and hides
    every error of that, so a refused setting would be reported as another one. Hydra has no hook between composing and
    its first action. Safe, because both methods are put back at the end of the block.

    Args:
        mode: None for what the flags say.
        check: gets Hydra's own node of the config; an error that it raises ends the command.
    """
    get_mode, compose = Hydra.get_mode, Hydra.compose_config

    def checked(*arguments: Any, **settings: Any) -> DictConfig:
        cfg = compose(*arguments, **settings)
        check(cfg.hydra)
        return cfg

    setattr(Hydra, "get_mode", lambda *_, **__: mode)  # noqa: B010
    setattr(Hydra, "compose_config", checked)  # noqa: B010
    try:
        yield
    finally:
        setattr(Hydra, "get_mode", get_mode)  # noqa: B010
        setattr(Hydra, "compose_config", compose)  # noqa: B010


@contextmanager
def ended_at_once() -> Iterator[None]:
    """End the process as soon as the block has raised SystemExit. Saves 0.7 to 1.8 s of a command.

    Python would free every object first. Safe, because all other functions registered with `atexit` run before, and
    output is flushed.
    """
    status: list[int] = []

    def leave() -> None:
        if status:
            try:
                logging.shutdown()  # registered when it was imported, so it would run after this
                sys.stdout.flush()
                sys.stderr.flush()
            except OSError:  # nobody reads the output: leave the error to Python
                return
            os._exit(status[0])

    atexit.register(leave)  # registered first, called last
    try:
        yield
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            status.append(end.code or 0)
        raise
