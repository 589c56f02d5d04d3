"""The margin of equivalence is fixed before the first run of a study, like its primary measure."""

import json

import pytest

FEW = ("data=digits", "data.train_size=60", "epochs=1", "model.hidden=[5]", "workers=1", "name=fixed")


def recorded(folder):
    return [
        json.loads(line)["equivalence"] for line in (folder / "outputs/fixed/sweeps.jsonl").read_text().splitlines()
    ]


def test_the_margin_is_recorded_and_later_commands_keep_it_and_cannot_change_it(study, tmp_path):
    assert study(*FEW, "equivalence=0.3").code == 0
    assert study(*FEW, "seed=1").code == 0
    assert recorded(tmp_path) == [0.3, 0.3]
    late = study(*FEW, "seed=2", "equivalence=0.5")
    assert late.code == 1
    assert late.err.splitlines() == [
        "study: error: equivalence=0.5: it was fixed as 0.3 before the runs of outputs/fixed, because it must not be"
        " chosen after seeing results. Use another study: name=..."
    ]
    assert "fixed as 0.3" in study(*FEW, "equivalence=0.5", "dry_run=true").err
    assert study(*FEW, "seed=2", "equivalence=0.30").code == 0  # the same number


def test_a_study_without_a_margin_gets_none_later(study, tmp_path):
    assert study(*FEW).code == 0
    assert "equivalence=0.3: it was fixed as null before the runs" in study(*FEW, "seed=1", "equivalence=0.3").err
    sweeps = tmp_path / "outputs/fixed/sweeps.jsonl"
    assert recorded(tmp_path) == [None]
    record = json.loads(sweeps.read_text())
    del record["equivalence"]  # as earlier versions wrote it
    sweeps.write_text(json.dumps(record) + "\n")
    assert "equivalence=0.3: it was fixed as null before the runs" in study(*FEW, "seed=1", "equivalence=0.3").err


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("equivalence=-1", "equivalence=-1: must be a finite number above 0, or null. Example: equivalence=0.3"),
        ("equivalence=0", "equivalence=0: must be a finite number above 0, or null"),
        ("equivalence=inf", "equivalence=inf: must be a finite number above 0, or null"),
        ("equivalence=nan", "equivalence=nan: must be a finite number above 0, or null"),
        ("equivalence=abc", "equivalence=abc: a number is allowed"),
        ("equivalence=[0.3]", "equivalence=[0.3]: a number is allowed"),
    ],
)
def test_a_margin_that_is_no_positive_number_is_refused_in_one_line(study, tmp_path, given, message):
    result = study(*FEW, given)
    assert result.code == 1
    assert len(result.err.splitlines()) == 1
    assert message in result.err
    assert not (tmp_path / "outputs").exists()


def test_a_margin_is_one_value_for_the_whole_sweep_and_no_part_of_a_runs_identity(study):
    assert "equivalence" in study("-m", *FEW, "equivalence=0.1,0.3").err
    plain, margin = (study(*FEW, "dry_run=true", *more).out for more in ((), ("equivalence=0.3",)))
    assert plain == margin
