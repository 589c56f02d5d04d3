"""A disk that is full or fails, or a limit on files, stops a sweep or an analysis; the command resumes it."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from study.errors import faults
from tests.conftest import run_command, run_folders, run_here, under_way, without_looks
from tests.sweep.faulty_disk import AGAIN, BIG, STOPPED, TINY, failing_disk, file_size_limit, resumed, stopped


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The outputs of a run to which nothing happens, and how many operations of the disk it takes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with failing_disk(0, errno.ENOSPC) as disk:
        assert run_here(*TINY, cwd=folder).code == 0
    return folder / "outputs" / "default", disk["operations"]


NUMBERS = ("ENOSPC", "EDQUOT", "EIO", "EROFS", "EMFILE", "ENFILE", "EFBIG")


def breaks_at(study, tmp_path, operation, expected):
    """Let an operation of the disk fail while a run is trained, and give the command again on a disk that works."""
    shutil.rmtree(tmp_path / "outputs", ignore_errors=True)
    name = NUMBERS[operation % len(NUMBERS)]
    with failing_disk(operation, getattr(errno, name)):
        result = study(*TINY)
    assert stopped(result, "", os.strerror(getattr(errno, name)), faults.ADVICE[name]), operation
    outputs = tmp_path / "outputs" / "default"
    assert not outputs.exists() or run_folders(outputs) == []
    assert all(folder.name.endswith("@free") for folder in under_way(outputs))
    assert study(*TINY).code == 0
    assert resumed(outputs, expected)


@pytest.mark.parametrize("part", range(1, 8))
def test_wherever_a_disk_fails_no_run_has_failed_and_the_command_goes_on(study, tmp_path, undisturbed, part):
    expected, operations = undisturbed
    breaks_at(study, tmp_path, operations * part // 7, expected)


@pytest.mark.slow
def test_at_each_operation_at_which_a_disk_fails_no_run_has_failed(study, tmp_path, undisturbed):
    expected, operations = undisturbed
    for operation in range(1, operations + 1):
        breaks_at(study, tmp_path, operation, expected)


PAGE = 4096


class SmallDisk:
    """A disk of 4 MB, of which a test leaves as many pages free as it likes."""

    def __init__(self, folder):
        self.ballast = folder / "ballast"

    def leave(self, pages):
        """Fill the disk but for so many pages of 4 kB."""
        self.ballast.unlink(missing_ok=True)
        free = os.statvfs(self.ballast.parent).f_bavail
        self.ballast.write_bytes(bytes(PAGE * max(0, free - pages)))


@pytest.fixture
def small_disk(tmp_path):
    """The folder of the test as a disk of its own."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(tmp_path)]
    done = subprocess.run(mount, capture_output=True, text=True) if shutil.which("mount") else None
    if done is None or done.returncode:
        reason = f"a tmpfs cannot be mounted here: {done.stderr.strip() if done else 'no mount'}"
        (pytest.fail if "REGSTUDY_CI" in os.environ else pytest.skip)(reason)
    yield SmallDisk(tmp_path)
    os.chdir("/")
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def full_at(study, disk, outputs, sweep, pages):
    """Give a command with so many pages of the disk free; returns the file it stops at, None if it ends."""
    disk.leave(pages)
    result = study(*sweep)
    if result.code == 0:
        return None
    place = result.err.removeprefix("study: error: ").partition(":")[0]
    assert stopped(result, place, os.strerror(errno.ENOSPC), "Make room")
    assert "Traceback" not in result.err
    assert not outputs.exists() or run_folders(outputs) == []
    return Path(place).name


def test_a_disk_that_is_full_stops_a_sweep_which_goes_on_when_there_is_room(study, tmp_path, small_disk):
    sweep = (
        "-m",
        "data=digits",
        "checkpoint_every=0",
        "epochs=3",
        "model.hidden=[200]",
        "reg=none,l1",
        "seeds=2",
        "workers=1",
    )
    outputs = tmp_path / "outputs" / "default"
    assert full_at(study, small_disk, outputs, sweep, 40) == "checkpoint.pt"
    assert "1 interrupted, 3 planned" in study("status").out
    small_disk.ballast.unlink()
    assert study(*sweep).code == 0
    assert study(*sweep, "name=undisturbed").code == 0
    assert resumed(outputs, tmp_path / "outputs" / "undisturbed")


