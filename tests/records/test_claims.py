"""Several commands share one sweep: each run has one owner, and a dead owner's run is taken over with its rows."""

import errno
import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from study.config.devices import Devices
from study.records import claims, owners, processes, unfinished
from study.sweep.progress import Display
from study.sweep.spread import Spread
from study.sweep.trainer import Trainer
from study.training.epochs import Outcome
from tests.conftest import run_folders, under_way
from tests.sweep.test_sweep import state
from tests.training.test_resume import same_bytes

RUN = "l1-lam0.1-seed0-0123456789ab"
DIGITS = "0123456789ab"
ONE = Spread(Devices("cpu", ("cpu",)), workers=1, fill=False)


@pytest.fixture
def place(tmp_path):
    (tmp_path / "mine").mkdir()
    return tmp_path / "mine" / RUN


@pytest.fixture
def dead():
    """The number of a process that has been and is gone."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def owned_by(place, owner):
    folder = place.parent / ".work" / f"{RUN}@{owner}"
    folder.mkdir(parents=True)
    (folder / "metrics.csv").write_text("rows")
    token_of(folder).mkdir(parents=True)
    return folder


def token_of(work):
    return work.parents[1] / owners.OWNERS / DIGITS / unfinished.owner_of(work)


def test_a_run_has_one_owner(place):
    first = claims.claim(place, DIGITS, os.getpid())
    assert first is not None
    assert claims.claim(place, DIGITS, os.getpid()) is None
    first.give_back()
    assert claims.claim(place, DIGITS, os.getpid()) is not None


def test_of_many_that_come_at_once_at_most_one_gets_the_run(place):
    for _ in range(20):
        got = []
        start = threading.Barrier(8)

        def come(got=got, start=start):
            start.wait()
            got.append(claims.claim(place, DIGITS, os.getpid()))

        threads = [threading.Thread(target=come) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        owners = [claim for claim in got if claim is not None]
        assert len(owners) <= 1
        assert len(unfinished.work_folders(place.parent)) == len(owners)
        for claim in owners:
            claim.give_back()
            claims.claim(place, DIGITS, os.getpid()).drop()


def test_who_ends_the_last_run_under_way_is_not_in_the_way_of_who_takes_the_next(place):
    """The folder of all that is under way goes away with the last of them, at any moment."""

    def take_and_end(digits: str) -> int:
        taken = 0
        for _ in range(500):
            claim = claims.claim(place.with_name(f"l1-{digits}"), digits, os.getpid())
            if claim:
                taken += 1
                claim.drop()
        return taken

    with ThreadPoolExecutor() as pool:
        assert min(pool.map(take_and_end, ["000000000001", "000000000002"])) > 0


def test_a_dead_owner_on_this_host_is_noticed_at_once_and_leaves_its_rows(place, dead):
    owned_by(place, f"{processes.host()}~{dead}~1~aaaa")
    taken = claims.claim(place, DIGITS, os.getpid())
    assert (taken.work / "metrics.csv").read_text() == "rows"
    assert len(unfinished.work_folders(place.parent)) == 1


def test_a_process_number_that_is_used_again_is_not_the_owner(place):
    owned_by(place, f"{processes.host()}~{os.getpid()}~1~aaaa")
    assert claims.claim(place, DIGITS, os.getpid()) is not None


@pytest.fixture
def clock(monkeypatch):
    """Seconds that have passed for this process."""
    passed = [1000.0]
    monkeypatch.setattr(owners.time, "monotonic", lambda: passed[0])
    return passed


def test_an_owner_on_another_host_is_gone_once_it_has_shown_no_life_for_the_lease(place, clock):
    folder = owned_by(place, "elsewhere~1~1~aaaa")
    assert claims.claim(place, DIGITS, os.getpid()) is None
    clock[0] += owners.LEASE - 1
    assert claims.claim(place, DIGITS, os.getpid()) is None
    os.utime(token_of(folder), (5, 5))  # whatever its clock says: this is another time than before
    clock[0] += 2
    assert claims.claim(place, DIGITS, os.getpid()) is None
    clock[0] += owners.LEASE + 1
    taken = claims.claim(place, DIGITS, os.getpid())
    assert (taken.work / "metrics.csv").read_text() == "rows"
    assert unfinished.work_folders(place.parent) == [taken.work]


def test_the_new_owner_goes_on_in_a_copy_because_the_old_one_may_still_write(place, clock):
    folder = owned_by(place, "elsewhere~1~1~aaaa")
    assert claims.claim(place, DIGITS, os.getpid()) is None
    with open(folder / "metrics.csv", "a") as suspended:
        clock[0] += owners.LEASE + 1
        taken = claims.claim(place, DIGITS, os.getpid())
        suspended.write(" of one that wakes up")
    assert (taken.work / "metrics.csv").read_text() == "rows"


def test_an_owner_shows_signs_of_life(place, monkeypatch):
    monkeypatch.setattr(owners, "HEARTBEAT", 0.05)
    claim = claims.claim(place, DIGITS, os.getpid())
    os.utime(claim.ownership.folder, (0, 0))
    with claim.ownership.heartbeat():
        time.sleep(0.5)
    assert time.time() - claim.ownership.folder.stat().st_mtime < 10


def test_who_was_asleep_too_long_finds_the_run_gone(place):
    asleep = claims.claim(place, DIGITS, os.getpid())
    os.rename(asleep.work, asleep.work.with_name(f"{RUN}@elsewhere~1~1~bbbb"))
    with pytest.raises(claims.LostClaimError):
        asleep.publish()


def test_a_sweep_waits_for_a_run_that_was_taken_over_before_it_was_published(place):
    asleep = claims.claim(place, DIGITS, os.getpid())
    os.rename(asleep.work, asleep.work.with_name(f"{RUN}@elsewhere~1~1~bbbb"))
    trainer = Trainer([object()], ONE, display=None, stop_on_failure=False)
    trainer.waiting.clear()
    trainer.ended(0, asleep, Outcome("complete"))
    assert trainer.waiting == [0]
    assert trainer.outcomes == {}


def test_of_a_run_trained_twice_the_first_copy_stays(place):
    claim = claims.claim(place, DIGITS, os.getpid())
    place.mkdir()
    (place / "status.json").write_text('{"state": "complete"}')
    assert claim.publish() is False
    assert (place / "status.json").read_text() == '{"state": "complete"}'


def test_a_claim_that_a_fault_of_the_machine_stops_leaves_the_run_to_any_process(place, monkeypatch):
    def fails(published):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(claims, "_is_there", fails)
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            claims.claim(place, DIGITS, os.getpid())
    assert [unfinished.owner_of(folder) for folder in unfinished.work_folders(place.parent)] == [unfinished.FREE]
    assert claims.claim(place, DIGITS, os.getpid()) is not None


def test_what_a_killed_process_was_removing_is_gone_after_the_next_sweep(study, tmp_path):
    half = tmp_path / "outputs" / "mine" / ".work" / f"{unfinished.OLD}1234"
    half.mkdir(parents=True)
    (half / "metrics.csv").write_text("rows")
    assert study("data=digits", "data.train_size=100", "epochs=1", "model.hidden=[4]", "name=mine").code == 0
    assert not half.parent.exists()


@pytest.mark.parametrize("same", [True, False])
def test_a_run_trained_twice_is_compared_and_counted(study, tmp_path, capfd, same):
    assert study("data=digits", "data.train_size=100", "epochs=1", "model.hidden=[4]", "name=mine").code == 0
    (run,) = run_folders(tmp_path / "outputs" / "mine")
    claim = claims.claim(run.with_name("elsewhere"), "elsewhere", os.getpid())  # as a host that slept would end it
    again = claim.work
    shutil.copytree(run, again, dirs_exist_ok=True)
    if not same:
        (again / "weights.csv").write_text("epoch\n")
    with Display([]) as display:
        Trainer([], ONE, display, stop_on_failure=False)._publish(claims.Claim(again, run, claim.ownership))
    assert not again.exists()
    found = "with the same bytes" if same else "with other bytes in weights.csv"
    assert found in " ".join(capfd.readouterr().out.split())
    counted = study("status", "name=mine").out
    assert f"1 runs trained twice, {int(same)} of them with the same bytes" in counted
    assert (run.name in counted) is not same


SHARED = ("-m", "data=digits", "epochs=30", "model.hidden=[200]", "reg=l1", "lam=1e-4,3e-4,1e-3,3e-3")


@pytest.mark.slow
def test_the_same_sweep_started_twice_shares_the_work(study, tmp_path):
    command = [sys.executable, "-m", "study", *SHARED, "name=shared", "workers=1"]
    both = [
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outs = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], outs
    shared = tmp_path / "outputs" / "shared"
    assert under_way(shared) == []
    assert len(run_folders(shared)) == 4
    started = [out.count("started ") for out, _ in outs]
    assert sum(started) == 4
    assert min(started) >= 1
    assert all(out.count("] complete") == 4 for out, _ in outs)
    assert study(*SHARED, "name=alone", "workers=1").code == 0
    for one, two in zip(run_folders(shared), run_folders(tmp_path / "outputs" / "alone"), strict=True):
        assert state(one) == "complete"
        same_bytes(one, two)
