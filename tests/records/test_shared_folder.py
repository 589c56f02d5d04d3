"""On a shared folder that hosts see late, with clocks hours apart and pauses of any length, each run is trained once.

The code of `owners`, `claims` and `unfinished` itself runs here, on the folder of `simulated_folder`. Hypothesis looks
for an order of operations, pauses, kills and waits in which it fails.
"""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from study.records import claims, owners, processes, unfinished
from study.records.contract import STATUS
from tests.records.simulated_folder import CACHE, Host, Os, Process, Server

DIGITS = "0123456789ab"
STUDY = Path("/study")
PUBLISHED = STUDY / f"l1-seed0-{DIGITS}"
ROWS = tuple("abc")
EVERY = [0, 1, 2, 3]


def train(process):
    """What a worker does, until the run has ended: claim, train, publish."""
    host, gate = process.host, process.gate
    while True:
        gate()
        if claims.is_ended(PUBLISHED):
            return
        process.undisturbed, since = True, host.server.now
        claim = claims.claim(PUBLISHED, DIGITS, process.number)
        if claim is None:
            continue
        process.undisturbed &= host.server.now - since < owners.LEASE / 2  # the heartbeat begins here
        assert not process.is_published(), "a run was claimed that has ended"
        process.claim = claim
        try:
            if not claims.is_ended(claim.work):
                write_run(claim.work, host, gate)
            if not claim.publish():
                claim.drop()
        except (claims.LostClaimError, OSError) as error:
            if isinstance(error, OSError) and not owners.has_moved(error):
                raise
            claim.give_back()
        process.claim = None


def write_run(work, host, gate):
    """Append rows, with a checkpoint after each, from the last checkpoint on."""
    rows, checkpoint = work / "metrics.csv", work / claims.CHECKPOINT
    gate()
    count = len(host.read(checkpoint)) if host.isfile(checkpoint) else 0
    found = host.read(rows) if host.isfile(rows) else ()
    start = count if len(found) >= count else 0
    gate()
    if found:
        host.truncate(host.find(rows), start)
    else:
        host.write(rows, ())
    for number in range(start, len(ROWS)):
        gate()
        opened = host.find(rows)
        gate()
        host.append(opened, ROWS[number])
        gate()
        host.write(checkpoint, ROWS[: number + 1])
    gate()
    host.write(work / STATUS, ["complete"])


def is_ended(folder):
    host = Process.of_thread.process.host
    return host.isfile(folder / STATUS)


class PerProcess:
    """Stands for a dict of a module, which each process has for itself."""

    def get(self, key, default):
        return Process.of_thread.process.seen.get(key, default)

    def __setitem__(self, key, value):
        Process.of_thread.process.seen[key] = value


class SharedFolder(RuleBasedStateMachine):
    """Four processes on three hosts want the same run."""

    def __init__(self):
        super().__init__()
        self.server = Server()
        one, two, three = (Host(self.server, f"host{n}", skew) for n, skew in enumerate((0.0, 3600.0, -3600.0)))
        self.patch = pytest.MonkeyPatch()
        for module in (owners, claims, unfinished):
            self.patch.setattr(module, "os", Os())
        for module in (claims, unfinished):
            self.patch.setattr(module, "shutil", Os())
        self.patch.setattr(claims, "is_ended", is_ended)
        self.patch.setattr(owners, "_seen", PerProcess())
        self.patch.setattr(owners.time, "monotonic", lambda: self.server.now)
        self.patch.setattr(processes, "host", lambda: Process.of_thread.process.host.name)
        self.patch.setattr(processes, "start_of", lambda pid: "" if self.processes[pid].killed else "1")
        self.published = None
        self.processes = []
        for number, host in enumerate((one, one, two, three)):
            self.processes.append(Process(host, number, train, self.is_published))

    @rule(which=st.sampled_from(EVERY), steps=st.integers(1, 9))
    def let_one_go_on(self, which, steps):
        for _ in range(steps):
            if not self.processes[which].paused:
                self.step(self.processes[which])

    def step(self, process):
        process.step()
        self.only_one_trains()
        self.what_is_published_stays()

    @rule(
        which=st.sampled_from(EVERY),
        before=st.integers(1, 40),
        asleep=st.booleans(),
        order=st.lists(st.tuples(st.sampled_from(EVERY), st.integers(1, 9)), max_size=20),
    )
    def the_others_look_twice_at_an_owner(self, which, before, asleep, order):
        """Once before and once after the lease, if the owner is suspended; or before a host sees a new heartbeat."""
        self.let_one_go_on(which, before)
        if asleep and not self.processes[which].paused:
            self.one_is_suspended_or_wakes_up(which)
        others = [number for number in EVERY if number != which]
        for number in others:
            self.let_one_go_on(number, 12)
        self.time_passes(owners.LEASE + 1 if asleep else CACHE - 5)
        for number, steps in order:
            if number in others:
                self.let_one_go_on(number, steps)
        if asleep:
            self.one_is_suspended_or_wakes_up(which)

    @rule(seconds=st.sampled_from([1, 5, CACHE - 5, CACHE + 1, owners.LEASE / 2, owners.LEASE + 1, 4000]))
    def time_passes(self, seconds):
        passed = 0.0
        while passed < seconds:
            wait = min(owners.HEARTBEAT, seconds - passed)
            passed += wait
            self.server.now += wait
            for process in self.processes:
                process.beat()

    @rule(which=st.sampled_from(EVERY))
    def one_is_suspended_or_wakes_up(self, which):
        process = self.processes[which]
        process.paused = not process.paused
        process.undisturbed = False

    @precondition(lambda self: sum(not process.killed for process in self.processes) > 1)
    @rule(which=st.sampled_from(EVERY))
    def one_is_killed(self, which):
        self.processes[which].kill()

    @rule(which=st.sampled_from(EVERY))
    def a_host_looks_again(self, which):
        self.processes[which].host.kept.clear()

    def only_one_trains(self):
        """No run is taken from an owner that has shown life all the time."""
        at_work = [p for p in self.processes if p.claim and p.undisturbed and not (p.killed or p.ended)]
        assert len(at_work) <= 1, [p.number for p in at_work]

    def is_published(self):
        """Whether the server has the ended run, whatever a host sees."""
        folder = self.server.root.entries.get("study")
        run = folder and folder.entries.get(PUBLISHED.name)
        return bool(run and run.entries)

    def what_is_published_stays(self):
        folder = self.server.root.entries.get("study")
        run = folder and folder.entries.get(PUBLISHED.name)
        if run is not None and run.entries:  # an empty folder: a process asks whether the run is there
            content = {name: node.content for name, node in run.entries.items()}
            assert content["metrics.csv"] == ROWS
            assert content[STATUS] == ("complete",)
            self.published = self.published or run
        assert self.published is None or run is self.published

    def teardown(self):
        """With whoever is left, the run ends, and nobody waits for ever."""
        try:
            for process in self.processes:
                process.paused = False
            for _ in range(200):
                for process in self.processes:
                    for _ in range(30):
                        if not (process.ended or process.killed):
                            self.step(process)
                if all(process.ended for process in self.processes):
                    break
                self.time_passes(5)
            assert self.published is not None
            assert all(process.ended for process in self.processes), [p.number for p in self.processes if not p.ended]
        finally:
            for process in self.processes:
                if not process.ended:
                    process.kill()
            self.patch.undo()


@pytest.mark.parametrize("examples", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_shared_folder_loses_and_mixes_nothing(examples):
    limits = settings(
        max_examples=examples, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(SharedFolder, settings=limits)
