"""What a model regularizes by itself is named: in status.json, below every table, and in the legends of figures."""

import json
import shutil
import warnings

import pandas as pd
import pytest
import torch

from study.config.build import build_dataset
from study.records.comparison import differing
from study.training.model_regularizers import model_regularizers
from tests.config.test_identity import config
from tests.conftest import reseal, run_folders, run_here

MODULE = """
import math

import torch
from torch import nn
from torch.nn.utils import parametrizations


def plain(image_shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(image_shape), 8), nn.ReLU(), nn.Linear(8, classes))


def with_layers(image_shape, classes, share=0.5):
    layers = [nn.Flatten(), nn.Linear(math.prod(image_shape), 8), nn.BatchNorm1d(8), nn.Dropout(share), nn.Dropout(0.0)]
    return nn.Sequential(*layers, nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, classes))


class InCode(nn.Module):
    def __init__(self, image_shape, classes):
        super().__init__()
        self.network = with_layers(image_shape, classes)

    def forward(self, images):
        return self.network(nn.functional.dropout(images, 0.2, self.training))


class DropPath(nn.Module):
    def __init__(self, drop_prob):
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, images):
        return images


def by_name(image_shape, classes):
    return nn.Sequential(DropPath(0.1), DropPath(0.0), plain(image_shape, classes))


class Jitter(nn.Module):
    def forward(self, images):
        return images + 0.1 * torch.randn_like(images) if self.training else images


def inner(image_shape, classes):
    return nn.Sequential(Jitter(), plain(image_shape, classes))


class Always(nn.Module):
    def __init__(self, image_shape, classes):
        super().__init__()
        self.network = plain(image_shape, classes)

    def forward(self, images):
        return self.network(nn.functional.dropout(images, 0.2))


def reparametrized(image_shape, classes):
    return nn.Sequential(nn.Flatten(), parametrizations.spectral_norm(nn.Linear(math.prod(image_shape), classes)))


def normalized_weights(image_shape, classes):
    return nn.Sequential(nn.Flatten(), nn.utils.weight_norm(nn.Linear(math.prod(image_shape), classes)))


def recurrent(image_shape, classes):
    class Last(nn.LSTM):
        def forward(self, images):
            return super().forward(images)[0][:, -1]

    return Last(image_shape[-1], classes, num_layers=2, dropout=0.1, batch_first=True)


def dropping(image_shape, classes, dropout):
    return nn.Sequential(nn.Dropout(dropout), plain(image_shape, classes))


def changes_its_options(image_shape, classes, hidden=None):
    hidden.insert(0, math.prod(image_shape))
    pairs = zip(hidden, hidden[1:] + [classes])
    return nn.Sequential(nn.Flatten(), *(nn.Linear(a, b) for a, b in pairs))
"""
FOUND = {
    "plain": [],
    "with_layers": ["BatchNorm1d", "Dropout", "LayerNorm"],
    "InCode": ["BatchNorm1d", "Dropout", "LayerNorm", "InCode.forward"],
    "by_name": ["DropPath"],
    "inner": ["Jitter.forward"],
    "Always": ["Always.forward"],
    "reparametrized": ["spectral_norm"],
    "normalized_weights": ["weight_norm"],
    "recurrent": ["Last.dropout"],
}
OF_MLP = {  # by overrides
    "reg=none": [],
    "reg=none model.dropout=0.2": ["Dropout"],
    "reg=none model.norm=batch": ["BatchNorm"],
    "reg=dropout": [],
    "reg=dropout model.norm=batch": ["BatchNorm"],
    "reg=batch_norm": [],
    "reg=combine": [],
}
FEW = ("data=digits", "data.train_size=100", "epochs=1", "workers=1")


def own_models(folder):
    """Write mine/models_here.py, and an option of `model` for each of its models."""
    (folder / "mine" / "model").mkdir(parents=True)
    (folder / "mine" / "models_here.py").write_text(MODULE)
    for name in [*FOUND, "dropping", "changes_its_options"]:
        further = {"dropping": "dropout: 0.0", "changes_its_options": "hidden: [5]"}.get(name, "")
        (folder / "mine" / "model" / f"{name}.yaml").write_text(f"_target_: models_here.{name}\n{further}\n")


