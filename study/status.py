"""`study status`, `study show` and `study diff`: what is there, read from the files alone."""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from study.changes import MEND, changes, described
from study.claims import FREE, is_held, work_folders
from study.config import check_name
from study.errors import ConfigError, StudyError
from study.frozen import recorded_runs
from study.plan import ENDED
from study.progress import console, duration
from study.recording import CONFIG, STATUS, TWICE, read_status
from study.sweep import OUTPUTS

SHOWN = 40  # rows before the rest is only counted


@dataclass(frozen=True)
class RunState:
    """One run as `study status` lists it: `stale` is running without a living owner, `planned` has no folder yet."""

    run: str
    state: str
    detail: str = ""


def study_folder(folder: Path) -> Path:
    """The folder of a study, if it is there.

    Raises:
        StudyError: it is not.
    """
    if not folder.is_dir():
        names = ", ".join(sorted(path.name for path in OUTPUTS.glob("*/"))) or "none"
        raise StudyError(f"{folder} does not exist; studies here: {names}. Work from the folder that holds outputs/")
    return folder


def study_status(arguments: list[str]) -> int:
    """study status name=mine: how many runs are complete, running, interrupted, stale, failed or missing, and which.

    check=true compares size and SHA-256 of all files of all complete and diverged runs with the runs' seals, names
    each file that has changed since its run ended, and exits with 1 if there is one.
    """
    given = key_values(arguments, {"name": "default", "check": "false"}, {"check": ("true", "false")})
    folder = study_folder(OUTPUTS / check_name(given["name"]))
    runs = sorted(run_states(folder), key=lambda row: (row.state, row.run))
    counts = Counter(row.state for row in runs)
    console.print(f"{folder}: " + (", ".join(f"{n} {state}" for state, n in counts.items()) or "no runs"), markup=False)
    for line in _trained_twice(folder):
        console.print(f"  {line}", markup=False)
    listed = [row for row in runs if row.state != "complete"]
    for row in listed[:SHOWN]:
        console.print(f"  {row.state:<12} {row.run}  {row.detail}".rstrip(), markup=False)
    if len(listed) > SHOWN:
        console.print(f"  and {len(listed) - SHOWN} more")
    return _check_files(folder) if given["check"] == "true" else 0


def _check_files(folder: Path) -> int:
    """Print what does not fit the seals of a study's runs; returns 1 if there is something, else 0."""
    fitting = unfit = unsealed = 0
    for run in sorted(folder.glob("*-seed*-*")):
        status = read_status(run)
        if status is not None and status["state"] not in ENDED:
            continue
        found = [f"{STATUS} (unreadable)"] if status is None else changes(run, status)
        unsealed += found is None
        fitting += found == []
        if found:
            unfit += 1
            console.print(f"  {'changed':<12} {run.name}  {', '.join(found)}", markup=False)
    line = f"{fitting + unfit} runs checked: {fitting} as they ended, {unfit} changed"
    if unsealed:
        line += f"; not checked, since an earlier version trained them without a seal: {unsealed}"
    console.print(line)
    if unfit:
        console.print(f"of what has changed: {MEND}")
    return 1 if unfit else 0


def run_states(folder: Path) -> Iterator[RunState]:
    """Every run of a study: those in their place, those under way, and those that a sweep planned and did not start."""
    seen = set()
    for path in folder.iterdir():
        status = read_status(path) if path.is_dir() and not path.name.startswith(".") else None
        if status:
            seen.add(path.name)
            yield RunState(path.name, status["state"], status.get("cause") or "")
    for work in work_folders(folder):
        run, _, owner = work.name.rpartition("@")
        if run in seen:
            continue
        seen.add(run)
        status = read_status(work)
        state = "interrupted" if owner == FREE else "running" if is_held(work, time.time()) else "stale"
        yield RunState(run, state, _progress(work, status) if status else "")
    for run in sorted({run["folder"] for run in recorded_runs(folder)} - seen):
        yield RunState(run, "planned")


def _trained_twice(folder: Path) -> Iterator[str]:
    """How often two commands trained the same run, and where that did not give the same bytes."""
    try:
        twice = [json.loads(line) for line in (folder / TWICE).read_text().splitlines()]
        unlike = {run["run"]: ", ".join(run["differing"]) for run in twice if run["differing"]}
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError):
        yield f"{folder / TWICE} cannot be read: it tells which runs were trained twice"
        return
    yield f"{len(twice)} runs trained twice, {len(twice) - len(unlike)} of them with the same bytes"
    for run, files in unlike.items():
        yield f"other bytes   {run}  in {files}"


