"""seeds=auto: add seeds to all variants in rounds, until the intervals of their differences are narrow enough.

The rounds do not depend on the machine or on what was interrupted. After each round, the half-widths alone decide
whether another one follows. The design is recorded with the first run, and a later command cannot change it.
"""

import csv
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from omegaconf import DictConfig
from scipy import special

from study.config.names import differing
from study.config.points.grid import Point
from study.config.run_config import ResolvedRun
from study.config.until_precise import UntilPrecise
from study.errors import ConfigError, StudyError
from study.measures.catalog import Measure, measures_of
from study.records.changes import refuse_changed
from study.records.contract import CONFIG
from study.records.existing import Existing, existing_runs
from study.records.sweeps import recorded_designs
from study.seeds import seed_of
from study.sequential import LEVEL, Round
from study.sweep.fixed import Fixed

Parts = list[tuple[DictConfig, list[Point]]]
# By measure that can be the primary one, its column of val.csv.
COLUMNS = {"val_accuracy": "accuracy", "val_loss": "loss", "val_r2": "r2", "val_mae": "mae"}
FEWEST = 3  # differences for an interval


class Command(Protocol):
    """The part of a command that trains runs; see `command`."""

    study_folder: Path
    fixed: Fixed
    design: "Design | None"
    states: set[str]

    @property
    def dry_run(self) -> bool: ...

    def compose_each(self, parts: Parts) -> list[ResolvedRun]: ...

    def train_each(self, parts: Parts) -> list[str]: ...

    def choose_loops_for(self, runs: Sequence[ResolvedRun]) -> None: ...

    def say(self, line: str) -> None: ...


@dataclass(frozen=True)
class Design:
    """A sequential design, fixed before the first run.

    Attributes:
        half_width: of all intervals at which no more seeds are added, in the unit of displayed differences.
        rounds: the numbers of seeds after each round.
        contrasts: the variants that are compared with a baseline: pairs of variant ids.
    """

    half_width: float
    rounds: tuple[int, ...]
    contrasts: tuple[tuple[str, str], ...]

    @property
    def recorded(self) -> dict[str, Any]:
        """The design as sweeps.jsonl has it."""
        pairs = [list(pair) for pair in self.contrasts]
        return {"half_width": self.half_width, "rounds": list(self.rounds), "contrasts": pairs}


def check_design(design: Design | None, study_folder: Path) -> None:
    """Refuse a command whose design is not the one that was fixed before the first run of its study.

    Args:
        design: of the command; None if its seeds are given.
        study_folder: outputs/<name>.

    Raises:
        StudyError: another design, or none, was fixed.
    """
    fixed = recorded_designs(study_folder)
    if not fixed or (design and design.recorded) in fixed:
        return
    first = fixed[0]
    if first is None:
        raise StudyError(
            f"seeds=auto: the runs of {study_folder} have given seeds, and when to stop must be fixed before the first"
            " run. Use another study: name=..."
        )
    asked = f"seeds=auto half_width={first['half_width']:g} max_seeds={first['rounds'][-1]}"
    if design is None:
        raise StudyError(
            f"{study_folder} is a study with {asked}, and other seeds would change what its intervals mean. Give the"
            " same command again, or use another study: name=..."
        )
    what = "half_width and max_seeds" if design.recorded["contrasts"] == first["contrasts"] else "the variants"
    raise StudyError(
        f"seeds=auto: {what} were fixed before the runs of {study_folder} ({asked}, {len(first['contrasts'])} variants"
        " and their baseline), because they must not be chosen after seeing results. Give the same command again, or"
        " use another study: name=..."
    )


def contrasts(runs: Sequence[ResolvedRun]) -> dict[str, str]:
    """The variants that are compared: by variant id, the id of the variant with reg=none in the same setting.

    Raises:
        ConfigError: a setting has no variant with reg=none, or several; or there is nothing to compare.
    """
    variants = {run.variant_id: run for run in runs}
    varying = differing(run.setting for run in variants.values())
    context = {
        variant: json.dumps([run.setting.get(key) for key in varying if key in run.setting])
        for variant, run in variants.items()
    }
    baselines: dict[str, list[str]] = {}
    for variant, run in variants.items():
        if run.config.reg["option"] == "none":
            baselines.setdefault(context[variant], []).append(variant)
    found = {}
    for variant, run in variants.items():
        own = baselines.get(context[variant], [])
        if len(own) != 1:
            raise ConfigError(
                "seeds=auto: each variant is compared with reg=none in the same setting, and"
                f" {'there is none' if not own else 'there are several'} for reg={run.config.reg['option']}. Add"
                " reg=none to the variants, or give a number of seeds: seeds=5"
            )
        if variant != own[0]:
            found[variant] = own[0]
    if not found:
        raise ConfigError(
            "seeds=auto: there is nothing to compare with reg=none. Give several variants. Example: -m reg=none,l1,l2"
        )
    return found


