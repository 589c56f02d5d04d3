"""A fault of the machine ends the sweep and is no run's result: the same command resumes it, to the same bytes."""

import errno
import io
import json
import os
import resource
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from study import claims, faults, recording
from tests.conftest import run_command, run_folders, run_here, under_way, without_looks
from tests.test_resume import same_bytes
from tests.test_sweep import state

TINY = ("data=digits", "data.train_size=100", "epochs=2", "model.hidden=[4]", "reg=l1")
STOPPED = "The sweep has stopped and its runs can be resumed. "
AGAIN = ", then give the same command again.\n"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The outputs of a run to which nothing happens, and how many operations of the disk it takes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with failing_disk(0, errno.ENOSPC) as disk:
        assert run_here(*TINY, cwd=folder).code == 0
    return folder / "outputs" / "default", disk["operations"]


def stopped(result, place, reason, advice):
    """Whether a command has said in one line where and why it has stopped, and what to do."""
    assert result.code == 1
    assert result.err.startswith("study: error: outputs/"), result.err
    assert result.err.endswith(f"{place}: {reason}. {STOPPED}{advice}{AGAIN}"), result.err
    assert result.err.count("\n") == 1
    assert "failed" not in result.out
    return True


def resumed(outputs, expected):
    """Whether the runs of a study have ended as undisturbed ones, and nothing else is left of them."""
    assert under_way(outputs) == []
    for run, twin in zip(run_folders(outputs), run_folders(expected), strict=True):
        assert state(run) == "complete"
        same_bytes(run, twin)
        assert sorted(path.name for path in run.iterdir()) == sorted(path.name for path in twin.iterdir())
    lines = (outputs / "sweeps.jsonl").read_text().splitlines()
    assert all(json.loads(line)["runs"] for line in lines)
    return True


