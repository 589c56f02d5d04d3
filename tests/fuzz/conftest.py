"""What the fuzz tests share: a folder with a finished study, in which nothing is trained."""

import shutil
import sys
from pathlib import Path

import pytest
from hypothesis.configuration import set_hypothesis_home_dir

from study.cli import main
from study.config.points import grid
from study.sweep import command
from tests.conftest import ROOT
from tests.fuzz.harness import Tree

set_hypothesis_home_dir(ROOT / ".pytest_cache" / "hypothesis")  # nothing is kept there but what it knows of unicode


class TrainedError(Exception):
    """A command that was to be planned only was about to train."""


@pytest.fixture(scope="module")
def place(finished, tmp_path_factory) -> Path:
    """A folder with outputs/small and outputs/other, which hold the same, where commands may plan and analyze."""
    folder = tmp_path_factory.mktemp("fuzz")
    for name in ("small", "other"):
        shutil.copytree(finished / "outputs" / "small", folder / "outputs" / name)
    return folder


@pytest.fixture(scope="module")
def before(place) -> Tree:
    """What lies there before a test."""
    return Tree(place)


@pytest.fixture(autouse=True)
def planned_only(monkeypatch):
    """No command trains, and sweeps stay small."""

    def refuse(*_):
        raise TrainedError

    monkeypatch.setattr(command.Command, "_train_tasks", refuse)
    monkeypatch.setattr(grid, "MOST_RUNS", 40, raising=False)


@pytest.fixture
def composed_once(monkeypatch):
    """Hydra composes each command line of `study analyze` once: it takes as long as all else."""
    compose = main.run_hydra

    def once(config_name, mode=None):
        key = (config_name, *sys.argv)
        if mode is None and key not in COMPOSED:
            COMPOSED[key] = compose(config_name, mode)
        return COMPOSED[key] if mode is None else compose(config_name, mode)

    monkeypatch.setattr(main, "run_hydra", once)


COMPOSED = {}
