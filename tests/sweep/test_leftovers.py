"""Nothing is left in the system's temporary folder, and no process: however a command ends."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from study.cli.signals import ToldToEndError, ended_by_signals
from study.records import processes
from study.sweep import temporary
from tests.conftest import run_command, run_folders, under_way
from tests.sweep.test_sweep import state

LONG = ("data=digits", "epochs=3000", "model.hidden=[20]")
TWO = ("-m", *LONG, "reg=none,dropout", "workers=2")  # dropout: by the general loop, which has caches of its own


@pytest.fixture
def tmp_path():
    """A folder with a short name: that of a socket below it may have a hundred characters."""
    with tempfile.TemporaryDirectory(prefix="left-", ignore_cleanup_errors=True) as name:
        yield Path(name)


def start(cwd, *arguments):
    """A command with a temporary folder of its own, once each of its runs has some epochs."""
    temporary_folder = cwd / "tmp"
    temporary_folder.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "study", *arguments],
        cwd=cwd,
        env=os.environ | {"TMPDIR": str(temporary_folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # ignored where nohup runs the tests
    )
    runs, deadline = 2 if "-m" in arguments else 1, time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        tables = [*cwd.glob("outputs/*/.work/*/metrics.csv"), *temporary_folder.glob("regstudy-*/*/metrics.csv")]
        if sum(table.read_text().count("\n") > 3 for table in tables) == runs:
            return process
        time.sleep(0.02)
    raise AssertionError(process.communicate())


def processes_of(cwd):
    """The processes that work with a temporary folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"TMPDIR={cwd}/tmp".encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_bytes())
        except OSError:  # it has ended, or is another user's
            pass
    return found


def left_of(cwd):
    """What is left once the processes, which have been told to end, have ended."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and processes_of(cwd):
        time.sleep(0.05)
    return processes_of(cwd) + list((cwd / "tmp").rglob("*"))


@pytest.mark.parametrize(
    ("number", "to_all", "arguments"),
    [
        (signal.SIGTERM, False, (*LONG, "reg=dropout")),
        pytest.param(signal.SIGHUP, True, (*LONG, "reg=none"), marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, False, TWO, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, True, TWO, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, True, TWO, marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, True, TWO, marks=pytest.mark.slow),
    ],
)
def test_a_command_that_is_told_to_end_leaves_runs_to_resume_and_nothing_else(tmp_path, number, to_all, arguments):
    process = start(tmp_path, *arguments)
    (os.killpg if to_all else os.kill)(process.pid, number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "the same command resumes" in err
    assert "Traceback" not in err
    assert left_of(tmp_path) == []
    given_back = under_way(tmp_path / "outputs" / "default")
    assert len(given_back) == (2 if "-m" in arguments else 1)
    assert all(folder.name.endswith("@free") and state(folder) == "interrupted" for folder in given_back)


@pytest.mark.slow
def test_what_a_killed_sweep_leaves_is_removed_by_the_next_command(tmp_path):
    process = start(tmp_path, *TWO)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert left_of(tmp_path)
    done = run_command("data=digits", "epochs=1", cwd=tmp_path, TMPDIR=str(tmp_path / "tmp"))
    assert done.code == 0, done.err
    assert left_of(tmp_path) == []


@pytest.mark.slow
def test_a_verification_that_is_told_to_end_leaves_nothing(tmp_path):
    assert run_command(*LONG, "epochs=60", "reg=dropout", cwd=tmp_path).code == 0
    (run,) = run_folders(tmp_path / "outputs" / "default")
    process = start(tmp_path, "verify", str(run))
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert left_of(tmp_path) == []


def test_folders_of_processes_that_are_gone_are_removed_and_no_others(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    here = processes.this_process()
    host, pid, began = here.split("~")
    owners = {
        "pymp-gone": f"{host}~{ended.pid}~12345",
        "regstudy-number_used_again": f"{host}~{pid}~{int(began) - 1}",
        "pymp-alive": here,
        "pymp-elsewhere": f"another-host~{ended.pid}~12345",
        "pymp-damaged": "my thesis",
        "foreign": f"{host}~{ended.pid}~12345",
    }
    for name, owner in owners.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / temporary.OWNER).write_text(owner)
    (tmp_path / "pymp-of_another_program").mkdir()
    temporary.remove_abandoned()
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["foreign", "pymp-alive", "pymp-damaged", "pymp-elsewhere", "pymp-of_another_program"]
    with temporary.temporary_folder() as folder:
        temporary.remove_abandoned()
        assert folder.is_dir()
    assert not folder.exists()


def test_a_signal_that_is_ignored_as_by_nohup_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ended_by_signals():
            os.kill(os.getpid(), signal.SIGHUP)
        with pytest.raises(ToldToEndError), ended_by_signals():
            os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN  # others that come while cleaning up change nothing
    finally:
        signal.signal(signal.SIGHUP, before)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def test_a_temporary_folder_of_too_long_a_name_is_named(tmp_path):
    long = tmp_path / ("x" * 90)
    long.mkdir()
    result = run_command("-m", "data=digits", "epochs=1", "reg=none,l1", "workers=2", cwd=tmp_path, TMPDIR=str(long))
    assert result.code == 1
    assert "too long for the sockets of several workers. Set TMPDIR to a folder with a shorter name" in result.err
    assert list(long.iterdir()) == []
