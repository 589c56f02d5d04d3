"""The command `study`: a subcommand, or a Hydra command line that trains."""

import importlib
import inspect
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from hydra.types import RunMode
from omegaconf import OmegaConf

from study.cli import help
from study.cli.hydra_app import (
    check_arguments,
    config_dirs,
    flags_first,
    run_hydra,
    with_split_seeds,
    without_config_dirs,
    words,
)
from study.cli.messages import exit_with
from study.cli.patches import ended_at_once, patch
from study.cli.startup import find_own_code, keep_caches_together
from study.config.folders import CONF
from study.config.schema import register_schemas
from study.errors import ConfigError

# Module and function of each subcommand. The function takes the arguments after the subcommand, without --config-dir,
# and returns the exit status. Its docstring is its help text.
COMMANDS = {
    "new": ("new", "study_new"),
    "plan": ("plan", "study_plan"),
    "status": ("status", "study_status"),
    "watch": ("watch", "study_watch"),
    "show": ("runs", "study_show"),
    "diff": ("runs", "study_diff"),
    "verify": ("verify", "study_verify"),
    "merge": ("merge", "study_merge"),
    "compact": ("compact", "study_compact"),
    "expand": ("compact", "study_expand"),
    "export": ("export", "study_export"),
    "import": ("export", "study_import"),
    "clean": ("clean", "study_clean"),
    "cancel": ("cancel", "study_cancel"),
}
# One line for each, `study --help` prints them. `analyze` is not in COMMANDS: it is a Hydra application.
SUMMARIES = {
    "analyze name=...": "tables and figures of a study; study analyze --help",
    "new GROUP NAME": "write a variant of your own: YAML, code and a test",
    "plan KEY=VALUE ...": "how many seeds a study needs, how long it takes, its size on disk",
    "status name=...": "which runs are complete, running, failed or missing",
    "watch name=...": "show a study in the browser while it runs",
    "show RUN": "one run: its config, versions and last metrics",
    "diff RUN RUN": "list the differences between two runs",
    "verify RUN": "train a run again and compare its files",
    "merge A B": "copy the runs of study B into study A",
    "compact name=...": "fold the folders of ended runs into Parquet files",
    "expand name=...": "turn compacted runs back into folders",
    "export KIND name=...": "write tables (csv, parquet), runs (mlflow) or a supplement (zip)",
    "import FILE": "check and unpack a supplement that study export zip has written",
    "clean name=...": "list or delete runs that are no longer needed",
    "cancel name=...": "stop the jobs of hydra/launcher=slurm",
    "help KEY": "explain a key, an option or a command",
}
HELP_FLAGS = {"-h", "--help"}


def program() -> None:
    """Run the command `study` as a whole process: the entry point of the console script."""
    with ended_at_once():
        main()


def main() -> NoReturn:
    """Run the subcommand or the training that `sys.argv` names, and exit with its status."""
    patch()
    sys.argv[1:] = flags_first(sys.argv[1:])
    subcommand = sys.argv[1] if len(sys.argv) > 1 else ""
    if subcommand == "analyze":
        del sys.argv[1]
        analyze()
    if subcommand in COMMANDS:
        _run(lambda: _call(subcommand, sys.argv[2:]))
    if subcommand == "help" or HELP_FLAGS & set(sys.argv):
        _run(_help)
    _run(_train)


def analyze() -> NoReturn:
    """Run `study analyze` and exit with its status; scripts/analyze.py does the same."""
    patch()
    _run(_analyze)


def _run(command: Callable[[], int]) -> NoReturn:
    def prepared() -> int:
        check_arguments(sys.argv)
        find_own_code(config_dirs(sys.argv))
        return command()

    keep_caches_together()
    register_schemas()
    exit_with(prepared)


def _call(subcommand: str, arguments: list[str]) -> int:
    command = _command(subcommand)
    if HELP_FLAGS & set(arguments):
        print(inspect.cleandoc(command.__doc__ or ""))
        return 0
    return command(without_config_dirs(arguments))


def _command(subcommand: str) -> Callable[[list[str]], int]:
    module, function = COMMANDS[subcommand]
    return getattr(importlib.import_module(f"study.cli.{module}"), function)


def _help() -> int:
    """Print the overview, or the full explanation of one key, option or command."""
    folders = [CONF, *config_dirs(sys.argv)]
    asked = without_config_dirs(sys.argv[2:]) if sys.argv[1:2] == ["help"] else []
    if len(asked) > 1 and not HELP_FLAGS & set(asked):
        raise ConfigError(
            f"study help {' '.join(asked)}: only one key, option or command is allowed. Example: study help lam"
        )
    if not asked or HELP_FLAGS & set(asked):
        print(help.overview(CONF, folders, SUMMARIES))
        return 0
    pages = dict.fromkeys(("analyze", *COMMANDS), "")
    if asked[0] in COMMANDS:
        pages[asked[0]] = inspect.cleandoc(_command(asked[0]).__doc__ or "")
    if asked[0] == "analyze":
        pages["analyze"] = help.of_analysis(CONF, folders)
    print(help.explanation(asked[0], CONF, folders, pages), end="")
    return 0


def _train() -> int:
    """Train the runs of the command line. A single run is a sweep of one, so Hydra always calls our sweeper."""
    for word in words(sys.argv):
        if word in ("analyze", "help", *COMMANDS):
            raise ConfigError(f"{word}: a subcommand comes first. Write study {word} ..., and flags after it")
        raise ConfigError(
            f"{word} is neither a subcommand ({', '.join(['analyze', *COMMANDS, 'help'])}) nor a key with a value"
            " (reg=l1). study --help lists both"
        )
    # Hydra accepts an unknown key only with ++; the keys of `tune` are checked later.
    sys.argv[1:] = [f"++{word}" if word.startswith("tune.") else word for word in with_split_seeds(sys.argv[1:])]
    run_hydra("config", RunMode.MULTIRUN)
    return 0


def _analyze() -> int:
    if HELP_FLAGS & set(sys.argv):
        print(help.of_analysis(CONF, [CONF, *config_dirs(sys.argv)]))
        return 0
    for word in words(sys.argv):
        raise ConfigError(
            f"{word}: there is no value. Write name={word} for a study. study analyze --help lists the keys"
        )
    if {"-m", "--multirun"} & set(sys.argv):
        raise ConfigError("-m: study analyze takes one study. Run it once for each name=...")
    # Every column of runs.csv is a key of `filter`, which Hydra accepts only with ++.
    sys.argv[1:] = [f"++{word}" if word.startswith("filter.") else word for word in sys.argv[1:]]
    cfg = run_hydra("analysis")
    if cfg is None:  # Hydra answered a flag such as --help
        return 0
    from study.analysis.command import analyze_study  # imports pandas, which --help does not need
    from study.analysis.comparison import Options

    values: Any = OmegaConf.to_container(cfg, resolve=True)
    for key in ("allow", "figures", "export"):  # a single word counts as a list of one
        if not isinstance(values[key], list):
            values[key] = [] if values[key] is None else [values[key]]
    return analyze_study(Options(**values, folders=[*config_dirs(sys.argv), CONF]))
