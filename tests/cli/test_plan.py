"""`study plan` prints what a study would train, how many seeds it needs and what it costs, and trains nothing."""

import pytest

FEW = ("data=digits", "epochs=2", "model.hidden=[5]", "workers=1")


def test_a_plan_counts_runs_and_contrasts_and_times_them(study, tmp_path):
    result = study("plan", "-m", "reg=none,l1,l2", "seeds=4", *FEW, "name=planned")
    assert result.code == 0, result.err
    assert "outputs/planned: 3 variants × 4 seeds = 12 runs; 2 contrasts with the baseline" in result.out
    assert "Source: a study of the same data: digits (249 validation examples), mlp" in result.out
    assert "249 validation, 1,249 training examples" in result.out
    assert "on idle cores for 12 runs, 1 at a time" in result.out
    assert "disk: about" in result.out
    assert not (tmp_path / "outputs").exists()


def test_the_runs_of_the_study_itself_are_the_pilot(study, tmp_path):
    command = ("-m", "reg=none,l2", *FEW, "name=pilot")
    assert study(*command, "seeds=3").code == 0
    result = study("plan", *command, "seeds=10")
    assert result.code == 0, result.err
    assert "Source: complete runs of outputs/pilot, 3 seeds." in result.out
    assert "from complete runs of this study" in result.out
    assert "6 runs of the study are already complete" in result.out
    assert "short trainings" not in result.out


def test_a_regression_is_planned_in_its_own_unit(study):
    result = study("plan", "-m", "reg=none,l2", "seeds=3", "data=diabetes", "epochs=1", "timing=false")
    assert result.code == 0, result.err
    assert "(MSE)" in result.out
    assert "differences in val_loss" in result.out
    assert "time and disk: not known" in result.out


def test_a_tuned_study_is_planned_with_its_trials_and_fresh_seeds(study, tmp_path):
    given = ("experiment=tuned", "tune.trials=4", "tune.seeds=2", "tune.fresh=3", "timing=false")
    result = study("plan", *given, "data=digits", "epochs=1")
    assert result.code == 0, result.err
    assert "fresh seeds of each choice" in result.out
    assert not (tmp_path / "outputs").exists()


def test_trials_with_equal_values_are_planned_and_trained_once(study):
    spaces = "{none: {}, early_stopping: {reg.patience: {choice: [2, 5]}}}"
    given = (
        f"tune={{trials: 6, seeds: 2, fresh: 3, shared: {{}}, spaces: {spaces}}}",
        "allow=[tuning]",
        "data=digits",
        "epochs=1",
        "model.hidden=[5]",
    )
    planned = study("plan", *given, "timing=false")
    assert planned.code == 0, planned.err
    assert "6 trial runs of 2 variants, then 3 fresh seeds of each choice = 12 runs" in planned.out
    assert "0 already complete, 6 to run" in study(*given, "dry_run=true").out


def test_seeds_in_rounds_are_planned_with_the_round_that_will_end_them(study):
    given = ("-m", "reg=none,l2", *FEW, "seeds=auto", "timing=false")
    wide = study("plan", *given, "half_width=5")
    assert "2 variants, 6 to 30 seeds in rounds, 12 to 60 runs" in wide.out
    assert "intervals are ± 5 points or narrower after 6 seeds" in wide.out
    assert "needs a larger max_seeds" in study("plan", *given, "half_width=0.01").out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("experiment=nope", "experiment=nope: there is no such option"),
        ("reg=none,l1", "Add -m"),
        ("timing=maybe", "timing=maybe: allowed: true, false"),
        ("seeds=two", "must be a number of seeds"),
        ("lam=-1", "must be a finite number ≥ 0"),
        ("seeds=auto", "half_width is missing"),
        ("typo=1", "typo is not a key"),
        ("name=a/b", "without '/' and '..'"),
    ],
)
def test_a_mistake_is_told_in_one_line(study, tmp_path, arguments, message):
    result = study("plan", *FEW, *arguments.split())
    assert result.code == 1
    assert result.err.count("\n") == 1
    assert message in result.err
    assert not (tmp_path / "outputs").exists()
