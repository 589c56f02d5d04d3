"""Measure the time that each change in study/cli/patches.py saves: with all changes, and with all but one.

python scripts/benchmarks/start.py              # 5 interleaved runs each; takes minutes
python scripts/benchmarks/start.py --runs 3

The time of whole commands varies by a second. So each process times only the work that a change makes faster: garbage
collection, reading of YAML, and the end of the process.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time

PROGRAM = """
import gc, sys, time
import yaml
from study.cli import main, patches

change, left_out, sys.argv = sys.argv[1], sys.argv[2] == "without", ["study", *sys.argv[3:]]
spent, began, depth = 0.0, 0.0, 0

def timed(function):
    def wrapper(*arguments, **options):
        global spent, depth
        start, depth = time.perf_counter(), depth + 1
        try:
            return function(*arguments, **options)
        finally:
            depth -= 1
            spent += 0 if depth else time.perf_counter() - start
    return wrapper

def collected(phase, info):
    global spent, began
    if phase == "start":
        began = time.perf_counter()
    else:
        spent += time.perf_counter() - began

if left_out:
    patches.PATCHES[:] = [patch for patch in patches.PATCHES if patch.__name__ != change]
if change == "seldom_collect_garbage":
    gc.callbacks.append(collected)
if change == "read_yaml_in_c":
    yaml.load = timed(yaml.load)
try:
    main.main() if change == "ended_at_once" and left_out else main.program()
finally:
    print("spent", spent, "ended", time.monotonic(), file=sys.stderr)
"""
CHANGES = ("seldom_collect_garbage", "read_yaml_in_c", "ended_at_once")
COMMANDS = {
    "one run": ("data=digits", "epochs=1", "model.hidden=[20]"),
    "planning 80 runs": ("-m", "experiment=zoo", "dry_run=true"),
    "analyze": ("analyze", "name=default", "figures=[]"),
}


def seconds(change: str, how: str, command: tuple[str, ...], folder: str) -> float:
    """Return the time of the work that a change makes faster; `how` is `with` or `without` the change."""
    words = [sys.executable, "-c", PROGRAM, change, how, *command]
    done = subprocess.run(words, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    ended = time.monotonic()
    _, spent, _, last = done.stderr.splitlines()[-1].split()
    return ended - float(last) if change == "ended_at_once" else float(spent)


def main() -> None:
    """Measure all changes, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    print("| saved, s (min to max) | " + " | ".join(COMMANDS) + " |")
    print("|---|" + "---:|" * len(COMMANDS))
    with tempfile.TemporaryDirectory() as folder:
        for command in COMMANDS.values():
            seconds("", "with", command, folder)  # compiles code, and trains the run that is analyzed
        for change in CHANGES:
            cells = []
            for command in COMMANDS.values():
                saved = []
                for number in range(runs):
                    found = {}
                    for how in ("without", "with"):
                        name = (f"name={change}{number}{how}",) if "epochs=1" in command else ()
                        found[how] = seconds(change, how, (*command, *name), folder)
                    saved.append(found["without"] - found["with"])
                cells.append(f"{statistics.median(saved):.2f} ({min(saved):.2f} to {max(saved):.2f})")
            print(f"| `{change}` | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
