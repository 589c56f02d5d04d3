"""Figures that would come out as they are, are not drawn again; whatever they follow from makes them be drawn."""

import shutil

import pytest

from study.analysis.drawing import unchanged
from study.analysis.drawing.draw import FOLDER
from study.analysis.reading import index
from tests.conftest import run_folders

FILES = {"forest.pdf", "forest.svg", "forest.png", "forest.txt"}
FOLLOWS_FROM = ("style=ieee", "at=1", "variants={l1-lam0.0001: L1}")


@pytest.fixture
def figures(study, finished, tmp_path, monkeypatch):
    """The folder of the figures of an analyzed study, of files that count as old enough."""
    monkeypatch.setattr(index, "SETTLED", -1.0)
    shutil.copytree(finished / "outputs", tmp_path / "outputs")
    assert study("analyze", "name=small", "figures=[forest]").code == 0
    return tmp_path / "outputs" / "small" / "analysis" / FOLDER


def drawn(study, figures, *arguments):
    """The files that an analysis draws."""
    before = {file.name: file.stat().st_ino for file in figures.iterdir()}
    result = study("analyze", "name=small", *(arguments or ["figures=[forest]"]))
    assert result.code == 0, result.err
    return {file.name for file in figures.iterdir() if file.stat().st_ino != before.get(file.name)}


def contents(figures):
    return {file.name: file.read_bytes() for file in figures.iterdir()}


def test_nothing_is_drawn_again_unless_the_memory_of_it_is_lost(study, figures):
    first = contents(figures)
    assert drawn(study, figures) == set()
    (figures.parent.parent / unchanged.DRAWN).write_text('{"forest": ')
    assert drawn(study, figures) == FILES
    assert contents(figures) == first


@pytest.mark.slow
def test_an_argument_that_figures_follow_from(study, figures):
    for argument in FOLLOWS_FROM:
        assert drawn(study, figures, "figures=[forest]", argument) == FILES, argument
    assert drawn(study, figures, "figures=[forest]", argument) == set()


@pytest.mark.slow
def test_a_figure_whose_files_are_gone_or_others_is_drawn_alone(study, figures):
    study("analyze", "name=small", "figures=[forest,scatter]")
    first = contents(figures)
    (figures / "forest.svg").unlink()
    (figures / "forest.png").write_bytes(b"retouched")
    assert drawn(study, figures, "figures=[forest,scatter]") == FILES
    assert contents(figures) == first


@pytest.mark.slow
def test_runs_settings_of_matplotlib_and_its_version(study, figures, monkeypatch):
    small = figures.parent.parent
    run = run_folders(small)[0]
    (run / "run.log").touch()  # no table says so
    assert drawn(study, figures) == FILES
    shutil.move(run, small.parent / "away")
    assert drawn(study, figures) == FILES
    monkeypatch.setitem(unchanged.mpl.rcParams, "axes.labelpad", 9.0)
    assert drawn(study, figures) == FILES
    monkeypatch.setattr(unchanged.mpl, "__version__", "0.0")
    assert drawn(study, figures) == FILES


def test_a_figure_of_ones_own_code_is_always_drawn(study, figures, tmp_path, monkeypatch):
    own = "from study.analysis.figures.lines import lines\n\ndef mine(view, y):\n    return lines(view, 'epoch', [y])\n"
    (tmp_path / "mine.py").write_text(own)
    (tmp_path / "conf" / "figure").mkdir(parents=True)
    (tmp_path / "conf" / "figure" / "own.yaml").write_text("_target_: mine.mine\ny: val_loss\n")
    monkeypatch.syspath_prepend(tmp_path)
    for _ in range(2):
        found = drawn(study, figures, "figures=[own,forest]", f"--config-dir={tmp_path / 'conf'}")
        assert found == {"own.pdf", "own.svg", "own.png", "own.txt"}