@pytest.mark.slow
def test_a_disk_that_gets_full_at_any_file_of_a_run_stops_the_sweep(study, tmp_path, small_disk, undisturbed):
    outputs, places = tmp_path / "outputs" / "default", set()
    for pages in range(100):
        place = full_at(study, small_disk, outputs, TINY, pages)
        if place is None:
            break
        places.add(place)
        small_disk.ballast.unlink()
        assert study(*TINY).code == 0
        assert resumed(outputs, undisturbed[0])
        shutil.rmtree(outputs)
    written = {"sweeps.jsonl", "config.yaml", "metrics.csv", "weights.csv", "histogram.csv", "checkpoint.pt", "run.log"}
    assert places >= written | {"predictions.npz", "status.json"}, places


def analyzed(outputs):
    """All that an analysis has written, by file; how often test scores were looked at aside."""
    files = [path for path in (outputs / "analysis").rglob("*") if path.is_file()]
    return {path.name: without_looks(path.read_bytes()) for path in files}


ANALYZE = ("analyze", "name=small", "figures=[gap]")


@pytest.fixture
def small_study(tmp_path, small_disk, finished):
    """A study on a small disk, not analyzed yet."""
    shutil.copytree(finished / "outputs" / "small", tmp_path / "outputs" / "small")
    shutil.rmtree(tmp_path / "outputs" / "small" / "analysis", ignore_errors=True)
    return tmp_path / "outputs" / "small"


def full_in_analysis(result):
    """The file at which an analysis has stopped for want of room, which it says in one line."""
    assert result.code == 1
    place, _, rest = result.err.removeprefix("study: error: ").partition(": ")
    assert rest == f"{os.strerror(errno.ENOSPC)}. The analysis is not complete. Make room{AGAIN}", result.err
    return Path(place).name


@pytest.mark.slow
def test_an_analysis_on_a_full_disk_leaves_the_earlier_one_as_it_was(study, small_disk, small_study):
    assert study(*ANALYZE).code == 0
    earlier = analyzed(small_study)
    small_disk.leave(0)
    assert full_in_analysis(study(*ANALYZE, "spread=interval")) == "runs.csv"
    assert analyzed(small_study) == earlier
    small_disk.ballast.unlink()
    assert study(*ANALYZE, "spread=interval").code == 0
    assert analyzed(small_study) != earlier


@pytest.mark.slow
def test_a_disk_that_gets_full_at_any_file_of_an_analysis_leaves_whole_files(study, small_disk, small_study):
    assert study(*ANALYZE).code == 0
    expected, places = analyzed(small_study), set()
    for pages in (*range(0, 20, 2), *range(20, 1000, 9)):
        small_disk.ballast.unlink(missing_ok=True)
        shutil.rmtree(small_study / "analysis", ignore_errors=True)
        for file in ("ledger.csv", ".figures-drawn.json", ".analysis-index.npz"):
            (small_study / file).unlink(missing_ok=True)
        small_disk.leave(pages)
        result = study(*ANALYZE)
        if result.code == 0:
            break
        places.add(full_in_analysis(result))
        assert analyzed(small_study).items() <= expected.items()
    assert result.err == ""
    assert analyzed(small_study) == expected
    assert places >= {"ledger.csv", "runs.csv", "gap_table.tex", "report.md", "gap.pdf"}, places


