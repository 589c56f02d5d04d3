"""Every run of a study: its state, config, versions and seal, and the command that repeats it."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import pandas as pd

from study.analysis.page.repeat import Conf, repeat_command
from study.analysis.reading.study import ALL_PRUNED, DAMAGED, Study, Unused
from study.analysis.text.formats import number, significant
from study.config.run_config import RunConfig
from study.measures.catalog import MAIN, MEASURES
from study.records.existing import read_config
from study.records.status import read_status
from study.records.sweeps import recorded_commands
from study.records.unfinished import work_folders

MOST_RUNS = 1000  # that the page lists with their configs; runs.csv has all
MOST_PROBLEMS = 500
SEALS = {"fits": "intact", "none": "none", "changed": "files changed"}
UNDER_WAY = "not ended"  # the state of a run whose epochs so far are analyzed
NO_CONFIG = ("name", "seed")  # keys of a config that the list shows elsewhere


def every_run(study: Study, rows: pd.DataFrame, conf: Conf) -> dict[str, Any]:
    """Return the analyzed runs.

    Args:
        study: the analyzed runs.
        rows: one row per run, from `gaps.at_epoch`.
        conf: the defaults of settings.

    Returns:
        `headers` of the scores, `rows`: for each run `run, variant, seed, state, epochs, scores` (as text), `seal`,
        `digest` (of its status.json), `id, command, versions` (a position in `versions`) and `config`, which has only
        the settings in which runs differ; `common` has the settings of all; `total`.
    """
    scores = _scores(study.task, rows)
    own = cache(partial(_own_options, study.folder))
    listed: list[dict[str, Any]] = []
    configs: list[dict[str, str]] = []
    versions: list[dict[str, str]] = []
    columns = ["run", "variant", "seed", "state", "epochs", "epochs_trained", "seal", "run_id"]
    so_far = set(rows.loc[rows["partial"], "run"]) if "partial" in rows else ()
    for row in rows[columns].head(MOST_RUNS).itertuples():
        place = study.place(row.run)
        status, config = read_status(place) or {}, read_config(place)
        found = _versions(status)
        if found not in versions:
            versions.append(found)
        configs.append(_flat(config))
        listed.append(
            {
                **{
                    "run": row.run,
                    "variant": row.variant,
                    "seed": row.seed if isinstance(row.seed, str) else int(row.seed),
                },
                "state": UNDER_WAY if row.run in so_far else row.state,
                "epochs": f"{row.epochs_trained}"
                if row.epochs_trained == row.epochs
                else f"{row.epochs_trained} of {row.epochs}",
                "scores": [texts[len(listed)] for texts in scores.values()],
                "seal": "none yet" if row.run in so_far else SEALS.get(row.seal, row.seal),
                "digest": str(status.get("status_sha256", ""))[:12],
                "id": row.run_id,
                "command": _command(config, conf, own),
                "versions": versions.index(found),
            }
        )
    common = {
        key: value
        for key, value in (configs[0] if configs else {}).items()
        if all(_has(c, key, value) for c in configs)
    }
    for run, flat in zip(listed, configs, strict=True):
        run["config"] = {key: value for key, value in flat.items() if key not in common}
    return {
        "headers": list(scores),
        "rows": listed,
        "common": common,
        "versions": versions,
        "total": len(rows),
    }


def problems(study: Study, listed: Mapping[str, Any], conf: Conf) -> list[dict[str, Any]]:
    """Return the runs that failed, diverged, are damaged or have not ended, each with its state and the reason.

    Returns:
        For each `run, state, reason, command`; the worst ones first.
    """
    own = cache(partial(_own_options, study.folder))
    unfinished = {path.name.rpartition("@")[0]: path for path in work_folders(study.folder)}
    found = [
        _problem(unused, unfinished.get(unused.place.name), conf, own)
        for unused in study.unused
        if unused.state != ALL_PRUNED
    ]
    for run in listed["rows"]:
        if run["state"] == "diverged":
            last = run["epochs"].partition(" ")[0]
            reason = f"The loss was no longer finite after epoch {last}. Its rows are kept, and tables count it"
            found.append({**{key: run[key] for key in ("run", "state", "command")}, "reason": reason})
    order = ("failed", DAMAGED, "diverged")
    found.sort(key=lambda problem: order.index(problem["state"]) if problem["state"] in order else len(order))
    return found[:MOST_PROBLEMS]


def _problem(unused: Unused, unfinished: Path | None, conf: Conf, own: Callable[[], Sequence[str]]) -> dict[str, Any]:
    place = unfinished or unused.place
    reason = unused.reason
    if unused.state == DAMAGED:  # a sentence without its subject
        reason = reason[:1].upper() + reason[1:]
    config = read_config(place) if place.is_dir() else None
    return {"run": unused.place.name, "state": unused.state, "command": _command(config, conf, own), "reason": reason}


def _command(config: RunConfig | None, conf: Conf, own: Callable[[], Sequence[str]]) -> str:
    """Return the command that repeats a run; empty if its config cannot be read, or an earlier version wrote it."""
    try:
        return repeat_command(config, conf, own) if config else ""
    except (AttributeError, KeyError, TypeError, ValueError):
        return ""


def _scores(task: str, rows: pd.DataFrame) -> dict[str, list[str]]:
    """Return the main scores of each run as text, by header."""
    main = MAIN[task]
    found = {}
    for column in (main.val, main.train, main.gap, main.val.replace("val_", "test_")):
        if column in rows and rows[column].notna().any():
            measure = MEASURES[column]
            decimals = 2 if measure.unit in ("fraction", "points") else significant(rows[column])
            unit = f" ({measure.shown_unit})" if measure.shown_unit in ("%", "points") else ""
            found[measure.label + unit] = [number(measure.factor * value, decimals) for value in rows[column]]
    return found


def _versions(status: Mapping[str, Any]) -> dict[str, str]:
    """Return what trained a run: the versions, the device, and the training path."""
    named = {key: str(value) for key, value in status.get("versions", {}).items() if value not in (None, False)}
    if status.get("versions", {}).get("git_dirty"):
        named["git_commit"] = f"{named.get('git_commit', '')} with uncommitted changes".strip()
    named.pop("git_dirty", None)
    for key in ("numerics", "device", "threads", "path"):
        if status.get(key) is not None:
            named[key] = str(status[key])
    return named


def _flat(config: RunConfig | None) -> dict[str, str]:
    """Return the settings of a config as text, by key."""
    found: dict[str, str] = {}

    def add(tree: Mapping[str, Any], prefix: str) -> None:
        for key, value in tree.items():
            if isinstance(value, Mapping):
                add(value, f"{prefix}{key}.")
            elif f"{prefix}{key}" not in NO_CONFIG:
                found[f"{prefix}{key}".removesuffix(".option")] = (
                    value if isinstance(value, str) else json.dumps(value, default=str)
                )

    add(vars(config) if config else {}, "")
    return found


def _has(config: Mapping[str, str], key: str, value: str) -> bool:
    return config.get(key) == value


def _own_options(folder: Path) -> Sequence[str]:
    """Return the arguments of the study's sweeps that name folders of the user's options."""
    found: list[str] = []
    for command in recorded_commands(folder):
        for place, argument in enumerate(command):
            if argument.startswith(("--config-dir=", "-cd=")):
                found.append(f"--config-dir={argument.partition('=')[2]}")
            elif argument in ("--config-dir", "-cd") and place + 1 < len(command):
                found.append(f"--config-dir={command[place + 1]}")
    return found[-1:]
