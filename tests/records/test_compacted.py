"""Compacting and expanding give back every byte, survive a kill at any moment, and lose or double no run."""

import os
import shutil
import subprocess
import sys

import pandas as pd
import pytest

from study.errors import StudyError
from study.records import claims, compacted, compacting, set_aside
from study.records.compacted import COMPACTED, compacted_runs, located, rows_of
from study.records.compacting import compact
from study.records.existing import existing_runs
from study.records.expanding import expand
from study.records.set_aside import ASIDE, EQUAL, HIDDEN
from study.records.status import is_ended, read_status
from tests.conftest import ROOT, reseal, run_folders, snapshot
from tests.records.test_seal import flip


class KilledError(BaseException):
    """Stands for SIGKILL: nothing catches it, and nothing is put in order after it."""


def kill_at(monkeypatch, module, name, count):
    """Let the n-th call of a function end everything, like a kill; the order after it is not kept either."""
    real, left = getattr(module, name), [count]

    def function(*args, **kwargs):
        left[0] -= 1
        if left[0] < 0:
            raise KilledError
        return real(*args, **kwargs)

    monkeypatch.setattr(module, name, function)


def test_compacting_and_expanding_gives_back_every_byte(small):
    before = snapshot(small)
    (run_folders(small)[0] / "notes on this run.txt").write_bytes(b"\x00\xff mine")  # is kept as well
    with_notes = snapshot(small)
    done = compact(small)
    assert (done.runs, done.changed, done.kept) == (6, [], {})
    assert run_folders(small) == []
    assert [path.name for path in (small / COMPACTED).iterdir()] == ["part-00000.parquet"]
    assert expand(small) == (6, [])
    assert snapshot(small) == with_notes
    assert with_notes.items() > before.items()


def test_a_program_reads_one_file_of_all_runs_with_pandas(small):
    expected = {run.name: (run / "metrics.csv").read_bytes() for run in run_folders(small)}
    compact(small)
    table = pd.read_parquet(small / COMPACTED, columns=["run", "metrics.csv"])
    assert dict(zip(table["run"], table["metrics.csv"], strict=True)) == expected


def test_runs_that_end_later_get_a_file_of_their_own(small):
    before, later = snapshot(small), run_folders(small)[2]
    shutil.move(later, small.parent / "later")
    compact(small)
    first = (small / COMPACTED / "part-00000.parquet").read_bytes()
    shutil.move(small.parent / "later", later)
    assert compact(small).runs == 1
    assert (small / COMPACTED / "part-00000.parquet").read_bytes() == first
    assert len(rows_of(small)) == 6
    assert expand(small)[0] == 6
    assert snapshot(small) == before


def test_what_cannot_be_folded_stays_a_folder_and_is_named(small):
    changed, unsealed, failed, kept, nested, fine = run_folders(small)
    flip(changed / "weights.csv")
    reseal(unsealed, keep=False)
    (failed / "status.json").write_text((failed / "status.json").read_text().replace('"complete"', '"failed"'))
    (kept / "checkpoint.pt").write_bytes(b"state")
    reseal(kept)
    (nested / "mine").mkdir()
    before = snapshot(small)
    done = compact(small)
    assert done.runs == 1
    assert done.changed == [f"{changed} has changed since the run ended: weights.csv (other content)"]
    assert sorted(done.kept.values()) == sorted([[unsealed.name], [kept.name], [nested.name]])
    assert list(rows_of(small)) == [fine.name]
    after = snapshot(small)
    assert {path: content for path, content in before.items() if path.parent != fine}.items() <= after.items()


KILLS = [
    *((compacting, "_sync", count) for count in (0, 1)),  # the file is written; is renamed
    *((compacting, "delete_aside", count) for count in (0, 3)),  # a folder is aside
    *((shutil, "rmtree", count) for count in (1, 4)),  # and compared
    *((os, "rename", count) for count in (0, 1, 2)),
]


@pytest.mark.parametrize(("module", "name", "count"), KILLS)
def test_no_run_is_lost_or_doubled_by_a_kill_while_compacting(small, monkeypatch, module, name, count):
    before, ids = snapshot(small), sorted(existing_runs(small))
    with monkeypatch.context() as patch:
        patch.setattr(set_aside, "remove_written", lambda folder: None)
        kill_at(patch, module, name, count)
        with pytest.raises(KilledError):
            compact(small)
    everywhere = [*existing_runs(small), *aside_of(small)]
    assert len(set(everywhere)) == 6
    assert sorted(existing_runs(small)) == ids
    with monkeypatch.context() as patch:  # a folder whose deletion was interrupted
        compact(small)
    assert (run_folders(small), sorted(rows_of(small))) == (
        [],
        sorted({path.parent.name for path in before if "-seed" in path.parent.name}),
    )
    expand(small)
    assert snapshot(small) == before


def aside_of(outputs):
    return [read_status(path)["run_id"] for path in (outputs / ASIDE).glob("*") if read_status(path)]


def test_a_folder_whose_deletion_was_interrupted_is_deleted_by_the_next_command(small):
    before = snapshot(small)
    run = run_folders(small)[0]
    copy = small.parent / "copy"
    shutil.copytree(run, copy)
    compact(small)
    (small / EQUAL).mkdir(parents=True)
    shutil.move(copy, small / EQUAL / run.name)
    (small / EQUAL / run.name / "weights.csv").unlink()
    assert expand(small) == (6, [])
    assert snapshot(small) == before
    assert not (small / HIDDEN).exists()


