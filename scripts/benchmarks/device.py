"""Check and time regstudy on a device; scripts/device_check.sh calls it.

    PYTHONPATH=scripts python -m benchmarks.device --device cuda --data fashion_mnist --out outputs/device_check

It writes a report in Markdown and exits with 1 if a check fails:
- the losses of mlp, cnn and resnet18 before and after an epoch on 256 images, against those of the CPU;
- seconds per epoch, against a plain PyTorch loop and Lightning (if it is installed) on the same device;
- the same bytes from the same run, twice, and after SIGKILL.
"""

import argparse
import csv
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
from benchmarks.contestants import write_data

HERE = Path(__file__).parent
MODELS = ("mlp", "cnn", "resnet18")
FEW = ("data=fashion_mnist_mini", "data.train_size=256", "loop=general")
ALL_CORES = (f"threads={min(8, os.cpu_count() or 1)}",)
BEFORE, AFTER = 1e-4, 0.05  # allowed relative differences of losses between devices, before and after an epoch
PEERS = {"notebook": "plain PyTorch loop", "lightning": "PyTorch Lightning"}
BYTES = ("weights.csv", "histogram.csv", "test.csv", "predictions.npz")


class Check:
    """The report, and whether all checks passed."""

    def __init__(self, options: argparse.Namespace):
        self.options, self.lines, self.failed = options, [], False
        self.out = Path(options.out).absolute()
        self.out.mkdir(parents=True, exist_ok=True)

    def say(self, line: str) -> None:
        """Add a line to the report, and print it."""
        self.lines.append(line)
        print(line, flush=True)

    def result(self, passed: bool, line: str) -> None:
        """Add the result of a check."""
        self.failed |= not passed
        self.say(f"- {'passed' if passed else 'FAILED'}: {line}")

    def study(self, name: str, *overrides: str) -> list[Path]:
        """Train a study, and return the folders of its runs."""
        subprocess.run(self.command(name, *overrides), cwd=self.out, check=True, stdout=subprocess.DEVNULL)
        return sorted((self.out / "outputs" / name).glob("*-seed*-*"))

    def command(self, name: str, *overrides: str) -> list[str]:
        """The command of a study. Runs of an earlier check must not be taken for its own: each check has its name."""
        return [sys.executable, "-m", "study", "-m", f"name={name}", "workers=1", *overrides]


