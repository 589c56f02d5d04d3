"""What has been read once is not read again, unless it has changed; of histogram.csv only what is drawn is read."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from study.analysis.drawing.selection import BEST, MOST, select
from study.analysis.reading import csv_files, index
from study.analysis.reading.collect import _read_ended, collect
from study.analysis.statistics.gaps import at_epoch
from study.errors import ConfigError
from tests.conftest import first_fast, products, reseal, run_folders


@pytest.fixture
def small(finished, tmp_path, monkeypatch):
    """A copy of the finished study that a test may change, with files that count as old enough for the index."""
    monkeypatch.setattr(index, "SETTLED", -1.0)
    shutil.copytree(finished / "outputs", tmp_path / "outputs")
    return tmp_path / "outputs" / "small"


def test_the_second_analysis_opens_no_csv_and_gives_the_same_bytes(study, small, monkeypatch):
    assert study("analyze", "name=small", "figures=[cumulative]").code == 0
    first = products(small)
    shutil.rmtree(small / "analysis")
    monkeypatch.setattr(csv_files, "_whole", None)  # whoever reads now fails
    monkeypatch.setattr(csv_files, "_of_epoch", None)
    again = study("analyze", "name=small", "figures=[cumulative]")
    assert again.code == 0, again.err
    assert products(small) == first


def test_files_of_an_earlier_version_with_fewer_columns_are_read_as_empty_there(study, small):
    study("analyze", "name=small", "figures=[]")
    first = products(small)
    for run in run_folders(small):
        table = pd.read_csv(run / "sparsity.csv", dtype=str)
        table.drop(columns=["support_precision", "support_recall"]).to_csv(run / "sparsity.csv", index=False)
        assert (run / "sparsity.csv").read_text().splitlines()[0].endswith("gini,units,dead_units")
        reseal(run)
    (small / index.INDEX).unlink()
    again = study("analyze", "name=small", "figures=[]")
    assert again.code == 0, again.err
    del first["report.html"]  # has the checksums of the seals
    assert {name: products(small)[name] for name in first} == first


@pytest.mark.parametrize("name", first_fast(["weights.csv", "metrics.csv", "histogram.csv"]))
def test_a_file_that_has_changed_is_read_again(study, small, name):
    drawn = "figures=[cumulative]" if name == "histogram.csv" else "figures=[forest]"
    study("analyze", "name=small", drawn)
    before = products(small)
    run = run_folders(small)[0]
    lines = (run / name).read_text().splitlines(keepends=True)
    (run / name).write_text("".join([*lines[:-1], lines[-1].replace("5", "4").replace("1", "2")]))
    reseal(run)
    assert study("analyze", "name=small", drawn).code == (1 if name == "histogram.csv" else 0)  # whose bins are fixed
    if name != "histogram.csv":
        changed = products(small)
        shutil.rmtree(small / "analysis")
        (small / index.INDEX).unlink()
        study("analyze", "name=small", drawn)
        assert products(small) == changed != before


def test_an_index_that_cannot_be_read_is_no_obstacle(study, small):
    study("analyze", "name=small", "figures=[]")
    first = products(small)
    (small / index.INDEX).write_bytes(b"PK\x03\x04 half of a file")
    assert study("analyze", "name=small", "figures=[]").code == 0
    assert products(small) == first


def test_files_that_have_just_changed_are_not_trusted(small, monkeypatch):
    monkeypatch.setattr(index, "SETTLED", 3600.0)
    assert index.identity_of(run_folders(small)[0], ("metrics.csv",)) is None


@pytest.mark.parametrize("tail", [1 << 16, 50])
@pytest.mark.parametrize("epoch", [0, 1, 2, 3])
def test_the_histogram_of_an_epoch_is_what_the_whole_file_says(small, monkeypatch, epoch, tail):
    monkeypatch.setattr(csv_files, "TAIL", tail)
    study = collect(small)
    found = study.histograms(study.runs.assign(epoch=epoch))
    for variant, runs in study.runs.groupby("variant"):
        whole = pd.concat([pd.read_csv(small / run / "histogram.csv") for run in runs["run"]])
        keys = ["parameter", "bin_left", "bin_right"]
        expected = whole[whole["epoch"] == epoch].groupby(keys, sort=True)["count"].sum()
        of_variant = found[found["variant"] == variant].set_index(keys)["count"].sort_index()
        pd.testing.assert_series_equal(of_variant, expected, check_dtype=False, check_index_type=False)
    assert set(found["runs"]) == {2}


def test_an_epoch_between_two_histograms_takes_the_earlier_one(small):
    study = collect(small)
    rows = study.runs.assign(epoch=4, epochs=50)  # 3 is the latest that a run of 50 epochs records up to 4
    pd.testing.assert_frame_equal(study.histograms(rows), study.histograms(study.runs.assign(epoch=3)))


def test_a_missing_histogram_is_told_in_one_line(study, small):
    run = run_folders(small)[0]
    (run / "histogram.csv").unlink()
    reseal(run, keep=False)
    result = study("analyze", "name=small", "figures=[cumulative]")
    assert result.code == 1
    assert result.err.splitlines() == [
        f"study: error: outputs/small/{run.name} has an unreadable histogram.csv (No such file or directory);"
        " delete the folder and train the run again"
    ]


def many_variants(study, count):
    """A study with that many variants besides `none`, of rising val accuracy."""
    penalized = study.runs[study.runs["variant"] == "l1-lam0.0001"].head(1)
    names = [f"l1-lam{number}" for number in range(count)]
    copies = [penalized.assign(run=name, variant=name) for name in names]
    runs = pd.concat([study.runs[study.runs["variant"] == "none"], *copies], ignore_index=True)
    rows = runs.assign(val_accuracy=np.linspace(0.1, 0.9, len(runs)))
    return replace(study, runs=runs), rows


def test_of_too_many_variants_the_best_are_shown_and_the_unpenalized_ones(small):
    study, rows = many_variants(collect(small), MOST)
    shown, shown_rows, line = select(study, rows, ())
    assert list(shown.runs["variant"].unique()) == ["none", *(f"l1-lam{n}" for n in range(MOST - BEST, MOST))]
    assert set(shown_rows["variant"]) == set(shown.runs["variant"])
    best = f"the {BEST} with the highest validation accuracy"
    assert line == f"{BEST + 1} of {MOST + 1} variants: {best}, and those without a penalty"
    assert select(*many_variants(collect(small), MOST - 1), ())[2] == ""


def test_patterns_choose_what_figures_show(study, small):
    result = study("analyze", "name=small", "variants=[none,l2*]", "figures=[gap]")
    assert "figures show 2 of 3 variants: those that match none, l2*" in result.out
    assert len(pd.read_csv(small / "analysis" / "gap_table.csv")) == 3
    found = collect(small)
    with pytest.raises(ConfigError, match=r"matches no variant\. Variants: none, l1-lam"):
        select(found, at_epoch(found, "last"), ["x*"])


def test_a_folder_that_a_claim_makes_for_a_moment_is_no_damaged_run(study, small):
    (small / "l1-seed9-0123456789ab").mkdir()
    assert study("analyze", "name=small", "figures=[]").code == 0
    assert _read_ended(small / "gone-since-it-was-listed", []) is None
    (small / "link").symlink_to(small / "nowhere")
    result = study("analyze", "name=small", "figures=[]")
    assert result.code == 1
    assert "small/link has no readable status.json" in result.err
