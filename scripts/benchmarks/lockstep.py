"""Time runs in lockstep on a device, against other programs and the limit of the card.

`scripts/device_check.sh lockstep` calls it.

    PYTHONPATH=scripts python -m benchmarks.lockstep --device cuda --data fashion_mnist --out outputs/lockstep_check

It writes a report in Markdown: the book's network (784-1000-10, batch 32, Adam, L1), seconds per run and epoch with all
scores and files, for several numbers of runs; plain PyTorch, Lightning and JAX's vmap on the same data; what the card's
memory and its float32 units allow; and whole commands, from the first word to the gap table.
"""

import argparse
import csv
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch
from benchmarks.contestants import write_data

HERE = Path(__file__).parent
EPOCHS = 4  # the first one captures the step, and is not counted
PEERS = {"notebook": "plain PyTorch, one run", "lightning": "Lightning, one run"}
COPIED, REPEATS = 2**28, 20  # numbers of a copy, and how often it is made
MATRIX = 4096
MOVED = 6  # tensors as large as the weights that a step must move: weights and two moments, read and written


class Report:
    """The lines of the report, and how the checks are run."""

    def __init__(self, options: argparse.Namespace):
        self.options, self.lines = options, []
        self.out = Path(options.out).absolute()
        self.out.mkdir(parents=True, exist_ok=True)
        self.tag = f"{int(time.time())}"

    def say(self, line: str) -> None:
        """Add a line, and print it."""
        self.lines.append(line)
        print(line, flush=True)
        (self.out / "report.md").write_text("\n".join(self.lines) + "\n")

    def command(self, *arguments: str) -> float:
        """Run a command of regstudy; return its seconds."""
        began = time.perf_counter()
        given = [sys.executable, "-m", "study", *arguments]
        subprocess.run(given, cwd=self.out, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began


def main() -> None:
    """Run all measurements; one that fails leaves a line, and the others go on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--data", default="fashion_mnist", choices=("fashion_mnist", "fashion_mnist_mini"))
    parser.add_argument("--runs", default="1,8,32,64,128")
    parser.add_argument("--hidden", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=30, help="of the 55 runs of the whole command")
    parser.add_argument("--small", type=int, default=1000, help="number of small runs on digits and mnist1d")
    report = Report(parser.parse_args())
    card = torch.cuda.get_device_name() if report.options.device == "cuda" else report.options.device
    report.say(f"# Lockstep on {card}\n")
    report.say(f"torch {torch.__version__}, Python {platform.python_version()}, data={report.options.data}")
    began = time.perf_counter()
    for title, part in {"Seconds per run and epoch": table, "Whole commands": commands}.items():
        report.say(f"\n## {title}\n")
        part(report)
    report.say(f"\n{time.perf_counter() - began:.0f} s in all")


def table(report: Report) -> None:
    """One row a program: seconds per run and epoch, and how many times the speed of plain PyTorch."""
    rows: dict[str, float] = {}
    data = report.out / "data.npz"
    write_data(data, mini=report.options.data == "fashion_mnist_mini")
    for peer, label in PEERS.items():
        if peer == "lightning" and not find_spec("lightning"):
            continue
        command = [sys.executable, str(HERE / "peers.py"), peer, "--data", str(data), "--epochs", "2", "--reg", "l1"]
        command += ["--hidden", str(report.options.hidden), "--device", report.options.device, "--seconds"]
        attempt(report, label, rows, lambda command=command: json.loads(printed(command))[-1])
    if find_spec("jax"):
        command = [
            sys.executable,
            str(HERE / "jax_vmap.py"),
            "--data",
            str(data),
            "--hidden",
            str(report.options.hidden),
        ]
        command += ["--device", report.options.device, "--runs", report.options.runs]
        attempt(report, "JAX, vmap in a jitted scan, its best width", rows, lambda: best(json.loads(printed(command))))
    for runs in map(int, report.options.runs.split(",")):
        attempt(report, f"regstudy in lockstep, {runs} runs", rows, lambda runs=runs: in_lockstep(report, runs))
    if report.options.device == "cuda":
        rows["the limit of the card at 64 runs"] = limit(report, 64)
    plain = rows.get(PEERS["notebook"])
    report.say("| program | seconds per run and epoch | times plain PyTorch |")
    report.say("|---|---:|---:|")
    for label, seconds in rows.items():
        report.say(f"| {label} | {seconds:.4f} | {f'{plain / seconds:.1f}' if plain else ''} |")


def attempt(report: Report, label: str, rows: dict[str, float], measure: Callable[[], float]) -> None:
    """Measure a row. An error becomes a line of the report."""
    try:
        rows[label] = measure()
    except Exception as error:  # one program that fails must not cost the others' numbers
        said = error.stderr if isinstance(error, subprocess.CalledProcessError) and error.stderr else str(error)
        report.say(f"- {label} failed: {said.strip().splitlines()[-1] if said.strip() else type(error).__name__}")


def printed(command: list[str]) -> str:
    """The last line that a command prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]