@pytest.mark.parametrize(("name", "count"), [("rename", 0), ("rename", 3), ("sync", 0)])
def test_no_run_is_lost_or_doubled_by_a_kill_while_expanding(small, monkeypatch, name, count):
    before, ids = snapshot(small), sorted(existing_runs(small))
    compact(small)
    with monkeypatch.context() as patch:
        patch.setattr(set_aside, "remove_written", lambda folder: None)
        kill_at(patch, os, name, count)
        with pytest.raises(KilledError):
            expand(small)
    assert sorted(existing_runs(small)) == ids
    assert expand(small)[1] == []
    assert snapshot(small) == before
    assert not (small / HIDDEN).exists()


def test_a_real_kill_at_a_random_moment_loses_nothing(small):
    before = snapshot(small)
    code = (
        "import sys; from pathlib import Path; from study.records import compacting as c, expanding as e;"
        " c.GROUP_RUNS = 2; c.PART_RUNS = 2; f = Path(sys.argv[1]); print(flush=True)\n"
        "while True: c.compact(f); e.expand(f)"
    )
    for moment in (0.02, 0.11, 0.3):
        process = subprocess.Popen([sys.executable, "-c", code, str(small)], cwd=ROOT, stdout=subprocess.PIPE)
        process.stdout.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(moment)
        process.kill()
        process.wait()
        process.stdout.close()
        assert len(existing_runs(small)) + len(set(aside_of(small)) - set(existing_runs(small))) == 6
    compact(small)
    expand(small)
    assert snapshot(small) == before


def test_a_training_command_takes_a_compacted_run_for_ended(small):
    run = run_folders(small)[0]
    digits = run.name.rpartition("-")[2]
    compact(small)
    assert is_ended(run)
    assert claims.claim(run, digits, os.getpid()) is None
    assert not claims.work_folders(small)


def test_a_run_that_a_training_command_takes_meanwhile_is_not_touched(small, monkeypatch):
    run, before = run_folders(small)[0], snapshot(small)
    taken = small / ".work" / f"{run.name}@{claims.FREE}"
    taken.parent.mkdir()
    real = compacting._move_and_delete

    def meanwhile(folder, row):
        if folder == run:
            os.rename(run, taken)
        return real(folder, row)

    monkeypatch.setattr(compacting, "_move_and_delete", meanwhile)
    assert compact(small).runs == 5
    (taken / "test.csv").write_text("split,epoch,loss,accuracy,count,ece,brier\n")  # it is scored again
    reseal(taken)
    os.rename(taken, run)
    assert read_status(run)["seal"]["test.csv"]["size"] == 42  # the folder counts, not the older row
    assert located(run) == run
    assert run.name not in compacted_runs(small)
    monkeypatch.undo()
    now = {path: content for path, content in snapshot(small).items() if path.parent == run}
    compact(small)
    assert expand(small) == (6, [])
    assert {path: content for path, content in snapshot(small).items() if path.parent == run} == now
    assert {path for path in snapshot(small) if ".work" not in path.parts} == set(before)


def test_a_changed_folder_beside_its_row_is_named_and_nothing_is_deleted(small):
    run = run_folders(small)[0]
    copy = small.parent / "copy"
    shutil.copytree(run, copy)
    compact(small)
    shutil.move(copy, run)
    flip(run / "weights.csv")
    written, unlike = expand(small)
    assert written == 5
    assert unlike == [
        f"{run} has changed since the run ended: weights.csv (other content), and is compacted with other content."
        " Keep one: move the folder elsewhere"
    ]
    assert run.name in rows_of(small)
    shutil.rmtree(run)
    assert expand(small) == (1, [])
    assert not (small / COMPACTED).exists()


@pytest.mark.parametrize("place", ["middle", "end", "half"])
def test_a_damaged_file_is_named_and_nothing_is_deleted(small, place):
    compact(small)
    (part,) = (small / COMPACTED).iterdir()
    content = bytearray(part.read_bytes())
    if place == "half":
        del content[len(content) // 2 :]
    else:
        content[len(content) // 3 if place == "middle" else -20] ^= 1
    part.write_bytes(content)
    with pytest.raises(
        StudyError, match=r"part-00000.parquet is damaged \(.*\). Nothing was deleted. Restore it"
    ) as error:
        expand(small)
    assert "\n" not in str(error.value)
    assert part.read_bytes() == content


def test_two_commands_at_once_are_refused(small):
    with set_aside.alone(small), pytest.raises(StudyError, match="another command compacts or expands"):
        expand(small)


def test_row_groups_and_files_are_bounded(small, monkeypatch):
    monkeypatch.setattr(compacting, "GROUP_BYTES", 1)
    monkeypatch.setattr(compacting, "PART_RUNS", 4)
    before = snapshot(small)
    assert compact(small).runs == 6
    parts = [compacted._opened(os.getpid(), part) for part in compacted.parts_of(small)]
    assert [part.num_row_groups for part in parts] == [4, 2]
    expand(small)
    assert snapshot(small) == before
