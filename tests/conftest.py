"""Shared by all tests: the command `study` run in this process in a folder of its own, and one finished study."""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from study.cli import main, startup
from study.records.contract import SEALED
from study.records.seal import OWN, seal_of, with_own_sum
from tests.composing import make_faster

ROOT = Path(__file__).parent.parent
# pytest-xdist gives each core a process; several threads in each would wait for one another, ten times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_CACHE_DIR", str(ROOT / ".pytest_cache" / startup.compiled_version()))
# A background job of a shell ignores Ctrl-C, and so do processes that it starts. Tests send it to some of these.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

COMPILE = (
    "import torch; torch.set_default_dtype({}); from study.training.compiled import any_model, mlp;"
    " mlp.unavailable(); any_model.unavailable()"
)


# The files that take longest come first, longest first: what begins last should end soon, or the other cores wait.
LONGEST = (
    *("sweep/test_full_disks", "sweep/test_slurm", "sweep/test_ray", "sweep/test_reliability"),
    *("analysis/test_figures", "test_docs", "config/test_everything_composes", "sweep/test_shared_folders"),
    *("records/test_shared_folder", "fuzz/test_damage", "training/test_training", "config/test_fair_tuning"),
    *("fuzz/test_options", "fuzz/test_figure_files", "fuzz/test_command_lines", "sweep/test_leftovers"),
    *("sweep/test_tuned", "analysis/test_analysis", "data/test_bad_files", "cli/test_bad_input"),
)


def pytest_collection_modifyitems(items):
    """Put the longest files first."""
    places = {ROOT / "tests" / f"{name}.py": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_configure(config):
    """Keep the order of files, and compile once for all tests, before pytest-xdist's workers would all do it."""
    make_faster()
    config.option.loadscopereorder = False  # pytest-xdist would begin with the files that have the most tests
    if config.getoption("numprocesses", None) and not Path(os.environ["NUMBA_CACHE_DIR"]).exists():
        code = [COMPILE.format(dtype) for dtype in ("torch.float32", "torch.float64")]
        for process in [subprocess.Popen([sys.executable, "-c", line], cwd=ROOT) for line in code]:
            process.wait()


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


@pytest.fixture
def study(tmp_path, monkeypatch, capfd):
    """Run `study ...` in tmp_path, in this process: `study("reg=l1", "data=digits")`."""

    def run(*arguments: str) -> Result:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["study", *arguments])
        monkeypatch.setattr(sys, "path", list(sys.path))  # --config-dir adds to it, and to PYTHONPATH
        monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
        capfd.readouterr()
        code = _exit_status()
        return Result(code, *capfd.readouterr())

    return run


def _exit_status() -> int:
    with pytest.raises(SystemExit) as exit_:
        main.main()
    return exit_.value.code or 0


def run_here(*arguments: str, cwd: Path) -> Result:
    """Run `study ...` in this process, for fixtures of several tests; runs one after another, with `workers=1`."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(cwd)
        patch.setattr(sys, "argv", ["study", *arguments])
        patch.setattr(sys, "path", list(sys.path))  # as in `study`
        patch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
        code = _exit_status()
    return Result(code, out.getvalue(), err.getvalue())


def run_command(*arguments: str, cwd: Path, timeout: float = 120, **environment: str) -> Result:
    """Run `study ...` as a process of its own, for at most so many seconds."""
    done = subprocess.run(
        [sys.executable, "-m", "study", *arguments],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """A folder holding outputs/small: none, l1 and l2, two seeds each, three epochs on digits."""
    folder = tmp_path_factory.mktemp("finished")
    few = ("data=digits", "epochs=3", "model.hidden=[20]", "name=small", "workers=1")
    result = run_here("-m", "reg=none,l1,l2", "seeds=2", *few, cwd=folder)
    assert result.code == 0, result.err
    return folder


@pytest.fixture
def small(finished, tmp_path) -> Path:
    """A copy of the study `small` of `finished`, to be changed."""
    shutil.copytree(finished / "outputs", tmp_path / "outputs")
    return tmp_path / "outputs" / "small"


def first_fast(values: Iterable) -> list:
    """Parameters of a long test: the first in every run of the tests, the others with the slow ones."""
    first, *others = values
    return [first, *(pytest.param(other, marks=pytest.mark.slow) for other in others)]


def snapshot(folder: Path) -> dict[Path, bytes]:
    """The content of each file below a folder."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def products(folder: Path) -> dict[str, bytes]:
    """What an analysis has written, by file; the count of looks at test scores aside, which grows."""
    files = sorted(path for path in (folder / "analysis").rglob("*") if path.is_file())
    return {path.name: without_looks(path.read_bytes()) for path in files}


def without_looks(content: bytes) -> bytes:
    """The same without how often test scores have been looked at."""
    return re.sub(rb"looked at (once|\d+ times)[^(]*", b"", content)


def under_way(outputs: Path) -> list[Path]:
    """The folders of runs that have not ended."""
    return sorted((outputs / ".work").glob("*@*"))


def reseal(run: Path, keep: bool = True) -> None:
    """Make a run's seal fit the files that a test has changed, status.json too; without `keep` it has none, as once."""
    status = json.loads((run / "status.json").read_text())
    for key in ("seal", OWN):
        status.pop(key, None)
    if keep:
        status = with_own_sum(status | {"seal": seal_of(run, SEALED)})
    (run / "status.json").write_text(json.dumps(status, indent=2))


def run_folders(outputs: Path) -> list[Path]:
    """The run folders of a study."""
    return sorted(path for path in outputs.iterdir() if (path / "status.json").is_file())
