"""Tune, freeze, rerun: who chooses, who is compared, and what never happens on the way."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from study.tuning import Candidate, beyond, choose
from tests.conftest import run_folders


@pytest.fixture
def smaller(study, tmp_path, monkeypatch):
    """A tuned study's own YAML with smaller spaces: a mapping cannot be replaced on the command line."""
    folder = tmp_path / "mine" / "experiment"
    folder.mkdir(parents=True)
    (folder / "small.yaml").write_text(
        "# @package _global_\n"
        "defaults:\n  - override /data: digits\n"
        "name: tuned\nepochs: 2\nworkers: 1\nmodel: {hidden: [10]}\ndata: {train_size: 100}\n"
        "tune:\n  seeds: 2\n  fresh: 3\n  extend: 1\n  spaces:\n    none: {}\n"
        "    l1: {lam: [1e-3, 1e-2, 1e-1]}\n    l2: {lam: [1e-3, 1e-2, 1e-1]}\n"
    )

    def run(*arguments):
        return study("--config-dir", "mine", "experiment=small", *arguments)

    return run


def manifest(outputs: Path):
    return json.loads((outputs / "tuned" / "manifest.json").read_text())


def by_id(outputs: Path):
    found = {}
    for folder in run_folders(outputs / "tuned"):
        found[json.loads((folder / "status.json").read_text())["run_id"]] = folder
    return found


def test_the_choices_are_the_best_means_of_the_trials_and_only_fresh_seeds_are_compared(study, smaller, tmp_path):
    result = smaller()
    assert result.code == 0, result.err
    content, folders = manifest(tmp_path / "outputs"), by_id(tmp_path / "outputs")
    best = {}
    for trial in content["trials"]:
        scores = {seed: pd.read_csv(folders[i] / "val.csv")["accuracy"][0] for seed, i in trial["runs"].items()}
        assert scores == trial["scores"]
        assert set(scores) == {"0", "1"}
        key = (np.mean(list(scores.values())), trial["values"].get("lam", 0))
        best[trial["reg"]] = max(best.get(trial["reg"], (-1, 0)), key)
    assert {w["reg"]: w["values"].get("lam", 0) for w in content["winners"]} == {r: lam for r, (_, lam) in best.items()}
    trials = {i for trial in content["trials"] for i in trial["runs"].values()}
    fresh = {i for winner in content["winners"] for i in winner["runs"].values()}
    assert trials | fresh == set(folders)
    assert not trials & fresh
    assert {seed for winner in content["winners"] for seed in winner["runs"]} == {"2", "3", "4"}
    assert all((folders[i] / "test.csv").is_file() for i in fresh)
    assert not any((folders[i] / "test.csv").exists() for i in trials)
    for i in trials:
        with np.load(folders[i] / "predictions.npz") as stored:
            assert not [key for key in stored if key.startswith("test")]

    assert study("analyze", "name=tuned", "figures=[]").code == 0
    target = tmp_path / "outputs" / "tuned" / "analysis"
    assert set(pd.read_csv(target / "runs.csv")["run_id"]) == fresh
    tuned = pd.read_csv(target / "tuned.csv").set_index("reg")
    for winner in content["winners"]:
        row = tuned.loc[winner["reg"]]
        scores = [pd.read_csv(folders[i] / "val.csv")["accuracy"][0] for i in winner["runs"].values()]
        assert row["fresh"] == pytest.approx(np.mean(scores))
        assert row["tuned"] == pytest.approx(best[winner["reg"]][0])
        assert row["winners_curse"] == pytest.approx(row["tuned"] - row["fresh"])
    assert "Fixed learning rate" in (target / "report.md").read_text()
    assert study("analyze", "name=tuned", "figures=[]", "phase=trials").code == 0
    assert set(pd.read_csv(target / "runs.csv")["run_id"]) == trials


def test_repeating_the_command_trains_nothing_and_what_was_fixed_stays_fixed(smaller, tmp_path):
    smaller()
    before = {p: p.read_bytes() for p in (tmp_path / "outputs" / "tuned").rglob("*") if p.is_file()}
    again = smaller()
    assert again.code == 0
    assert "started" not in again.out
    assert {p: p.read_bytes() for p in before} == before
    changes = {
        "tune.fresh=9": "tune.fresh was fixed at 3",
        "select=val_loss": "select was fixed at",
        "tune.spaces.l1.lam=[1e-4,1e-3,1e-2]": "tune.spaces was fixed at",
        "epochs=1": "the settings of outputs/tuned were fixed when it began",
    }
    for change, message in changes.items():
        refused = smaller(change)
        assert refused.code == 1
        assert message in refused.err
    assert {p: p.read_bytes() for p in before} == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("select=test_accuracy", "the test set is for what has been chosen"),
        ("select=accuracy_gap", "a gap can be had by fitting less"),
        ("select=luck", "allowed: val_accuracy, val_loss"),
        ("data.split=textbook", "val is the official test set there, and must not choose"),
        ("tune.spaces.l1.lam=[1e-3]", "each regularizer must get equally many trials"),
        ("tune=3", "a mapping with spaces, seeds and fresh"),
        ("tune.spaces=3", "tune.spaces=3: a mapping is allowed"),
        ("tune.seeds=0", "a whole number of at least 1"),
        ("seeds=3", "leave seeds and variants out"),
    ],
)
def test_what_would_not_be_fair_is_refused_before_anything_is_trained(smaller, tmp_path, change, message):
    result = smaller(change)
    assert result.code == 1
    assert message in result.err
    assert result.err.count("\n") == 1
    assert not (tmp_path / "outputs").exists()


