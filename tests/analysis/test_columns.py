"""`columns=...` chooses columns of every table; the terminal shows what fits, and says what it leaves out."""

import re

import pandas as pd
import pytest
from rich.cells import cell_len
from scipy import stats

from study.analysis.reading.collect import collect
from study.analysis.report import column_names
from study.analysis.sections import Section
from study.analysis.statistics.contrasts import choose_baselines
from study.analysis.statistics.gaps import at_epoch, gap_table
from study.analysis.tables.final_tables import _significant
from study.analysis.tables.gap_notes import column_notes
from study.analysis.tables.gap_tables import gap_text
from study.analysis.text.columns import aligned, check_columns
from study.analysis.text.terminal import show
from study.errors import ConfigError
from study.tasks import CLASSIFICATION

TABLES = ("figures=[]",)


@pytest.fixture
def analysis(small):
    return small / "analysis"


def headers(folder, table="gap_table"):
    line = (folder / f"{table}.md").read_text().splitlines()[0].replace("\\|", "¦")
    return [header.strip().replace("¦", "|") for header in line.strip("|").split("|")]


def test_the_default_is_short_and_full_has_more_and_the_csv_has_all(study, analysis):
    short = ["Variant", "n", "Val acc. (%)", "Acc. gap (points)", "Test acc. (%)"]
    short += ["Max |w|", "|w| < 0.001 (%)", "Δval (points)"]
    assert study("analyze", "name=small", *TABLES).code == 0
    csv = (analysis / "gap_table.csv").read_text()
    assert headers(analysis) == short
    assert "p (sign flips)" not in headers(analysis, "significance")
    assert study("analyze", "name=small", "columns=full", *TABLES).code == 0
    assert set(headers(analysis)) > {
        *short,
        "Epochs",
        "Train acc. (%)",
        "Loss gap (nats)",
        "ECE (%)",
        "Δgap (points)",
        "Note",
    }
    assert "p (sign flips)" in headers(analysis, "significance")
    assert (analysis / "gap_table.csv").read_text() == csv
    assert {"train_loss", "val_brier", "mark", "delta_gap"} <= set(pd.read_csv(analysis / "gap_table.csv"))


