"""The analysis of compacted runs gives the same bytes as that of their folders."""

import shutil

import pandas as pd
import pyarrow.parquet as pq
import pytest

from study.analysis import load, load_histograms
from study.analysis.reading import index
from study.analysis.reading.collect import collect
from study.records import compacting
from study.records.compacted import COMPACTED
from study.records.compacting import compact
from tests.conftest import products, run_folders


@pytest.fixture
def both(small):
    """Two equal studies, `small` with folders and `other` to be compacted."""
    shutil.copytree(small, small.parent / "other")
    return small, small.parent / "other"


def of_any_name(folder):
    """What an analysis has written; LaTeX and report.html, which name the study, as if both had one name."""
    return {name: content.replace(b"other", b"small") for name, content in products(folder).items()}


def test_tables_and_figures_have_the_same_bytes(study, both):
    small, other = both
    compact(other)
    for name in ("small", "other"):
        result = study("analyze", f"name={name}", "baseline=none", "figures=[curves,weights]")
        assert (result.code, result.err) == (0, "")
    of_folders, of_rows = of_any_name(small), of_any_name(other)
    assert {"gap_table.csv", "significance.tex", "curves.png", "weights.pdf"} <= of_folders.keys()
    assert of_rows == of_folders


def test_a_study_of_which_a_part_is_compacted_is_read_alike(study, both):
    small, other = both
    later = run_folders(other)[1]
    shutil.move(later, other.parent / "later")
    compact(other)
    shutil.move(other.parent / "later", later)
    for name in ("small", "other"):
        assert study("analyze", f"name={name}", "figures=[]").code == 0
    assert of_any_name(other) == of_any_name(small)


def test_notebooks_get_the_same_tables(both):
    small, other = both
    compact(other)
    for name, table in load(small).tables().items():
        pd.testing.assert_frame_equal(load(other).tables()[name], table)
    pd.testing.assert_frame_equal(load_histograms(other), load_histograms(small))


def test_the_index_serves_compacted_runs_and_notices_a_new_file(small, monkeypatch):
    monkeypatch.setattr(index, "SETTLED", -1.0)
    compact(small)
    collect(small).remember()
    again = collect(small)
    assert all(again.known[run] is entry for run, entry in again.entries.items())
    (part,) = (small / COMPACTED).iterdir()
    shutil.copy(part, small / "copy")
    part.unlink()
    shutil.move(small / "copy", part)
    again = collect(small)
    assert all(again.known[run] is not entry for run, entry in again.entries.items())


def test_figures_are_not_drawn_again_if_nothing_has_changed(study, small, monkeypatch):
    monkeypatch.setattr(index, "SETTLED", -1.0)
    compact(small)
    study("analyze", "name=small", "figures=[gap]")
    times = {file: file.stat().st_mtime_ns for file in (small / "analysis" / "figures").iterdir()}
    study("analyze", "name=small", "figures=[gap]")
    assert {file: file.stat().st_mtime_ns for file in (small / "analysis" / "figures").iterdir()} == times


def test_runs_in_a_damaged_row_group_are_named_and_the_others_are_analyzed(study, small, monkeypatch):
    monkeypatch.setattr(compacting, "GROUP_RUNS", 3)
    damaged = [run.name for run in run_folders(small)[:3]]
    compact(small)
    (part,) = (small / COMPACTED).iterdir()
    content = bytearray(part.read_bytes())
    group = pq.ParquetFile(part).metadata.row_group(0)
    columns = [group.column(number) for number in range(group.num_columns)]
    (column,) = [column for column in columns if column.path_in_schema == "metrics.csv"]
    content[column.data_page_offset + column.total_compressed_size // 2] ^= 1
    part.write_bytes(content)
    result = study("analyze", "name=small", "figures=[]")
    assert result.code == 1
    lines = result.err.splitlines()
    for run, line in zip(damaged, lines, strict=True):
        assert line.startswith(f"study: error: outputs/small/{run} has changed since the run ended: metrics.csv (")
        assert "damaged in outputs/small/compacted/part-00000.parquet" in line
    assert len(pd.read_csv(small / "analysis" / "runs.csv")) == 3


def test_a_figure_of_kept_models_has_the_same_bytes(study, tmp_path):
    assert study("data=digits", "epochs=1", "model.hidden=[5]", "keep_model=true", "name=small").code == 0
    small, other = tmp_path / "outputs" / "small", tmp_path / "outputs" / "other"
    shutil.copytree(small, other)
    compact(other)
    for name in ("small", "other"):
        result = study("analyze", f"name={name}", "figures=[first_layer]")
        assert (result.code, result.err) == (0, "")
    assert of_any_name(other) == of_any_name(small)
