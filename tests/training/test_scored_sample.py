"""score_train: the training scores are those of a fixed sample, which tables name."""

import csv

import pytest
import torch

from study.config.build import build_dataset, build_model
from study.data import load_splits
from study.measures.scoring import score
from study.randomness import Stream, global_stream
from tests.config.test_identity import config
from tests.conftest import run_folders

FEW = ("data=digits", "epochs=1", "model.hidden=[8]")


def rows_of(run, name="metrics.csv"):
    with (run / name).open() as file:
        return list(csv.DictReader(file))


def test_they_are_the_scores_of_the_first_images_in_drawn_order(study, tmp_path):
    assert study(*FEW, "score_train=100", "name=sample").code == 0
    (run,) = run_folders(tmp_path / "outputs" / "sample")
    given = config(*FEW)
    dataset = build_dataset(given.data)
    with global_stream(0, Stream.INITIALIZATION):
        model = build_model(given.model, dataset)
    splits = load_splits(dataset, given.data, 0, torch.device("cpu"))
    expected = score(model, splits.clean.first(100)).score()
    first = rows_of(run)[0]
    assert float(first["train_loss"]) == pytest.approx(expected.loss, rel=1e-5)
    assert float(first["train_accuracy"]) == expected.accuracy
    assert study("analyze", "name=sample", "figures=[]").code == 0
    table = (tmp_path / "outputs" / "sample" / "analysis" / "gap_table.md").read_text()
    assert "those of a fixed sample of 100 training images (score_train)" in table


def test_training_is_the_same_and_so_is_everything_else(study, tmp_path):
    for name, sample in (("all", "null"), ("some", "100"), ("many", "99999")):
        assert study(*FEW, f"score_train={sample}", f"name={name}").code == 0
    whole, some, many = (run_folders(tmp_path / "outputs" / name)[0] for name in ("all", "some", "many"))
    for name in ("weights.csv", "test.csv", "invariants.csv", "sparsity.csv"):
        assert (some / name).read_bytes() == (whole / name).read_bytes()
    assert rows_of(many)[1]["train_loss"] == rows_of(whole)[1]["train_loss"] != rows_of(some)[1]["train_loss"]


def test_flipped_labels_are_counted_within_the_sample(study, tmp_path):
    assert study(*FEW, "data.label_noise=0.5", "score_train=100", "name=noisy").code == 0
    rows = rows_of(run_folders(tmp_path / "outputs" / "noisy")[0], "label_noise.csv")
    counts = {row["labels"]: int(row["count"]) for row in rows}
    assert counts["given"] == counts["clean"] == 100
    assert 30 < counts["flipped"] < 70


def test_less_than_one_image_is_refused(study):
    result = study(*FEW, "score_train=0")
    assert "score_train=0: must be a whole number ≥ 1" in result.err
