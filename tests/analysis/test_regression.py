"""A study of a regression: its tables and figures compare losses, and say nothing of accuracy or nats."""

import json
import re
import shutil

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from study.analysis import load
from study.analysis.drawing.looks import looks
from study.analysis.drawing.specs import read_specs
from study.analysis.drawing.style import style_of
from study.analysis.drawing.view import View
from study.analysis.reading.collect import collect
from study.analysis.statistics import contrasts
from study.analysis.statistics.gaps import at_epoch
from study.config.folders import CONF
from study.errors import ConfigError
from tests.conftest import Result, reseal, run_folders, run_here

FEW = ("data=diabetes", "epochs=4", "model.hidden=[30]", "optimizer.lr=1e-2", "workers=1")
PATHS = "variants=[{reg: none}, {reg: l1, lam: [1e-2, 1e-1, 1]}, {reg: l2, lam: [1e-2, 1e-1, 1]}]"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with outputs/dia, and what training and analyzing it printed."""
    folder = tmp_path_factory.mktemp("regression")
    done = run_here(*FEW, PATHS, "seeds=3", "name=dia", cwd=folder)
    assert done.code == 0, done.err
    analyzed = run_here("analyze", "name=dia", "figures=[]", cwd=folder)
    assert analyzed.code == 0, analyzed.err
    return folder, done, analyzed


@pytest.fixture
def dia(trained, tmp_path):
    """A copy of the study, to be changed."""
    shutil.copytree(trained[0] / "outputs", tmp_path / "outputs")
    return tmp_path / "outputs" / "dia"


def said(result: Result) -> str:
    return " ".join((result.out + result.err).split())


def test_nothing_speaks_of_accuracy_or_nats(trained):
    folder, done, analyzed = trained
    tables = [file.read_text() for file in (folder / "outputs" / "dia" / "analysis").glob("*.md")]
    logs = [(run / "run.log").read_text() for run in run_folders(folder / "outputs" / "dia")]
    for text in (done.out, analyzed.out, *tables, *logs):
        assert not re.search(r"accurac|\bAcc|\bnats\b|ECE|Brier|nan", text)
    assert "val R² " in done.out
    assert "Loss: mean squared error (MSE), in units of the variance" in analyzed.out


def test_the_gap_table_has_means_of_the_runs_files_with_the_lowest_loss_first(trained):
    outputs = trained[0] / "outputs" / "dia"
    table = pd.read_csv(outputs / "analysis" / "gap_table.csv").set_index("variant")
    assert table["val_loss"].is_monotonic_increasing
    assert not [column for column in table if "accuracy" in column or "brier" in column]
    runs = [run for run in run_folders(outputs) if run.name.startswith("l1-lam0.1-")]
    last = pd.concat(pd.read_csv(run / "metrics.csv").tail(1) for run in runs)
    tests = pd.concat(pd.read_csv(run / "test.csv") for run in runs)
    row = table.loc["l1-lam0.1"]
    assert row["loss_gap"] == pytest.approx((last["val_loss"] - last["train_loss"]).mean())
    for measure, values in {"val_r2": last["val_r2"], "val_mae": last["val_mae"], "test_r2": tests["r2"]}.items():
        assert row[measure] == pytest.approx(values.mean())
    none = table.loc["none"]
    assert row["delta_gap"] == pytest.approx(row["loss_gap"] - none["loss_gap"])
    assert row["delta_val"] == pytest.approx(row["val_loss"] - none["val_loss"])


def test_a_smaller_gap_with_a_higher_validation_loss_is_marked(trained):
    table = pd.read_csv(trained[0] / "outputs" / "dia" / "analysis" / "gap_table.csv")
    worse = (table["delta_gap"] < 0) & (table["delta_val"] > 0)
    assert worse.any()
    assert (table["mark"].eq("smaller gap, worse val") == worse).all()


def test_contrasts_are_of_losses_and_the_primary_measure_is_the_validation_loss(trained):
    outputs = trained[0] / "outputs" / "dia"
    table = pd.read_csv(outputs / "analysis" / "significance.csv").set_index(["measure", "variant"])
    assert table.loc["val_loss", "p_holm"].notna().all()
    assert table.loc["val_r2", "p_holm"].isna().all()
    assert set(table.loc["val_loss", "unit"]) == {"MSE"}
    assert json.loads((outputs / "sweeps.jsonl").read_text().splitlines()[0])["primary"] == "val_loss"
    runs = pd.read_csv(outputs / "analysis" / "runs.csv").pivot(index="seed", columns="variant", values="val_loss")
    d = runs["l1-lam1"] - runs["none"]
    assert table.loc["val_loss", "mean_difference"]["l1-lam1"] == pytest.approx(d.mean())
    assert table.loc["val_loss", "wins"]["l1-lam1"] == (d < 0).sum()


def test_the_best_epoch_is_that_of_the_lowest_validation_loss(trained):
    study = collect(trained[0] / "outputs" / "dia")
    found = at_epoch(study, "best").set_index("run")
    for run, own in study.metrics.groupby("run"):
        assert found.loc[run, "val_loss"] == own["val_loss"].min()


FIGURES = ["curves", "gap", "scatter", "forest", "lambda_path", "matched"]


@pytest.mark.parametrize("name", FIGURES)
def test_figures_draw_losses_in_every_panel(trained, name):
    study = collect(trained[0] / "outputs" / "dia")
    rows = at_epoch(study, "last").assign(context="")
    baselines = contrasts.choose_baselines(rows, "auto")
    compared = contrasts.contrasts(rows, baselines, "val_loss", dict.fromkeys(rows["variant"], 0.2), {})
    view = View(study, rows, looks(study.runs), style_of("plain"), compared, "val_loss", pd.DataFrame(), pd.DataFrame())
    (spec,) = read_specs([name], [CONF])
    with plt.rc_context(view.style.rc()):
        figure = spec.draw(view, **spec.options)
    axes = [axis for axis in figure.axes if axis.axison]
    words = " ".join(text.get_text() for axis in axes for text in (axis.xaxis.label, axis.yaxis.label))
    plt.close(figure)
    assert "(MSE)" in words
    assert not re.search("accuracy|nats|points", words, re.IGNORECASE)
    for axis in axes:
        lines = [line for line in axis.lines if len(np.atleast_1d(line.get_ydata())) and line.get_label() != "_child0"]
        assert any(np.isfinite(np.asarray(line.get_ydata(), float)).any() for line in lines)


def test_a_figure_of_a_measure_that_regression_does_not_have_is_refused(trained, tmp_path):
    (tmp_path / "figure").mkdir()
    (tmp_path / "figure" / "ece.yaml").write_text(
        "_target_: study.analysis.figures.lines.lines\nx: lam\ny: [val_ece]\n"
    )
    (spec,) = read_specs(["ece"], [tmp_path])
    study = collect(trained[0] / "outputs" / "dia")
    rows = at_epoch(study, "last")
    empty = pd.DataFrame()
    view = View(study, rows, looks(study.runs), style_of("plain"), empty, "val_loss", empty, empty)
    with pytest.raises(ConfigError, match="val_ece is a measure of classification, and this is a regression"):
        spec.draw(view, **spec.options)


def test_a_study_has_one_task(study, trained, dia):
    for line in (["-m", "data=digits,diabetes"], ["-m", "data=diabetes,digits"]):
        assert "cannot be compared" in study(*line, "name=both", "dry_run=true").err
    more = study("data=digits", "primary=val_loss", "name=dia", "dry_run=true")
    assert "outputs/dia is a study of regression, and the runs are for classification" in more.err
    assert study(*FEW, "reg=l2", "name=dia", "dry_run=true").code == 0
    assert study("data=digits", "epochs=1", "seed=9", "name=digits").code == 0
    (run,) = run_folders(dia.parent / "digits")
    shutil.move(run, dia / run.name)
    mixed = study("analyze", "name=dia", "figures=[]")
    assert "has runs of classification" in mixed.err
    assert mixed.code == 1


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("primary=val_accuracy", "a measure of classification, and this is a regression"),
        ("select=val_accuracy", "allowed: val_loss, val_r2, val_mae"),
        ("primary=luck", "primary=luck: allowed: train_loss, val_loss"),
    ],
)
def test_measures_of_the_other_task_are_refused_before_training(study, tmp_path, override, words):
    result = study(*FEW, override, "name=other")
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert words in result.err
    assert not (tmp_path / "outputs").exists()


def test_the_primary_measure_stays_what_the_first_command_named(study, tmp_path):
    assert study(*FEW, "epochs=1", "primary=val_r2", "name=named").code == 0
    assert study(*FEW, "epochs=1", "seed=1", "name=named").code == 0
    assert "fixed as val_r2" in study(*FEW, "epochs=1", "seed=2", "primary=val_mae", "name=named").err
    assert "Primary measure" not in study("analyze", "name=named", "figures=[]").err
    lines = (tmp_path / "outputs" / "named" / "sweeps.jsonl").read_text().splitlines()
    assert [json.loads(line)["primary"] for line in lines] == ["val_r2", "val_r2"]


def test_a_run_without_a_seal_is_checked_by_its_predictions(study, dia):
    one, other, *_ = run_folders(dia)
    reseal(one, keep=False)
    table = (other / "val.csv").read_text()
    mae = table.splitlines()[1].split(",")[-1]
    (other / "val.csv").write_text(table.replace(mae, "1.5"))
    reseal(other, keep=False)
    result = study("analyze", "name=dia", "figures=[]")
    assert "has different val errors in predictions.npz and val.csv" in result.err
    assert one.name not in result.err


def test_notebooks_get_the_columns_of_the_files(trained):
    found = load(trained[0] / "outputs" / "dia")
    assert found.epochs["val_r2"].notna().all()
    assert found.scores.groupby("split", observed=True)["mae"].count().to_dict() == {"test": 21, "val": 21}
    assert found.epochs["loss_gap"].equals(found.epochs["val_loss"] - found.epochs["train_loss"])


def test_a_tuned_study_chooses_the_lowest_loss(study, tmp_path):
    folder = tmp_path / "mine" / "experiment"
    folder.mkdir(parents=True)
    (folder / "small.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /data: diabetes\nname: tuned\nepochs: 1\nworkers: 1\n"
        "model: {hidden: [5]}\ntune:\n  trials: 2\n  seeds: 1\n  fresh: 1\n  spaces: {none: {}}\n"
    )
    assert study("--config-dir", "mine", "experiment=small").code == 0
    manifest = json.loads((tmp_path / "outputs" / "tuned" / "manifest.json").read_text())
    assert manifest["tuning"]["select"] == "val_loss"
    scores = [trial["scores"]["0"] for trial in manifest["trials"]]
    assert manifest["winners"][0]["trial"] == int(np.argmin(scores))
    result = study("analyze", "name=tuned", "figures=[]")
    assert result.code == 0, result.err
