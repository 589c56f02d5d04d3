"""seeds=auto adds seeds in rounds until the intervals are narrow, and keeps to the design of the first run."""

import json
import shutil

import pytest

from tests.conftest import run_folders, run_here

FEW = ("-m", "reg=none,l2", "data=diabetes", "epochs=1", "model.hidden=[5]", "workers=1", "name=rounds")
AUTO = ("seeds=auto", "half_width=1e-6", "max_seeds=9")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A study whose intervals stay too wide, so that it has all 9 seeds."""
    folder = tmp_path_factory.mktemp("rounds")
    result = run_here(*FEW, *AUTO, cwd=folder)
    assert result.code == 0, result.err
    return folder


@pytest.fixture
def rounds(trained, tmp_path):
    shutil.copytree(trained / "outputs", tmp_path / "outputs")
    return tmp_path / "outputs/rounds"


def seeds(folder):
    return sorted({int(path.name.split("-seed")[1].split("-")[0]) for path in run_folders(folder)})


def records(folder):
    return [json.loads(line) for line in (folder / "sweeps.jsonl").read_text().splitlines()]


def test_seeds_are_added_up_to_the_largest_number(rounds):
    assert seeds(rounds) == list(range(9))
    assert [record["until"]["rounds"] for record in records(rounds)] == [[6, 9], [6, 9]]
    assert [record["until"]["half_width"] for record in records(rounds)] == [1e-6, 1e-6]


def test_a_study_stops_after_the_round_in_which_its_intervals_are_narrow(study, tmp_path):
    result = study(*FEW, "seeds=auto", "half_width=100", "max_seeds=9")
    assert result.code == 0
    assert "after 6 seeds, all intervals of val_loss are ± 100 MSE or narrower" in result.out
    assert seeds(tmp_path / "outputs/rounds") == list(range(6))


def test_the_same_command_trains_what_is_missing_by_the_same_loop(study, rounds):
    for run in run_folders(rounds):
        if "-seed3-" in run.name or "-seed8-" in run.name:
            shutil.rmtree(run)
    result = study(*FEW, *AUTO)
    assert result.code == 0
    assert "round 1 of at most 2: seeds 0 to 5" in result.out
    assert result.out.count("2 to run") == 2
    # few runs alone would not be trained in lockstep, as all of a round are
    assert {json.loads((run / "status.json").read_text())["path"] for run in run_folders(rounds)} == {"lockstep_32"}
    assert "to run" not in study(*FEW, *AUTO).out


def test_a_study_that_was_interrupted_ends_with_the_same_bytes(study, tmp_path):
    compiled = ("-m", "reg=none,l2", "data=digits", "data.train_size=60", "epochs=1", "model.hidden=[5]", "name=rounds")
    assert study(*compiled, *AUTO, "workers=1").code == 0
    whole = {path: path.read_bytes() for path in (tmp_path / "outputs").rglob("weights.csv")}
    assert len(whole) == 18
    for path in list(whole)[::3]:
        shutil.rmtree(path.parent)
    assert study(*compiled, *AUTO, "workers=1").code == 0
    assert {path: path.read_bytes() for path in whole} == whole


def test_the_design_and_the_variants_cannot_be_changed_and_no_seeds_added(study, rounds):
    for given, message in {
        ("seeds=auto", "half_width=2e-6", "max_seeds=9"): "half_width and max_seeds were fixed before the runs",
        ("seeds=auto", "half_width=1e-6", "max_seeds=12"): "half_width and max_seeds were fixed before the runs",
        (*AUTO, "reg=none,l1"): "the variants were fixed before the runs",
        ("seeds=12",): "is a study with seeds=auto half_width=1e-06 max_seeds=9, and other seeds would change",
        ("seed=9",): "other seeds would change what its intervals mean",
    }.items():
        result = study(*FEW, *given)
        assert result.code == 1
        assert message in result.err
        assert len(result.err.splitlines()) == 1
    assert seeds(rounds) == list(range(9))


def test_a_study_with_given_seeds_does_not_become_one_with_rounds(study, tmp_path):
    assert study(*FEW, "seeds=1").code == 0
    late = study(*FEW, *AUTO)
    assert late.code == 1
    assert "have given seeds, and when to stop must be fixed before the first run" in late.err


def test_a_dry_run_prints_the_next_round_only(study, tmp_path):
    result = study(*FEW, *AUTO, "dry_run=true")
    assert result.out.count("would train") == 12
    assert "then up to 9 seeds, until intervals are ± 1e-06 MSE" in result.out
    assert not (tmp_path / "outputs").exists()


def test_diverged_runs_are_results_without_a_difference(study, tmp_path):
    variants = "variants=[{reg: none}, {reg: l2}, {reg: l2, lam: 1e30}]"
    result = study(*FEW[2:], "optimizer=sgd", variants, "seeds=auto", "half_width=100", "max_seeds=9")
    assert result.code == 0
    assert "diverged" in result.out
    assert "after 6 seeds, all intervals" in result.out


def test_a_failed_run_is_no_result_and_ends_the_rounds(study, rounds):
    run = next(path for path in run_folders(rounds) if "-seed3-" in path.name)
    status = json.loads((run / "status.json").read_text())
    (run / "status.json").write_text(json.dumps(status | {"state": "failed", "cause": "on purpose"}))
    result = study(*FEW, *AUTO)
    assert result.code == 1
    assert "runs failed, so no interval is known. Give the same command again with retry_failed=true" in result.out
    assert study(*FEW, *AUTO, "retry_failed=true").code == 0
