"""Searches in rounds: the same trials after a kill and by several commands; pruned runs go on as if never stopped."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pandas as pd
import pytest

from study.config.tuning import tpe
from study.records.comparison import differing
from tests.conftest import first_fast, run_folders, run_here

SMALL = """# @package _global_
defaults:
  - override /data: digits
name: tuned
epochs: 4
workers: 1
model: {hidden: [10]}
data: {train_size: 100}
tune:
  trials: 10
  seeds: 2
  fresh: 2
  spaces:
    none: {}
    l2: {lam: {log: [1e-4, 1e-1]}}
"""
SETTINGS = ("data=digits", "epochs=4", "model.hidden=[10]", "data.train_size=100")
COMMAND = ("--config-dir", "mine", "experiment=small")


def write_experiment(folder: Path) -> None:
    (folder / "mine" / "experiment").mkdir(parents=True)
    (folder / "mine" / "experiment" / "small.yaml").write_text(SMALL)


@pytest.fixture(scope="module", params=first_fast(["hyperband", "tpe"]))
def searched(request, tmp_path_factory):
    """A search, the folder with its study, and how its command ended."""
    folder = tmp_path_factory.mktemp(request.param)
    write_experiment(folder)
    return request.param, folder, run_here(*COMMAND, f"+tune.search={request.param}", cwd=folder)


def manifest(folder: Path):
    return json.loads((folder / "outputs" / "tuned" / "manifest.json").read_text())


def same_studies(one: Path, other: Path) -> bool:
    """Whether two studies have the same choices and the same bytes in all runs."""
    runs = [{run.name: run for run in run_folders(folder / "outputs" / "tuned")} for folder in (one, other)]
    assert runs[0].keys() == runs[1].keys()
    assert all(differing(runs[0][name], runs[1][name]) == [] for name in runs[0])
    return manifest(one) == manifest(other)


def test_each_variant_gets_its_epochs_and_no_more_and_the_best_whole_trial_is_chosen(searched):
    search, folder, result = searched
    assert result.code == 0, result.err
    content = manifest(folder)
    planned = content["budgets"]
    assert planned["none"] == planned["l2"]
    assert planned["l2"]["epochs"] <= 10 * 2 * 4
    for reg in ("none", "l2"):
        trials = [trial for trial in content["trials"] if trial["reg"] == reg]
        assert [trial["trial"] for trial in trials] == list(range(planned[reg]["trials"]))
        assert sum(sum(trial["epochs"].values()) for trial in trials) == planned[reg]["epochs"]
        whole = [trial for trial in trials if not trial["pruned"]]
        best = max(whole, key=lambda trial: (sum(trial["scores"].values()), -trial["trial"]))
        (winner,) = [winner for winner in content["winners"] if winner["reg"] == reg]
        assert winner["trial"] == best["trial"]
        if search == "hyperband":
            assert len(trials) > 10 > len(whole)
            assert {run["state"] for run in statuses(folder, trials)} == {"complete", "pruned"}
        else:
            assert len(trials) == len(whole) == 10
    rates = [[t["values"]["optimizer.lr"] for t in content["trials"] if t["reg"] == reg] for reg in ("none", "l2")]
    assert rates[0][:3] == rates[1][:3]
    assert rates[0] != rates[1]


def statuses(folder: Path, trials):
    found = [json.loads((run / "status.json").read_text()) for run in run_folders(folder / "outputs" / "tuned")]
    ids = {run_id for trial in trials for run_id in trial["runs"].values()}
    return [status for status in found if status["run_id"] in ids]


def test_a_trial_that_was_pruned_and_went_on_has_the_bytes_of_a_run_without_a_stop(searched, study, tmp_path):
    search, folder, _ = searched
    if search == "tpe":
        pytest.skip("tpe prunes nothing")
    resumed = [run for run in run_folders(folder / "outputs" / "tuned") if is_complete_after_pruning(run)]
    assert len(resumed) >= 4  # none and l2, two seeds each
    for run in (resumed[0], resumed[-1]):
        config = (run / "config.yaml").read_text()
        values = dict(line.strip().split(": ") for line in config.splitlines() if line.count(": ") == 1)
        reg = run.name.split("-")[0]
        own = (f"reg={reg}", *([f"lam={values['lam']}"] if reg == "l2" else []), f"seed={values['seed']}")
        settings = (
            "data=digits",
            "epochs=4",
            "model.hidden=[10]",
            "data.train_size=100",
            f"optimizer.lr={values['lr']}",
        )
        assert study(*own, *settings, "name=through", "keep_model=false").code == 0
        (through,) = [r for r in run_folders(tmp_path / "outputs" / "through") if r.name[-12:] == run.name[-12:]]
        unlike = differing(run, through)
        assert set(unlike) <= {"test.csv", "predictions.npz"}  # a trial does not score the test set
        assert "resumes after epoch 1" in (run / "run.log").read_text()


def is_complete_after_pruning(run: Path) -> bool:
    status = json.loads((run / "status.json").read_text())
    return status["state"] == "complete" and status["resumed"] > 0


def test_the_command_again_trains_nothing_and_chooses_the_same(searched):
    search, folder, _ = searched
    before = manifest(folder)
    again = run_here(*COMMAND, f"+tune.search={search}", cwd=folder)
    assert again.code == 0, again.err
    assert "started" not in again.out
    assert "to resume" not in again.out
    assert manifest(folder) == before


def test_optuna_reads_all_trials_from_the_file_in_the_studys_folder(searched):
    folder = searched[1]
    file = folder / "outputs" / "tuned" / "optuna.db"
    for reg in ("none", "l2"):
        trials = [trial for trial in manifest(folder)["trials"] if trial["reg"] == reg]
        read = optuna.load_study(storage=f"sqlite:///{file}", study_name=reg)
        by_number = {trial.user_attrs["trial"]: trial for trial in read.trials}
        assert len(by_number) == len(read.trials) == len(trials)
        for trial in trials:
            found = by_number[trial["trial"]]
            assert found.params == trial["values"]
            assert found.value == pytest.approx(sum(trial["scores"].values()) / 2)
            assert (found.state.name == "PRUNED") == trial["pruned"]
    assert [p.name for p in file.parent.iterdir() if p.name.startswith(".optuna")] == []


@pytest.mark.slow
@pytest.mark.parametrize("search", first_fast(["hyperband", "tpe"]))
def test_killed_anywhere_and_started_again_it_has_the_same_choices_and_bytes(tmp_path, search):
    for name in ("whole", "killed"):
        write_experiment(tmp_path / name)
    command = (*COMMAND, f"+tune.search={search}")
    assert run_here(*command, cwd=tmp_path / "whole").code == 0
    place, ended = tmp_path / "killed", 0
    for more in (3, 9, 7, 5):
        process = start(command, place)
        while process.poll() is None and len(ended_runs(place)) < ended + more:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        ended = len(ended_runs(place))
    assert run_here(*command, cwd=place).code == 0
    assert same_studies(tmp_path / "whole", place)


@pytest.mark.slow
@pytest.mark.parametrize("search", ["hyperband", "tpe"])
def test_two_commands_at_once_share_the_trials_of_one(tmp_path, search):
    for name in ("one", "two"):
        write_experiment(tmp_path / name)
    command = (*COMMAND, f"+tune.search={search}")
    assert run_here(*command, cwd=tmp_path / "one").code == 0
    processes = [start(command, tmp_path / "two") for _ in range(2)]
    assert [process.wait(300) for process in processes] == [0, 0]
    assert same_studies(tmp_path / "one", tmp_path / "two")


def start(command, place: Path) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-m", "study", *command], cwd=place, stdout=subprocess.DEVNULL)


def ended_runs(place: Path) -> list[Path]:
    folder = place / "outputs" / "tuned"
    return run_folders(folder) if folder.is_dir() else []


@pytest.mark.slow
def test_pruned_runs_in_lockstep_go_on_as_in_a_study_without_stops(tmp_path):
    write_experiment(tmp_path)
    command = (*COMMAND, "+tune.search=hyperband", "loop=lockstep")
    assert run_here(*command, cwd=tmp_path).code == 0
    resumed = [run for run in run_folders(tmp_path / "outputs" / "tuned") if is_complete_after_pruning(run)]
    run = resumed[-1]
    config = (run / "config.yaml").read_text()
    values = dict(line.strip().split(": ") for line in config.splitlines() if line.count(": ") == 1)
    own = ("reg=l2", f"lam={values['lam']}", f"seed={values['seed']}", f"optimizer.lr={values['lr']}")
    assert run_here(*own, *SETTINGS, "loop=lockstep", "name=through", cwd=tmp_path).code == 0
    (through,) = run_folders(tmp_path / "outputs" / "through")
    pd.testing.assert_frame_equal(*[pd.read_csv(r / "metrics.csv").drop(columns="seconds") for r in (run, through)])
    assert (run / "weights.csv").read_bytes() == (through / "weights.csv").read_bytes()
    assert (run / "histogram.csv").read_bytes() == (through / "histogram.csv").read_bytes()


def test_the_analysis_compares_the_choices_counts_epochs_and_leaves_pruned_runs_out_in_one_line(searched, tmp_path):
    search, folder, _ = searched
    shutil.copytree(folder / "outputs", tmp_path / "outputs")
    result = run_here("analyze", "name=tuned", "figures=[]", cwd=tmp_path)
    assert result.code == 0, result.err
    target, content = tmp_path / "outputs" / "tuned" / "analysis", manifest(folder)
    tuned = pd.read_csv(target / "tuned.csv").set_index("reg")
    trials = pd.read_csv(target / "trials.csv")
    for reg, budget in content["budgets"].items():
        assert (tuned.loc[reg, "trials"], tuned.loc[reg, "epochs"]) == (budget["trials"], budget["epochs"])
        own = trials[trials["reg"] == reg]
        assert own["epochs"].sum() == budget["epochs"]
        assert list(own["pruned"]) == [trial["pruned"] for trial in content["trials"] if trial["reg"] == reg]
    assert not (target / "best_of_n.csv").exists()
    assert "The expected best of n trials is left out" in (target / "tuned.md").read_text()
    pruned = sum(len(trial["runs"]) for trial in content["trials"] if trial["pruned"])
    line = f"{pruned} runs of outputs/tuned are pruned (a search stopped them before their last epoch): left out"
    assert result.out.count("left out\n") == result.out.count(line) == (search == "hyperband")
    drawn = run_here("analyze", "name=tuned", "figures=[best_of_n]", cwd=tmp_path)
    assert drawn.code == 1
    assert "that do not depend on one another" in drawn.err
    assert set(pd.read_csv(target / "runs.csv")["seed"]) == {2, 3}


def test_status_counts_pruned_runs_and_other_commands_pass_over_the_database(searched, tmp_path):
    search, folder, _ = searched
    shutil.copytree(folder / "outputs", tmp_path / "outputs")
    pruned = [run for run in run_folders(folder / "outputs" / "tuned") if state_of(run) == "pruned"]
    status = run_here("status", "name=tuned", "check=true", cwd=tmp_path)
    assert status.code == 0, status.out
    assert (f"{len(pruned)} pruned" in status.out) == (search == "hyperband")
    assert not any((run / "checkpoint.pt").exists() for run in pruned)  # none of them goes on
    assert "nothing to delete" in run_here("clean", "name=tuned", cwd=tmp_path).out
    merged = run_here("merge", "copy", "tuned", cwd=tmp_path)
    assert merged.code == 0, merged.err
    assert run_here("export", "csv", "name=tuned", cwd=tmp_path).code == 0
    assert run_here("compact", "name=tuned", cwd=tmp_path).code == 0
    again = run_here(*COMMAND, f"+tune.search={search}", "--config-dir", str(folder / "mine"), cwd=tmp_path)
    assert again.code == 0, again.err
    assert "started" not in again.out


def state_of(run: Path) -> str:
    return json.loads((run / "status.json").read_text())["state"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("+tune.search=hyperband", "epochs=2"), "search=hyperband stops trials early, so it needs epochs ≥ 3"),
        (("+tune.search=hyperband", "+tune.per.epochs=[3,9]"), "search=hyperband needs one number of epochs"),
        (("+tune.search=tpe", "+tune.spaces.dropout.lam.linear=[0.1,1]"), "a number in [0, 1) is allowed"),
        (("+tune.search=tpe", "+tune.shared={}"), "unequal numbers of trials: none 1, l2 10; epochs for each seed"),
        (("+tune.search=tpe", "tune.trials=-3"), "must be a whole number ≥ 1"),
        (("+tune.search=optuna",), "allowed: sobol, random, grid, tpe, hyperband"),
    ],
)
def test_nonsense_is_refused_in_one_line_before_anything_is_trained(study, tmp_path, change, message):
    write_experiment(tmp_path)
    result = study(*COMMAND, *change)
    assert result.code == 1
    assert message in result.err
    assert result.err.count("\n") == 1
    assert not (tmp_path / "outputs").exists()


def test_without_optuna_one_line_names_the_extra(study, tmp_path, monkeypatch):
    write_experiment(tmp_path)
    monkeypatch.setattr(tpe, "find_spec", lambda name: None)
    result = study(*COMMAND, "+tune.search=tpe")
    assert result.code == 1
    assert result.err == 'study: error: tune.search=tpe: requires the extra tune. pip install "regstudy[tune]"\n'


def test_another_version_of_optuna_is_refused_because_it_may_ask_for_other_trials(searched, tmp_path, monkeypatch):
    search, folder, _ = searched
    shutil.copytree(folder / "outputs", tmp_path / "outputs")
    monkeypatch.setattr("study.records.manifest.optuna_version", lambda: "9.0")
    result = run_here("--config-dir", str(folder / "mine"), "experiment=small", f"+tune.search={search}", cwd=tmp_path)
    assert result.code == 1
    assert "was started with Optuna" in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("search", ["tpe", "hyperband"])
def test_a_dry_run_lists_the_first_round_and_says_how_many_follow(study, tmp_path, search):
    write_experiment(tmp_path)
    result = study(*COMMAND, f"+tune.search={search}", "dry_run=true")
    assert result.code == 0, result.err
    first, rest = {
        "tpe": (4, "then 3 more rounds, by the scores of earlier ones: 2, 2, 2 trials"),
        "hyperband": (3, "more rounds"),
    }[search]
    assert result.out.count("would train") == first * 2 * 2
    assert rest in result.out
    assert "then 2 fresh seeds of each choice" in result.out
    assert not (tmp_path / "outputs").exists()
