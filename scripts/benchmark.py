"""Measure the speed of regstudy, compared with other libraries and with the limit of the machine.

    python scripts/benchmark.py peers         # the table in the README; three repeats take an hour
    python scripts/benchmark.py penalties     # the cost of a penalty
    python scripts/benchmark.py growth        # time by hidden width and batch size
    python scripts/benchmark.py by_runs       # time of whole commands by number of runs
    python scripts/benchmark.py engine        # a sweep of 300 short runs: the time besides training
    python scripts/benchmark.py memory        # eight workers on Fashion-MNIST; Linux only
    python scripts/benchmark.py analysis      # study analyze on 5,000 runs
    python scripts/benchmark.py general       # CNN, batch normalization, dropout: the general loop against others
    python scripts/benchmark.py small         # small networks in lockstep, against the other loops
    python scripts/benchmark.py agreement     # accuracy of the compiled loop minus that of the general loop

It writes tables and all single timings to outputs/benchmark/, and installs the other libraries into .venv-bench once.
All of them train the same model: Fashion-MNIST, all 60,000 training images, 784-1000-10, batch 32, Adam 1e-3, and L1
1e-4 unless --reg is given. They compute the objective of each epoch and score train and val. regstudy also writes all
files of a run. Run nothing else at the same time. Only ratios from one call carry over to other machines.
"""

import argparse
import tempfile
from pathlib import Path

import pandas as pd
from benchmarks import contestants, engine
from benchmarks.agreement import agreement
from benchmarks.analysis import analysis
from benchmarks.race import race, summary, time_run
from benchmarks.small import small

OUT = Path(__file__).parent.parent / "outputs" / "benchmark"
REGS = ("none", "l1", "l2", "l2_norm")
SWEEP = "regstudy, a run on every core"


def peers(options: argparse.Namespace) -> None:
    """Compare with the other libraries and with the lower bound."""
    contestants.install_peers()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.npz"
        contestants.write_data(data)
        entered = [
            *contestants.peers(data, options.reg, options.only, running=options.running),
            contestants.ours("regstudy, one run on one core", options.reg, runs=1),
            contestants.ours(SWEEP, options.reg),
        ]
        name = f"peers_{options.reg}" + "_running" * options.running
        raw, floors = OUT / f"{name}.jsonl", []
        timings = race(
            entered, options.repeats, options.few, options.many, raw, lambda: floors.append(contestants.floor())
        )
    parts = pd.DataFrame([floor["parts"] for floor in floors]).median()
    table, floor = summary(timings, SWEEP), parts.sum()
    _write(table.assign(floor=floor / table["seconds"]), name)
    ours = table.loc[SWEEP]
    lines = [
        f"Lower bound: {floor:.2f} s ({', '.join(f'{part} {seconds:.2f}' for part, seconds in parts.items())}).",
        f"regstudy, speed relative to it: {floor / ours.seconds:.2f} with all files, {floor / ours.busy:.2f} without.",
    ]
    print("\n".join(lines))
    with open(OUT / f"{name}.md", "a") as file:
        file.write("\n" + "\n".join(lines) + "\n")


def penalties(options: argparse.Namespace) -> None:
    """Compare the penalties in regstudy, interleaved."""
    entered = [contestants.ours(reg, reg) for reg in REGS]
    timings = race(entered, options.repeats, options.few, options.many, OUT / "penalties.jsonl")
    _write(summary(timings, "none"), "penalties")


def growth(options: argparse.Namespace) -> None:
    """Compare regstudy with JAX, one process per core each, by hidden width and batch size."""
    contestants.install_peers()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.npz"
        contestants.write_data(data)
        # More epochs if they are short: start-up time, which is subtracted, varies by a second.
        sizes = [(100, 32, 6), (300, 32, 4), (1000, 32, 2), (4000, 32, 1), (1000, 8, 1), (1000, 128, 3), (1000, 512, 3)]
        for hidden, batch, times in sizes:
            own = contestants.ours(SWEEP, options.reg, f"model.hidden=[{hidden}]", f"batch_size={batch}")
            jax = contestants.peers(data, options.reg, ["jax"], hidden, batch)[1]
            name = f"growth_{hidden}_{batch}"
            many = options.few + times * (options.many - options.few)
            timings = race([own, jax], options.repeats, options.few, many, OUT / f"{name}.jsonl")
            _write(summary(timings, SWEEP), name, f"hidden width {hidden}, batch {batch}")


MODELS = {  # of the measurement `general`: from its name to regstudy's keys
    "cnn": ("model=cnn",),
    "batch_norm": ("model.norm=batch",),
    "dropout": ("model.dropout=0.5",),
}


def general(options: argparse.Namespace) -> None:
    """Compare the general loop with a plain PyTorch loop and Lightning, one process per core each."""
    contestants.install_peers()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.npz"
        contestants.write_data(data, options.mini)
        same = ["data=fashion_mnist_mini"] if options.mini else []
        for model in options.models:
            both = contestants.peers(data, options.reg, ["notebook", "lightning"], model=model)
            entered = [*both[1::2], contestants.ours(SWEEP, options.reg, *MODELS[model], *same)]
            name = f"general_{model}"
            timings = race(entered, options.repeats, options.few, options.many, OUT / f"{name}.jsonl")
            table = summary(timings, SWEEP)
            _write(table, name, f"model {model}")
            print(
                f"share of training and scoring in the time of an epoch: {table.busy[SWEEP] / table.seconds[SWEEP]:.2f}"
            )


def by_runs(options: argparse.Namespace) -> None:
    """Time whole commands by number of runs."""
    counts = (1, 2, 4, 8, 16, 32)
    walls = [
        time_run(contestants.ours(f"{runs} runs", options.reg, runs=runs), 0, options.many).wall for runs in counts
    ]
    table = pd.DataFrame({"runs": counts, "seconds": walls}).assign(per_run=lambda t: t["seconds"] / t["runs"])
    OUT.mkdir(parents=True, exist_ok=True)
    table.to_csv(OUT / "growth_runs.csv", index=False, float_format="%.4g")
    print(table.to_string(index=False, float_format="%.1f"))


def _write(table: pd.DataFrame, name: str, title: str = "") -> None:
    """Write a table as CSV and Markdown, and print it."""
    table.to_csv(OUT / f"{name}.csv", float_format="%.4g")
    lines = [
        "| | s per epoch and run: median (min to max) | ratio | start-up, s | memory, MB | val accuracy, % |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {label} | {row.seconds:.2f} ({row.least:.2f} to {row.greatest:.2f}) | {row.ratio:.2f} | {row.startup:.1f} |"
        f" {row.memory:.0f} | {100 * row.accuracy:.1f} |"
        for label, row in table.iterrows()
    ]
    if "floor" in table:
        more = [" relative to the lower bound |", "---:|", *(f" {share:.2f} |" for share in table["floor"])]
        lines = [line + end for line, end in zip(lines, more, strict=True)]
    (OUT / f"{name}.md").write_text("\n".join(lines) + "\n")
    print("\n".join([title, *lines]), flush=True)


def _peers(names: str) -> list[str]:
    """Parse short names of libraries, separated by commas."""
    found = names.split(",")
    if unknown := [name for name in found if name not in contestants.NAMES]:
        raise argparse.ArgumentTypeError(f"{unknown[0]} is not known. Allowed: {', '.join(contestants.NAMES)}")
    return found


def _models(names: str) -> list[str]:
    """Parse names of models, separated by commas."""
    found = names.split(",")
    if unknown := [name for name in found if name not in MODELS]:
        raise argparse.ArgumentTypeError(f"{unknown[0]} is not known. Allowed: {', '.join(MODELS)}")
    return found


def main() -> None:
    """Run the benchmark that the command line names."""
    measures = {
        f.__name__: f
        for f in (peers, penalties, growth, general, by_runs, engine.engine, engine.memory, analysis, agreement, small)
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=measures)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--few", type=int, default=2, help="epochs of the shorter of the two timings")
    parser.add_argument("--many", type=int, default=8, help="epochs of the longer one")
    parser.add_argument("--reg", choices=REGS, default="l1")
    parser.add_argument("--runs", type=int, default=5_000, help="analysis: runs of the study")
    parser.add_argument("--first-seed", type=int, default=0, help="agreement: first of the 20 seeds")
    parser.add_argument("--running", action="store_true", help="score train during training: less work")
    parser.add_argument("--only", type=_peers, default=list(contestants.NAMES), help="some libraries: jax,keras")
    parser.add_argument("--models", type=_models, default=list(MODELS), help="general: some of cnn,batch_norm,dropout")
    parser.add_argument("--mini", action="store_true", help="general: fashion_mnist_mini, a sixth of the work")
    options = parser.parse_args()
    raced = options.what in ("peers", "penalties", "growth", "general")
    if raced and (options.few < 1 or options.many <= options.few or options.repeats < 1):
        parser.error("--few and --repeats must be at least 1, and --many more than --few")
    if options.first_seed < 0:
        parser.error("--first-seed must be at least 0")
    measures[options.what](options)


if __name__ == "__main__":
    main()