def best(found: dict[str, float | None]) -> float:
    """The least seconds per run."""
    return min(seconds for seconds in found.values() if seconds is not None)


def in_lockstep(report: Report, runs: int) -> float:
    """Seconds per run and epoch of a sweep in lockstep, with scores, statistics and files."""
    options, name = report.options, f"runs{runs}-{report.tag}"
    report.command(
        *("-m", f"name={name}", f"data={options.data}", "data.split=textbook", f"model.hidden=[{options.hidden}]"),
        *("reg=l1", f"seeds={runs}", f"epochs={EPOCHS}", f"device={options.device}", "workers=1"),
        *("loop=lockstep", f"lockstep={runs}"),
    )
    total = 0.0
    for status in (report.out / "outputs" / name).glob("*/status.json"):
        seconds = json.loads(status.read_text())["seconds"]
        with open(status.with_name("metrics.csv")) as file:
            training = [float(row["seconds"]) for row in csv.DictReader(file)][2:]
        total += sum(training) / len(training) + (seconds["scoring"] + seconds["statistics"]) / (EPOCHS + 1)
    return total / runs


def limit(report: Report, runs: int) -> float:
    """Seconds per run and epoch that the card needs at least: to move weights and moments, or for the products.

    The larger of: bytes of weights and two moments, read and written, over the card's measured copy bandwidth; and
    FLOPs of the two layers, forward and backward, over its measured float32 rate.
    """
    hidden, batch, images = report.options.hidden, 32, 60_000
    weights = 784 * hidden + hidden + hidden * 10 + 10
    source = torch.empty(COPIED, device="cuda")
    target = torch.empty_like(source)
    bandwidth = 2 * 4 * COPIED / timed(lambda: target.copy_(source))
    left, right = (torch.randn(MATRIX, MATRIX, device="cuda") for _ in range(2))
    rate = 2 * MATRIX**3 / timed(lambda: torch.mm(left, right))
    report.say(f"copy: {bandwidth / 1e12:.2f} TB/s; float32 products: {rate / 1e12:.1f} TFLOP/s\n")
    steps = images / batch
    moving = steps * MOVED * 4 * weights / bandwidth
    computing = 2 * images * (784 * hidden * 2 + hidden * 10 * 3) / rate
    return max(moving, computing)


def timed(work: Callable[[], object]) -> float:
    """The seconds of some work on the card."""
    work()
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(REPEATS):
        work()
    torch.cuda.synchronize()
    return (time.perf_counter() - began) / REPEATS


def commands(report: Report) -> None:
    """Time whole commands, from their first word to the gap table."""
    options = report.options
    base = (f"device={options.device}", "loop=lockstep", "workers=1")
    book = (f"data={options.data}", f"model.hidden=[{options.hidden}]", f"epochs={options.epochs}", "seeds=5")
    name = f"book-{report.tag}"
    rows: dict[str, float] = {}

    def whole_book() -> float:
        seconds = report.command("-m", f"name={name}", *book, "reg=none", "lockstep=64", *base)
        for reg, lams in {"l1": "1e-6,1e-5,1e-4,3e-4,1e-3", "l2": "1e-5,1e-4,1e-3,1e-2,1e-1"}.items():
            seconds += report.command("-m", f"name={name}", *book, f"reg={reg}", f"lam={lams}", "lockstep=64", *base)
        return seconds + report.command("analyze", f"name={name}", "figures=[]")

    attempt(report, f"55 runs of {options.epochs} epochs, to the gap table", rows, whole_book)
    for data in ("digits", "mnist1d"):

        def small(data: str = data) -> float:
            own = (f"data={data}", "model.hidden=[32]", "epochs=10", "reg=none,l1,l2,dropout", "lockstep=256")
            return report.command("-m", f"name={data}-{report.tag}", *own, f"seeds={options.small // 4}", *base)

        attempt(report, f"{options.small} runs of 10 epochs on {data}, 32 units", rows, small)
    report.say("| command | seconds |")
    report.say("|---|---:|")
    for label, seconds in rows.items():
        report.say(f"| {label} | {seconds:.1f} |")


if __name__ == "__main__":
    main()
