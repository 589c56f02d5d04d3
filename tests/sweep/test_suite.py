"""A suite trains each variant in each setting, and refuses a mistake in one of them before anything is trained."""

import json
import re

import pandas as pd
import pytest

from tests.conftest import run_folders, run_here

FEW = ("epochs=1", "data.train_size=60", "workers=1", "name=many")
THREE = "suite=[{data: digits}, {data: wine, batch_size: 16}, {data: digits, model: linear}]"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("suite=5", "suite=5: must be a list of settings, each a mapping of overrides. Example: suite=[{data: digits}"),
        ("suite={data: digits}", "must be a list of settings"),
        ("suite=[]", "suite=[]: names no setting. Give settings, or suite=null for none"),
        ("suite=[digits]", "suite: digits must be a mapping of keys to values"),
        ("suite=[{}]", "suite: {} must be a mapping"),
        ("suite=[{data: digits}, {data: nope}]", "suite: {data: nope}: data=nope: there is no such option"),
        ("suite=[{data: digits, colour: 3}, {data: wine}]", "suite: {data: digits, colour: 3}: colour is not a key"),
        ("suite=[{data: digits, batch_size: -1}, {data: wine}]", "batch_size=-1: must be a whole number ≥ 1"),
        ("suite=[{data: digits}, {data: digits}]", "suite: {data: digits} is there twice. Leave one out"),
        ("suite=[{data: digits}, {data: digits, model: mlp}]", "are the same setting. Leave one out"),
        ("suite=[{data: digits}, {data: diabetes}]", "suite: {data: diabetes} is a regression, and {data: digits} a"),
        ("suite=[{data: digits, seed: 1}]", "suite: seed must be the same in all settings"),
        ("suite=[{data: digits, reg: l1}]", "suite: reg belongs to what is compared in each setting"),
        ("suite=[{data: digits, workers: 1}]", "suite: workers says how a sweep is run"),
        ("suite=[{data: digits, experiment: book}]", "suite: experiment is not allowed here"),
        ("suite=[{data: []}]", "suite: data=[]: names no value"),
    ],
)
def test_a_mistake_in_a_suite_is_refused_in_one_line_that_names_the_setting(study, tmp_path, given, message):
    result = study(given, "variants=[{reg: none}, {reg: l1}]", *FEW)
    assert result.code == 1
    assert message in result.err
    assert len(result.err.splitlines()) == 1
    assert not (tmp_path / "outputs").exists()


def test_a_mistake_beside_a_suite_is_told_once_without_a_setting(study):
    result = study(THREE, *FEW, "schedule.warmup=-1")
    assert result.err.count("schedule.warmup=-1") == 1
    assert "suite:" not in result.err


def test_a_key_of_both_variants_and_suite_is_refused(study):
    result = study(THREE, "variants=[{reg: none, batch_size: 8}]", *FEW)
    assert "variants and suite both set batch_size. Leave it out of one of them" in result.err


def test_each_variant_is_trained_in_each_setting_with_each_seed_and_without_m(study, tmp_path):
    result = study(THREE, "variants=[{reg: none}, {reg: l1}]", "seeds=2", *FEW)
    assert result.code == 0, result.err
    assert len(run_folders(tmp_path / "outputs/many")) == 3 * 2 * 2
    (record,) = map(json.loads, (tmp_path / "outputs/many/sweeps.jsonl").read_text().splitlines())
    assert [(one["data"], one["model"], one["batch_size"]) for one in record["suite"]] == [
        ("digits", "mlp", 32),
        ("wine", "mlp", 16),
        ("digits", "linear", 32),
    ]
    again = study(THREE, "variants=[{reg: none}, {reg: l1}]", "seeds=2", *FEW)
    assert "12 already complete, 0 to run" in again.out


def test_a_suite_of_a_version_that_recorded_fewer_settings_can_be_extended(study, tmp_path):
    assert study(THREE, "variants=[{reg: none}, {reg: l1}]", "seeds=3", *FEW).code == 0
    folder = tmp_path / "outputs/many"
    for file in (folder / "sweeps.jsonl", *folder.glob("*/status.json")):
        file.write_text(re.sub(r'"data.val_size": null,\s*', "", file.read_text()))
    assert study(THREE, "reg=l2", "seeds=3", *FEW).code == 0
    result = study("analyze", "name=many", "figures=[]", "allow=[changed]")
    assert result.code == 0, result.err
    scores = pd.read_csv(folder / "analysis/suite.csv")
    assert scores.groupby("variant")["setting"].nunique().tolist() == [3, 3, 3]
    assert len(scores) == 9


