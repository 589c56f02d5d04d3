"""The command `study`: a subcommand, or a Hydra command line that says what to train."""

import itertools
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import hydra
from omegaconf import DictConfig

from study.config import register_schemas
from study.errors import USER_ERRORS, ConfigError, one_line

PACKAGE = Path(__file__).parent
# A wheel carries the configs inside the package, a checkout beside it.
CONF = next(folder for folder in (PACKAGE / "conf", PACKAGE.parent / "conf") if folder.is_dir())

READING = ("status", "show", "diff")  # subcommands that only look
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
)


def main() -> None:
    """Entry point of the command `study`."""
    sys.argv[1:] = _flags_first(sys.argv[1:])
    subcommand = sys.argv[1] if len(sys.argv) > 1 else ""
    if subcommand == "analyze":
        del sys.argv[1]
        analyze()
    if subcommand in READING:
        _one_line_errors(lambda: _read(subcommand, sys.argv[2:]))
    _one_line_errors(_train)


def analyze() -> None:
    """Turn a study's CSVs into tables and figures: `study analyze` and scripts/analyze.py."""
    _one_line_errors(_analyze)


def _read(subcommand: str, arguments: list[str]) -> int:
    from study import status

    return getattr(status, f"study_{subcommand}")(arguments)


def _train() -> int:
    """Train what the command line says: Hydra hands it to our sweeper, a single run being a sweep of one."""
    _run_hydra("config")
    return 0


def _analyze() -> int:
    cfg = _run_hydra("analysis")
    if cfg is None:  # --help and its like have been answered
        return 0
    from study.analysis.command import analyze_study

    return analyze_study(cfg.name, cfg.at, tuple(cfg.allow), tuple(cfg.figures))


def _run_hydra(config_name: str) -> DictConfig | None:
    """Run a Hydra application; returns its config where Hydra does not sweep."""
    composed = []
    hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)(composed.append)()
    return composed[0] if composed else None


def _one_line_errors(command: Callable[[], int]) -> NoReturn:
    """Run a command and exit with its status; mistakes are told in one line, bugs with a traceback."""
    _keep_caches_together()
    register_schemas()
    _warn_of_hidden_options(sys.argv)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra's errors come out as they are, and are told here
    warnings.filterwarnings("ignore", category=UserWarning, module="hydra")
    try:
        for argument in sys.argv[1:]:
            if argument.startswith("="):
                raise ConfigError(f"{argument}: there is no key before the '='")
        raise SystemExit(command())
    except USER_ERRORS as error:
        for line in str(error).splitlines() if isinstance(error, ConfigError) else [one_line(error)]:
            print(f"study: error: {line}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print("study: interrupted; the same command goes on with what is missing", file=sys.stderr)
        raise SystemExit(130) from None


def _flags_first(arguments: Sequence[str]) -> list[str]:
    """The arguments with overrides last: Hydra takes no flag after an override, as in `study reg=l1 -m lam=1,2`."""
    flags, overrides, is_value = [], [], False
    for argument in arguments:
        is_override = not is_value and not argument.startswith("-") and ("=" in argument or argument.startswith("~"))
        (overrides if is_override else flags).append(argument)
        is_value = argument in VALUE_FLAGS
    return flags + overrides


def _keep_caches_together() -> None:
    """Libraries keep their caches in the data folder: nothing is written elsewhere but in outputs/."""
    root = Path(os.environ.get("REGSTUDY_DATA", "~/.cache/regstudy")).expanduser()
    for variable, folder in {"MPLCONFIGDIR": "matplotlib", "TORCH_HOME": "torch", "NUMBA_CACHE_DIR": "numba"}.items():
        os.environ.setdefault(variable, str(root / folder))


def _warn_of_hidden_options(arguments: Sequence[str]) -> None:
    """Warn of files in --config-dir that a shipped file of the same name hides: Hydra would prefer it in silence."""
    folders = [after for before, after in itertools.pairwise(arguments) if before in CONFIG_DIR_FLAGS]
    folders += [argument.partition("=")[2] for argument in arguments if argument.startswith("--config-dir=")]
    for folder in map(Path, folders):
        for file in folder.rglob("*.yaml"):
            if (CONF / file.relative_to(folder)).is_file():
                print(
                    f"study: warning: {file} is hidden by the option of the same name that comes with study;"
                    " give it another name",
                    file=sys.stderr,
                )


if __name__ == "__main__":
    main()
