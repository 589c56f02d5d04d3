"""Figures of one's own: a YAML file is all that one needs, and a mistake in it gets one line."""

import pytest
import yaml

MINE = {
    "_target_": "study.analysis.figures.lines.lines",
    "x": "lam",
    "y": ["val_loss"],
    "colour": "reg",
    "panel": "seed",
}


def test_a_figure_of_ones_own_is_a_yaml_file(study, small, tmp_path):
    (tmp_path / "mine" / "figure").mkdir(parents=True)
    file = tmp_path / "mine" / "figure" / "my_figure.yaml"
    file.write_text(yaml.safe_dump({**MINE, "filter": {"reg": ["none", "l2"]}}))
    command = ("analyze", "--config-dir", "mine", "name=small", "figures=[my_figure]", "style=ieee")
    result = study(*command)
    assert result.code == 0, result.err
    drawing = (small / "analysis" / "figures" / "my_figure.svg").read_text()
    for word in ("Seed: 0", "Seed: 1", "Validation loss (nats)", "No regularizer"):
        assert word in drawing
    for change, message in {
        "x": "x: luck is not a column. Allowed: run, variant",
        "size": "size is not an option of lines. Allowed: x, y, colour, panel, band, filter",
        "_target_": "_target_ cannot be found",
    }.items():
        file.write_text(yaml.safe_dump({**MINE, change: "luck"}))
        refused = study(*command)
        assert refused.code == 1
        assert message in refused.err
        assert refused.err.count("\n") == 1
    file.write_text(yaml.safe_dump({k: v for k, v in MINE.items() if k != "y"}))
    assert "y is missing. lines requires x, y" in study(*command).err


CODE = """
def nothing(view):
    return None


def failing(view):
    return view.rows["luck"]
"""
REFUSED_FIGURES = {  # by content of the file
    "_target_: study.analysis.figures.lines": "study.analysis.figures.lines is not a function that draws a figure",
    "_target_: study.analysis.figures.tails.tails\nparameters: {a: b}": "parameters={'a': 'b'}: must be of type str",
    "_target_: study.analysis.figures.comparisons.forest\nmeasures: {}": "measures={}: must be a name or a list of",
    "_target_: study.analysis.figures.curves.curves\nfilter: none": "filter=none: must be a mapping",
    "_target_: study.analysis.figures.lines.lines\nx: lam\ny: context\ncolour: reg": "context holds text: a column",
    "_target_: drawn_here.failing": "figure own: drawn_here.failing fails (KeyError: 'luck')",
    "_target_: drawn_here.nothing": "drawn_here.nothing returns NoneType: it must return a matplotlib.figure.Figure",
    "[" * 2000: "cannot be read",
}


@pytest.mark.parametrize("content", REFUSED_FIGURES, ids=list(REFUSED_FIGURES.values()))
def test_mistakes_in_a_figure_of_ones_own_are_told_in_one_line(study, small, tmp_path, monkeypatch, content):
    (tmp_path / "mine" / "figure").mkdir(parents=True)
    (tmp_path / "mine" / "figure" / "own.yaml").write_text(content)
    (tmp_path / "mine" / "drawn_here.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path / "mine")
    refused = study("analyze", "--config-dir=mine", "name=small", "figures=[own]")
    assert refused.code == 1
    assert REFUSED_FIGURES[content] in refused.err
    assert refused.err.count("\n") == 1
