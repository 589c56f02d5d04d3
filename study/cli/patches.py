"""What `study` changes in Python and in libraries, to save time in the process of a command. All of it is here.

Nothing is changed by importing: a command calls `patch` once, before it does anything. Notebooks and other programs
that import `study` keep everything as it is. `scripts/benchmarks/start.py` measures what each saves.
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
from hydra.core.config_store import ConfigStore
from hydra.types import RunMode
from omegaconf import DictConfig


def seldom_collect_garbage() -> None:
    """Importing makes objects that stay: looking through them again and again for garbage takes long."""
    gc.set_threshold(100_000)


def share_config_store() -> None:
    """Hydra copies its one store each time it composes or lists a group, and copies what it takes out as well."""
    setattr(ConfigStore, "__deepcopy__", lambda self, _: self)  # noqa: B010


def read_yaml_in_c() -> None:
    """Hydra and OmegaConf take the loader by this name. The one in C reads the same YAML."""
    yaml.SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


PATCHES = [seldom_collect_garbage, share_config_store, read_yaml_in_c]


def patch() -> None:
    """Change what a whole command profits from."""
    for change in PATCHES:
        change()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra's errors come out as they are: `messages` prints them


@contextmanager
def hydra_in_mode(mode: RunMode | None, check: Callable[[DictConfig], None]) -> Iterator[None]:
    """Within the block Hydra takes its mode from here, and what it composes is checked first.

    To find out its mode Hydra would compose the whole config once more, for one key of it.

    Args:
        mode: None for what the flags say.
        check: gets Hydra's own node of each config that is composed; what it raises ends the command.
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
    """Once the block has ended with SystemExit, the process ends without taking itself apart object by object.

    All other functions registered with `atexit` have run by then, and output is flushed.
    """
    status: list[int] = []

    def leave() -> None:
        if status:
            try:
                logging.shutdown()  # which was registered before, when it was imported
                sys.stdout.flush()
                sys.stderr.flush()
            except OSError:  # nobody reads any more: Python tells it in its own way
                return
            os._exit(status[0])

    atexit.register(leave)  # registered first, called last
    try:
        yield
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            status.append(end.code or 0)
        raise
