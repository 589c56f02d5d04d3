"""Prepare and check the command line for Hydra, and run one Hydra application."""

import itertools
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import hydra
from hydra.types import RunMode
from omegaconf import DictConfig

from study.cli.patches import hydra_in_mode
from study.config.folders import CONF
from study.config.hydra_settings import check_hydra
from study.errors import ConfigError

# The behaviour of Hydra 1.3. It is the default of Hydra 1.4, where the argument is deprecated.
VERSION_BASE = {"version_base": "1.3"} if hydra.__version__.startswith("1.3.") else {}
CONFIG_DIR_FLAGS = ("--config-dir", "-cd")
# Flags that take a value.
VALUE_FLAGS = (
    *CONFIG_DIR_FLAGS,
    *("--config-path", "-cp", "--config-name", "-cn", "--package", "-p", "--cfg", "-c", "--info", "-i"),
)


def run_hydra(
    config_name: str, mode: RunMode | None = None, sweep: Callable[..., None] | None = None
) -> DictConfig | None:
    """Run a Hydra application.

    Args:
        config_name: name of the primary config, `config` or `analysis`.
        mode: single run or sweep; None if Hydra's flags decide.
        sweep: called in place of `study.sweep.command.sweep` in a sweep.

    Returns:
        The composed config; None if Hydra swept, or only answered a flag such as --help.

    Raises:
        ConfigError: the command sets one of Hydra's own settings, which would have no effect.
    """
    composed: list[DictConfig] = []

    def keep(cfg: DictConfig) -> None:  # Hydra reads the source of every frame if this is not a plain function
        composed.append(cfg)

    keep.__dict__["sweep"] = sweep

    warnings.filterwarnings("ignore", category=UserWarning, module="hydra")
    with hydra_in_mode(mode, lambda node: check_hydra(node, analysis=config_name == "analysis")):
        hydra.main(config_path=str(CONF), config_name=config_name, **VERSION_BASE)(keep)()
    return composed[0] if composed else None


def flags_first(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with flags first. Hydra rejects flags between overrides: `study reg=l1 -m lam=1,2`."""
    flags: list[str] = []
    overrides: list[str] = []
    is_value = False
    for argument in arguments:
        is_override = not is_value and not argument.startswith("-") and ("=" in argument or argument.startswith("~"))
        (overrides if is_override else flags).append(argument)
        is_value = argument in VALUE_FLAGS
    return flags + overrides


def with_split_seeds(arguments: Sequence[str]) -> list[str]:
    """Return the arguments as Hydra takes seeds of single sources, which it does not know below the number `seed`.

    `seed=3 seed.init=1` becomes `++seed.base=3 ++seed.init=1`.
    """
    if not any(argument.startswith("seed.") for argument in arguments):
        return list(arguments)
    based = [re.sub("^seed=", "seed.base=", argument) for argument in arguments]
    return [f"++{argument}" if argument.startswith("seed.") else argument for argument in based]


def words(arguments: Sequence[str]) -> list[str]:
    """Return the arguments that are neither flags, nor values of flags, nor overrides."""
    pairs = itertools.pairwise(arguments)
    return [word for before, word in pairs if re.fullmatch(r"[A-Za-z0-9_.]+", word) and before not in VALUE_FLAGS]


def config_dirs(arguments: Sequence[str]) -> list[Path]:
    """Return the folders given with --config-dir, which hold the user's own options."""
    folders = [after for before, after in itertools.pairwise(arguments) if before in CONFIG_DIR_FLAGS]
    folders += [argument.partition("=")[2] for argument in arguments if argument.startswith("--config-dir=")]
    return [Path(folder) for folder in folders]


def without_config_dirs(arguments: Sequence[str]) -> list[str]:
    """Return the arguments without --config-dir and its value."""
    pairs = itertools.pairwise(["", *arguments])
    kept = [after for before, after in pairs if {before, after}.isdisjoint(CONFIG_DIR_FLAGS)]
    return [argument for argument in kept if not argument.startswith("--config-dir=")]


def check_arguments(arguments: Sequence[str]) -> None:
    """Refuse arguments without a key. Warn if a shipped option hides a file in --config-dir.

    If both have the same name, Hydra uses the shipped one without a message.

    Raises:
        ConfigError: there is no key before a '=', or an option's file is not UTF-8 text.
    """
    for argument in arguments:
        if argument.lstrip("+~").startswith("="):
            raise ConfigError(f"{' '.join(argument.split())}: there is no key before the '='. Example: lam=1e-4")
    groups = [path.name for path in CONF.iterdir() if path.is_dir()]
    for folder in config_dirs(arguments):
        for file in sorted(file for group in ("", *groups) for file in (folder / group).glob("*.yaml")):
            if (CONF / file.relative_to(folder)).is_file():
                print(
                    f"study: warning: {file} is ignored, because study has an option of the same name. Rename the file",
                    file=sys.stderr,
                )
            with suppress(OSError):  # Hydra reports it when it reads the file
                try:
                    file.read_text(encoding="utf-8")
                except UnicodeDecodeError:
                    raise ConfigError(f"{file} is not UTF-8 text. Save it as UTF-8") from None
