"""What goes wrong in option files and code of the user's is told in one line before anything is trained."""

import pytest

CODE = """
import math

import torch
from torch import nn

from study.regularizers import Penalty


def failing(*arguments):
    raise KeyError("width")


def nothing(*arguments):
    return None


def without_parameters(image_shape, classes):
    return nn.Flatten()


def of_unknown_type(w, power: "NoSuchType" = 2.0):
    return w.abs().pow(power).sum()


def ending(w):
    if w.requires_grad:
        raise SystemExit(3)
    return w.sum()


def ending_at_once(*arguments):
    raise SystemExit(3)


class OfNoRange(Penalty):
    lam_range = None
"""
REFUSED = {  # by group and content of an option's file
    ("model", "_target_: own_code.failing"): "model=own: own_code.failing fails (KeyError: 'width')",
    ("data", "_target_: own_code.failing"): "data=own: own_code.failing fails (KeyError: 'width')",
    ("optimizer", "_target_: own_code.failing"): "optimizer=own: own_code.failing fails (KeyError: 'width')",
    ("model", "_target_: own_code.ending_at_once"): "own_code.ending_at_once fails (SystemExit: 3)",
    ("reg", "_target_: own_code.ending_at_once\nlam: 0.1"): "own_code.ending_at_once fails on a tensor of shape",
    ("model", "_target_: own_code.nothing"): "model=own: own_code.nothing must return a torch.nn.Module",
    ("data", "_target_: own_code.nothing"): "data=own: own_code.nothing must return a study.data.DataSet",
    ("model", "_target_: own_code.without_parameters"): "own_code.without_parameters must have parameters",
    ("model", "parts: null"): "model=own: its YAML file has no _target_",
    ("model", "_target_: torch.zeros"): "zeros has no readable signature. Write a Python function",
    ("reg", "_target_: own_code.OfNoRange\nlam: 0.1"): "its lam_range is None. It must be a study",
    (
        "reg",
        "_target_: own_code.ending\noption: x\nlam: 0.1",
    ): "reg.option is not allowed as a key: reg=own already names",
    ("reg", "defaults: [own]"): "nested too deeply, or its defaults list leads back to itself",
    ("reg", b"\xff\xfe"): "reg/own.yaml is not UTF-8 text. Save it as UTF-8",
}


@pytest.fixture
def own(study, tmp_path, monkeypatch):
    """Run `study` with an option file mine/<group>/own.yaml, and the module above in mine/."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "own_code.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path / "mine")

    def run(group, content, *overrides):
        (tmp_path / "mine" / group).mkdir()
        file = tmp_path / "mine" / group / "own.yaml"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        few = ("epochs=1", "workers=1", *(["data=digits", "data.train_size=50"] if group != "data" else []))
        return study("--config-dir=mine", *few, f"{group}=own", *overrides)

    return run


@pytest.mark.parametrize(("group", "content"), REFUSED)
def test_it_is_refused_in_one_line(own, tmp_path, group, content):
    result = own(group, content)
    assert result.code == 1
    assert result.err.count("\n") == 1
    assert REFUSED[group, content] in result.err
    assert not (tmp_path / "outputs").exists()


def test_code_that_ends_the_program_fails_its_run_alone(own, tmp_path):
    result = own("reg", "_target_: own_code.ending\nlam: 0.1", "model.hidden=[5]")
    assert result.code == 1
    assert "failed outputs/default/own-lam0.1-seed0" in result.out
    assert "SystemExit: 3" in result.out


def test_an_annotation_that_names_nothing_does_no_harm(own):
    assert own("reg", "_target_: own_code.of_unknown_type\nlam: 1e-4\n", "model.hidden=[5]").code == 0
