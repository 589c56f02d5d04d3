"""`study.analysis.load`: the tables of a study for notebooks, the same as in the files; and their export."""

import json

import numpy as np
import pandas as pd
import pytest

from study.analysis import load, load_histograms
from study.errors import StudyError
from tests.conftest import ROOT, run_folders


def test_the_tables_hold_what_the_files_hold(small):
    found = load(small)
    folders = run_folders(small)
    assert sorted(found.runs["run"]) == [folder.name for folder in folders]
    for folder in folders:
        metrics = pd.read_csv(folder / "metrics.csv")
        own = found.epochs[found.epochs["run"] == folder.name]
        assert own["val_loss"].tolist() == metrics["val_loss"].tolist()
        gaps = 100 * (metrics["train_accuracy"] - metrics["val_accuracy"])
        assert own["accuracy_gap"].tolist() == pytest.approx(gaps.tolist())
        scores = found.scores[found.scores["run"] == folder.name].set_index("split")["accuracy"]
        assert scores["test"] == pd.read_csv(folder / "test.csv")["accuracy"][0]
        assert scores["val"] == pd.read_csv(folder / "val.csv")["accuracy"][0]
    for table in found.tables().values():
        assert {"run", "variant", "seed"} <= set(table.columns)
    assert isinstance(found.runs["variant"].dtype, pd.CategoricalDtype)
    assert found.weights["count"].dtype == np.int64
    assert found.label_noise.empty


def test_histograms_are_loaded_whole(small):
    found = load_histograms(small)
    expected = sum(len(pd.read_csv(folder / "histogram.csv")) for folder in run_folders(small))
    assert len(found) == expected
    assert set(found["epoch"]) == {0, 1, 2, 3}


def test_what_is_left_out_is_named_and_a_folder_that_is_none_is_refused(small):
    (run_folders(small)[0] / "metrics.csv").write_text("nonsense\n")
    found = load(str(small))
    assert len(found.runs) == 5
    assert len(found.left_out) == 1
    with pytest.raises(StudyError, match="does not exist"):
        load(small / "nothing")


def test_parquet_holds_the_same_tables(study, small):
    result = study("analyze", "name=small", "figures=[]", "export=parquet")
    assert result.code == 0, result.err
    assert "exported: outputs/small/analysis/parquet" in result.out
    for name, table in load(small).tables().items():
        stored = pd.read_parquet(small / "analysis" / "parquet" / f"{name}.parquet")
        pd.testing.assert_frame_equal(stored, table, check_categorical=False, check_dtype=False)
    refused = study("analyze", "name=small", "figures=[]", "export=excel")
    assert refused.code == 1
    assert "export=excel: allowed: csv, parquet" in refused.err


def test_the_example_notebook_runs_from_top_to_bottom(small, monkeypatch):
    notebook = json.loads((ROOT / "docs" / "example.ipynb").read_text())
    monkeypatch.chdir(small.parent.parent)
    names: dict = {}
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(cells) >= 4
    for cell in cells:
        exec("".join(cell["source"]), names)  # what a kernel does with it
    assert list(names["differences"].columns) == ["l1-lam0.0001", "l2-lam0.01"]
    assert np.isfinite(names["differences"].to_numpy()).all()
