"""What each change of study/cli/patches.py saves: seconds of CPU time of a command, with all and with all but one.

python scripts/benchmarks/start.py              # 7 pairs each, interleaved; a few minutes
python scripts/benchmarks/start.py --pairs 3
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile

PROGRAM = """
import sys
from contextlib import contextmanager
from study.cli import hydra_app, main, patches
from study.config.hydra_settings import check_hydra
left_out, sys.argv = sys.argv[1], ["study", *sys.argv[2:]]
patches.PATCHES[:] = [change for change in patches.PATCHES if change.__name__ != left_out]
if left_out == "hydra_in_mode":
    hydra_app.hydra_in_mode = contextmanager(lambda mode, check: iter([None]))
if left_out == "ended_at_once":
    main.main()
main.program()
"""
CHANGES = ("seldom_collect_garbage", "share_config_store", "read_yaml_in_c", "hydra_in_mode", "ended_at_once")
COMMANDS = {
    "one run": ("data=digits", "epochs=1", "model.hidden=[20]"),
    "planning 80 runs": ("-m", "experiment=zoo", "dry_run=true"),
    "analyze": ("analyze", "name=default", "figures=[]"),
}


def seconds(left_out: str, command: tuple[str, ...], folder: str) -> float:
    """CPU time of one command and its processes."""
    before = os.times()
    words = [sys.executable, "-c", PROGRAM, left_out, *command]
    subprocess.run(words, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=7)
    pairs = parser.parse_args().pairs
    print("| saved, s (least to greatest) | " + " | ".join(COMMANDS) + " |")
    print("|---|" + "---:|" * len(COMMANDS))
    with tempfile.TemporaryDirectory() as folder:
        for command in COMMANDS.values():
            seconds("nothing", command, folder)  # compiles, and trains what is analyzed
        for change in CHANGES:
            cells = []
            for command in COMMANDS.values():
                saved = []
                for number in range(pairs):
                    name = (
                        (f"name={change}{number}", f"name={change}{number}_all") if "epochs=1" in command else ("", "")
                    )
                    without = seconds(change, (*command, *filter(None, name[:1])), folder)
                    saved.append(without - seconds("nothing", (*command, *filter(None, name[1:])), folder))
                cells.append(f"{statistics.median(saved):.2f} ({min(saved):.2f} to {max(saved):.2f})")
            print(f"| `{change}` | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
