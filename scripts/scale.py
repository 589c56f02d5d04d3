"""Measure planning, claims, status, analysis, compacting and expanding on a study of many runs.

    python scripts/scale.py --runs 50000

Nothing is trained but one run per regularizer: the study is made of copies of them, with scores, configs, ids and seals
of their own. It takes 57 kB a run on the disk, and an hour for 50,000 runs, most of it for writing and reading small
files. It prints the wall time and the peak memory of each command, the largest of its processes.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NAME = "scale"  # of the study
WRITE = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from benchmarks.stub_runs import sweep, write_study
count = write_study(Path.cwd(), int(sys.argv[2]))
print(json.dumps([count, sweep(int(sys.argv[2]))]))
"""
ANALYZE = ("analyze", f"name={NAME}")
CLAIMS = f"""
import os, time
from pathlib import Path
from study.records.claims import claim
began = time.perf_counter()
for number in range(200):
    made = claim(Path("outputs", "{NAME}", f"new-seed0-{{number:012x}}"), f"{{number:012x}}", os.getpid())
    made.drop()
print(f"{{(time.perf_counter() - began) / 200 * 1000:.1f}} ms for each of 200 claims", flush=True)
"""


def main() -> None:
    """Write the study, and time each command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000, help="about so many runs")
    parser.add_argument("--folder", type=Path, help="where to write, instead of a temporary folder that is deleted")
    options = parser.parse_args()
    if options.runs < 20:
        parser.error(f"--runs={options.runs}: at least 20 are allowed")
    if options.folder:
        options.folder.mkdir(parents=True, exist_ok=True)
        if any(options.folder.iterdir()):
            parser.error(f"--folder={options.folder}: it must be empty")
        measure(options.folder, options.runs)
    else:
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder), options.runs)


def measure(folder: Path, runs: int) -> None:
    """Print a line for each command, first on folders, then on compacted runs."""
    # In a process of its own: on Linux, the memory of this one would count in the peaks of its children.
    write = [sys.executable, "-c", WRITE, str(Path(__file__).parent), str(runs)]
    count, overrides = json.loads(subprocess.run(write, cwd=folder, check=True, stdout=subprocess.PIPE).stdout)
    print(f"{count} runs written", flush=True)
    again = [*overrides, "dry_run=true"]
    each = {
        "plan the sweep again": again,
        "status": ("status", f"name={NAME}"),
        "analyze, the first time": ANALYZE,
        "analyze, nothing changed": ANALYZE,
    }
    for place in ("folders", "compacted"):
        for what, arguments in each.items():
            _time(f"{place}: {what}", folder, "-m", "study", *arguments)
        if place == "folders":
            _time("folders: claims", folder, "-c", CLAIMS, show=True)
            _time("compact", folder, "-m", "study", "compact", f"name={NAME}", show=True)
    _time("expand", folder, "-m", "study", "expand", f"name={NAME}", show=True)


def _time(label: str, folder: Path, *arguments: str, show: bool = False) -> None:
    """Run Python in a folder; print its wall time, and the peak memory of its largest process."""
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen([sys.executable, *arguments], cwd=folder, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        output.seek(0)
        lines = output.read().splitlines()
    if status:
        raise SystemExit("\n".join([f"{label} failed", *lines[-5:]]))
    print(f"{label}: {wall:.1f} s, {_megabytes(usage):.0f} MB{f' ({lines[-1]})' if show and lines else ''}", flush=True)


def _megabytes(usage: resource.struct_rusage) -> float:
    return usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


if __name__ == "__main__":
    main()
