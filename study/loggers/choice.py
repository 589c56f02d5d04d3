"""Which loggers a command line asks for, checked before anything is trained."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from study.errors import ConfigError


@dataclass(frozen=True)
class Tool:
    """A tool that can show runs.

    Attributes:
        module: where its logger is: a function `start`, which returns a `following.Logger`.
        packages: what the logger imports; the extra of the tool's name installs it.
    """

    module: str
    packages: Sequence[str]


TOOLS = {
    "tensorboard": Tool("study.loggers.tensorboard_events", ("tensorboard",)),
    "mlflow": Tool("study.loggers.mlflow_store", ("mlflow", "sqlalchemy", "alembic")),
    "wandb": Tool("study.loggers.wandb_run", ("wandb",)),
}


def chosen(given: Any, start: bool = True) -> tuple[str, ...]:
    """Return the names of the loggers that a value of `logger` asks for, each once.

    Args:
        given: None, a name, or a list of names.
        start: whether to check that they can start.

    Raises:
        ConfigError: there is no such logger, its extra is not installed, or W&B knows no API key.
    """
    listed = [] if given is None else list(given) if isinstance(given, list | tuple) else [given]
    for name in listed:
        if not isinstance(name, str) or name not in TOOLS:
            raise ConfigError(
                f"logger={name}: there is no such logger. Allowed: {', '.join(TOOLS)}, or a list of them. Example:"
                " logger=[tensorboard,mlflow]"
            )
    for name in listed if start else ():
        require(name, f"logger={name}")
    if start and "wandb" in listed:
        from study.loggers.wandb_run import check_key  # imports wandb, which takes a second

        check_key()
    return tuple(dict.fromkeys(listed))


def require(name: str, key: str) -> None:
    """Check that the extra of a tool is installed.

    Args:
        name: of the tool.
        key: what the user has written, for the message.

    Raises:
        ConfigError: it is not.
    """
    # A folder wandb/ in the current folder is a package to Python, but one without an origin.
    if any((spec := find_spec(package)) is None or spec.origin is None for package in TOOLS[name].packages):
        raise ConfigError(f'{key}: requires the extra {name}. pip install "regstudy[{name}]"')