def _progress(work: Path, status: Mapping[str, Any]) -> str:
    try:
        trained = (work / "metrics.csv").read_bytes().count(b"\n") - 2
        epochs = yaml.safe_load((work / CONFIG).read_text())["epochs"]
        elapsed = (datetime.now(UTC) - datetime.fromisoformat(status["started"])).total_seconds()
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return ""
    trained = max(trained, 0)
    fresh = trained > 0 and not status.get("resumed")  # the time since the start says nothing of one that stood still
    left = f", about {duration(elapsed / trained * (epochs - trained))} left" if fresh else ""
    return f"epoch {trained} of {epochs}{left}"


def study_show(arguments: list[str]) -> int:
    """study show <run>, by its folder or the beginning of its id: config, versions and last metrics of a run.

    Exits with 1 where its files have changed since it ended.
    """
    if len(arguments) != 1:
        raise ConfigError("study show takes one run: its folder, or the beginning of its id")
    folder = find_run(arguments[0])
    status = read_status(folder) or {}
    console.print(f"{folder}", markup=False)
    facts = ("state", "cause", "run_id", "started", "ended", "resumed", "device", "threads", "path")
    for key in facts:
        if status.get(key) not in (None, 0):
            console.print(f"  {key:<10} {status[key]}", markup=False)
    for key, value in status.get("versions", {}).items():
        console.print(f"  {key:<10} {value}", markup=False)
    try:
        header, *rows = (folder / "metrics.csv").read_text().splitlines()
        for key, value in zip(header.split(","), rows[-1].split(","), strict=False):
            console.print(f"  {key:<14} {value}", markup=False)
    except (OSError, ValueError, IndexError):
        console.print("  no metrics yet")
    _config_of(folder)  # refuses what is no config
    console.print((folder / CONFIG).read_text().rstrip(), markup=False)
    return _told_of_changes(folder)


def study_diff(arguments: list[str]) -> int:
    """study diff <run> <run>: keys of the config and facts of the environment in which two runs differ.

    Exits with 1 where files of one of them have changed since it ended.
    """
    if len(arguments) != 2:
        raise ConfigError("study diff takes two runs: their folders, or the beginnings of their ids")
    runs = [find_run(argument) for argument in arguments]
    one, other = ({**_flat(_config_of(run)), **_environment(run)} for run in runs)
    differing = [key for key in {**one, **other} if one.get(key) != other.get(key)]
    for key in differing:
        console.print(f"{key}: {one.get(key)} | {other.get(key)}", markup=False)
    if not differing:
        same = len({(read_status(run) or {}).get("run_id") for run in runs}) == 1
        console.print("no difference" if same else "only in what is behind the config: code of one's own, or its data")
    return max([_told_of_changes(run) for run in dict.fromkeys(runs)])


def _told_of_changes(run: Path) -> int:
    """Print what has changed in a run since it ended; returns 1 if something has, else 0."""
    status = read_status(run) or {}
    found = changes(run, status) if status.get("state") in ENDED else None
    if found:
        print(f"study: error: {run} {described(found)}; {MEND}", file=sys.stderr)
    return 1 if found else 0


def _config_of(run: Path) -> Mapping[str, Any]:
    try:
        tree = yaml.safe_load((run / CONFIG).read_text())
    except (OSError, yaml.YAMLError, ValueError, RecursionError):
        tree = None
    if not isinstance(tree, Mapping):
        raise StudyError(f"{run} has no readable {CONFIG}; {MEND}")
    return tree


def find_run(given: str) -> Path:
    """The run folder that is meant by a path or by the beginning of a run id.

    Raises:
        StudyError: no run, or several, fit.
    """
    if read_status(Path(given)):
        return Path(given)
    if given and Path(given).is_dir():
        raise StudyError(f"{given} has no readable {STATUS}: it is no run, or was damaged; give a run's folder")
    folders = [path.parent for path in OUTPUTS.glob("*/*/status.json")]
    folders += [work for study in OUTPUTS.glob("*/") for work in work_folders(study)]
    fitting = [folder for folder in folders if ((read_status(folder) or {}).get("run_id") or "").startswith(given)]
    if len(fitting) != 1:
        found = f"fits {', '.join(map(str, fitting[:5]))}" if fitting else "fits no run in outputs/"
        raise StudyError(f"{given} {found}; give a run's folder, or enough of its id")
    return fitting[0]


def _environment(run: Path) -> dict[str, Any]:
    status = read_status(run) or {}
    return {key: status.get(key) for key in ("path", "device", "data_checksums")} | status.get("versions", {})


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def key_values(
    arguments: list[str], defaults: Mapping[str, str], allowed: Mapping[str, tuple[str, ...]] | None = None
) -> dict[str, str]:
    """The arguments `key=value` of a subcommand, over their defaults.

    Raises:
        ConfigError: a key is unknown, or its value is not among those allowed.
    """
    given = dict(defaults)
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals or key not in given:
            raise ConfigError(f"{argument}: allowed: {', '.join(f'{key}=...' for key in defaults)}")
        if value not in (allowed or {}).get(key, (value,)):
            raise ConfigError(f"{argument}: allowed: {', '.join(allowed[key])}")
        given[key] = value
    return given
