"""The command `study`: a subcommand, or a Hydra command line that says what to train."""

import atexit
import gc
import importlib
import itertools
import logging
import os
import re
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import hydra
import yaml
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from study.cli.signals import ToldToEndError, ended_by_signals
from study.cli.startup import CONF, keep_caches_together
from study.config.schema import register_schemas
from study.errors import USER_ERRORS, ConfigError, StudyError, faults, one_line
from study.errors.wording import told_of_hydra

# Subcommands by their module's function: what is there, and what to do with it.
COMMANDS = {
    "status": ("status", "study_status"),
    "show": ("status", "study_show"),
    "diff": ("status", "study_diff"),
    "verify": ("verify", "study_verify"),
    "merge": ("merge", "study_merge"),
    "clean": ("clean", "study_clean"),
}
CONFIG_DIR_FLAGS = ("--config-dir", "-cd")
VALUE_FLAGS = (
    *CONFIG_DIR_FLAGS,
    "--config-path",
    "-cp",
    "--config-name",
    "-cn",
    "--package",
    "-p",
    "--cfg",
    "-c",
    "--info",
    "-i",
)


def program() -> None:
    """The command `study` as a process of its own: where `main` has ended, all of it goes at once.

    Taking itself apart object by object, as Python does otherwise, takes a process with torch a third of a second.
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
        main()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            status.append(end.code or 0)
        raise


def main() -> NoReturn:
    """Do what the command line says, and exit with its status."""
    gc.set_threshold(100_000)  # importing makes objects that stay: looking through them again and again takes long
    sys.argv[1:] = _flags_first(sys.argv[1:])
    subcommand = sys.argv[1] if len(sys.argv) > 1 else ""
    if subcommand == "analyze":
        del sys.argv[1]
        analyze()
    if subcommand in COMMANDS:
        _one_line_errors(lambda: _call(subcommand, sys.argv[2:]))
    _one_line_errors(_train)


def analyze() -> None:
    """Turn a study's CSVs into tables and figures: `study analyze` and scripts/analyze.py."""
    _one_line_errors(_analyze)


def _call(subcommand: str, arguments: list[str]) -> int:
    module, function = COMMANDS[subcommand]
    command = getattr(importlib.import_module(f"study.{module}"), function)
    if {"-h", "--help"} & set(arguments):
        print(command.__doc__)
        return 0
    return command(arguments)


def _train() -> int:
    """Train what the command line says: Hydra hands it to our sweeper, a single run being a sweep of one."""
    words = [word for word, before in _words(sys.argv) if before not in VALUE_FLAGS]
    if words:
        raise ConfigError(
            f"{words[0]} is neither a subcommand ({', '.join(['analyze', *COMMANDS])}) nor a key with a value (reg=l1);"
            " study --help shows them"
        )
    _run_hydra("config", RunMode.MULTIRUN)
    return 0


def _words(arguments: Sequence[str]) -> list[tuple[str, str]]:
    """Arguments that are neither flags nor overrides, each with the argument before it."""
    return [(word, before) for before, word in itertools.pairwise(arguments) if re.fullmatch(r"[A-Za-z0-9_.]+", word)]


def _analyze() -> int:
    words = [word for word, before in _words(sys.argv) if before not in VALUE_FLAGS]
    if words:
        raise ConfigError(f"{words[0]}: name a study with name={words[0]}; study analyze --help shows all keys")
    if {"-m", "--multirun"} & set(sys.argv):
        raise ConfigError("-m: study analyze takes one study. Call it once for each name=...")
    sys.argv[1:] = [f"++{word}" if word.startswith("filter.") else word for word in sys.argv[1:]]  # any column is a key
    cfg = _run_hydra("analysis")
    if cfg is None:  # --help and its like have been answered
        return 0
    from study.analysis.command import Options, analyze_study

    values = OmegaConf.to_container(cfg, resolve=True)
    for key in ("allow", "figures", "export"):  # lists, of which one word is as good
        values[key] = [values[key]] if isinstance(values[key], str) else values[key] or []
    return analyze_study(Options(**values, folders=[*_config_dirs(sys.argv), CONF]))


