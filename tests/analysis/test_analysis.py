"""`study analyze`: numbers recomputed by hand, unsound folders named and left out, nothing mixed in silence."""

import json
import os
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from tests.conftest import products, reseal, run_folders, run_here

TABLES = ("figures=[]",)  # what is asserted on tables alone need not wait for figures


@pytest.fixture
def small(finished, tmp_path):
    """A copy of the finished study that a test may spoil."""
    shutil.copytree(finished / "outputs", tmp_path / "outputs")
    return tmp_path / "outputs" / "small"


@pytest.fixture(scope="module")
def analyzed(finished, tmp_path_factory):
    """A copy of the finished study, analyzed as by default, and what that said."""
    folder = tmp_path_factory.mktemp("analyzed")
    shutil.copytree(finished / "outputs", folder / "outputs")
    return folder / "outputs" / "small", run_here("analyze", "name=small", cwd=folder)


def table(folder):
    return pd.read_csv(folder / "analysis" / "gap_table.csv").set_index("variant")


def by_hand(folder, variant, epoch=None):
    """Mean and spread over the seeds of a variant, straight from the CSVs."""
    rows = []
    for run in sorted(folder.glob(f"{variant}-seed*")):
        metrics, weights = pd.read_csv(run / "metrics.csv"), pd.read_csv(run / "weights.csv")
        at = metrics["val_accuracy"].idxmax() if epoch == "best" else len(metrics) - 1 if epoch is None else epoch
        row, w = metrics.loc[at], weights[weights["epoch"] == at]
        rows.append(
            {
                "train_accuracy": row["train_accuracy"],
                "val_accuracy": row["val_accuracy"],
                "accuracy_gap": 100 * (row["train_accuracy"] - row["val_accuracy"]),
                "loss_gap": row["val_loss"] - row["train_loss"],
                "abs_max": w["abs_max"].max(),
                "near_zero_fraction": (w["near_zero_fraction"] * w["count"]).sum() / w["count"].sum(),
            }
        )
    return pd.DataFrame(rows)


@pytest.mark.parametrize("at", [None, "best", 1])
def test_the_gap_table_is_what_the_csvs_say(study, small, at):
    result = study("analyze", "name=small", *TABLES, *([f"at={at}"] if at else []))
    assert result.code == 0, result.err
    assert sorted(table(small).index) == ["l1-lam0.0001", "l2-lam0.01", "none"]
    assert table(small)["val_accuracy"].is_monotonic_decreasing
    for variant, row in table(small).iterrows():
        expected = by_hand(small, variant, at)
        assert row["n"] == len(expected) == 2
        assert row["diverged"] == 0
        for measure in expected:
            assert row[measure] == pytest.approx(expected[measure].mean(), rel=1e-12)
            assert row[f"{measure}_sd"] == pytest.approx(expected[measure].std(ddof=1), rel=1e-9)


def test_everything_the_contract_names_is_there_and_the_table_is_printed(analyzed):
    small, result = analyzed
    names = {str(p.relative_to(small / "analysis")) for p in (small / "analysis").rglob("*") if p.is_file()}
    drawn = ("answer", "curves", "gap", "weights")
    figures = {f"figures/{name}.{kind}" for name in drawn for kind in ("png", "pdf", "svg", "txt")}
    sections = ("gap_table", "significance", "sparsity", "invariants")
    tables = {f"{name}.{kind}" for name in sections for kind in ("csv", "md", "tex")}
    assert names == {"runs.csv", "report.md", "report.html"} | tables | figures
    row = table(small).loc["l1-lam0.0001"]
    shown = f"{100 * row['val_accuracy']:.2f} ± {100 * row['val_accuracy_sd']:.2f}"
    assert "tables and figures: outputs/small/analysis (figures: answer, curves, gap, weights)" in result.out
    for text in (result.out, (small / "analysis" / "gap_table.md").read_text()):
        assert shown in text
    assert shown.replace("±", r"$\pm$") in (small / "analysis" / "gap_table.tex").read_text()
    runs = pd.read_csv(small / "analysis" / "runs.csv")
    assert sorted(runs["run"]) == [folder.name for folder in run_folders(small)]


LATEX = r"""\documentclass{article}
\usepackage[landscape,margin=5mm]{geometry}
\usepackage{booktabs}
\begin{document}\tiny
%s
\end{document}
"""


