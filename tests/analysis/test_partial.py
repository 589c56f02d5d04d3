"""Claims about partial=true: a study is analyzed before its runs have ended, at an epoch that all runs have."""

import errno
import shutil

import pandas as pd
import pytest

from study.analysis.reading.collect import collect
from tests.analysis.page.test_page import data_of
from tests.conftest import run_here, under_way
from tests.sweep.test_faults import failing_disk

FEW = ("data=digits", "data.train_size=150", "epochs=8", "model.hidden=[20]", "workers=1", "seed=0", "name=s")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """outputs/s: a complete run, and one that stopped after some epochs because the disk was full."""
    folder = tmp_path_factory.mktemp("half_done")
    assert run_here(*FEW, "reg=none", cwd=folder).code == 0
    with failing_disk(60, errno.ENOSPC):
        assert run_here(*FEW, "reg=l1", "checkpoint_every=0", cwd=folder).code == 1
    return folder


@pytest.fixture
def half_done(stopped, tmp_path, monkeypatch):
    """The folder of its analysis, and how many epochs the run that stopped has; a copy, below the current folder."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(stopped / "outputs", tmp_path / "outputs")
    (work,) = under_way(tmp_path / "outputs" / "s")
    return tmp_path / "outputs" / "s" / "analysis", len(pd.read_csv(work / "weights.csv")["epoch"].unique()) - 1


def test_without_partial_the_unfinished_run_is_named_and_left_out(study, half_done):
    result = study("analyze", "name=s", "figures=[]")
    assert result.code == 0
    assert "l1-lam0.0001-seed0" in result.out
    assert "left out" in result.out


def test_all_runs_are_compared_at_the_last_epoch_that_all_have_and_every_table_says_so(study, half_done):
    analysis, last = half_done
    assert 0 < last < 8
    result = study("analyze", "name=s", "partial=true", "figures=[answer]")
    assert result.code == 0, result.err
    runs = pd.read_csv(analysis / "runs.csv").set_index("reg")
    assert runs["epoch"].to_dict() == {"none": last, "l1": last}
    assert runs["partial"].to_dict() == {"none": False, "l1": True}
    assert pd.isna(runs["test_accuracy"]).all()  # no look at test scores before a run has ended
    note = f"PARTIAL: 1 of 2 runs have not ended. All values are those of epoch {last} of 8, not results."
    tables = [file for file in analysis.glob("*.md") if file.stem != "report"]
    assert {file.stem for file in tables} == {"gap_table", "significance"}
    assert all(note in file.read_text() for file in tables)
    assert note in (analysis / "figures" / "answer.txt").read_text()
    assert not (analysis.parent / "ledger.csv").exists()
    listed = data_of(analysis.parent)["runs"]["rows"]
    assert {(run["state"], run["seal"]) for run in listed} == {("complete", "intact"), ("not ended", "none yet")}


def test_a_run_that_ends_while_it_is_analyzed_is_read_from_its_final_folder(half_done):
    folder = half_done[0].parent
    found = collect(folder, partial=True)
    (run, work), *_ = found.unfinished.items()
    assert found.place(run) == work
    work.rename(folder / run)
    assert found.place(run) == folder / run


def test_an_earlier_epoch_can_be_chosen_and_a_later_one_leaves_the_run_out(study, half_done):
    analysis, last = half_done
    assert study("analyze", "name=s", "partial=true", f"at={last - 1}", "figures=[]").code == 0
    assert set(pd.read_csv(analysis / "runs.csv")["epoch"]) == {last - 1}
    assert study("analyze", "name=s", "partial=true", "at=8", "figures=[]").code == 0
    assert pd.read_csv(analysis / "runs.csv")["reg"].tolist() == ["none"]
    assert "1 runs that do not have this epoch yet are left out" in (analysis / "gap_table.md").read_text()
    refused = study("analyze", "name=s", "partial=true", "at=best")
    assert refused.code == 1
    assert refused.err.strip() == ("study: error: at=best: with partial=true, allowed: last, or the number of an epoch")


def test_a_study_that_has_ended_is_the_same_with_and_without_partial(study, tmp_path):
    assert study("-m", *FEW, "reg=none,l1").code == 0
    found = []
    for given in ("false", "true"):
        assert study("analyze", "name=s", f"partial={given}", "at=8", "figures=[]").code == 0
        found.append((tmp_path / "outputs" / "s" / "analysis" / "gap_table.csv").read_bytes())
    assert found[0] == found[1]
