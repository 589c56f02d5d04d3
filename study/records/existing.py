"""Find the existing runs of a study: their folders with status and config."""

import re
from dataclasses import dataclass, fields
from functools import lru_cache
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml

from study.config.run_config import RunConfig
from study.records.compacted import CompactedRun, compacted_runs, damaged
from study.records.contract import CONFIG
from study.records.status import read_status
from study.records.unfinished import work_folders
from study.seeds import SOURCES

SECTION = re.compile(r"(?<=\n)(?=\w+:)")  # before each key of the outermost mapping


@dataclass(frozen=True)
class Existing:
    """A run whose folder exists, in whatever state.

    Attributes:
        folder: where its files are: the published folder, the working folder of a run that has not ended, or a row of
            the compacted runs.
        published: the folder of the run once it has ended.
        status: the content of status.json.
        config: its config; None if it cannot be read.
    """

    folder: Path | CompactedRun
    published: Path
    status: dict[str, Any]
    config: RunConfig | None

    @property
    def is_published(self) -> bool:
        """Whether its files are where they stay: in the published folder, or compacted."""
        return self.folder.name == self.published.name

    @property
    def is_compacted(self) -> bool:
        """Whether it has no folder, but is a row of the compacted runs."""
        return isinstance(self.folder, CompactedRun)


def existing_runs(study_folder: Path) -> dict[str, Existing]:
    """Find the runs in a study's folder by their full id, including those that have not ended. Skip other folders.

    Raises:
        StudyError: there are compacted runs, and the data set cannot be read.
    """
    runs = {}
    places: list[Path | CompactedRun] = [*work_folders(study_folder), *compacted_runs(study_folder).values()]
    for folder in [*places, *sorted(study_folder.glob("*-seed*-*"))]:
        status = read_status(folder)
        if isinstance(folder, CompactedRun) and status is None:  # otherwise it would be trained again
            raise damaged(folder.part, f"status.json of {folder.name}")
        if status and {"run_id", "variant", "variant_id"} <= status.keys():
            published = study_folder / (folder.name.rpartition("@")[0] or folder.name)
            runs[status["run_id"]] = Existing(folder, published, status, read_config(folder))
    return runs


def read_config(folder: Traversable) -> RunConfig | None:
    """Read the config of a run's folder, or of what answers like one; None if it cannot be read."""
    try:
        values = _parsed((folder / CONFIG).read_text())
        known = [field.name for field in fields(RunConfig)]
        config = RunConfig(**{key: value for key, value in values.items() if key in known})
        return config if _is_sound(config) else None
    except (OSError, yaml.YAMLError, ValueError, AttributeError, TypeError, RecursionError):
        return None


def _parsed(text: str) -> dict[str, Any]:
    """The content of a config. Runs of a study have most sections in common, so each text of one is parsed once.

    Raises:
        yaml.YAMLError: it is not YAML.
        ValueError: it is not a mapping.
    """
    values: dict[str, Any] = {}
    try:
        for section in SECTION.split(text):
            values |= _section(section)
        return values
    except (yaml.YAMLError, ValueError):  # edited by hand: a section may refer to another one
        return _section(text)


@lru_cache(maxsize=1 << 12)
def _section(text: str) -> dict[str, Any]:
    values = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    if not isinstance(values, dict):
        raise ValueError("no mapping")
    return values


def _is_sound(config: RunConfig) -> bool:
    """Whether a config has the form that this version writes."""
    seed = config.seed
    of_sources = isinstance(seed, int) or seed.keys() == SOURCES.keys()
    seeds = [seed] if isinstance(seed, int) else seed.values()
    whole = (*seeds, config.epochs, config.batch_size, config.threads)
    groups = (config.data, config.model, config.optimizer, config.schedule, config.reg)
    return (
        all(isinstance(value, int) for value in whole)
        and of_sources
        and isinstance(config.lam, int | float | None)
        and all(isinstance(group.get("option"), str) for group in groups)
        and all("_target_" in group or isinstance(group.get("parts"), list) for group in groups)
        and {"split", "train_size", "label_noise"} <= config.data.keys()
        and bool({"parts", "schedule"} & config.reg.keys())  # earlier versions wrote neither key
    )
