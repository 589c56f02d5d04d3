"""Measure the processor time that `study watch` takes while a sweep runs and its page is open. Linux only.

    python scripts/benchmarks/watch.py                    # 16 runs of 30 epochs; takes minutes
    python scripts/benchmarks/watch.py --runs 200 --data digits

It asks the server as the page does: once per second, and for the results whenever they are new. Wall time of a sweep
varies by more than what the watcher costs, so this counts the seconds that the watcher computes. The browser has a
cost of its own, which depends on the browser.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

STUDY = (sys.executable, "-m", "study")


def cpu_seconds(process: int) -> float:
    """Return the seconds that all threads of a process have computed."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def asked(address: str) -> bytes:
    """Return the answer of the server."""
    with urllib.request.urlopen(address, timeout=60) as answer:
        return answer.read()


def measure(runs: int, epochs: int, data: str) -> None:
    """Watch a sweep until it ends, and print what the watcher has computed."""
    sweep = ("-m", "reg=none,l1", f"seeds={runs // 2}", f"data={data}", f"epochs={epochs}", "name=watched")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "outputs" / "watched").mkdir(parents=True)
        watcher = subprocess.Popen(
            [*STUDY, "watch", "name=watched", "open=false"], cwd=folder, stdout=subprocess.PIPE, text=True
        )
        try:
            assert watcher.stdout is not None
            address = watcher.stdout.readline().split()[-1]
            page = asked(address)
            start, version, analyses, size = cpu_seconds(watcher.pid), None, 0, 0
            began = time.monotonic()
            sweeping = subprocess.Popen([*STUDY, *sweep], cwd=folder, stdout=subprocess.DEVNULL)
            while sweeping.poll() is None:
                now = asked(f"{address}now")
                size = max(size, len(now))
                if (found := json.loads(now)["data"]) != version:
                    analyses += found > 0
                    if found:
                        asked(f"{address}data")
                    version = found
                time.sleep(1)
            seconds, spent = time.monotonic() - began, cpu_seconds(watcher.pid) - start
        finally:
            watcher.terminate()
            watcher.wait()
    assert sweeping.returncode == 0
    assert page
    cores = os.cpu_count() or 1
    print(
        f"{runs} runs in {seconds:.0f} s on {cores} cores. The watcher took {start:.1f} s to start, and then"
        f" {spent:.2f} s, with {analyses} analyses: {spent / seconds:.2%} of one core, {spent / seconds / cores:.2%} of"
        f" the machine. Its largest answer had {size / 1000:.0f} kB."
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--data", default="fashion_mnist_mini")
    options = parser.parse_args()
    measure(options.runs, options.epochs, options.data)
