"""Kill sweeps at random moments until they are complete, and compare every byte with a sweep that was left alone.

    python scripts/reliability.py --kills 5 --kills-together 0      # about a minute a kill on two cores

A kill is SIGKILL to the whole process group or to one worker. It counts when it hit a run between its first epoch
and its end. Some kills happen in the middle of a write: the environment variable REGSTUDY_FAULT_AT_WRITE makes a
process die halfway through the write of that number. After each kill the same command is started again.
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
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

EPOCHS = 60
SWEEP = ("-m", "data=digits", f"epochs={EPOCHS}", "reg=l1,l2", "lam=1e-4,1e-3", "seeds=2", "retry_failed=true")
COMPARED = ("weights.csv", "histogram.csv", "test.csv", "predictions.npz")


@dataclass
class Tally:
    """What happened."""

    kills: int = 0
    in_a_write: int = 0
    of_a_worker: int = 0
    compared: int = 0
    different: list[str] = field(default_factory=list)


def start(folder: Path, name: str, fault: int = 0) -> subprocess.Popen:
    """The sweep as a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "study", *SWEEP, f"name={name}"],
        cwd=folder,
        env=os.environ | ({"REGSTUDY_FAULT_AT_WRITE": str(fault)} if fault else {}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def live_runs(study: Path) -> dict[int, str]:
    """Runs between their first epoch and their end: owner's process, and run."""
    live = {}
    for folder in (study / ".work").glob("*@*~*"):
        try:
            rows = (folder / "metrics.csv").read_bytes().count(b"\n") - 1
        except OSError:
            continue
        if 1 <= rows <= EPOCHS:
            name, _, owner = folder.name.rpartition("@")
            live[int(owner.split("~")[1])] = name
    return live


def unfinished(study: Path, run: str) -> bool:
    """Whether a run has not ended well: it is under way, or marked as failed."""
    try:
        return json.loads((study / run / "status.json").read_text())["state"] != "complete"
    except OSError:
        return True


def complete(study: Path, expected: int) -> bool:
    """Whether all runs are complete and nothing is under way."""
    runs = [path.parent.name for path in study.glob("*-seed*/status.json")]
    return len(runs) == expected and not any(unfinished(study, run) for run in runs)


def wait_for_live(study: Path, processes: list[subprocess.Popen], chance: random.Random) -> dict[int, str]:
    """Wait until runs are live, then a random moment; returns the runs that are live then."""
    while not live_runs(study) and any(process.poll() is None for process in processes):
        time.sleep(0.02)
    time.sleep(chance.uniform(0, 2.5))
    return live_runs(study)


def disturbed_sweep(folder: Path, name: str, together: int, expected: int, chance: random.Random, tally: Tally) -> None:
    """One sweep, killed again and again until it is complete all the same."""
    study = folder / "outputs" / name
    for attempt in itertools.count():
        in_a_write = attempt % 4 == 3
        fault = chance.randrange(30, 250) if in_a_write else 0
        processes = [start(folder, name, fault) for _ in range(together)]
        live = wait_for_live(study, processes, chance)
        of_a_worker = attempt % 4 == 1
        if in_a_write:  # the workers kill themselves; what they leave is found when the sweep has ended
            for process in processes:
                process.wait()
            dead = [path for path in study.glob("*-seed*/status.json") if "killed by SIGKILL" in path.read_text()]
            tally.in_a_write += len(dead)
            tally.kills += len(dead)
        elif of_a_worker and live:
            pid, run = chance.choice(sorted(live.items()))
            with suppress(ProcessLookupError):  # it has ended by itself: no hit
                os.kill(pid, signal.SIGKILL)
            for process in processes:
                process.wait()
            hit = int(unfinished(study, run))
            tally.kills += hit
            tally.of_a_worker += hit
        elif live:
            for process in processes:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            time.sleep(0.1)
            tally.kills += any(unfinished(study, run) for run in live.values())
        else:
            for process in processes:
                process.wait()
        if complete(study, expected):
            return


def compare(reference: Path, study: Path, tally: Tally) -> None:
    """Compare every run with its undisturbed twin, `seconds` aside."""
    for twin in sorted(path.parent for path in reference.glob("*/status.json")):
        run = study / twin.name
        tally.compared += 1
        same = all((run / file).read_bytes() == (twin / file).read_bytes() for file in COMPARED)
        rows = [
            [line.rpartition(",")[0] for line in (path / "metrics.csv").read_text().splitlines()]
            for path in (run, twin)
        ]
        if not same or rows[0] != rows[1]:
            tally.different.append(f"{study.name}/{run.name}")


def measure(kills: int, together: int, folder: Path, chance: random.Random) -> Tally:
    """Disturb sweeps until so many kills have hit."""
    reference = folder / "outputs" / "reference"
    if not reference.exists() and start(folder, "reference").wait():
        raise SystemExit("the undisturbed sweep failed")
    expected, tally = len(list(reference.glob("*/status.json"))), Tally()
    for number in itertools.count():
        if tally.kills >= kills:
            return tally
        name = f"disturbed{together}{number}"
        disturbed_sweep(folder, name, together, expected, chance, tally)
        compare(reference, folder / "outputs" / name, tally)
        print(f"{tally.kills} kills, {tally.compared} runs compared", file=sys.stderr)


def main() -> None:
    """Measure and print a Markdown table; exit 1 if any byte differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--kills-together", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="of the random moments")
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    print("| sweeps at once | kills | of one worker | in the middle of a write | runs compared | equal |")
    print("|---|---:|---:|---:|---:|---:|")
    different = []
    with tempfile.TemporaryDirectory() as folder:
        for together, kills in ((1, arguments.kills), (2, arguments.kills_together)):
            if kills:
                tally = measure(kills, together, Path(folder), chance)
                equal = tally.compared - len(tally.different)
                cells = (together, tally.kills, tally.of_a_worker, tally.in_a_write, tally.compared, equal)
                print("| " + " | ".join(map(str, cells)) + " |", flush=True)
                different += tally.different
    if different:
        raise SystemExit(f"different bytes: {', '.join(different)}")


if __name__ == "__main__":
    main()