def main() -> None:
    """Run all checks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--data", default="fashion_mnist", choices=("fashion_mnist", "fashion_mnist_mini"))
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--train-size", type=int, help="training images of the speed check; by default all")
    check = Check(parser.parse_args())
    began, tag = time.perf_counter(), f"{int(time.time())}"
    check.say(f"# Device check: {name_of(check.options.device)}")
    check.say("")
    check.say(f"torch {torch.__version__}, Python {platform.python_version()}, data={check.options.data}")
    for title, part in {"Losses": losses, "Speed": speed, "Determinism": determinism, "Resuming": resuming}.items():
        check.say(f"\n## {title}\n")
        try:
            part(check, tag)
        except subprocess.CalledProcessError as error:
            check.result(False, f"{' '.join(map(str, error.cmd))} exits with {error.returncode}")
    check.say(f"\n{time.perf_counter() - began:.0f} s in all")
    (check.out / "report.md").write_text("\n".join(check.lines) + "\n")
    sys.exit(int(check.failed))


def name_of(device: str) -> str:
    """The name of the card, or of the device."""
    return torch.cuda.get_device_name() if device == "cuda" else device


def losses(check: Check, tag: str) -> None:
    """Compare the losses of the device with those of the CPU, on few images."""
    if check.options.device == "cpu":
        check.say("There is nothing to compare: the device is the CPU.")
        return
    rows = {}
    for device, more in {check.options.device: (), "cpu": ALL_CORES}.items():
        name = f"losses-{device}{tag}"
        for run in check.study(name, f"device={device}", f"model={check.options.models}", "epochs=1", *FEW, *more):
            rows.setdefault(model_of(run), []).append(metrics(run))
    for model, (ours, expected) in rows.items():
        for epoch, allowed in ((0, BEFORE), (1, AFTER)):
            for key in ("train_loss", "val_loss"):
                found, reference = float(ours[epoch][key]), float(expected[epoch][key])
                difference = abs(found - reference) / reference
                line = f"{model}, {key} after {epoch} epochs: {found:.5f}, on the CPU {reference:.5f}"
                check.result(difference <= allowed, f"{line} (relative difference {difference:.1e})")


def speed(check: Check, tag: str) -> None:
    """Time an epoch of training and scoring, the second of two, against a plain loop and Lightning."""
    data = check.out / "data.npz"
    size = check.options.train_size
    write_data(data, mini=check.options.data == "fashion_mnist_mini", train_size=size)
    check.say("| model | program | seconds per epoch | relative to regstudy |")
    check.say("|---|---|---:|---:|")
    setting = (
        f"data={check.options.data}",
        "epochs=2",
        "data.split=textbook",
        "loop=general",
        f"device={check.options.device}",
        *([f"data.train_size={size}"] if size else []),
        *(ALL_CORES if check.options.device == "cpu" else []),  # as the others use
    )
    for run in check.study(f"speed{tag}", *setting, f"model={check.options.models}"):
        model, status = model_of(run), json.loads((run / "status.json").read_text())
        training = float(metrics(run)[2]["seconds"])
        ours = training + status["seconds"]["scoring"] / 3  # epochs 0, 1 and 2
        check.say(f"| {model} | regstudy, {training:.2f} s of it training | {ours:.2f} | 1.00 |")
        for peer, label in PEERS.items():
            if peer == "lightning" and not find_spec("lightning"):
                continue
            general = [sys.executable, str(HERE / "peers.py"), peer, "--data", str(data), "--epochs", "2"]
            general += ["--reg", "none", "--model", model, "--device", check.options.device, "--seconds"]
            printed = subprocess.run(general, check=True, capture_output=True, text=True).stdout
            seconds = json.loads(printed.splitlines()[-1])[-1]
            check.say(f"| {model} | {label} | {seconds:.2f} | {seconds / ours:.2f} |")


def determinism(check: Check, tag: str) -> None:
    """Train the same run twice, and compare the bytes."""
    for model in check.options.models.split(","):
        one, other = (
            check.study(f"same{i}-{model}{tag}", f"device={check.options.device}", f"model={model}", "epochs=1", *FEW)[
                0
            ]
            for i in (1, 2)
        )
        check.result(not (changed := differing(one, other)), f"{model}, twice: {changed or 'the same bytes'}")


def resuming(check: Check, tag: str) -> None:
    """Kill a run with SIGKILL in its third epoch, resume it, and compare the bytes with those of an unbroken run."""
    setting = ("model=cnn", f"device={check.options.device}", *FEW, "epochs=6", "checkpoint_every=0")
    (whole,) = check.study(f"whole{tag}", *setting)
    name = f"killed{tag}"
    process = subprocess.Popen(check.command(name, *setting), cwd=check.out, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        files = list((check.out / "outputs" / name).glob(".work/*/metrics.csv"))
        if files and files[0].read_text().count("\n") > 3:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (resumed,) = check.study(name, *setting)
    check.result("resumes after epoch" in (resumed / "run.log").read_text(), "the killed run resumes")
    check.result(not (changed := differing(whole, resumed)), f"cnn, resumed: {changed or 'the same bytes'}")


def model_of(run: Path) -> str:
    """The option of a run's model."""
    return json.loads((run / "status.json").read_text())["setting"]["model"]


def metrics(run: Path) -> Sequence[dict[str, str]]:
    """The rows of metrics.csv."""
    with open(run / "metrics.csv") as file:
        return list(csv.DictReader(file))


def differing(one: Path, other: Path) -> list[str]:
    """The names of the files of two runs that differ, the seconds in metrics.csv aside."""
    found = [name for name in BYTES if (one / name).read_bytes() != (other / name).read_bytes()]
    rows = [[{**row, "seconds": ""} for row in metrics(run)] for run in (one, other)]
    return found if rows[0] == rows[1] else ["metrics.csv", *found]


if __name__ == "__main__":
    main()