def add_seeds(command: Command, until: UntilPrecise, parts_of: Callable[[Sequence[int]], Parts]) -> None:
    """Train round after round, until all intervals are narrow enough or the largest number of seeds is reached.

    Args:
        command: trains the runs.
        until: when to stop.
        parts_of: the points of all experiments for some seeds.

    Raises:
        ConfigError: the primary measure has no column in val.csv, or there is no baseline.
        StudyError: the study has another design.
        KeyboardInterrupt: runs were stopped before their end.
    """
    runs = command.compose_each(parts_of(range(until.max_seeds)))  # so that mistakes are refused before the first run
    if command.fixed.primary not in COLUMNS:
        raise ConfigError(
            f"seeds=auto: primary={command.fixed.primary} cannot decide when to stop. Allowed: {', '.join(COLUMNS)}"
        )
    compared = contrasts(runs)
    command.design = Design(until.half_width, until.rounds, tuple(sorted(compared.items())))
    check_design(command.design, command.study_folder)
    by_variant: dict[str, dict[int, str]] = {}
    first_round = []
    for run in runs:
        seed = seed_of(run.config.seed, "split")  # seeds of single sources are refused together with seeds=auto
        by_variant.setdefault(run.variant_id, {})[seed] = run.run_id
        first_round += [run] if seed < until.rounds[0] else []
    measure = measures_of(command.fixed.task)[command.fixed.primary]
    command.choose_loops_for(first_round)
    before, values = 0, dict[str, float]()
    for number, n in enumerate(until.rounds, start=1):
        seeds = range(before, n)
        own = {by_variant[variant][seed] for variant in by_variant for seed in seeds}
        existing = existing_runs(command.study_folder)
        if not all(run_id in existing and _has_ended(existing[run_id]) for run_id in own):
            command.say(f"round {number} of at most {len(until.rounds)}: seeds {before} to {n - 1}")
            command.train_each(parts_of(seeds))
            if command.dry_run:
                command.say(f"then up to {until.max_seeds} seeds, until intervals are {_amount(until, measure)}")
                return
            existing = existing_runs(command.study_folder)
        if not all(run_id in existing and _has_ended(existing[run_id]) for run_id in own):
            command.say("runs failed, so no interval is known. Give the same command again with retry_failed=true")
            return
        values |= {run_id: _value(existing[run_id], measure) for run_id in own}
        names = {run_id: existing[run_id].status["variant"] for run_id in own}
        level = Round(until.rounds, number).nominal(LEVEL / len(compared))
        widest, which = widest_interval(compared, by_variant, values, n, level)
        if widest <= until.half_width:
            command.say(f"after {n} seeds, all intervals of {measure.name} are {_amount(until, measure)} or narrower")
            return
        name = names[by_variant[which][before]]
        text = f"after {n} seeds, the widest interval of {measure.name} is ± {widest:.3g}{_unit(measure)} ({name})"
        command.say(f"{text}. max_seeds={until.max_seeds} is reached" if n == until.max_seeds else text)
        before = n


def _has_ended(run: Existing) -> bool:
    return run.is_published and run.status["state"] in ("complete", "diverged")


def widest_interval(
    compared: Mapping[str, str],
    by_variant: Mapping[str, Mapping[int, str]],
    values: Mapping[str, float],
    n: int,
    level: float,
) -> tuple[float, str]:
    """The largest half-width of the intervals after a round, and its variant.

    A seed in which a run diverged has no difference. A variant that diverged in every seed has no interval, so that
    more seeds would not help; it is left out.

    Args:
        compared: the baseline of each variant.
        by_variant: the run of each seed of each variant.
        values: of the primary measure by run, in the displayed unit; NaN for a diverged run.
        n: the number of seeds.
        level: 1 − the confidence of the intervals.

    Returns:
        The half-width, infinite with fewer than three differences; and the variant.
    """
    widest, which = 0.0, next(iter(compared))
    for variant, baseline in compared.items():
        pairs = [(values[by_variant[variant][seed]], values[by_variant[baseline][seed]]) for seed in range(n)]
        differences = np.array([own - other for own, other in pairs])
        differences = differences[~np.isnan(differences)]
        if not len(differences):
            continue
        half = math.inf
        if (size := len(differences)) >= FEWEST:
            half = float(special.stdtrit(size - 1, 1 - level / 2) * differences.std(ddof=1) / math.sqrt(size))
        if half > widest:
            widest, which = half, variant
    return widest, which


def _value(run: Existing, measure: Measure) -> float:
    """The primary measure of a run from its val.csv, in the displayed unit; NaN for a diverged run."""
    if run.status["state"] == "diverged":
        return math.nan
    refuse_changed(run.folder, run.status, ("val.csv", CONFIG))
    try:
        with (run.folder / "val.csv").open() as rows:
            return measure.factor * float(next(csv.DictReader(rows))[COLUMNS[measure.name]])
    except (StopIteration, KeyError, TypeError, ValueError):
        raise StudyError(
            f"{run.folder} has no valid val.csv. Delete the folder, then give the same command again"
        ) from None


def _unit(measure: Measure) -> str:
    return f" {measure.difference_unit}" if measure.difference_unit else ""


def _amount(until: UntilPrecise, measure: Measure) -> str:
    return f"± {until.half_width:g}{_unit(measure)}"