def test_a_test_set_in_disguise_is_known_by_its_content(smaller, tmp_path, monkeypatch):
    """A data set of one's own whose training images are the official test images of another one."""
    (tmp_path / "disguised.py").write_text(
        "from dataclasses import replace\n"
        "from study.data.dataset import RawImages\n"
        "from study.data.fashion_mnist import mini\n\n"
        "def _read(root):\n"
        "    raw = mini().read(root)\n"
        "    return RawImages(raw.test_images, raw.test_labels, raw.train_images, raw.train_labels)\n\n"
        "def data():\n"
        "    return replace(mini(), name='my own', train_count=1000, test_is_official=False, read=_read)\n"
    )
    (tmp_path / "mine" / "data").mkdir()
    (tmp_path / "mine" / "data" / "disguised.yaml").write_text("_target_: disguised.data\n")
    monkeypatch.syspath_prepend(tmp_path)
    result = smaller("data=disguised")
    assert result.code == 1
    assert "the official test set of fashion_mnist_mini (known by its checksum)" in result.err


@pytest.mark.parametrize("keep", [True, False])
def test_a_trial_that_is_wanted_with_its_test_score_gets_one(study, smaller, tmp_path, keep):
    """From the weights that were kept, or by training again; either way its other files stay as they were."""
    smaller(f"keep_model={str(keep).lower()}")
    trial = next((tmp_path / "outputs" / "tuned").glob("l1-lam0.01-seed0*"))
    before = {name: (trial / name).read_bytes() for name in ("val.csv", "weights.csv", "histogram.csv")}
    assert not (trial / "test.csv").exists()
    plain = ("data=digits", "epochs=2", "model.hidden=[10]", "data.train_size=100", "reg=l1", "lam=1e-2", "name=tuned")
    result = study(*plain, f"keep_model={str(keep).lower()}")
    assert result.code == 0, result.err
    assert len(pd.read_csv(trial / "test.csv")) == 1
    assert {name: (trial / name).read_bytes() for name in before} == before
    assert ("test set scored" in (trial / "run.log").read_text()) == keep
    study(*plain, "name=alone")
    (alone,) = run_folders(tmp_path / "outputs" / "alone")
    assert (alone / "test.csv").read_bytes() == (trial / "test.csv").read_bytes()
    with np.load(alone / "predictions.npz") as a, np.load(trial / "predictions.npz") as b:
        assert {key: a[key].tobytes() for key in a} == {key: b[key].tobytes() for key in b}


def test_the_protocol_is_fixed_before_the_first_run_and_no_trial_passes_for_a_result(study, smaller, tmp_path):
    """Broken off among the trials: another number of fresh seeds is refused, and there is nothing to compare yet."""
    smaller()
    content = manifest(tmp_path / "outputs")
    begun = {**content, "trials": [], "winners": []}
    (tmp_path / "outputs" / "tuned" / "manifest.json").write_text(json.dumps(begun))
    assert "tune.fresh was fixed at 3" in smaller("tune.fresh=9").err
    analyzed = study("analyze", "name=tuned", "figures=[]")
    assert analyzed.code == 1
    assert "has no complete run of phase=fresh yet" in analyzed.err
    assert smaller().code == 0
    assert manifest(tmp_path / "outputs") == content


def candidate(**values):
    return Candidate("l1", values, {})


def test_ties_go_to_the_larger_lam():
    tied = [(candidate(lam=lam), 0.9) for lam in (1e-5, 1e-3, 1e-4)]
    assert choose([*tied, (candidate(lam=1.0), 0.8)]).values == {"lam": 1e-3}


def test_a_winner_at_the_edge_extends_its_space_outwards_in_the_same_ratio():
    tried = [candidate(lam=lam) for lam in (1e-5, 1e-4, 1e-3)]
    assert [c.values["lam"] for c in beyond(tried[2], tried)] == [1e-2]
    assert [c.values["lam"] for c in beyond(tried[0], tried)] == [1e-6]
    assert beyond(tried[1], tried) == []


def test_a_dry_run_says_what_both_sweeps_would_train_and_writes_nothing(smaller, tmp_path):
    result = smaller("dry_run=true")
    assert result.code == 0
    assert "7 candidates with 2 seeds each" in result.out
    assert "then 3 fresh seeds of each choice" in result.out
    assert not (tmp_path / "outputs").exists()
