"""Kill sweeps at random moments, let them finish, and compare every byte with a sweep that was not killed.

    python scripts/reliability.py --kills 30

A kill is SIGKILL to all processes of the sweep or to one worker. It counts if it hits a run between its first epoch
and its end. Some kills happen during a write: with REGSTUDY_FAULT_AT_WRITE=N in the environment, a process kills itself
halfway through its N-th write. After all processes are killed, the same command starts again. After the last kill, the
command runs to its end.
"""

import argparse
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from study.records.comparison import without_column
from study.records.unfinished import is_held

SWEEP = (
    "-m",
    "data=digits",
    "checkpoint_every=0",
    "reg=l1,l2",
    "lam=1e-4,1e-3",
    "seeds=4",
    "retry_failed=true",
)
COMPARED = (
    *("weights.csv", "histogram.csv", "val.csv", "test.csv", "sparsity.csv", "pruning.csv", "invariants.csv"),
    "predictions.npz",
)


@dataclass
class Tally:
    """Counts of kills and of compared runs."""

    kills: int = 0
    in_a_write: int = 0
    of_a_worker: int = 0
    compared: int = 0
    different: list[str] = field(default_factory=list)


def start(folder: Path, name: str, epochs: int, fault: int = 0) -> subprocess.Popen:
    """Start the sweep in a new process group."""
    return subprocess.Popen(
        [sys.executable, "-m", "study", *SWEEP, f"epochs={epochs}", f"name={name}"],
        cwd=folder,
        env=os.environ | ({"REGSTUDY_FAULT_AT_WRITE": str(fault)} if fault else {}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def live_runs(study: Path, epochs: int) -> dict[int, str]:
    """Return the runs between their first epoch and their end whose process is alive, by process id."""
    live = {}
    for folder in (study / ".work").glob("*@*~*"):
        try:
            rows = (folder / "metrics.csv").read_bytes().count(b"\n") - 1
        except OSError:
            continue
        if 1 <= rows <= epochs and is_held(folder, time.time()):
            name, _, owner = folder.name.rpartition("@")
            live[int(owner.split("~")[1])] = name
    return live


def unfinished(study: Path, run: str) -> bool:
    """Whether a run is not complete: it is still training, or it failed."""
    try:
        return json.loads((study / run / "status.json").read_text())["state"] != "complete"
    except OSError:
        return True


def complete(study: Path, expected: int) -> bool:
    """Whether all expected runs are complete."""
    runs = [path.parent.name for path in study.glob("*-seed*/status.json")]
    return len(runs) == expected and not any(unfinished(study, run) for run in runs)


def killed_runs(study: Path) -> int:
    """The number of runs that failed because their process was killed."""
    return sum("killed by SIGKILL" in path.read_text() for path in study.glob("*-seed*/status.json"))


def wait_for_a_death(study: Path, sweeps: Sequence[subprocess.Popen]) -> None:
    """Wait until a run has failed because its process killed itself, or all sweeps have ended."""
    before = killed_runs(study)
    while killed_runs(study) <= before and any(sweep.poll() is None for sweep in sweeps):
        time.sleep(0.1)


def disturbed_sweep(
    folder: Path, name: str, together: int, expected: int, kills: int, epochs: int, chance: random.Random
) -> Tally:
    """Kill a sweep until `kills` kills have counted, then let it finish."""
    study, tally = folder / "outputs" / name, Tally()
    for attempt in itertools.count():
        in_a_write, of_workers = attempt % 3 == 1, attempt % 3 == 2
        disturb = tally.kills < kills
        fault = chance.randrange(30, 250) if disturb and in_a_write else 0
        sweeps = [start(folder, name, epochs, fault) for _ in range(together)]
        while not live_runs(study, epochs) and any(sweep.poll() is None for sweep in sweeps):
            time.sleep(0.02)
        if not disturb:
            codes = [sweep.wait() for sweep in sweeps]
            if complete(study, expected):
                return tally
            raise SystemExit(f"{study} is not complete, but its sweeps ended with {codes}")
        if in_a_write:  # the workers kill themselves, sooner or later: it depends on the machine
            wait_for_a_death(study, sweeps)
        for _ in range(4 if of_workers else 0):
            time.sleep(chance.uniform(0.1, 1.0))
            if live := live_runs(study, epochs):
                pid, run = chance.choice(sorted(live.items()))
                with suppress(ProcessLookupError):  # it has already ended
                    os.kill(pid, signal.SIGKILL)
                time.sleep(0.3)
                hit = int(unfinished(study, run))
                tally.kills, tally.of_a_worker = tally.kills + hit, tally.of_a_worker + hit
        time.sleep(chance.uniform(0, 1.5))
        live = live_runs(study, epochs)
        for sweep in sweeps:
            with suppress(ProcessLookupError):
                os.killpg(sweep.pid, signal.SIGKILL)
            sweep.wait()
        time.sleep(0.1)
        tally.kills += any(unfinished(study, run) for run in live.values())
        if in_a_write:
            dead = killed_runs(study)
            tally.kills, tally.in_a_write = tally.kills + dead, tally.in_a_write + dead


def compare(reference: Path, study: Path, tally: Tally) -> None:
    """Compare every run with the same run of the undisturbed sweep, except the column `seconds`."""
    for twin in sorted(path.parent for path in reference.glob("*/status.json")):
        run = study / twin.name
        tally.compared += 1
        same = all((run / file).read_bytes() == (twin / file).read_bytes() for file in COMPARED)
        rows = [without_column((path / "metrics.csv").read_bytes(), b"seconds") for path in (run, twin)]
        if not same or rows[0] != rows[1]:
            tally.different.append(f"{study.name}/{run.name}")


def measure(kills: int, together: int, epochs: int, folder: Path, chance: random.Random) -> Tally:
    """Kill a sweep `kills` times, and compare its runs with those of an undisturbed sweep."""
    reference = folder / "outputs" / "reference"
    if not reference.exists() and start(folder, "reference", epochs).wait():
        raise SystemExit("the undisturbed sweep failed")
    expected = len(list(reference.glob("*/status.json")))
    tally = disturbed_sweep(folder, f"disturbed{together}", together, expected, kills, epochs, chance)
    compare(reference, folder / "outputs" / f"disturbed{together}", tally)
    return tally


def main() -> None:
    """Measure and print a Markdown table; exit 1 if any byte differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30, help="number of kills, for one sweep and for two at once")
    parser.add_argument("--epochs", type=int, default=150, help="of each run: fewer leave less time for kills")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random moments")
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    print("| sweeps at once | kills | of one worker | in the middle of a write | runs compared | equal |")
    print("|---|---:|---:|---:|---:|---:|")
    different = []
    with tempfile.TemporaryDirectory() as folder:
        for together in (1, 2):
            tally = measure(arguments.kills, together, arguments.epochs, Path(folder), chance)
            equal = tally.compared - len(tally.different)
            cells = (together, tally.kills, tally.of_a_worker, tally.in_a_write, tally.compared, equal)
            print("| " + " | ".join(map(str, cells)) + " |", flush=True)
            different += tally.different
    if different:
        raise SystemExit(f"different bytes: {', '.join(different)}")


if __name__ == "__main__":
    main()
