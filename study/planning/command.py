"""`study plan`: print what a command line would train, how many seeds find a difference, and what it costs."""

import math
from collections.abc import Sequence

from hydra.types import HydraContext
from omegaconf import DictConfig
from scipy import special

from study.analysis.text.columns import Column, TextTable
from study.analysis.text.terminal import show
from study.config.build import build_dataset
from study.data import load_splits
from study.measures.catalog import Measure, measures_of
from study.planning import cost, seeds
from study.planning.differences import Spread, like_study, pilot
from study.planning.scope import Scope, scope_of
from study.records.existing import existing_runs
from study.sequential import LEVEL, Round
from study.sweep import progress
from study.sweep.asked import Asked
from study.sweep.command import Command
from study.training.loop_choice import choose_loops
from study.training.task import Task

DIFFERENCES = (0.5, 0.3, 0.2)  # points
OF_SD = (2.0, 1.0, 0.5)  # differences in standard deviations, for measures that are no percentages


def plan(base: DictConfig, context: HydraContext, arguments: Sequence[str], timing: bool = True) -> None:
    """Print the plan of a command line. Nothing is trained, but for some seconds in a temporary folder.

    Args:
        base: the config composed from the overrides that do not sweep.
        context: Hydra's context; its loader composes the config of each point.
        arguments: overrides of the command line, with dry_run=true.
        timing: whether to train shortly if the study has no runs whose times are known.

    Raises:
        ConfigError: the command line is not allowed.
        StudyError: the study's folder has other runs, or the data cannot be read.
    """
    asked = Asked.by(base, context, arguments)
    command = Command(asked)
    scope = scope_of(asked, command)
    say = progress.say
    say(f"{command.study_folder}: {scope.words}")
    counts = _counts(scope)
    train, val = (counts[cost.kind_of(scope.work[0].run.config)][key] for key in ("train", "val"))
    measure = measures_of(command.fixed.task)[command.fixed.primary]
    _say_seeds(asked, command, scope, measure, train, val)
    _say_cost(command, scope, {kind: own["train"] for kind, own in counts.items()}, timing)


def _counts(scope: Scope) -> dict[str, dict[str, int]]:
    """The number of examples of each split, for each kind of run."""
    import torch

    found = {}
    for kind, run in cost.one_of_each_kind(scope.work).items():
        config = run.config
        splits = load_splits(build_dataset(config.data), config.data, config.seed, torch.device("cpu"))
        found[kind] = splits.counts()
    return found


def _say_seeds(asked: Asked, command: Command, scope: Scope, measure: Measure, train: int, val: int) -> None:
    """Print how many seeds find a difference."""
    run, primary, factor = scope.work[0].run, command.fixed.primary, measure.factor
    spread = pilot(command.study_folder, primary) or like_study(run, primary, val)
    if spread is None:
        progress.say(
            f"seeds: how much {primary} varies is not known. Train a pilot with two or more variants and three or more"
            " seeds, then give the same command again"
        )
        return
    unit, share = f" {measure.difference_unit}" if measure.difference_unit else "", val / train
    points = measure.unit == "fraction"
    wanted = [d / factor for d in DIFFERENCES] if points else [d * spread.sd for d in OF_SD]
    table = _table(scope, spread, wanted, factor, unit, share)
    floor = seeds.smallest_on_new_data(spread.sd, scope.contrasts, share) * factor
    sd = f"{spread.sd * factor:.2g}{unit} ({spread.low * factor:.2g} to {spread.high * factor:.2g} over contrasts)"
    notes = [
        f"{scope.seeds} seeds are planned. Number of seeds with which the paired t-test finds the difference with 80 %"
        f" power, at .05 / {scope.contrasts} (Holm's first step). Fewer than 6 get no star.",
        f"Standard deviation of paired differences in {primary}: {sd}. Source: {spread.source}."
        f" Its upper 80 % bound: {spread.upper * factor:.2g}{unit}.",
        f"New data: the test that also covers other data of this size ({val:,} validation, {train:,} training examples;"
        f" Nadeau and Bengio 2003). With any number of seeds, it needs a difference of {floor:.2g}{unit} or more."
        f" Beyond {max(1, round(1 / share))} seeds, the data add more variance than the seeds.",
    ]
    if (settings := len({cost.place_of(part.run.config) for part in scope.work})) > 1:
        first = f"{run.config.data['option']}, {run.config.model['option']}"
        notes.append(f"The study has {settings} settings. All of this is for the first of them ({first}).")
    if asked.until is not None:
        notes.append(_until_note(asked, scope, spread, factor, unit))
    print("\nSeeds")
    show(table, "plan", [], notes)


