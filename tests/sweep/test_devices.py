"""Several cards: runs are spread over them, and no byte of a run depends on which card trained it.

A stand-in for the list of cards names two devices of the CPU, so that all of this is tested without a GPU.
"""

import os
import re
from collections import Counter
from functools import partial

import pytest

from study.config import devices
from study.config.devices import Devices
from study.records.comparison import differing
from study.records.status import read_status
from study.sweep import pool, worker_process
from study.sweep.spread import Spread
from tests.conftest import run_command, run_folders

FEW = ("data=digits", "data.train_size=200", "model.hidden=[20]")
CARDS = ("cpu:0", "cpu:1")


@pytest.fixture
def two_cards(monkeypatch):
    monkeypatch.setattr(devices, "names_of", lambda kind: {"cuda": CARDS, "cpu": ("cpu",)}.get(kind, ()))


def card_of(run):
    return re.search(r"validation images of digits, on (\S+),", (run / "run.log").read_text())[1]


@pytest.mark.usefixtures("two_cards")
@pytest.mark.parametrize("device", ["device=[cuda:0,cuda:1]", "device=auto", "device=cuda"])
def test_a_sweep_uses_all_cards_and_its_runs_name_none(study, tmp_path, device):
    result = study("-m", *FEW, "epochs=3", "reg=none,l1", "seeds=4", device, "workers=2", "name=both")
    assert result.code == 0, result.err
    runs = run_folders(tmp_path / "outputs" / "both")
    assert Counter(map(card_of, runs)).keys() == set(CARDS)
    for run in runs:
        kind = "auto" if device == "device=auto" else "cuda"
        assert f"\ndevice: {kind}\n" in (run / "config.yaml").read_text()
        assert read_status(run)["path"] == "lockstep_32"  # the compiled loop is for CPUs


@pytest.mark.usefixtures("two_cards")
def test_the_bytes_of_a_run_do_not_depend_on_the_card(study, tmp_path):
    for card in (0, 1):
        command = (*FEW, "epochs=2", "reg=dropout", f"device=cuda:{card}", f"name=card{card}")
        assert study(*command).code == 0
    (one,), (other,) = (run_folders(tmp_path / "outputs" / f"card{card}") for card in (0, 1))
    assert (card_of(one), card_of(other)) == CARDS
    assert one.name == other.name
    assert differing(one, other) == []
    configs = [(run / "config.yaml").read_text().replace(run.parent.name, "") for run in (one, other)]
    assert configs[0] == configs[1]


@pytest.mark.usefixtures("two_cards")
def test_a_single_run_takes_the_first_card_of_a_list(study, tmp_path):
    assert study(*FEW, "epochs=1", "device=[cuda:1,cuda:0]", "name=mine").code == 0
    assert list(map(card_of, run_folders(tmp_path / "outputs" / "mine"))) == ["cpu:1"]


@pytest.mark.usefixtures("two_cards")
def test_a_card_that_does_not_exist_is_refused_before_a_run_starts(study, tmp_path):
    result = study(*FEW, "epochs=1", "device=[cuda:0,cuda:3]")
    assert "device=[cuda:0,cuda:3]: there is no cuda:3. This machine has 2 cards, cuda:0 to cuda:1" in result.err
    assert result.code == 1
    assert not (tmp_path / "outputs").exists()


def test_workers_take_the_cards_in_turn():
    three = Devices("cuda", ("cuda:0", "cuda:1", "cuda:2"))
    assert Spread(three, workers=5, fill=False).first() == ["cuda:0", "cuda:1", "cuda:2", "cuda:0", "cuda:1"]
    assert Spread(three, workers=2, fill=True).first() == ["cuda:0", "cuda:1"]
    assert Spread(Devices("cpu", ("cpu",)), workers=3, fill=True).first() == ["cpu"] * 3


def test_a_card_gets_as_many_workers_as_fit_once_and_not_more_than_its_share():
    spread = Spread(Devices("cuda", ("cuda:0", "cuda:1")), workers=8, fill=True)
    workers = spread.first()
    assert workers == ["cuda:0", "cuda:1"]
    assert spread.further("cuda:0", room=2, at_work=workers, waiting=50) == 2
    assert spread.further("cuda:0", room=2, at_work=[*workers, "cuda:0", "cuda:0"], waiting=50) == 0
    assert spread.further("cuda:1", room=100, at_work=[*workers, "cuda:0", "cuda:0"], waiting=50) == 3
    few = Spread(Devices("cuda", ("cuda:0",)), workers=8, fill=True)
    assert few.further("cuda:0", room=100, at_work=few.first(), waiting=2) == 2


def serve_beside(room, connection, device):
    """A worker whose card has room for so many more."""
    worker_process.room_beside = lambda device: room
    worker_process.serve(connection, device)


@pytest.mark.usefixtures("two_cards")
@pytest.mark.parametrize(("room", "expected"), [(0, 2), (1, 4)])
def test_more_workers_start_where_memory_allows(study, tmp_path, monkeypatch, room, expected):
    monkeypatch.setattr(pool, "serve", partial(serve_beside, room))
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(6)), raising=False)
    assert study("-m", *FEW, "epochs=5", "reg=l1", "seeds=16", "device=cuda", "loop=general", "name=mine").code == 0
    runs = run_folders(tmp_path / "outputs" / "mine")
    owners = Counter((card_of(run), read_status(run)["owner"]["pid"]) for run in runs)
    assert len(owners) == expected
    assert Counter(card for card, _ in owners) == dict.fromkeys(CARDS, expected // 2)


def test_workers_can_use_cuda(tmp_path):
    """They are forked from a server. If this had asked CUDA for its cards, torch would refuse CUDA in all of them."""
    (tmp_path / "asking.py").write_text(
        "import torch\n\ndef penalty(w):\n    assert not torch.cuda._is_in_bad_fork()\n    return w.abs().sum()\n"
    )
    (tmp_path / "own" / "reg").mkdir(parents=True)
    (tmp_path / "own" / "reg" / "asking.yaml").write_text("_target_: asking.penalty\nlam: 1e-4\n")
    sweep = ("--config-dir", "own", "-m", *FEW, "epochs=1", "reg=asking", "seeds=2", "workers=2", "name=mine")
    result = run_command(*sweep, cwd=tmp_path, PYTHONPATH=f"{os.environ.get('PYTHONPATH', '')}:{tmp_path}")
    assert result.code == 0, result.out