def test_a_list_chooses_and_orders_columns_of_the_tables_that_have_them(study, analysis):
    assert study("analyze", "name=small", "columns=[zero_fraction,weights_l2,val_accuracy]", *TABLES).code == 0
    assert headers(analysis) == ["Variant", "w = 0 (%)", "‖w‖₂", "Val acc. (%)"]
    assert headers(analysis, "sparsity") == ["Variant", "w = 0 (%)"]
    assert headers(analysis, "significance")[:4] == ["Measure", "Variant", "n", "Difference"]  # it has none of them
    row = pd.read_csv(analysis / "gap_table.csv").iloc[0]
    page, latex = (analysis / "gap_table.md").read_text(), (analysis / "gap_table.tex").read_text()
    assert f"{row['weights_l2']:.3f} ± {row['weights_l2_sd']:.3f}" in page
    assert rf"{row['weights_l2']:.3f} $\pm$ {row['weights_l2_sd']:.3f}" in latex
    assert study("analyze", "name=small", "columns=[short,stable_rank,epochs]", *TABLES).code == 0
    assert headers(analysis)[-2:] == ["Δval (points)", "Epochs"]
    assert headers(analysis, "invariants")[-2:] == ["Stable rank, hidden.0.weight", "Stable rank, output.weight"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["val_acuracy"], "no table of this study has val_acuracy. Did you mean val_accuracy? Allowed: short, full"),
        ("tiny", "no table of this study has tiny. Allowed: short, full, or a list of variant, reg, lam, n, epochs"),
        (["val_r2"], "no table of this study has val_r2."),
        (["score"], "no table of this study has score."),  # only a tuned study has it
        ([], "columns=[]: names no column. Allowed: short, full, or a list of names"),
        ("", "names no column"),
        (["n", "epochs", "n"], "n is named twice"),
        ({"n": 1}, "must be short, full, or a list"),
        ([3], "must be short, full, or a list"),
        (None, "must be short, full, or a list"),
    ],
)
def test_a_choice_that_means_nothing_is_refused(columns, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        check_columns(columns, column_names(CLASSIFICATION, None))


def test_it_is_refused_before_a_look_at_test_scores(study, analysis):
    result = study("analyze", "name=small", "columns=[banana]")
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert not (analysis.parent / "ledger.csv").exists()


def shown(table, columns, capsys):
    """What the terminal shows of a table with these columns: the lines of the table, and the last line below it."""
    text = gap_text(table, {"none"}, False)
    show(text.chosen(columns), "gap_table", ["epochs", "mark"], ["A note."])
    lines, notes = capsys.readouterr().out.split("\n\n")
    assert notes.startswith("A note.\n")
    return lines.splitlines(), notes.splitlines()[-1]


@pytest.mark.parametrize(("width", "columns"), [(50, "short"), (80, "full"), (100, "short"), (100, "full")])
def test_the_terminal_s_table_fits_and_says_what_it_leaves_out(table, monkeypatch, capsys, width, columns):
    monkeypatch.setenv("COLUMNS", str(width))
    lines, last = shown(table, [columns], capsys)
    assert max(map(cell_len, lines)) <= width
    assert f"Left out, because a line has {width} characters: " in last
    assert last.endswith("(gap_table.md has them). columns=full adds epochs, mark.")
    left_out = last.partition(": ")[2].partition(" (gap_table.md")[0].split(", ")
    assert left_out
    assert not {"variant", "val_accuracy", "accuracy_gap"} & set(left_out)
    assert ("test_accuracy" in left_out) == ("Test" not in "".join(lines))


def test_a_wide_terminal_shows_every_column_and_a_pipe_has_100_characters(table, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "300")
    assert "Left out" not in shown(table, ["full"], capsys)[1]
    monkeypatch.delenv("COLUMNS")
    assert "a line has 100 characters" in shown(table, ["full"], capsys)[1]


def test_a_long_name_is_folded_rather_than_cut(table, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "60")
    lines, _ = shown(table.assign(variant=[f"{number}" + "x" * 99 for number in range(10)]), ["short"], capsys)
    assert max(map(cell_len, lines)) <= 60
    assert "".join(lines).count("x") == 990


def test_plus_minus_and_decimal_points_stand_below_each_other(table, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "300")
    lines, _ = shown(table, ["short"], capsys)
    rows = [line for line in lines if "±" in line]
    assert len(rows) == 10
    for sign in ("±", r"\[", ","):
        places = {tuple(found.start() for found in re.finditer(sign, row)) for row in rows if re.search(sign, row)}
        assert len(places) == 1, sign
    assert aligned(["88.73 ± 0.41", "8.73 ± 10.41", "–"]) == ["88.73 ±  0.41", " 8.73 ± 10.41", " –           "]
    assert aligned(["−2.41*", "12.10"]) == ["−2.41*", "12.10 "]
    assert aligned(["0 of 3", "2.5 of 3"]) == ["  0 of 3", "2.5 of 3"]


def test_the_difference_has_its_paired_interval_from_three_seeds(trained, table):
    runs = at_epoch(collect(trained), "last").pivot(index="seed", columns="variant", values="val_accuracy")
    d = 100 * (runs["l1-lam0.5"] - runs["none"])
    half = stats.t.ppf(0.975, 2) * d.std(ddof=1) / 3**0.5
    place = list(table["variant"]).index("l1-lam0.5")
    found = table.loc[place, ["delta_val", "delta_val_ci_low", "delta_val_ci_high"]]
    assert list(found) == pytest.approx([d.mean(), d.mean() - half, d.mean() + half])
    cells = gap_text(table, set(), False).chosen(["delta_val"]).cells[1]
    assert cells[place] == f"{d.mean():+.2f} [{d.mean() - half:+.2f}, {d.mean() + half:+.2f}]".replace("-", "−")
    about, _ = column_notes(table)
    assert about["delta_val"] == "Δval: mean seed-paired difference to the baseline [its 95 % t-interval]."


def test_two_seeds_have_no_interval(small):
    rows = at_epoch(collect(small), "last").assign(context="")
    table = gap_table(rows, choose_baselines(rows, "auto"))
    assert table["delta_val_ci_low"].isna().all()
    column = gap_text(table, set(), False).chosen(["delta_val"]).cells[1]
    assert sorted("[" in cell for cell in column) == [False] * 3


def test_a_smaller_gap_with_worse_validation_is_named_where_the_note_is_no_column(table):
    marked = list(table.loc[table["mark"] == "smaller gap, worse val", "variant"])
    assert marked
    text = gap_text(table, set(), False)
    section = Section("gap_table", table, text, [], 0, *column_notes(table))
    named = f"Smaller gap than the baseline, but worse validation: {', '.join(marked[:6])}"
    assert any(note.startswith(named) for note in section.notes_of(text.chosen(["short"])))
    with_note = text.chosen(["short", "note"])
    assert with_note.cells[-1].count("smaller gap, worse val") == len(marked)
    assert not any("Smaller gap" in note for note in section.notes_of(with_note))


def test_what_makes_a_comparison_unfair_or_incomplete_is_in_the_short_table(table):
    uneven = table.assign(epochs=["10"] * 9 + ["20"], diverged=[0] * 9 + [1])
    keys = [column.key for column in gap_text(uneven, set(), False).chosen(["short"]).columns]
    assert {"epochs", "diverged"} <= set(keys)
    keys = [column.key for column in gap_text(table, set(), False).chosen(["short"]).columns]
    assert not {"epochs", "diverged"} & set(keys)


def test_invariants_have_the_decimals_of_their_mean():
    assert _significant(0.00247, 2e-5, 3) == "0.00247 ± 0.00002"
    assert _significant(1359.4, 22.1, 4) == "1359 ± 22"
    assert _significant(3.2e9, 1e8, 3) == "3.2e+09 ± 1e+08"
