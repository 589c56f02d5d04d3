"""The questions of a study are fixed before its first run, and its analysis answers them first."""

import pandas as pd

EXPERIMENT = """# @package _global_
# Questions
defaults:
  - override /data: digits
name: asked
epochs: 1
workers: 1
model: {hidden: [10]}
data: {train_size: 60}
seeds: 3
variants:
  - {reg: none}
  - {reg: l1, lam: 1e-3}
hypotheses:
  helps: {question: Does L1 help?, measure: val_accuracy, contrast: [l1, none], equivalence: 1}
  tails: {question: And its tails?, measure: kurtosis of hidden.0.weight, contrast: [each, none]}
  norm: {question: And its paths?, measure: path_norm_l2, contrast: [l1, none]}
"""
ASKED = ("--config-dir", "mine", "experiment=asked")


def test_they_cannot_be_changed_and_the_first_table_answers_them(study, tmp_path):
    (tmp_path / "mine/experiment").mkdir(parents=True)
    (tmp_path / "mine/experiment/asked.yaml").write_text(EXPERIMENT)
    assert study(*ASKED).code == 0
    other = study(*ASKED, "seeds=4", "hypotheses.helps.equivalence=2")
    assert other.code != 0
    assert "hypotheses: helps differs from what was fixed before the runs of outputs/asked" in other.err
    assert study("name=asked", "data=digits", "epochs=1", "model.hidden=[10]", "data.train_size=60").code == 0  # kept
    result = study("analyze", "name=asked", "figures=[]")
    assert result.code == 0
    assert result.out.lstrip().startswith("Questions\n")
    assert "tails: And its tails?" in result.out
    found = pd.read_csv(tmp_path / "outputs/asked/analysis/hypotheses.csv").set_index("hypothesis")
    runs = pd.read_csv(tmp_path / "outputs/asked/analysis/runs.csv")
    runs = runs.pivot_table(index="seed", columns="reg", values="val_accuracy").dropna()
    assert found["n"].tolist() == [3, 3, 3]
    assert abs(found.loc["helps", "estimate"] - (runs["l1"] - runs["none"]).mean()) < 1e-12
    assert found["estimate"].notna().all()
    assert "hypotheses" in (tmp_path / "outputs/asked/analysis/report.html").read_text()


def test_a_mistake_is_refused_before_anything_is_trained(study, tmp_path):
    result = study(
        "data=digits", "epochs=1", "hypotheses={a: {question: Why?, measure: nothing, contrast: [l1, none]}}"
    )
    assert result.code != 0
    assert "hypotheses.a.measure=nothing: allowed: train_accuracy" in result.err
    assert not (tmp_path / "outputs").exists()