@pytest.mark.skipif(
    shutil.which("pdflatex") is None and "REGSTUDY_CI" not in os.environ,
    reason="LaTeX is not installed; .ci/run installs it",
)
@pytest.mark.slow
def test_pdflatex_sets_every_table(study, tmp_path):
    few = ("data=digits", "data.train_size=100", "epochs=2", "model.hidden=[20]", "seeds=3", "workers=1", "name=paper")
    variants = "variants=[{reg: none}, {reg: l1, lam: [1e-4, 1e-3, 3e-2]}, {reg: l2_norm, lam: [1e-4, 1e-3, 0.5]}]"
    assert study(*few, variants, "data.label_noise=0.1").code == 0
    assert study("analyze", "name=paper", *TABLES).code == 0
    tables = sorted((tmp_path / "outputs" / "paper" / "analysis").glob("*.tex"))
    assert {table.stem for table in tables} >= {"gap_table", "significance", "sparsity", "invariants", "label_noise"}
    for table in tables:
        (tmp_path / "page.tex").write_text(LATEX % table.read_text())
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=60)
        assert done.returncode == 0, (table.name, done.stdout[-1500:])
        assert "Missing character" not in (tmp_path / "page.log").read_text(errors="replace"), table.name
    text = (tmp_path / "outputs" / "paper" / "analysis" / "gap_table.tex").read_text()
    assert r"L1, $\lambda$ = $10^{-3}$" in text
    assert (
        "Seeds per variant: 3. Budget: 2 epochs. Data: digits, data.split=holdout,"
        " 100 training and 249 validation examples." in text
    )
    assert "looked at once" in text


@pytest.mark.slow
def test_the_same_files_give_the_same_bytes(study, small, analyzed):
    assert study("analyze", "name=small").code == 0
    assert products(small) == products(analyzed[0])


def test_one_seed_is_called_noise_and_the_textbook_split_is_named(study, tmp_path):
    study("-m", "data=digits", "data.split=textbook", "epochs=1", "reg=none,l1", "name=book", "workers=1")
    out = study("analyze", "name=book", *TABLES).out
    assert "One seed per variant" in out
    assert "The validation set is the official test set" in out


def spoil(folder, what):
    """Damage a run, or put something foreign into the study; returns what the message must name."""
    run = sorted(folder.glob("l1-lam0.0001-seed0-*"))[0]
    if what == "half a row":
        text = (run / "metrics.csv").read_text()
        (run / "metrics.csv").write_text(text[: len(text) - 20])
    elif what == "a row missing":
        lines = (run / "metrics.csv").read_text().splitlines(keepends=True)
        (run / "metrics.csv").write_text("".join(lines[:-1]))
    elif what == "foreign columns":
        (run / "metrics.csv").write_text("a,b\n1,2\n")
    elif what == "empty file":
        (run / "weights.csv").write_text("")
    elif what == "no status":
        (run / "status.json").unlink()
    elif what == "half a status":
        (run / "status.json").write_text('{"state": "comp')
    elif what == "another contract":
        status = json.loads((run / "status.json").read_text())
        (run / "status.json").write_text(json.dumps(status | {"contract": 99}))
    elif what == "an earlier version":
        status = json.loads((run / "status.json").read_text())
        del status["setting"]
        (run / "status.json").write_text(json.dumps(status))
    elif what == "foreign csv":
        (folder / "notes.csv").write_text("my,notes\n")
        return "notes.csv"
    elif what == "foreign folder":
        (folder / "old").mkdir()
        (folder / "old" / "metrics.csv").write_text("epoch,loss\n0,1\n")
        return "old"
    return run.name


@pytest.mark.parametrize(
    "what",
    [
        *("half a row", "a row missing", "foreign columns", "empty file", "no status", "half a status"),
        *("another contract", "an earlier version", "foreign csv", "foreign folder"),
    ],
)
def test_what_is_no_sound_run_is_named_and_left_out(study, small, what):
    named = spoil(small, what)
    before = {p: p.read_bytes() for p in small.rglob("*") if p.is_file()}
    result = study("analyze", "name=small", *TABLES)
    assert result.code == 1
    errors = result.err.splitlines()
    assert len(errors) == 1
    assert errors[0].startswith(f"study: error: outputs/small/{named}")
    assert table(small).loc["l1-lam0.0001", "n"] == (2 if what in ("foreign csv", "foreign folder") else 1)
    assert {p: p.read_bytes() for p in before} == before


