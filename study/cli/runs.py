"""`study show` and `study diff`: print single runs, read from their files alone."""

import sys
from collections.abc import Mapping
from importlib.resources.abc import Traversable
from typing import Any

import yaml

from study.cli.arguments import find_run
from study.errors import ConfigError, StudyError
from study.records.changes import MEND, changes, described
from study.records.contract import CONFIG, WITH_RESULT
from study.records.status import read_status
from study.sweep.progress import console


def study_show(arguments: list[str]) -> int:
    """study show <run>: print the config, versions and last metrics of a run.

    Give the run's folder, or the first characters of its id. Exits with 1 if its files have changed since it ended.
    """
    if len(arguments) != 1:
        raise ConfigError("study show takes one run: its folder, or the first characters of its id")
    folder = find_run(arguments[0])
    status = read_status(folder) or {}
    console.print(f"{folder}", markup=False)
    facts = ("state", "cause", "run_id", "started", "ended", "resumed", "device", "threads", "path", "task")
    for key in facts:
        if status.get(key) not in (None, 0):
            console.print(f"  {key:<10} {status[key]}", markup=False)
    for key, value in status.get("versions", {}).items():
        console.print(f"  {key:<10} {value}", markup=False)
    names = status.get("class_names") or []
    if names != [str(number) for number in range(len(names))]:
        console.print(f"  {'classes':<10} {', '.join(f'{i} {name}' for i, name in enumerate(names))}", markup=False)
    try:
        header, *rows = (folder / "metrics.csv").read_text().splitlines()
        for key, value in zip(header.split(","), rows[-1].split(","), strict=False):
            if value:  # for example, a regression has no accuracy
                console.print(f"  {key:<14} {value}", markup=False)
    except (OSError, ValueError, IndexError):
        console.print("  no metrics yet")
    _config_of(folder)  # raises an error if it is not a config
    console.print((folder / CONFIG).read_text().rstrip(), markup=False)
    return _report_changes(folder)


def study_diff(arguments: list[str]) -> int:
    """study diff <run> <run>: list the config keys and facts of the environment that differ between two runs.

    Give the runs' folders, or the first characters of their ids. Exits with 1 if files of one of them have changed
    since it ended.
    """
    if len(arguments) != 2:
        raise ConfigError("study diff takes two runs: their folders, or the first characters of their ids")
    runs = [find_run(argument) for argument in arguments]
    one, other = ({**_flat(_config_of(run)), **_environment(run)} for run in runs)
    differing = [key for key in {**one, **other} if one.get(key) != other.get(key)]
    for key in differing:
        console.print(f"{key}: {one.get(key)} | {other.get(key)}", markup=False)
    if not differing:
        same = len({(read_status(run) or {}).get("run_id") for run in runs}) == 1
        console.print("no difference" if same else "the configs are equal, but your own code or the data differ")
    return max([_report_changes(run) for run in dict.fromkeys(runs)])


def _report_changes(run: Traversable) -> int:
    """Print the files of a run that have changed since it ended; return 1 if there are any, else 0."""
    status = read_status(run) or {}
    found = changes(run, status) if status.get("state") in WITH_RESULT else None
    if found:
        print(f"study: error: {run} {described(found)}; {MEND}", file=sys.stderr)
    return 1 if found else 0


def _config_of(run: Traversable) -> Mapping[str, Any]:
    try:
        tree = yaml.safe_load((run / CONFIG).read_text())
    except (OSError, yaml.YAMLError, ValueError, RecursionError):
        tree = None
    if not isinstance(tree, Mapping):
        raise StudyError(f"{run} has no readable {CONFIG}; {MEND}")
    return tree


def _environment(run: Traversable) -> dict[str, Any]:
    status = read_status(run) or {}
    return {key: status.get(key) for key in ("path", "device", "data_checksums")} | status.get("versions", {})


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat
