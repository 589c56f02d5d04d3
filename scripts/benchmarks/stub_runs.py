"""Write a large study quickly: copies of really trained runs, each with its own λ, seed, scores, id and seal."""

import hashlib
import json
import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from study.config.identity import identify
from study.config.names import run_folder_name, variant_key
from study.config.run_config import RunConfig
from study.records.existing import read_config
from study.records.seal import with_own_sum

NAME = "scale"  # of the study
REGS = ("l1", "l2", "l2_norm")
CHANGED = ("metrics.csv", "val.csv", "test.csv", "sparsity.csv")
VARIED = ("train_accuracy", "val_accuracy", "accuracy", "ece", "brier", "hoyer", "gini", "below_0.01", "seconds")
FEW = ("data=digits", "epochs=3", "model.hidden=[10]")


def sweep(runs: int) -> list[str]:
    """Return the overrides of the sweep whose runs `write_study` writes: `none`, and each regularizer at many λ."""
    lams = ",".join(f"{lam:.6g}" for lam in _lams(runs))
    return ["-m", f"reg=none,{','.join(REGS)}", f"lam={lams}", f"seeds={_seeds(runs)}", *FEW, f"name={NAME}"]


def write_study(folder: Path, runs: int) -> int:
    """Write outputs/scale in a folder; return the number of its runs, about as many as asked for.

    The files are those of one really trained run per regularizer. Scores vary with the variant and the seed. Configs,
    ids, names and seals are those that training would write, so a sweep that is given again skips all runs.
    """
    train = [sys.executable, "-m", "study", "-m", f"reg=none,{','.join(REGS)}", *FEW, "name=model"]
    subprocess.run(train, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    os.chdir(folder)
    count = 0
    for model in sorted(Path("outputs", "model").glob("*-seed0-*")):
        config = read_config(model)
        assert config is not None
        files = {file.name: file.read_bytes() for file in model.iterdir()}
        status = json.loads(files.pop("status.json"))
        sealed = {name: _sealed(content) for name, content in files.items()}
        for lam in _lams(runs) if status["takes_lam"] else [config.lam]:
            better = random.Random(f"{config.reg['option']} {lam}").gauss(0, 0.01)
            for seed in range(_seeds(runs)):
                _write_run(replace(config, name=NAME, lam=lam, seed=seed), files, sealed, status, better)
                count += 1
    return count


def _seeds(runs: int) -> int:
    return min(100, max(5, runs // 100))


def _lams(runs: int) -> list[float]:
    count = max(1, round((runs / _seeds(runs) - 1) / len(REGS)))
    return [float(f"{1e-6 * 10 ** (4 * number / count):.6g}") for number in range(count)]


def _write_run(
    config: RunConfig, files: dict[str, bytes], sealed: dict[str, Any], status: dict[str, Any], better: float
) -> None:
    run = identify(config)
    key = variant_key(config.reg["option"], config.lam if run.takes_lam else None, run.settings, ())
    folder = Path("outputs", NAME, run_folder_name(key, config.seed, run.run_id))
    folder.mkdir(parents=True)
    changed = {"config.yaml": config.to_yaml().encode()}
    changed |= {name: _varied(files[name], random.Random(run.run_id), better) for name in CHANGED}
    for name, content in {**files, **changed}.items():
        (folder / name).write_bytes(content)
    ids = {"run_id": run.run_id, "variant": key, "variant_id": run.variant_id, "budget_free_id": run.budget_free_id}
    seal = {**sealed, **{name: _sealed(content) for name, content in changed.items()}}
    (folder / "status.json").write_text(json.dumps(with_own_sum({**status, **ids, "seal": seal}), indent=2) + "\n")


def _varied(content: bytes, luck: random.Random, better: float) -> bytes:
    """A CSV of a run with other values in `VARIED`, by a few percent."""
    header, *rows = [line.split(",") for line in content.decode().splitlines()]
    for place, column in enumerate(header):
        if column in VARIED:
            factor = 1 + better + luck.gauss(0, 0.005)
            for row in rows:
                row[place] = row[place] and repr(min(1.0, float(row[place]) * factor))
    return "".join(",".join(row) + "\n" for row in [header, *rows]).encode()


def _sealed(content: bytes) -> dict[str, int | str]:
    return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