@contextmanager
def failing_disk(at, number):
    """A disk on which the operation of that number fails, halfway if it is a write, and all later writes as well.

    Yields:
        `operations`, how many there have been.
    """
    disk = {"operations": 0}

    def fails(path, writes=False):
        if "outputs" in str(Path(path).absolute()):
            disk["operations"] += 1
            if disk["operations"] == at or (writes and 0 < at < disk["operations"]):
                raise OSError(number, os.strerror(number), *([] if writes else [str(path)]))  # a write names no file

    def point(file, content):
        try:
            fails(file.name, writes=True)
        except OSError:
            file.write(content[: len(content) // 2])
            raise

    def checked(function):
        return lambda path, *rest, **options: (fails(path), function(path, *rest, **options))[1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recording._Fault, "point", point)
        for name in ("replace", "rename", "mkdir", "truncate"):
            patch.setattr(os, name, checked(getattr(os, name)))
        yield disk


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
    sweep = ("-m", "data=digits", "epochs=3", "model.hidden=[200]", "reg=none,l1", "seeds=2", "workers=1")
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


@contextmanager
def file_size_limit(size):
    """No file of this process may grow beyond so many bytes: a write then fails as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(("hidden", "size", "file"), [(4, 8000, "histogram.csv"), (200, 100_000, "checkpoint.pt")])
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


BIG = ("File too large", "Raise the limit on the size of a file (ulimit -f)")


def limited_command(size, *arguments, cwd):
    """`study ...` as a process whose workers, too, may not write files beyond so many bytes."""
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))"
    code = f"{limit}; import sys; from study.__main__ import program; program()"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)


def test_one_worker_s_fault_stops_all_workers_and_their_runs_resume(study, tmp_path):
    sweep = ("-m", "data=digits", "epochs=12", "model.hidden=[20]", "reg=none,l1,l2", "name=mine")
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
def test_a_launcher_s_jobs_that_meet_a_fault_have_not_failed(tmp_path):
    sweep = ("-m", "data=digits", "epochs=5", "model.hidden=[20]", "reg=none,l1", "name=mine")
    launcher = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    done = limited_command(20_000, *sweep, *launcher, cwd=tmp_path)
    assert done.returncode == 1
    assert "outputs/mine: 2 interrupted" in done.stdout
    (line,) = done.stderr.splitlines()
    assert line.endswith(f"/histogram.csv: {BIG[0]}. {STOPPED}{BIG[1]}{AGAIN.strip()}"), line
    outputs = tmp_path / "outputs" / "mine"
    assert run_folders(outputs) == []
    for name in ("mine", "undisturbed"):
        assert run_command(*sweep[:-1], *launcher, f"name={name}", cwd=tmp_path).code == 0
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


PENALTY = """
import os
import numpy as np
import torch
def penalty(w):
    if os.path.exists("tight") and w.detach().std() > 0:
        {fault}
    return w.abs().sum()
"""
UNAVAILABLE = "CUDA error: CUDA-capable device(s) is/are busy or unavailable"
CAPACITY = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 1.00 GiB"
UNABLE = "Unable to allocate 72.8 TiB for an array with shape (10000000000000,) and data type float64"
ALLOCATOR = (
    "DefaultCPUAllocator: can't allocate memory: you tried to allocate 40000000000000 bytes."
    " Error code 12 (Cannot allocate memory)"
)
MACHINE = {
    "torch.empty(10**13)": (ALLOCATOR, faults.MEMORY),
    "np.empty(10**13)": (UNABLE, faults.MEMORY),
    f"raise torch.OutOfMemoryError('{CAPACITY}')": (CAPACITY.partition(". GPU")[0], faults.MEMORY),
    f"raise torch.AcceleratorError('{UNAVAILABLE}\\nCUDA kernel errors might')": (UNAVAILABLE, "Check the device"),
    "raise OSError(28, os.strerror(28))": (os.strerror(28), "Make room"),
}


def own_penalty(tmp_path, monkeypatch, fault):
    """An option reg=mine, whose penalty meets a fault while the file `tight` is there."""
    monkeypatch.syspath_prepend(tmp_path)
    name = f"penalties_{abs(hash(fault))}"
    (tmp_path / f"{name}.py").write_text(PENALTY.format(fault=fault))
    (tmp_path / "own" / "reg").mkdir(parents=True)
    (tmp_path / "own" / "reg" / "mine.yaml").write_text(f"_target_: {name}.penalty\nlam: 1e-4\n")
    (tmp_path / "tight").touch()
    return ("-m", "--config-dir", "own", *TINY[:-1], "reg=mine", "seeds=2", "workers=1")


@pytest.mark.parametrize("fault", MACHINE)
def test_memory_that_runs_out_and_a_lost_device_stop_the_sweep(study, tmp_path, monkeypatch, fault):
    sweep = own_penalty(tmp_path, monkeypatch, fault)
    result = study(*sweep)
    outputs = tmp_path / "outputs" / "default"
    (given_back,) = under_way(outputs)
    assert stopped(result, "outputs/default/" + given_back.name.removesuffix("@free"), *MACHINE[fault])
    assert run_folders(outputs) == []
    assert "Traceback" in (given_back / "run.log").read_text()  # which line of whose code it was
    (tmp_path / "tight").unlink()
    assert study(*sweep).code == 0
    assert [state(run) for run in run_folders(outputs)] == ["complete"] * 2


OWN_MISTAKES = {
    "raise RuntimeError('CUDA error: device-side assert triggered')": "device-side assert triggered",
    "raise FileNotFoundError(2, 'No such file', 'mine.txt')": "mine.txt: No such file",
}


@pytest.mark.parametrize("mistake", OWN_MISTAKES)
def test_a_mistake_of_one_s_own_code_is_a_failed_run_as_ever(study, tmp_path, monkeypatch, mistake):
    result = study(*own_penalty(tmp_path, monkeypatch, mistake))
    assert result.code == 1
    assert result.out.count("failed outputs/default/mine") == 2
    runs = run_folders(tmp_path / "outputs" / "default")
    assert [state(run) for run in runs] == ["failed"] * 2
    assert all(OWN_MISTAKES[mistake] in json.loads((run / "status.json").read_text())["cause"] for run in runs)


def test_what_ends_a_run_costs_no_checkpoint_where_it_cannot_be_written(study, tmp_path, monkeypatch):
    write_status = recording.RunFolder._write_status

    def full(folder):
        if folder._status["state"] == "complete":
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
        write_status(folder)

    with monkeypatch.context() as patch:
        patch.setattr(recording.RunFolder, "_write_status", full)
        assert study(*TINY).code == 1
    (given_back,) = under_way(tmp_path / "outputs" / "default")
    assert "seal" not in json.loads((given_back / "status.json").read_text())
    assert study(*TINY).code == 0
    (run,) = run_folders(tmp_path / "outputs" / "default")
    assert "goes on after epoch 1" in (run / "run.log").read_text()


@pytest.mark.parametrize("file", ["status.json", "checkpoint.pt"])
def test_a_file_that_cannot_be_read_is_not_taken_for_one_that_is_not_there(study, tmp_path, monkeypatch, file):
    """Or a complete run would be trained once more, and a checkpoint thrown away."""
    if file == "checkpoint.pt":
        with failing_disk(30, errno.ENOSPC):
            study(*TINY)
    else:
        study(*TINY)
    (there,) = tmp_path.glob(f"outputs/default/**/{file}")
    before = {path.name: path.read_bytes() for path in there.parent.iterdir()}
    opened = io.open

    def unreadable(path, *rest, **options):
        if str(path).endswith(file):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return opened(path, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(io, "open", unreadable)
        patch.setattr("builtins.open", unreadable)
        result = study(*TINY)
    assert stopped(result, file, os.strerror(errno.EIO), "Check the disk")
    (there,) = tmp_path.glob(f"outputs/default/**/{file}")
    assert {path.name: path.read_bytes() for path in there.parent.iterdir()}.items() >= (
        before if file == "status.json" else {file: before[file]}
    ).items()


def test_a_run_that_cannot_be_claimed_is_not_waited_for(tmp_path, monkeypatch):
    place = tmp_path / "mine" / "l1-seed0-0123456789ab"
    claims.claim(place, "0123456789ab", os.getpid()).give_back()

    def read_only(*_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "rename", read_only)
    with pytest.raises(OSError, match=os.strerror(errno.EROFS)):
        claims.claim(place, "0123456789ab", os.getpid())


def test_an_owner_whose_process_cannot_be_looked_at_is_not_taken_for_dead(tmp_path, monkeypatch):
    claim = claims.claim(tmp_path / "mine" / "l1-seed0-0123456789ab", "0123456789ab", os.getpid())

    def no_more_files(*_):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(Path, "read_text", no_more_files)
    with pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
        claims.is_held(claim.work)


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


@pytest.mark.slow
def test_a_worker_killed_for_want_of_memory_or_before_its_run_began_stops_the_sweep(tmp_path, monkeypatch):
    kill = "import signal; os.kill(os.getpid(), signal.SIGKILL)"
    sweep = own_penalty(tmp_path, monkeypatch, kill)[:-1]
    for patch, cause in {
        "study.faults.out_of_memory_kills = iter([0, 1, 1]).__next__": "the system ran out of memory and killed",
        "study.workers._serve = print": "its process ended by itself with code 0, before the run began",
    }.items():
        code = f"import study.workers, study.faults; {patch}; from study.__main__ import program; program()"
        command = [sys.executable, "-c", code, *sweep, "workers=2"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 1
        assert cause in done.stderr, done.stderr
        assert STOPPED in done.stderr
        assert run_folders(tmp_path / "outputs" / "default") == []
    (tmp_path / "tight").unlink()
    assert run_command(*sweep, "workers=2", cwd=tmp_path, PYTHONPATH=str(tmp_path)).code == 0