def regularizers_in(study_folder):
    """What status.json of each run says, by variant."""
    found = [json.loads((run / "status.json").read_text()) for run in run_folders(study_folder)]
    return {status["variant"]: status["model_regularizers"] for status in found}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """outputs/own: the models above; outputs/mlp: the MLP with and without its own dropout."""
    folder = tmp_path_factory.mktemp("models")
    own_models(folder)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(category=FutureWarning, action="ignore"):
        patch.syspath_prepend(folder / "mine")
        own = f"{{model: [{','.join(FOUND)},changes_its_options]}}"
        dropping = "{model: dropping, reg: [none, dropout]}, {model: dropping, model.dropout: 0.25}"
        for name, variants in (("own", own), ("dropping", dropping)):
            result = run_here("--config-dir=mine", f"variants=[{variants}]", *FEW, f"name={name}", cwd=folder)
            assert result.code == 0, result.err
    variants = "variants=[{reg: [none, l1], model.dropout: [0.0, 0.2]}]"
    result = run_here(variants, *FEW, "model.hidden=[8]", "name=mlp", cwd=folder)
    assert result.code == 0, result.err
    return folder / "outputs"


@pytest.mark.parametrize("model", FOUND)
def test_it_stands_in_status_json(trained, model):
    assert regularizers_in(trained / "own")[f"none-model{model}"] == FOUND[model]


def test_what_reg_makes_of_the_model_is_no_part_of_it(trained):
    assert regularizers_in(trained / "dropping") == {
        "none-dropout0.0": [],
        "none-dropout0.25": ["Dropout"],
        "dropout-lam0.5": [],
    }


@pytest.mark.parametrize("overrides", OF_MLP)
def test_options_of_the_mlp_are_known(overrides):
    made = config("model.hidden=[8]", *overrides.split())
    assert model_regularizers(made, build_dataset(made.data), None, print) == OF_MLP[overrides]


def test_a_model_that_changes_the_list_it_is_given_changes_no_config(trained):
    (run,) = (trained / "own").glob("none-modelchanges_its_options-*")
    assert "- 5\n" in (run / "config.yaml").read_text()
    assert "- 64\n" not in (run / "config.yaml").read_text()


def test_looking_at_the_model_changes_no_number(study, tmp_path, monkeypatch):
    own_models(tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "mine")
    own, before = ("--config-dir=mine", "model=InCode", *FEW), torch.get_rng_state()
    assert study(*own, "name=looked").code == 0
    assert torch.equal(before, torch.get_rng_state())
    monkeypatch.setattr("study.training.run.model_regularizers", lambda *_: [])
    assert study(*own, "name=not_looked").code == 0
    looked, not_looked = (run_folders(tmp_path / "outputs" / name)[0] for name in ("looked", "not_looked"))
    assert differing(looked, not_looked) == []


@pytest.fixture
def analyzed(trained, tmp_path):
    """A copy of outputs/mlp, which a test may spoil."""
    shutil.copytree(trained / "mlp", tmp_path / "outputs" / "mlp")
    return tmp_path / "outputs" / "mlp"


def test_every_table_and_legend_says_so(study, analyzed):
    result = study("analyze", "name=mlp", "figures=[gap]")
    assert result.code == 0, result.err
    note = "The model itself contains regularizers, outside reg, in none-dropout0.2, l1-lam0.0001-dropout0.2: Dropout."
    tables = [file for file in (analyzed / "analysis").glob("*.md") if file.name != "report.md"]
    assert len(tables) >= 3
    for file in tables:
        assert file.read_text().count(note) == 1, file
    drawn = (analyzed / "analysis" / "figures" / "gap.svg").read_text()
    assert "No regularizer" in drawn
    assert "No penalty (model has Dropout)" in drawn
    assert "No penalty (model has Dropout)" in (analyzed / "analysis" / "gap_table.tex").read_text()


def test_runs_that_do_not_tell_are_known_by_the_options_of_the_mlp(study, analyzed):
    """Runs of a version before this one: their status.json has no model_regularizers."""
    for run in run_folders(analyzed):
        status = json.loads((run / "status.json").read_text())
        del status["model_regularizers"]
        (run / "status.json").write_text(json.dumps(status))
        reseal(run)
    assert study("analyze", "name=mlp", "figures=[]").code == 0
    runs = pd.read_csv(analyzed / "analysis" / "runs.csv", keep_default_na=False)
    assert sorted(runs["model_regularizers"]) == ["", "", "Dropout", "Dropout"]
