"""sweeps.jsonl of a study: one line per sweep, with the runs that it was given.

Mappings that several runs have, such as the group `data` of their configs, stand in the line once, in a list `shared`.
A run has `{"shared": 3}` in place of the fourth of them. Otherwise the line of 100,000 runs would have 300 MB.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from study.config.names import completed
from study.errors.faults import is_fault
from study.tasks import CLASSIFICATION

SWEEPS = "sweeps.jsonl"
SHARED = "shared"  # key of a record, and the only key of what refers to an item of its list


def with_shared(record: Mapping[str, Any], runs: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Add runs to a record of a sweep, and their mappings once each."""
    places: dict[str, int] = {}
    known: dict[int, dict[str, int]] = {}  # by id, because most runs have the same objects
    kept = []  # keeps the objects, and so their ids

    def refer(value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        if id(value) not in known:
            kept.append(value)
            known[id(value)] = {SHARED: places.setdefault(json.dumps(value), len(places))}
        return known[id(value)]

    packed = [
        {key: _mapped(value, refer) if key == "config" else refer(value) for key, value in run.items()} for run in runs
    ]
    return {**record, SHARED: [json.loads(text) for text in places], "runs": packed}


def _without_shared(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The runs of a record, with their mappings. Earlier versions wrote them in each run."""
    shared = record.get(SHARED, [])

    def look_up(value: Any) -> Any:
        return shared[value[SHARED]] if isinstance(value, dict) and value.keys() == {SHARED} else value

    return [
        {key: _mapped(value, look_up) if key == "config" else look_up(value) for key, value in run.items()}
        for run in record.get("runs", [])
    ]


def _mapped(mapping: Mapping[str, Any], function: Callable[[Any], Any]) -> dict[str, Any]:
    return {key: function(value) for key, value in mapping.items()}


def recorded_primaries(study_folder: Path) -> list[str]:
    """The primary measures named by the sweeps of a study, in order, without duplicates."""
    return list(dict.fromkeys(record["primary"] for record in _records(study_folder) if "primary" in record))


def recorded_margins(study_folder: Path) -> list[float | None]:
    """The margins of equivalence named by the sweeps of a study, in order, without duplicates; None: no margin.

    Sweeps of earlier versions named none.
    """
    margins = (record.get("equivalence") for record in _records(study_folder) if "primary" in record)
    return list(dict.fromkeys(m if isinstance(m, int | float) and 0 < m < math.inf else None for m in margins))


def recorded_designs(study_folder: Path) -> list[dict[str, Any] | None]:
    """The designs of seeds=auto named by the sweeps of a study, in order, without duplicates; None: seeds were given.

    A design has `half_width` (in the unit of displayed differences), `rounds` (the numbers of seeds after each round)
    and `contrasts` (pairs of variant ids). Sweeps of earlier versions named none.
    """
    found: list[dict[str, Any] | None] = []
    for record in _records(study_folder):
        design = record.get("until")
        known = isinstance(design, dict) and {"half_width", "rounds", "contrasts"} <= design.keys()
        if "primary" in record and (own := design if known else None) not in found:
            found.append(own)
    return found


def recorded_hypotheses(study_folder: Path) -> list[dict[str, Any]]:
    """The questions named by the sweeps of a study, in order, without duplicates; {}: a sweep named none.

    Empty if there was no sweep yet.
    """
    found: list[dict[str, Any]] = []
    for record in _records(study_folder):
        given = record.get("hypotheses")
        if "primary" in record and (own := given if isinstance(given, dict) else {}) not in found:
            found.append(own)
    return found


def recorded_suite(study_folder: Path) -> list[dict[str, Any]]:
    """The settings of a suite named by the sweeps of a study, in order, without duplicates; [] for other studies."""
    lists = [record.get("suite") for record in _records(study_folder)]
    each = [one for suite in lists if isinstance(suite, list) for one in suite if isinstance(one, dict)]
    return [json.loads(text) for text in dict.fromkeys(json.dumps(completed(one)) for one in each)]


def recorded_commands(study_folder: Path) -> list[list[str]]:
    """The arguments of the command of each sweep of a study, in order, without duplicates."""
    commands = (record.get("command") for record in _records(study_folder))
    lists = [tuple(map(str, command)) for command in commands if isinstance(command, list)]
    return [list(command) for command in dict.fromkeys(lists)]


def recorded_task_of(study_folder: Path) -> str | None:
    """Classification or regression, for which the study's first sweep was; None if there was no sweep."""
    return next((record.get("task", CLASSIFICATION) for record in _records(study_folder)), None)


def recorded_runs(study_folder: Path) -> list[dict[str, Any]]:
    """The runs of all sweeps of a study, in order; empty if there is no readable record."""
    runs: list[dict[str, Any]] = []
    for record in _records(study_folder):
        with suppress(IndexError, TypeError, AttributeError):  # a damaged line that is still JSON
            runs += _without_shared(record)
    return runs


def _records(study_folder: Path) -> list[dict[str, Any]]:
    try:
        lines = (study_folder / SWEEPS).read_text().splitlines()
    except (OSError, ValueError) as error:
        if is_fault(error):
            raise
        return []
    records = []
    for line in lines:
        with suppress(ValueError):  # an incomplete line, from a command that was killed during a write
            records.append(json.loads(line))
    return records