@pytest.mark.parametrize(
    ("hidden", "size", "file"),
    [(4, 8000, "histogram.csv"), pytest.param(200, 100_000, "checkpoint.pt", marks=pytest.mark.slow)],
)
def test_a_file_that_may_not_grow_stops_the_sweep(study, tmp_path, hidden, size, file):
    sweep = ("-m", *TINY, f"model.hidden=[{hidden}]", "reg=none,l1,l2", "workers=1")
    with file_size_limit(size):
        result = study(*sweep)
    assert stopped(result, f"seed0-{under_way(tmp_path / 'outputs/default')[0].name.split('-')[-1][:12]}/{file}", *BIG)
    assert study("status").out.startswith("outputs/default: 1 interrupted, 2 planned")
    result = study(*sweep)
    assert result.code == 0
    assert study(*sweep, "name=undisturbed").code == 0
    assert resumed(tmp_path / "outputs" / "default", tmp_path / "outputs" / "undisturbed")


def limited_command(size, *arguments, cwd):
    """`study ...` as a process whose workers, too, may not write files beyond so many bytes."""
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))"
    code = f"{limit}; import sys; from study.cli.main import program; program()"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)


@pytest.mark.slow
def test_one_worker_s_fault_stops_all_workers_and_their_runs_resume(study, tmp_path):
    sweep = ("-m", "data=digits", "checkpoint_every=0", "epochs=12", "model.hidden=[20]", "reg=none,l1,l2", "name=mine")
    done = limited_command(40_000, *sweep, "workers=2", cwd=tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("study: error: outputs/mine/")
    assert line.endswith(f"/histogram.csv: {BIG[0]}. {STOPPED}{BIG[1]}{AGAIN.strip()}"), line
    outputs = tmp_path / "outputs" / "mine"
    assert run_folders(outputs) == []
    assert all(folder.name.endswith("@free") for folder in under_way(outputs))
    status = study("status", "name=mine").out
    assert "outputs/mine: 2 interrupted, 1 planned" in status, status
    assert study(*sweep, "workers=1").code == 0
    assert study(*sweep, "workers=1", "name=undisturbed").code == 0
    assert resumed(outputs, tmp_path / "outputs" / "undisturbed")


@pytest.mark.slow
def test_a_launcher_s_jobs_that_meet_a_fault_have_not_failed(study, tmp_path):
    sweep = ("-m", "data=digits", "checkpoint_every=0", "epochs=5", "model.hidden=[20]", "reg=none,l1", "name=mine")
    launcher = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    done = limited_command(20_000, *sweep, *launcher, cwd=tmp_path)
    assert done.returncode == 1
    assert "outputs/mine: 2 interrupted" in done.stdout
    (line,) = done.stderr.splitlines()
    assert line.endswith(f"/histogram.csv: {BIG[0]}. {STOPPED}{BIG[1]}{AGAIN.strip()}"), line
    outputs = tmp_path / "outputs" / "mine"
    assert run_folders(outputs) == []
    assert run_command(*sweep, *launcher, cwd=tmp_path).code == 0
    assert study(*sweep, "workers=1", "name=undisturbed").code == 0
    assert resumed(outputs, tmp_path / "outputs" / "undisturbed")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_output_that_cannot_be_written_is_no_failure_of_a_run(tmp_path):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "study", *TINY], cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert done.stderr.startswith("study: error: "), done.stderr
    assert os.strerror(errno.ENOSPC) in done.stderr
    assert not list(tmp_path.glob("outputs/default/*/status.json"))


def test_a_merge_that_finds_no_room_leaves_no_part_of_a_run(study, tmp_path):
    assert study("-m", *TINY, "lam=1e-4,1e-3", "workers=1", "name=other").code == 0
    with file_size_limit(4000):
        result = study("merge", "mine", "other")
    assert result.code == 1
    assert result.err.startswith("study: error: copying outputs/other/l1-lam0.0001-seed0-")
    assert result.err.endswith(f" into outputs/mine: {BIG[0]}. {BIG[1]}{AGAIN}")
    assert result.err.count("\n") == 1
    assert list((tmp_path / "outputs" / "mine").iterdir()) == []
    assert study("merge", "mine", "other").code == 0
    assert len(run_folders(tmp_path / "outputs" / "mine")) == 2
