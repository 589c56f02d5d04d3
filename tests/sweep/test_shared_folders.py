"""Eight processes on eight hosts share a sweep in a folder that each host sees late, as on NFS.

Each host is a mount of one folder by bindfs, whose names and attributes the kernel keeps for seconds, and a host name
of its own (a UTS namespace). No lock of one mount is seen by another. All times are a tenth of the real ones.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.conftest import run_command, run_folders, under_way
from tests.training.test_resume import same_bytes

HOSTS = 8
CACHE, HEARTBEAT, LEASE = 3.0, 1.0, 12.0
SWEEP = (
    "checkpoint_every=0",
    "data=digits",
    "epochs=60",
    "model.hidden=[50]",
    "reg=l1",
    "lam=range(1,21)",
    "-m",
    "workers=1",
    "name=shared",
)
PROGRAM = f"""
import sys
from study.records import owners
owners.HEARTBEAT, owners.LEASE = {HEARTBEAT}, {LEASE}
from study.cli.main import program
program()
"""


def can_mount() -> bool:
    if os.name != "posix" or os.geteuid() != 0 or not Path("/dev/fuse").exists():
        return False
    return (
        shutil.which("bindfs") is not None and subprocess.run(["unshare", "--uts", "true"], check=False).returncode == 0
    )


needs_mounts = pytest.mark.skipif(
    "REGSTUDY_CI" not in os.environ and not can_mount(), reason="needs root, FUSE and bindfs: apt-get install bindfs"
)


@contextmanager
def mounted(folder: Path, place: Path):
    """Another view of a folder, whose names and attributes are up to CACHE seconds old."""
    place.mkdir()
    late = [f"-o{name}_timeout={CACHE}" for name in ("attr", "entry", "negative", "ac_attr")]
    subprocess.run(["bindfs", *late, folder, place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def start(number: int, place: Path) -> subprocess.Popen:
    command = ["unshare", "--uts", "sh", "-c", f'hostname host{number} && exec "$@"', "sh"]
    command += [sys.executable, "-c", PROGRAM, *SWEEP]
    with open(place.parent / f"host{number}.out", "w") as out:
        return subprocess.Popen(command, cwd=place, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)


def stop_in_training(process: subprocess.Popen, number: int, study: Path, signal_number: int) -> str:
    """Send a signal to a host's process while it trains a run; return the run's name."""
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        for work in study.glob(f".work/*@host{number}.*"):
            rows = work / "metrics.csv"
            if rows.is_file() and rows.read_bytes().count(b"\n") > 3:
                os.kill(process.pid, signal_number)
                return work.name.partition("@")[0]
        time.sleep(0.01)
    raise AssertionError(f"host{number} has not trained")


@needs_mounts
@pytest.mark.slow
def test_eight_hosts_train_each_run_once_though_one_dies_and_one_is_suspended_for_longer_than_the_lease(tmp_path):
    (tmp_path / "real").mkdir()
    shared = tmp_path / "real" / "outputs" / "shared"
    with ExitStack() as mounts:
        places = [mounts.enter_context(mounted(tmp_path / "real", tmp_path / f"host{n}")) for n in range(HOSTS)]
        hosts = [start(number, place) for number, place in enumerate(places)]
        try:
            killed = stop_in_training(hosts[1], 1, shared, signal.SIGKILL)
            asleep = stop_in_training(hosts[2], 2, shared, signal.SIGSTOP)
            time.sleep(LEASE + CACHE + 2 * HEARTBEAT)
            os.kill(hosts[2].pid, signal.SIGCONT)
            codes = [host.wait(timeout=240) for host in hosts]
        finally:
            for host in hosts:
                host.kill()
    said = [(tmp_path / f"host{number}.out").read_text() for number in range(HOSTS)]
    assert codes == [0, -signal.SIGKILL, *[0] * (HOSTS - 2)], "\n".join(said)
    assert not any("Traceback" in text for text in said)
    assert under_way(shared) == []
    assert not (shared / "twice.jsonl").exists()
    assert len((shared / "sweeps.jsonl").read_text().splitlines()) == HOSTS
    for run in (killed, asleep):
        assert json.loads((shared / run / "status.json").read_text())["resumed"] == 1, run
    assert run_command(*SWEEP[:-1], "name=alone", cwd=tmp_path).code == 0
    for run, twin in zip(run_folders(shared), run_folders(tmp_path / "outputs" / "alone"), strict=True):
        same_bytes(run, twin)
