"""The command line as Hydra takes it: flags first, options of one's own read as text, one application run."""

import itertools
import re
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import hydra
from hydra.types import RunMode
from omegaconf import DictConfig

from study.cli.patches import hydra_in_mode
from study.cli.startup import CONF
from study.config.hydra_settings import check_hydra
from study.errors import ConfigError

# The behaviour of Hydra 1.3, which 1.4 has by default and no longer wants to be asked for.
VERSION_BASE = {"version_base": "1.3"} if hydra.__version__.startswith("1.3.") else {}
CONFIG_DIR_FLAGS = ("--config-dir", "-cd")
# Flags that take a value.
VALUE_FLAGS = (
    *CONFIG_DIR_FLAGS,
    *("--config-path", "-cp", "--config-name", "-cn", "--package", "-p", "--cfg", "-c", "--info", "-i"),
)


def run_hydra(config_name: str, mode: RunMode | None = None) -> DictConfig | None:
    """Run a Hydra application, by default in the mode that its flags say; returns its config if it does not sweep.

    Raises:
        ConfigError: a setting of Hydra's own that would change nothing.
    """
    composed: list[DictConfig] = []

    def keep(cfg: DictConfig) -> None:  # a function of a module: Hydra would read the source of every frame for another
        composed.append(cfg)

    warnings.filterwarnings("ignore", category=UserWarning, module="hydra")
    with hydra_in_mode(mode, lambda node: check_hydra(node, analysis=config_name == "analysis")):
        hydra.main(config_path=str(CONF), config_name=config_name, **VERSION_BASE)(keep)()
    return composed[0] if composed else None


def flags_first(arguments: Sequence[str]) -> list[str]:
    """The arguments with overrides last: Hydra takes no flag after an override, as in `study reg=l1 -m lam=1,2`."""
    flags: list[str] = []
    overrides: list[str] = []
    is_value = False
    for argument in arguments:
        is_override = not is_value and not argument.startswith("-") and ("=" in argument or argument.startswith("~"))
        (overrides if is_override else flags).append(argument)
        is_value = argument in VALUE_FLAGS
    return flags + overrides


def words(arguments: Sequence[str]) -> list[str]:
    """Arguments that are neither flags, nor values of flags, nor overrides."""
    pairs = itertools.pairwise(arguments)
    return [word for before, word in pairs if re.fullmatch(r"[A-Za-z0-9_.]+", word) and before not in VALUE_FLAGS]


def config_dirs(arguments: Sequence[str]) -> list[Path]:
    """The folders of the user's own options."""
    folders = [after for before, after in itertools.pairwise(arguments) if before in CONFIG_DIR_FLAGS]
    folders += [argument.partition("=")[2] for argument in arguments if argument.startswith("--config-dir=")]
    return [Path(folder) for folder in folders]


def check_arguments(arguments: Sequence[str]) -> None:
    """Refuse arguments without a key; warn of files in --config-dir that a shipped file of the same name hides.

    Hydra would prefer the shipped one in silence.

    Raises:
        ConfigError: there is no key before a '=', or an option's file is no text.
    """
    for argument in arguments:
        if argument.lstrip("+~").startswith("="):
            raise ConfigError(f"{' '.join(argument.split())}: there is no key before the '='")
    groups = [path.name for path in CONF.iterdir() if path.is_dir()]
    for folder in config_dirs(arguments):
        for file in sorted(file for group in ("", *groups) for file in (folder / group).glob("*.yaml")):
            if (CONF / file.relative_to(folder)).is_file():
                print(
                    f"study: warning: {file} is hidden by the option of the same name that comes with study;"
                    " give it another name",
                    file=sys.stderr,
                )
            with suppress(OSError):  # which Hydra tells where it is read
                try:
                    file.read_text(encoding="utf-8")
                except UnicodeDecodeError:
                    raise ConfigError(f"{file} is not UTF-8 text; save it as UTF-8") from None
