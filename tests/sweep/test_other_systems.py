"""What other systems lack: a fork server, /proc, some characters in names of files, names that differ in case."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from study.config.names import for_file_name
from study.records import processes
from study.records.comparison import differing
from study.sweep import preload
from tests.conftest import run_folders

SWEEP = ("-m", "reg=none,l1", "data=digits", "epochs=2", "model.hidden=[20]", "workers=2")


@pytest.mark.slow
def test_a_sweep_without_a_fork_server_gives_the_same_bytes(study, tmp_path, monkeypatch):
    assert study(*SWEEP, "name=forked").code == 0
    monkeypatch.setattr(preload, "START_METHOD", "spawn")
    result = study(*SWEEP, "name=spawned")
    assert result.code == 0, result.err
    forked, spawned = (run_folders(tmp_path / "outputs" / name) for name in ("forked", "spawned"))
    assert [run.name for run in forked] == [run.name for run in spawned]
    assert [differing(one, other) for one, other in zip(forked, spawned, strict=True)] == [[], []]


def test_without_proc_a_process_is_known_by_its_start(monkeypatch):
    monkeypatch.setattr(processes, "PROC", Path("/nowhere"))
    own = processes.this_process()
    assert not processes.is_gone(own)
    assert processes.is_gone(re.sub(r"~\d+$", "~1", own))
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    owner = f"{own.partition('~')[0]}~{other.pid}~{processes.start_of(other.pid)}"
    assert not processes.is_gone(owner)
    other.kill()
    deadline = time.monotonic() + 10
    while not processes.is_gone(owner) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert processes.is_gone(owner)
    other.wait()


def test_an_option_s_name_becomes_one_that_every_system_can_store():
    assert for_file_name("l1_50%_&_$x#") == "l1_50%_&_$x#"
    assert for_file_name('a<b>c:d"e\\f|g?h*') == "a_b_c_d_e_f_g_h_"
    assert for_file_name("mine/l1") == "mine.l1"


def test_a_new_study_does_not_differ_from_another_in_case_only(study, tmp_path):
    few = ("data=digits", "data.train_size=50", "model.hidden=[5]", "epochs=1", "workers=1")
    assert study(*few, "name=mine").code == 0
    refused = study(*few, "name=Mine")
    assert refused.code == 1
    assert refused.err.startswith("study: error: name=Mine: outputs/mine differs from it only in upper and lower case")
    assert os.listdir(tmp_path / "outputs") == ["mine"]
    assert study(*few, "name=mine").code == 0
