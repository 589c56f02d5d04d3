"""The command `study`: a subcommand, or a Hydra command line that says what to train."""

import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import hydra
from omegaconf import DictConfig

from study.config import register_schemas
from study.errors import USER_ERRORS, one_line

PACKAGE = Path(__file__).parent
# A wheel carries the configs inside the package, a checkout beside it.
CONF = next(folder for folder in (PACKAGE / "conf", PACKAGE.parent / "conf") if folder.is_dir())


def main() -> None:
    """Entry point of the command `study`."""
    if sys.argv[1:2] == ["analyze"]:
        del sys.argv[1]
        analyze()
    train()


def train() -> None:
    """Train what the command line says; Hydra hands it to our sweeper, a single run being a sweep of one."""
    _run_hydra("config", _never_called)


def analyze() -> None:
    """Turn a study's CSVs into tables and figures: `study analyze` and scripts/analyze.py."""
    _run_hydra("analysis", _analyze)


def _never_called(_cfg: DictConfig) -> None:
    raise AssertionError("hydra.mode is MULTIRUN in conf/config.yaml: leave it so")


def _analyze(cfg: DictConfig) -> None:
    from study.analysis.command import analyze_study

    raise SystemExit(analyze_study(cfg.name, cfg.at, tuple(cfg.allow)))


def _run_hydra(config_name: str, function: Callable[[DictConfig], None]) -> None:
    """Run a Hydra application, telling mistakes in one line and bugs with a traceback."""
    _keep_caches_together()
    register_schemas()
    _warn_of_hidden_options(sys.argv)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come out as they are, and are told below
    warnings.filterwarnings("ignore", category=UserWarning, module="hydra")
    try:
        hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)(function)()
    except USER_ERRORS as error:
        for line in str(error).splitlines() if type(error).__name__ == "ConfigError" else [one_line(error)]:
            print(f"study: error: {line}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print("study: interrupted; the same command goes on with what is missing", file=sys.stderr)
        raise SystemExit(130) from None
    raise SystemExit(0)


def _keep_caches_together() -> None:
    """Libraries keep their caches in the data folder: nothing is written elsewhere but in outputs/."""
    root = Path(os.environ.get("REGSTUDY_DATA", "~/.cache/regstudy")).expanduser()
    for variable, folder in {"MPLCONFIGDIR": "matplotlib", "TORCH_HOME": "torch"}.items():
        os.environ.setdefault(variable, str(root / folder))


def _warn_of_hidden_options(arguments: Sequence[str]) -> None:
    """Warn of files in --config-dir that a shipped file of the same name hides: Hydra would prefer it in silence."""
    folders = [after for before, after in zip(arguments, arguments[1:], strict=False) if before in ("--config-dir", "-cd")]
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
