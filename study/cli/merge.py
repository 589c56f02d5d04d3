"""`study merge`: copy the runs of one study folder into another."""

import json
import os
import shutil
import sys
import uuid
from collections.abc import Iterator, Mapping
from functools import partial
from importlib.resources.abc import Traversable
from pathlib import Path

from study.cli.arguments import study_folder
from study.config.names import run_folder_name
from study.config.run_config import check_name
from study.errors import ConfigError, StudyError, faults
from study.records.changes import MEND, changes, described
from study.records.comparison import differing
from study.records.contract import CONFIG, OUTPUTS, STATUS, WITH_RESULT
from study.records.existing import Existing, existing_runs, read_config
from study.records.files import write_whole
from study.records.seal import with_own_sum
from study.records.status import read_status
from study.records.sweeps import SWEEPS
from study.records.unfinished import WORK
from study.seeds import Seed
from study.sweep.progress import console


def study_merge(arguments: list[str]) -> int:
    """study merge <a> <b>: copy the runs of study b that study a lacks into a. Study a is created if it does not exist.

    Each is the name of a study or its folder, for example copied from another machine. b is only read. If both have a
    run, its files are compared. If they differ, a's run is kept, the run is named, and the command exits with 1. A run
    of b is skipped and named, with exit status 1, if its files have changed since it ended or its copy is not equal.
    """
    if len(arguments) != 2:
        raise ConfigError("study merge takes two studies, by name or folder: it copies the second into the first")
    into, source = (Path(a) if "/" in a else OUTPUTS / check_name(a) for a in arguments)
    study_folder(source)
    if into.resolve() == source.resolve():
        raise ConfigError(f"{arguments[0]} and {arguments[1]} are the same folder. Give two different studies")
    if not existing_runs(source) and not (source / SWEEPS).is_file():
        raise StudyError(f"{source} is not a study: it has no runs. Give a folder below outputs/, or its name")
    if "/" in arguments[0]:
        study_folder(into)
    into.mkdir(exist_ok=True)
    there = existing_runs(into)
    keys = {run.status["variant_id"]: run.status["variant"] for run in there.values()}
    copied, same, unlike, left, unsound = 0, 0, [], 0, list(_unreadable(source))
    for run_id, run in existing_runs(source).items():
        own = there.get(run_id)
        under_way = own is not None and not own.is_published
        if under_way or not run.is_published or run.status["state"] not in WITH_RESULT or run.config is None:
            left += 1
        elif found := changes(run.folder, run.status):
            unsound.append(f"{run.folder} {described(found)}")
        elif own is None or own.status["state"] not in WITH_RESULT:
            if found := _copy(run, run.config.seed, into, keys, replaces=own.published if own else None):
                unsound.append(f"{run.folder}: the copy differs: {', '.join(found)}")
            else:
                copied += 1
        elif differing(run.folder, own.folder):
            unlike.append((own, run.folder))
        else:
            same += 1
    counts = f"{copied} runs copied, {same} skipped (both studies have them, with the same bytes)"
    if left:
        counts += f", {left} not copied (failed, or not ended in one of the studies)"
    console.print(f"{into}: {counts}", markup=False)
    for own, other in unlike:
        found = changes(own.folder, own.status)
        why = described(found) if found else "study diff lists the differences"
        console.print(f"{own.folder} differs from {other} and is kept; {why}", markup=False)
    for line in unsound:
        print(f"study: error: {line}; skipped. {MEND}", file=sys.stderr)
    return 1 if unlike or unsound else 0


def _unreadable(source: Path) -> Iterator[str]:
    """Yield a line for each folder that is named like a run but has unreadable files."""
    for folder in sorted(source.glob("*-seed*-*")):
        status = read_status(folder)
        if status is None:
            yield f"{folder} has no readable {STATUS}"
        elif status["state"] in WITH_RESULT and "seal" not in status and read_config(folder) is None:
            yield f"{folder} has no readable {CONFIG}"


def _copy(run: Existing, seed: Seed, into: Path, keys: dict[str, str], replaces: Path | None) -> list[str]:
    """Copy a run into a study. Its variant gets the name that this variant has in the study.

    Args:
        run: the run to copy.
        seed: its seed.
        into: folder of the study.
        keys: name of each variant in the study, by its id; a new variant is added.
        replaces: the folder of a failed run that the copy replaces, or None.

    Returns:
        The files of the copy that do not match the seal. If there is one, the run is not added to the study.
    """
    variant_id, variant = run.status["variant_id"], run.status["variant"]
    if variant_id not in keys:
        taken = variant in keys.values()
        keys[variant_id] = f"{variant}-{variant_id[:6]}" if taken else variant
    name = run_folder_name(keys[variant_id], seed, run.status["run_id"])
    part = into / WORK / f"merge-{uuid.uuid4().hex}"
    try:
        if isinstance(run.folder, Path):
            shutil.copytree(run.folder, part, copy_function=partial(_copy_file, into))
        else:
            _write_files(run.folder, part)
        status: Mapping = read_status(part) or {}
        found = changes(part, run.status) or ([] if status == run.status else [f"{STATUS} (other content)"])
        if found:
            return found
        renamed = {**status, "variant": keys[variant_id]}
        write_whole(part / STATUS, json.dumps(with_own_sum(renamed) if "seal" in status else renamed, indent=2) + "\n")
        if (into / name).exists() and into / name != replaces:
            raise StudyError(f"{into / name} is not the run that its name says. Move it elsewhere")
        if replaces is not None:
            shutil.rmtree(replaces)
        os.rename(part, into / name)
        return []
    finally:
        shutil.rmtree(part, ignore_errors=True)
        if part.parent.is_dir() and not any(part.parent.iterdir()):
            part.parent.rmdir()


def _write_files(run: Traversable, target: Path) -> None:
    """Write the files of a compacted run to a new folder."""
    target.mkdir(parents=True)
    for file in run.iterdir():
        (target / file.name).write_bytes(file.read_bytes())


def _copy_file(into: Path, source: str, target: str) -> None:
    """Copy a file of a run into a study. After an error, the run's other files are not tried."""
    try:
        shutil.copy2(source, target)
    except OSError as error:
        named = OSError(error.errno, error.strerror or str(error), f"copying {source} into {into}")
        raise StudyError(faults.told(named)) from error
