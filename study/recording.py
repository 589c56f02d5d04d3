"""What a run leaves behind: the files of its folder, written so that a reader never sees half a file or half a row."""

import csv
import io
import json
import os
import platform
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from study import __version__, weights
from study.config import RunConfig
from study.faults import is_fault
from study.seal import OWN, seal_of, with_own_sum

CONTRACT = 1  # version of the files' layout; readers refuse others
STATUS, CONFIG, LOG, PREDICTIONS = "status.json", "config.yaml", "run.log", "predictions.npz"
CHECKPOINT, MODEL = "checkpoint.pt", "model.safetensors"  # only while needed, or when kept on request
TWICE = "twice.jsonl"  # in a study's folder: a line for each run that was trained once more than needed
PART = ".part"  # suffix of files that are not whole yet
COLUMNS: dict[str, tuple[str, ...]] = {
    "metrics.csv": (
        *("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "penalty", "objective"),
        *("gradient_ratio", "lam", "learning_rate", "seconds"),
    ),
    "weights.csv": ("epoch", "parameter", *weights.STATISTICS),
    "histogram.csv": ("epoch", "parameter", "bin_left", "bin_right", "count"),
    **dict.fromkeys(("val.csv", "test.csv"), ("split", "epoch", "loss", "accuracy", "count", "ece", "brier")),
    "sparsity.csv": (
        *("parameter", "count", "zero_fraction", *(f"below_{threshold:g}" for threshold in weights.THRESHOLDS)),
        *("hoyer", "gini", "units", "dead_units"),
    ),
    "label_noise.csv": ("epoch", "labels", "loss", "accuracy", "count"),
    "invariants.csv": ("measure", "parameter", "value"),
    "pruning.csv": (*("split", "epoch", "threshold", "removed", "count", "effective_parameters", "loss", "accuracy"),),
}
_MARGINS = ("margin_q10", "margin_median")
INVARIANTS = (  # measures of invariants.csv
    *("stable_rank", "effective_rank", "path_norm_l1", "path_norm_l2", "in_out", *_MARGINS),
    *(f"{margin}_over_path_norm_{norm}" for margin in _MARGINS for norm in ("l1", "l2")),
)
GROWING = ("metrics.csv", "weights.csv", "histogram.csv")  # a row or more an epoch; the others are written once
LABEL_NOISE = "label_noise.csv"  # grows as well, in runs that have some
BIN_TEXT = [tuple(map(repr, edges)) for edges in weights.BINS]  # written many times over
FILES = (STATUS, CONFIG, LOG, PREDICTIONS, CHECKPOINT, MODEL, *COLUMNS)
STATUS_KINDS = {  # of what readers take from status.json
    **dict.fromkeys(("state", "run_id", "variant", "variant_id", "path", "device", "started"), str),
    **dict.fromkeys(("setting", "data_checksums", "images", "versions"), dict),
    **dict.fromkeys(("threads", "numerics", "epochs_trained", "scored_epoch", "resumed"), int),
    "takes_lam": bool,
}
SEALED = tuple(name for name in FILES if name != STATUS)  # which holds the seal


class _Fault:
    """For scripts/reliability.py alone: kills this process halfway through the write of that number."""

    left = int(os.environ.get("REGSTUDY_FAULT_AT_WRITE", "0"))

    @classmethod
    def point(cls, file: BinaryIO, content: bytes) -> None:
        """Called at the beginning of every write."""
        if cls.left:
            cls.left -= 1
            if not cls.left:
                file.write(content[: len(content) // 2])
                file.flush()
                os.kill(os.getpid(), signal.SIGKILL)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file beside its place, then rename: readers see the old content or the new, never a part."""
    beside = path.with_name(f".{path.name}.{os.getpid()}{PART}")
    content = content.encode() if isinstance(content, str) else content
    with _naming(path):
        try:
            with open(beside, "wb") as file:
                _Fault.point(file, content)
                file.write(content)
            os.replace(beside, path)
        except BaseException:
            with suppress(OSError):  # what is told is why it was not written
                beside.unlink(missing_ok=True)
            raise


def append_whole(path: Path, content: bytes) -> None:
    """Add to a file: all of the content or, where the disk is full, nothing."""
    rest = memoryview(content)
    with _naming(path), open(path, "ab", buffering=0) as file:
        before = os.fstat(file.fileno()).st_size
        try:
            _Fault.point(file, content)
            while rest:
                rest = rest[file.write(rest) :]
        except OSError:
            with suppress(OSError):  # what is told is why it was not written
                file.truncate(before)
            raise


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Errors of the block name the file that was to be written: an error of a write names none."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


def read_status(folder: Path) -> dict[str, Any] | None:
    """The content of status.json, None where there is none or it is not one.

    Raises:
        OSError: a fault of the machine keeps it from being read, which says nothing of the run.
    """
    try:
        status = json.loads((folder / STATUS).read_text())
    except (OSError, ValueError, RecursionError) as error:
        if is_fault(error):
            raise
        return None
    if not isinstance(status, dict) or "state" not in status:
        return None
    sound = all(isinstance(status[key], kind) for key, kind in STATUS_KINDS.items() if key in status)
    return status if sound else None


def now() -> str:
    """The time in UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@lru_cache(maxsize=1)
def versions() -> dict[str, Any]:
    """Versions of what computes, and the commit of this project's checkout, if it is one."""
    return {
        "python": platform.python_version(),
        **{name: _installed(name) for name in ("torch", "scipy", "numba")},
        "regstudy": __version__,
        **_git(Path(__file__).parent.parent),
    }


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _git(folder: Path) -> dict[str, Any]:
    unknown = {"git_commit": None, "git_dirty": None}
    if not (folder / ".git").exists():
        return unknown
    try:
        commit, state = (
            subprocess.run(["git", "-C", str(folder), *command], capture_output=True, text=True, check=True).stdout
            for command in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        )
    except (OSError, subprocess.CalledProcessError):
        return unknown
    return {"git_commit": commit.strip(), "git_dirty": bool(state.strip())}


class RunFolder:
    """The folder of one run while it is written."""

    def __init__(
        self,
        path: Path,
        config: RunConfig,
        status: Mapping[str, Any],
        sizes: Mapping[str, int] | None = None,
        rows: Mapping[str, bytes] | None = None,
    ):
        """Start a run, or go on with one.

        Args:
            path: the folder, made if missing.
            config: the resolved config.
            status: facts for status.json besides state, times, versions and owner.
            sizes: bytes of each CSV to go on from: later rows are cut off. None: files of an earlier attempt go.
            rows: what a new run's CSVs begin with, if not with their header alone.
        """
        self.path = path
        self.growing = GROWING + ((LABEL_NOISE,) if config.data["label_noise"] else ())
        self.began = time.perf_counter()
        path.mkdir(parents=True, exist_ok=True)
        earlier = read_status(path) if sizes is not None else None
        for name in FILES if sizes is None else ():
            (path / name).unlink(missing_ok=True)
        for part in path.glob(f".*{PART}"):  # left by a process that was killed while it wrote
            part.unlink()
        self._status = {
            "contract": CONTRACT,
            "state": "running",
            **status,
            "started": (earlier or {}).get("started", now()),
            "resumed": (earlier or {}).get("resumed", 0) + (earlier is not None),
            "ended": None,
            "versions": versions(),
            "owner": {"host": socket.gethostname(), "pid": os.getpid()},
        }
        self._write_status()
        write_whole(path / CONFIG, config.to_yaml())
        for name in self.growing:
            if sizes is None:
                write_whole(path / name, (rows or {}).get(name) or _csv([COLUMNS[name]]))
            else:
                os.truncate(path / name, sizes[name])

    def sizes(self) -> dict[str, int]:
        """Bytes of each growing CSV now."""
        return {name: (self.path / name).stat().st_size for name in self.growing}

    def log(self, line: str) -> None:
        """Add a line to run.log."""
        append_whole(self.path / LOG, f"{now()}  {line}\n".encode())

    def append(self, name: str, rows: Sequence[Sequence[Any]]) -> None:
        """Add rows to a CSV."""
        append_whole(self.path / name, _csv(rows).encode())

    def write_table(self, name: str, rows: Iterable[Sequence[Any]]) -> None:
        """Write a CSV that is written once."""
        write_table(self.path, name, rows)

    def append_weights(self, epoch: int, parameters: Iterable[tuple[str, np.ndarray]], histograms: bool) -> None:
        """Add an epoch's statistics of every parameter, and their histograms if wanted."""
        statistics, bins = [], []
        for name, w in parameters:
            values = weights.ordered(w)
            statistics.append([epoch, name, *weights.summarize(values).values()])
            if histograms and np.isfinite(values[[0, -1]]).all():
                counts = weights.histogram(values)
                occupied = np.flatnonzero(counts).tolist()
                bins += [
                    (epoch, name, *BIN_TEXT[i], n) for i, n in zip(occupied, counts[occupied].tolist(), strict=True)
                ]
        self.append("weights.csv", statistics)
        if bins:
            self.append("histogram.csv", bins)

    def note(self, **facts: Any) -> None:
        """Facts for status.json, to be written when the run ends."""
        self._status |= facts

    def finish(self, state: str, cause: str | None = None, traceback: str | None = None) -> None:
        """Say how the run ended, and seal the files of one that has a result. Only now is a run complete."""
        self._status |= {"state": state, "ended": now()}
        if cause:
            self._status["cause"] = cause
        if traceback:
            self._status["traceback"] = traceback
        for key in ("seal", OWN):  # of an end that could not be written
            self._status.pop(key, None)
        if state in ("complete", "diverged"):
            self._status = with_own_sum({**self._status, "seal": seal_of(self.path, SEALED)})
        self._write_status()

    def _write_status(self) -> None:
        write_whole(self.path / STATUS, json.dumps(self._status, indent=2) + "\n")


def write_table(folder: Path, name: str, rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV of a run that is written once."""
    write_whole(folder / name, _csv([COLUMNS[name], *rows]))


def save_predictions(folder: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write predictions.npz."""
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    write_whole(folder / PREDICTIONS, content.getvalue())


def mark_failed(folder: Path, cause: str) -> None:
    """Say in status.json that a run failed whose process can no longer say it."""
    status = read_status(folder)
    if status is not None:
        status |= {"state": "failed", "ended": now(), "cause": cause}
        write_whole(folder / STATUS, json.dumps(status, indent=2) + "\n")


def _csv(rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)  # floats in full: repr gives the same float back
    return text.getvalue()
