"""The ledger counts looks at test scores, and tables say the count."""

import shutil

import pandas as pd
import pytest

TABLES = ("figures=[]",)


def test_each_analysis_that_shows_test_scores_adds_a_line_that_nothing_takes_away(study, small):
    before = (small / "ledger.csv").read_text().count("\n") if (small / "ledger.csv").exists() else 1
    for count in (before, before + 1):
        study("analyze", "name=small", *TABLES)
        ledger = pd.read_csv(small / "ledger.csv")
        assert len(ledger) == count
        assert ledger[["variants", "n"]].iloc[-1].tolist() == [3, 6]
        shutil.rmtree(small / "analysis")
    study("analyze", "name=small", *TABLES)
    for name in ("gap_table.md", "significance.md"):
        assert f"looked at {before + 2} times" in (small / "analysis" / name).read_text()


def test_a_study_without_test_scores_has_no_ledger(study, tmp_path):
    study("data=digits", "data.split=textbook", "epochs=1", "name=book", "model.hidden=[5]")
    out = study("analyze", "name=book", *TABLES).out
    assert "looked at" not in out
    assert not (tmp_path / "outputs" / "book" / "ledger.csv").exists()


def test_an_epoch_without_test_scores_is_no_look(study, small):
    before = (small / "ledger.csv").read_text() if (small / "ledger.csv").exists() else None
    study("analyze", "name=small", "at=1", *TABLES)
    assert ((small / "ledger.csv").read_text() if (small / "ledger.csv").exists() else None) == before


@pytest.mark.parametrize("content", [b"\xac\x00", b"", b"when,variants,n\n2026-01-01T00:00:00,3", b"run,ended\n"])
def test_a_damaged_ledger_is_named_and_left_as_it_is(study, small, content):
    (small / "ledger.csv").write_bytes(content)
    refused = study("analyze", "name=small", *TABLES)
    assert refused.code == 1
    assert refused.err.startswith("study: error: outputs/small/ledger.csv is damaged. It counts how often")
    assert refused.err.count("\n") == 1
    assert (small / "ledger.csv").read_bytes() == content