@pytest.mark.parametrize("state", ["running", "interrupted", "failed"])
def test_a_run_that_has_not_ended_is_named_and_left_out(study, small, state):
    run = sorted(small.glob("l1-lam0.0001-seed0-*"))[0]
    status = json.loads((run / "status.json").read_text())
    (run / "status.json").write_text(json.dumps(status | {"state": state, "cause": "a cause"}))
    result = study("analyze", "name=small", *TABLES)
    assert result.code == 0
    assert f"outputs/small/{run.name} is {state} (a cause): left out" in result.out
    assert table(small).loc["l1-lam0.0001", "n"] == 1


def test_a_diverged_run_is_counted_and_not_averaged(study, tmp_path):
    study("-m", "data=digits", "epochs=2", "optimizer=sgd", "optimizer.lr=1e30,0.1", "name=wild", "workers=1")
    assert study("analyze", "name=wild", "figures=[curves]").code == 0
    rows = table(tmp_path / "outputs" / "wild")
    assert rows.loc["none-lr1e+30", ["n", "diverged"]].tolist() == [0, 1]
    assert np.isnan(rows.loc["none-lr1e+30", "val_accuracy"])
    assert rows.loc["none-lr0.1", ["n", "diverged"]].tolist() == [1, 0]


def test_mixed_budgets_are_refused_unless_told_to(study, tmp_path):
    study("-m", "data=digits", "epochs=1,2", "name=mixed", "workers=1")
    result = study("analyze", "name=mixed", *TABLES)
    assert result.code == 1
    assert "the runs differ in epochs: 1, 2" in result.err
    assert "allow=[epochs]" in result.err
    allowed = study("analyze", "name=mixed", "allow=[epochs]", *TABLES)
    assert allowed.code == 0
    assert "With allow=[epochs], compared although the runs differ in epochs: 1, 2" in allowed.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["name=nothing"], "studies here: small"),
        (["name=small", "at=worst"], "last, best, or the number"),
        (["name=small", "at=7"], "has only epochs 0 to 3"),
        (["name=small", "allow=[all]"], "of epochs, data, split"),
        (
            ["name=small", "figures=[pie]"],
            "figures=pie: there is no such figure. Allowed: answer, best_of_n, cumulative, curves",
        ),
        (["name=small", "figures=[anwser]"], "weights_rms. Did you mean answer?"),
        (["name=small", "variants=[nope]"], "nope matches no variant"),
        (["name=small", "export=xls"], "export=xls: allowed: csv, parquet"),
        (["name=small", "spread=range"], "spread=range: allowed: sd, interval"),
        (["name=small", "typo=1"], "typo is not a key"),
        (["name=../small"], "without '/' and '..'"),
    ],
)
def test_mistakes_are_told_in_one_line(study, small, arguments, message):
    result = study("analyze", *arguments)
    assert result.code == 1
    assert result.err.count("\n") == 1
    assert message in result.err
    assert not (small / "ledger.csv").exists()  # nobody has seen a test score


def test_what_must_agree_is_refused_unless_told_to_and_then_noted(study, small):
    run = run_folders(small)[0]
    status = json.loads((run / "status.json").read_text())
    (run / "status.json").write_text(json.dumps(status | {"numerics": 1}))
    reseal(run)
    refused = study("analyze", "name=small", *TABLES)
    assert refused.code == 1
    assert "allow=[numerics]" in refused.err
    assert study("analyze", "name=small", "allow=[numerics]", *TABLES).code == 0
    for name in ("gap_table", "significance"):
        page = (small / "analysis" / f"{name}.md").read_text()
        assert "With allow=[numerics], compared although the runs differ in" in page


def test_runs_of_two_training_loops_are_compared_with_a_footer(study, small):
    """A penalty that the compiled loop cannot train joins a study that it has trained."""
    joined = ("loop=general", "model.hidden=[20]", "name=small", "workers=1")
    assert study("-m", "data=digits", "epochs=3", "reg=group_lasso", "seeds=2", *joined).code == 0
    result = study("analyze", "name=small", *TABLES)
    assert (result.code, result.err) == (0, "")
    assert len(table(small)) == 4
    for name in ("gap_table", "significance"):
        assert "Mixed training loops (general, mlp)" in (small / "analysis" / f"{name}.md").read_text()
    assert study("analyze", "name=small", "allow=[path]", *TABLES).code == 0  # as was needed once


def test_a_table_says_that_something_was_left_out(study, small):
    (run_folders(small)[0] / "metrics.csv").write_text("nonsense\n")
    assert study("analyze", "name=small", *TABLES).code == 1
    assert "Left out as invalid: 1 " in (small / "analysis" / "gap_table.md").read_text()