def _run_hydra(config_name: str, mode: RunMode | None = None) -> DictConfig | None:
    """Run a Hydra application, by default in the mode that its flags say; returns its config if it does not sweep."""
    from hydra._internal.hydra import Hydra  # takes long: only where Hydra runs

    from study.config.hydra_settings import check_hydra

    composed, compose = [], Hydra.compose_config

    def keep(cfg: DictConfig) -> None:  # a function of a module: Hydra would read the source of every frame for another
        composed.append(cfg)

    def checked(*arguments: Any, **settings: Any) -> DictConfig:
        cfg = compose(*arguments, **settings)
        check_hydra(cfg.hydra, analysis=config_name == "analysis")
        return cfg

    Hydra.get_mode = lambda *_, **__: mode  # which would compose the whole config once more to read this one key
    Hydra.compose_config = checked
    try:
        hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)(keep)()
    finally:
        Hydra.compose_config = compose
    return composed[0] if composed else None


def _one_line_errors(command: Callable[[], int]) -> NoReturn:
    """Run a command and exit with its status; mistakes are told in one line, bugs with a traceback."""
    keep_caches_together()
    register_schemas()
    yaml.SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # composing takes a quarter less
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra's errors come out as they are, and are told here
    warnings.filterwarnings("ignore", category=UserWarning, module="hydra")
    try:
        for argument in sys.argv[1:]:
            if argument.lstrip("+~").startswith("="):
                raise ConfigError(f"{' '.join(argument.split())}: there is no key before the '='")
        _check_own_options(sys.argv)
        with ended_by_signals():
            raise SystemExit(command())
    except (*USER_ERRORS, MemoryError, RuntimeError) as error:
        if isinstance(error, ConfigError):
            lines = str(error).splitlines()
        elif faults.is_fault(error) and not isinstance(error, StudyError):
            lines = [faults.told(error)]
        elif isinstance(error, RuntimeError):
            if (line := told_of_hydra(error)) is None:
                raise
            lines = [line]
        else:
            lines = [one_line(error)]
        for line in lines:
            print(f"study: error: {line}", file=sys.stderr)
        raise SystemExit(1) from None
    except Exception as error:
        if (line := told_of_hydra(error)) is None:
            raise
        print(f"study: error: {line}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt as end:
        number = end.number if isinstance(end, ToldToEndError) else signal.SIGINT
        how = "interrupted" if number == signal.SIGINT else f"ended by {signal.Signals(number).name}"
        with suppress(OSError):  # the terminal may be gone
            print(f"study: {how}; the same command goes on with what is missing", file=sys.stderr, flush=True)
        raise SystemExit(128 + number) from None


def _flags_first(arguments: Sequence[str]) -> list[str]:
    """The arguments with overrides last: Hydra takes no flag after an override, as in `study reg=l1 -m lam=1,2`."""
    flags, overrides, is_value = [], [], False
    for argument in arguments:
        is_override = not is_value and not argument.startswith("-") and ("=" in argument or argument.startswith("~"))
        (overrides if is_override else flags).append(argument)
        is_value = argument in VALUE_FLAGS
    return flags + overrides


def _config_dirs(arguments: Sequence[str]) -> list[Path]:
    """The folders of the user's own options."""
    folders = [after for before, after in itertools.pairwise(arguments) if before in CONFIG_DIR_FLAGS]
    folders += [argument.partition("=")[2] for argument in arguments if argument.startswith("--config-dir=")]
    return [Path(folder) for folder in folders]


def _check_own_options(arguments: Sequence[str]) -> None:
    """Warn of files in --config-dir that a shipped file of the same name hides: Hydra would prefer it in silence.

    Raises:
        ConfigError: an option's file is no text.
    """
    groups = [path.name for path in CONF.iterdir() if path.is_dir()]
    for folder in _config_dirs(arguments):
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
                    raise ConfigError(f"{file} is no UTF-8 text; save it as UTF-8") from None
