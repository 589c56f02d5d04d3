"""Tune, freeze, rerun: everyone is tuned alike, who chooses, who is compared, and what never happens on the way."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

from study.config.tuning.protocol import Candidate, choose
from study.sweep.searching import Trial
from tests.conftest import first_fast, run_folders, run_here

SMALL = """# @package _global_
defaults:
  - override /data: digits
name: tuned
epochs: 2
workers: 1
model: {hidden: [10]}
data: {train_size: 100}
tune:
  trials: 3
  seeds: 2
  fresh: 3
  spaces:
    none: {}
    l1: {lam: {log: [1e-3, 1e-1]}}
    l2: {lam: {log: [1e-3, 1e-1]}}
"""


COMMAND = ("--config-dir", "mine", "experiment=small")


def write_experiment(folder):
    """A tuned study's own YAML with smaller spaces: a mapping cannot be replaced on the command line."""
    (folder / "mine" / "experiment").mkdir(parents=True)
    (folder / "mine" / "experiment" / "small.yaml").write_text(SMALL)


@pytest.fixture
def smaller(study, tmp_path):
    """Run the small tuned study, with further arguments."""
    write_experiment(tmp_path)
    return lambda *arguments: study(*COMMAND, *arguments)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with the small tuned study, and how its command ended."""
    folder = tmp_path_factory.mktemp("tuned")
    write_experiment(folder)
    return folder, run_here(*COMMAND, cwd=folder)


@pytest.fixture
def tuned(trained, tmp_path):
    """A copy of its outputs, to be changed."""
    folder, result = trained
    assert result.code == 0, result.err
    shutil.copytree(folder / "outputs", tmp_path / "outputs")
    return tmp_path / "outputs"


def manifest(outputs: Path):
    return json.loads((outputs / "tuned" / "manifest.json").read_text())


def by_id(outputs: Path):
    found = {}
    for folder in run_folders(outputs / "tuned"):
        found[json.loads((folder / "status.json").read_text())["run_id"]] = folder
    return found


def test_the_choices_are_the_best_means_of_the_trials_and_only_fresh_seeds_are_compared(study, tuned):
    content, folders = manifest(tuned), by_id(tuned)
    best = {}
    assert [trial["trial"] for trial in content["trials"]] == [0, 1, 2] * 3
    for trial in content["trials"]:
        scores = {seed: pd.read_csv(folders[i] / "val.csv")["accuracy"][0] for seed, i in trial["runs"].items()}
        assert scores == trial["scores"]
        assert set(scores) == {"0", "1"}
        key = (np.mean(list(scores.values())), -trial["trial"])
        best[trial["reg"]] = max(best.get(trial["reg"], (-1, 0)), key)
    assert {w["reg"]: -w["trial"] for w in content["winners"]} == {r: number for r, (_, number) in best.items()}
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
    target = tuned / "tuned" / "analysis"
    assert set(pd.read_csv(target / "runs.csv")["run_id"]) == fresh
    tuned = pd.read_csv(target / "tuned.csv").set_index("reg")
    for winner in content["winners"]:
        row = tuned.loc[winner["reg"]]
        scores = [pd.read_csv(folders[i] / "val.csv")["accuracy"][0] for i in winner["runs"].values()]
        assert row["fresh"] == pytest.approx(np.mean(scores))
        assert row["tuned"] == pytest.approx(best[winner["reg"]][0])
        assert row["winners_curse"] == pytest.approx(row["tuned"] - row["fresh"])
    assert (tuned["trials"].eq(3) & tuned["trainings"].eq(6)).all()
    assert (tuned["searched"].str.startswith("optimizer.lr 0.0001 to 0.01 (log)")).all()
    trials_csv = pd.read_csv(target / "trials.csv")
    assert len(trials_csv) == 9
    assert trials_csv.groupby("trial")["optimizer.lr"].nunique().eq(1).all()  # the same learning rates for everyone
    assert study("analyze", "name=tuned", "figures=[]", "phase=trials").code == 0
    assert set(pd.read_csv(target / "runs.csv")["run_id"]) == trials


def test_repeating_the_command_trains_nothing_and_what_was_fixed_stays_fixed(smaller, tuned):
    before = {p: p.read_bytes() for p in (tuned / "tuned").rglob("*") if p.is_file()}
    again = smaller()
    assert again.code == 0
    assert "started" not in again.out
    assert {p: p.read_bytes() for p in before} == before
    changes = {
        "tune.fresh=9": "tune.fresh was fixed at 3",
        "select=val_loss": "select was fixed at",
        "tune.spaces.l1.lam.log=[1e-4,1e-2]": "tune.spaces was fixed at",
        "+tune.seed=1": "tune.seed was fixed at 0",
        "epochs=1": "the settings of outputs/tuned were fixed when it started",
    }
    for change, message in changes.items():
        refused = smaller(change)
        assert refused.code == 1
        assert message in refused.err
    assert {p: p.read_bytes() for p in before} == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("select=test_accuracy", "the test set must not take part in a choice"),
        ("select=accuracy_gap", "a model that fits less has a smaller gap"),
        ("select=luck", "allowed: val_accuracy, val_loss"),
        ("data.split=textbook", "the official test set then, and tuning must not use it"),
        (
            "+tune.spaces.elastic_net.lam=[1e-3]",
            "must be a range or a choice with search=sobol. Examples: {log: [1e-4, 1e-2]}",
        ),
        ("tune.spaces.l1.lam.log=[1e-1,1e-3]", "the first number must be above 0 and below the second"),
        ("tune.spaces.l1.lam.log=[0,1]", "the first number must be above 0 and below the second"),
        ("tune.spaces.l1.lam.log=[a,b]", "must be two finite numbers"),
        ("tune.spaces.l1.lam.log=[1e-3,inf]", "must be two finite numbers"),
        ("+tune.spaces.l1.epochs.choice=[1,9]", "may not change the task, the budget or the seed"),
        ("+tune.shared.data.choice=[digits]", "may not change the task, the budget or the seed"),
        ("+tune.spaces.none.optimizer.lr.log=[1e-4,1e-1]", "tune.shared or tune.per has the same key"),
        (
            "+tune.spaces.none.batch_size.choice=[8,16]",
            "every variant can tune batch_size, so it belongs in tune.shared",
        ),
        ("+tune.shared={}", "the variants get unequal numbers of trials: none 1, l1 3, l2 3"),
        ("+tune.search=grid", "search=grid trains all combinations"),
        ("+tune.search=luck", "tune.search=luck: allowed: sobol, random, grid, tpe, hyperband"),
        ("optimizer.lr=1e-2", "tune.shared sets optimizer.lr in each run"),
        ("reg=l1", "tune.spaces sets reg in each run"),
        ("allow=[luck]", "allowed when runs are trained: tuning"),
        ("tune=3", "must be a mapping with the keys spaces, seeds and fresh"),
        ("tune.spaces=3", "tune.spaces=3: must be a mapping"),
        ("tune.seeds=0", "must be a whole number ≥ 1"),
        ("tune.trials=1000000000", "must be at most 10000"),
        ("tune.trials=0", "must be a whole number ≥ 1"),
        ("seeds=3", "Leave seeds and variants out"),
    ],
)
def test_what_would_not_be_fair_is_refused_before_anything_is_trained(smaller, tmp_path, change, message):
    result = smaller(change)
    assert result.code == 1
    assert message in result.err
    assert result.err.count("\n") == 1
    assert not (tmp_path / "outputs").exists()


def test_a_range_beyond_what_an_option_accepts_fixes_no_protocol(smaller, tmp_path):
    """Each trial that is not allowed is named, and the range may be corrected: nothing has begun."""
    refused = smaller("+tune.spaces.dropout.lam.linear=[0.5,2]")
    assert refused.code == 1
    assert "a number in [0, 1) is allowed  [reg=dropout" in refused.err
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
    assert "the official test set of fashion_mnist_mini, as its checksum shows" in result.err


@pytest.mark.parametrize("keep", first_fast([False, True]))
def test_a_trial_that_is_wanted_with_its_test_score_gets_one(study, smaller, tuned, tmp_path, keep):
    """From the weights that were kept, or by training again; either way its other files stay as they were."""
    if keep:
        shutil.rmtree(tuned)
        assert smaller("keep_model=true").code == 0
    trial = sorted((tmp_path / "outputs" / "tuned").glob("l1-lam*-seed0*"))[0]
    config = OmegaConf.load(trial / "config.yaml")
    before = {name: (trial / name).read_bytes() for name in ("val.csv", "weights.csv", "histogram.csv")}
    assert not (trial / "test.csv").exists()
    plain = ("data=digits", "epochs=2", "model.hidden=[10]", "data.train_size=100", "reg=l1", "name=tuned")
    plain += (f"lam={config.lam}", f"optimizer.lr={config.optimizer.lr}")
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


def test_the_protocol_is_fixed_before_the_first_run_and_no_trial_passes_for_a_result(study, smaller, tuned):
    """Broken off among the trials: another number of fresh seeds is refused, and there is nothing to compare yet."""
    content = manifest(tuned)
    begun = {**content, "trials": [], "winners": []}
    (tuned / "tuned" / "manifest.json").write_text(json.dumps(begun))
    assert "tune.fresh was fixed at 3" in smaller("tune.fresh=9").err
    analyzed = study("analyze", "name=tuned", "figures=[]")
    assert analyzed.code == 1
    assert "has no complete run of phase=fresh yet" in analyzed.err
    assert smaller().code == 0
    assert manifest(tuned) == content


def test_ties_go_to_the_earliest_trial_whatever_its_values():
    tied = [(Candidate("l1", {"lam": lam}, {}, trial), 0.9) for trial, lam in ((2, 1e-3), (1, 1e-5), (3, 1e-1))]
    assert choose([*tied, (Candidate("l1", {"lam": 1.0}, {}, 0), 0.8)]).trial == 1


def test_scores_that_are_equal_but_for_rounding_errors_are_ties():
    """201 and 203, or 202 and 202, of 249 examples are right in two seeds."""
    scores = [np.array(right) / 249 for right in ((201, 203), (202, 202))]
    one, other = (Trial(Candidate("l1", {}, {}, number), 1, {}, own, [1]) for number, own in enumerate(scores))
    assert one.scores.mean() != other.scores.mean()
    assert one.score == other.score


@pytest.mark.slow
def test_an_unequal_grid_is_refused_or_said_under_every_table(study, smaller, tmp_path):
    """Crossed with the learning rates, λ gives l1 and l2 more trials than none."""
    grid = SMALL.replace("trials: 3", "search: grid\n  shared: {optimizer.lr: [1e-3, 1e-2]}").replace(
        "{log: [1e-3, 1e-1]}", "[1e-3, 1e-1]"
    )
    (tmp_path / "mine" / "experiment" / "grid.yaml").write_text(grid)
    line = "the variants get unequal numbers of trials: none 2, l1 4, l2 4"
    command = ("--config-dir", "mine", "experiment=grid")
    refused = study(*command)
    assert refused.code == 1
    assert line in refused.err
    assert not (tmp_path / "outputs").exists()
    assert study(*command, "allow=[tuning]").code == 0
    refused = study("analyze", "name=tuned", "figures=[]")
    assert refused.code == 1
    assert "tuned its variants unequally" in refused.err
    assert study("analyze", "name=tuned", "figures=[tuning]", "allow=tuning").code == 0
    for table in (tmp_path / "outputs" / "tuned" / "analysis").glob("*.md"):
        if table.name != "report.md":
            assert line in table.read_text(), table


@pytest.mark.slow
def test_a_protocol_of_an_earlier_version_counts_as_unequal(study, tuned):
    file = tuned / "tuned" / "manifest.json"
    content = manifest(tuned)
    content["tuning"] = {
        key: content["tuning"][key]
        for key in ("spaces", "seeds", "fresh", "select", "per", "tuning_seeds", "fresh_seeds")
    }
    del content["unequal"]
    for part in (*content["trials"], *content["winners"]):
        del part["trial"]
    file.write_text(json.dumps(content))
    assert (
        "an earlier version tuned the learning rate of none alone" in study("analyze", "name=tuned", "figures=[]").err
    )
    assert study("analyze", "name=tuned", "figures=[]", "allow=[tuning]").code == 0


def test_a_dry_run_says_what_both_sweeps_would_train_and_writes_nothing(smaller, tmp_path):
    result = smaller("dry_run=true")
    assert result.code == 0
    assert "tuning: 3 variants with 3 trials of 2 seeds each, search=sobol, chosen by val_accuracy" in result.out
    assert "then 3 fresh seeds of each choice" in result.out
    assert not (tmp_path / "outputs").exists()