def test_names_of_runs_have_only_what_tells_settings_apart(study, tmp_path):
    study("suite=[{data: digits, epochs: 2}, {data: wine}]", "reg=l1", *FEW[1:])
    names = {run.name.rpartition("-seed")[0] for run in run_folders(tmp_path / "outputs/many")}
    assert names == {"l1-lam0.0001-datadigits", "l1-lam0.0001-datawine"}  # not the epochs, nor how wine is standardized


def test_lists_make_settings_and_the_command_line_replaces_keys(study):
    grid = study("-m", "suite=[{data: [digits, wine], model: [mlp, linear]}]", "reg=none", *FEW, "dry_run=true")
    assert "4 to run" in grid.out
    replaced = study("-m", THREE, "reg=none", *FEW, "data=wine", "batch_size=8", "dry_run=true")
    assert "2 to run" in replaced.out  # wine with an MLP, wine with a linear model
    drawn = "suite=[{data: sparse_teacher, data.draw: [0, 1], data.label_noise: [0.0, 0.1]}]"
    option = study("-m", drawn, "reg=none", *FEW, "data=digits", "dry_run=true")
    assert "2 to run" in option.out  # another data set has no draws, but may have flipped labels


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """outputs/many: a tuned suite of three settings and two variants."""
    folder = tmp_path_factory.mktemp("tuned")
    spaces = "tune={spaces: {none: {}, l1: {lam: {log: [1e-6, 1e-2]}}}, trials: 2, seeds: 1, fresh: 3}"
    result = run_here(THREE, spaces, *FEW, cwd=folder)
    assert result.code == 0, result.err
    return folder


def test_with_tune_each_setting_has_choices_of_its_own_in_equally_many_trials(tuned):
    manifest = json.loads((tuned / "outputs/many/manifest.json").read_text())
    assert manifest["tuning"]["suite"] == [
        {"data": "digits"},
        {"data": "wine", "batch_size": 16},
        {"data": "digits", "model": "linear"},
    ]
    trials = pd.DataFrame(manifest["trials"])
    assert (trials.groupby([trials["reg"], trials["context"].map(str)]).size() == 2).all()
    assert len(manifest["winners"]) == 3 * 2
    assert manifest["unequal"] == []


def test_a_tuned_suite_keeps_its_settings(tuned, study, monkeypatch):
    more = THREE.replace("]", ", {data: breast_cancer}]")
    spaces = "tune={spaces: {none: {}, l1: {lam: {log: [1e-6, 1e-2]}}}, trials: 2, seeds: 1, fresh: 3}"
    result = run_here(more, spaces, *FEW, cwd=tuned)
    assert result.code == 1
    assert "tune.suite was fixed at" in result.err


def test_tuning_refuses_keys_of_the_suite_and_test_sets(study):
    tune = "tune={spaces: {none: {}}, shared: {batch_size: {choice: [8, 16]}}, trials: 2, seeds: 1, fresh: 2}"
    assert "tune.shared and suite both set batch_size" in study(THREE, tune, *FEW).err
    tune = "tune={spaces: {none: {}}, trials: 2, seeds: 1, fresh: 2}"
    textbook = "suite=[{data: digits}, {data: fashion_mnist_mini, data.split: textbook}]"
    assert "data.split=textbook: the validation set is the official test set then" in study(textbook, tune, *FEW).err
    both = "tune={spaces: {none: {}}, per: {data: [digits, wine]}, trials: 2, seeds: 1, fresh: 2}"
    assert "tune.per and suite both set data" in study(THREE, both, *FEW).err


def test_the_shipped_suite_needs_no_download_and_its_settings_are_independent(study):
    result = study("-m", "experiment=suite", "dry_run=true")
    assert result.code == 0, result.err
    assert "4 variants with 8 trials of 2 seeds each in 8 settings" in result.out
