"""Several experiments in one sweep: the runs of each as if it were given alone, or a line that says why not."""

import re

import pytest

DRY = ("data=digits", "epochs=1", "model.hidden=[10]", "dry_run=true")
FIRST = """# @package _global_
name: first
seeds: [0, 2]
variants:
  - {reg: none}
  - {reg: l1, lam: [1e-5, 1e-4]}
"""
SECOND = """# @package _global_
name: second
data: {train_size: 100}
variants:
  - {reg: l1, lam: 1e-4}
  - {reg: l2}
"""


@pytest.fixture
def own(tmp_path):
    """A folder with two experiments, and what is to be added to it."""

    def write(**files: str) -> None:
        for place, text in files.items():
            file = tmp_path / "own" / f"{place.replace('__', '/')}.yaml"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    write(experiment__first=FIRST, experiment__second=SECOND)
    return write


def planned(result):
    """The ids of the runs that would be trained."""
    assert result.code == 0, result.err
    return re.findall(r"would train \S*-([0-9a-f]{12})\n", result.out)


def test_a_list_of_experiments_trains_the_runs_of_each(study, own):
    alone = [planned(study("--config-dir", "own", f"experiment={one}", *DRY)) for one in ("first", "second")]
    assert [len(runs) for runs in alone] == [6, 2]
    listed = study("-m", "--config-dir", "own", "experiment=first,second", *DRY, "name=both")
    assert planned(listed) == [*alone[0], *alone[1]]
    assert set(re.findall(r"outputs/\w+", listed.out)) == {"outputs/both"}
    by_pattern = study("-m", "--config-dir", "own", "experiment=glob([fi*,sec*])", *DRY, "name=both")
    assert planned(by_pattern) == planned(listed)


def test_what_the_command_line_sets_holds_for_each_of_them_and_equal_runs_are_one(study, own):
    given = ("data.train_size=null", "seeds=1", "name=both")
    listed = planned(study("-m", "--config-dir", "own", "experiment=first,second", *DRY, *given))
    assert len(listed) == 4  # none, l1 at two λ, l2: l1 at 1e-4 is in both
    swept = planned(study("-m", "--config-dir", "own", "experiment=first,second", "reg=l1,l2", *DRY, *given))
    assert len(swept) == 5  # as in a single experiment, reg=... replaces the variants' own


def test_experiments_of_different_names_need_one(study, own):
    result = study("-m", "--config-dir", "own", "experiment=first,second", *DRY)
    assert result.code == 1
    assert "differ in name (first, second). All runs of a command must have one value. Give it: name=" in result.err


@pytest.mark.parametrize(
    ("experiment", "reason"),
    [
        ("name: first\ntune: {spaces: {l1: {lam: [1, 2]}}, seeds: 1, fresh: 1}\n", "experiment=third sets tune"),
        ("name: first\nloop: general\n", "differ in loop (common, general)"),
        ("defaults:\n  - override /hydra/launcher: joblib\nname: first\n", "differ in hydra/launcher (basic, joblib)"),
    ],
)
def test_what_cannot_be_combined_is_refused_in_a_line(study, own, tmp_path, experiment, reason):
    own(experiment__third=f"# @package _global_\n{experiment}")
    result = study("-m", "--config-dir", "own", "experiment=first,third", *DRY)
    assert result.code == 1
    assert result.err.count("\n") == 1
    assert reason in result.err


def test_another_group_of_options_that_multiply_a_sweep_is_honoured_alone_and_refused_in_a_list(study, own):
    own(setup__few="# @package _global_\nseeds: 2\n", setup__many="# @package _global_\nseeds: 4\n")
    assert len(planned(study("--config-dir", "own", "+setup=many", *DRY))) == 4
    result = study("-m", "--config-dir", "own", "+setup=few,many", *DRY)
    assert result.code == 1
    assert "+setup=few: its YAML file sets seeds, and all runs of a command must share seeds" in result.err
    assert len(planned(study("-m", "--config-dir", "own", "+setup=few,many", "seeds=3", *DRY))) == 3


def test_an_experiment_within_variants_is_refused(study, own):
    own(experiment__third="# @package _global_\nvariants: [{experiment: first}]\n")
    assert "For several experiments: -m experiment=a,b" in study("--config-dir", "own", "experiment=third", *DRY).err


@pytest.mark.parametrize("argument", ["experiment=glob(q*)", "reg=glob(q*)", "lam=range(3,3)"])
def test_a_sweep_over_no_value_is_refused(study, argument):
    result = study("-m", argument, *DRY)
    assert result.code == 1
    assert f"{argument} names no value" in result.err