def _table(scope: Scope, spread: Spread, wanted: Sequence[float], factor: int, unit: str, share: float) -> TextTable:
    columns = (
        Column("difference", f"Difference ({unit.strip() or 'val'})", priority=0),
        Column("seeds", "Seeds", priority=0),
        Column("upper", "at the upper bound", priority=1),
        Column("new_data", "for new data too", priority=1),
    )
    cells: list[list[str]] = [[], [], [], []]
    for difference in wanted:
        new = seeds.seeds_for_new_data(difference, spread.sd, scope.contrasts, share)
        upper = spread.upper == spread.upper
        cells[0].append(f"{difference * factor:.3g}")
        cells[1].append(str(seeds.seeds_to_find(difference, spread.sd, scope.contrasts)))
        cells[2].append(str(seeds.seeds_to_find(difference, spread.upper, scope.contrasts)) if upper else "–")
        cells[3].append("no number" if new is None else str(new))
    return TextTable(columns, cells)


def _until_note(asked: Asked, scope: Scope, spread: Spread, factor: int, unit: str) -> str:
    """When a study with seeds=auto would end, if its differences vary as they are expected to."""
    until, begin = asked.until, "seeds=auto: with the largest of these standard deviations, intervals are"
    assert until is not None
    half = math.inf
    for number, n in enumerate(until.rounds, start=1):
        level = Round(until.rounds, number).nominal(LEVEL / scope.contrasts)
        half = float(special.stdtrit(n - 1, 1 - level / 2)) * spread.high * factor / math.sqrt(n)
        if half <= until.half_width:
            return f"{begin} ± {until.half_width:g}{unit} or narrower after {n} seeds."
    wanted = f"half_width={until.half_width:g} needs a larger max_seeds"
    return f"{begin} still ± {half:.2g}{unit} after {until.max_seeds} seeds. {wanted}."


def _say_cost(command: Command, scope: Scope, train_images: dict[str, int], timing: bool) -> None:
    """Print how long the study takes on this machine, and its size on disk."""
    existing = list(existing_runs(command.study_folder).values())
    costs, kinds = cost.recorded_costs(existing), cost.one_of_each_kind(scope.work)
    costs = {kind: own for kind, own in costs.items() if kind in kinds}
    devices, source = command.devices(), "complete runs of this study"
    workers = command.workers(scope.runs, devices)
    if not costs and timing and devices is not None:
        tasks = [Task.of(part.run, "", command.study_folder) for part in scope.work for _ in range(part.count)]
        tasks = choose_loops(tasks, command.base.loop, progress.say, command.base.lockstep, workers)
        of_kind: dict[str, Task] = {}
        for task in tasks:
            of_kind.setdefault(cost.kind_of(task.config), task)
        companions = -(-scope.runs // workers)
        progress.say(f"\ntraining a little of {len(of_kind)} kinds of runs, to time them; timing=false skips this")
        costs = cost.timed_costs(of_kind, train_images, companions, devices.names[0], progress.say)
        source = "short trainings on this machine"
    if not costs:
        progress.say("time and disk: not known. Leave timing=false out, or train one run of each variant")
        return
    each = cost.durations(scope.work, costs)
    left = cost.makespan(each, workers)
    size = cost.total_size(scope.work, costs)
    unknown = len(kinds) - len(costs)
    more = f"; {unknown} of {len(kinds)} kinds of runs count as the mean of others" if unknown else ""
    apart = f"{_seconds(min(each))} to {_seconds(max(each))} each; " if scope.runs > 1 else ""
    print("\nCost")
    progress.say(
        f"time: about {progress.duration(left)} on idle cores for {_runs(scope.runs)}, {workers} at a time"
        f" ({apart}from {source}{more})"
    )
    progress.say(f"disk: about {_bytes(size)}, {_bytes(size / scope.runs)} a run")
    done = sum(run.status["state"] == "complete" for run in existing)
    if done:
        progress.say(f"{done} runs of the study are already complete; time and disk are those of the whole study")


def _runs(count: int) -> str:
    return f"{count} run{'s' * (count != 1)}"


def _seconds(seconds: float) -> str:
    return progress.duration(seconds) if seconds >= 10 else f"{seconds:.2g} s"


def _bytes(size: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:.3g} {unit}"
