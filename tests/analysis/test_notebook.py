"""`study.load("outputs/mine")`: tables and figures in a notebook, the same as those that study analyze writes."""

import html.parser
import io
import json
import os
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

import study as package
from study.errors import ConfigError, StudyError
from tests.conftest import ROOT, reseal, run_folders, snapshot


class Tags(html.parser.HTMLParser):
    """The tags and the words of a page."""

    def __init__(self, page: str):
        super().__init__()
        self.tags: list[str] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.words.append(data)


def test_the_tables_are_those_that_analyze_writes(study, small):
    loaded = package.load(small, test=True)
    assert study("analyze", "name=small", "figures=[]").code == 0
    written = pd.read_csv(small / "analysis" / "gap_table.csv")
    every = loaded.gap_table(columns=list(written.columns))
    assert every.to_csv(index=False) == (small / "analysis" / "gap_table.csv").read_text()
    assert sorted(loaded.runs["run"]) == sorted(pd.read_csv(small / "analysis" / "runs.csv")["run"])
    assert (len(loaded.epochs), set(loaded.weights["parameter"])) == (6 * 4, set(_parameters(small)))


def _parameters(small):
    return pd.read_csv(run_folders(small)[0] / "weights.csv")["parameter"]


def test_columns_are_chosen_by_name(small):
    loaded = package.load(str(small))
    assert list(loaded.gap_table(columns=["accuracy_gap", "n"]).columns) == ["variant", "accuracy_gap", "n"]
    assert list(loaded.gap_table(columns="accuracy_gap").columns) == ["variant", "accuracy_gap"]


def test_test_scores_are_shown_on_request_alone_and_each_load_with_them_is_a_look(small):
    before, loaded = snapshot(small), package.load(small)
    loaded.plot("gap")
    assert not any(column.startswith("test") for table in (loaded.gap_table(), loaded.runs) for column in table.columns)
    assert "Test acc" not in loaded._repr_html_()
    assert snapshot(small) == before  # to look at a study writes nothing
    with pytest.raises(ConfigError, match="test=True"):
        loaded.gap_table(columns=["test_accuracy"])
    tested = package.load(small, test=True)
    for _ in range(2):  # one look of one person
        assert tested.gap_table(columns=["test_accuracy"])["test_accuracy"].notna().all()
        assert "Test acc" in tested._repr_html_()
    assert tested.runs["test_accuracy"].notna().all()
    assert (small / "ledger.csv").read_text().count("\n") == 2


def test_a_figure_is_that_of_analyze_and_is_shown_once(study, small):
    from matplotlib import pyplot as plt

    before = plt.get_fignums()
    figure = package.load(small).plot("gap", style="ieee")
    assert isinstance(figure, Figure)
    assert plt.get_fignums() == before  # Jupyter would show it a second time
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=300)
    content.seek(0)
    assert study("analyze", "name=small", "figures=[gap]", "style=ieee").code == 0
    assert np.array_equal(imread(content), imread(small / "analysis" / "figures" / "gap.png"))


def test_options_of_a_figure_override_those_of_its_file(small):
    loaded = package.load(small)
    own, fewer = loaded.plot("curves"), loaded.plot("curves", filter={"reg": ["l1"]})
    assert len(fewer.axes) < len(own.axes)


def test_a_figure_of_ones_own_is_found(small, tmp_path):
    (tmp_path / "mine" / "figure").mkdir(parents=True)
    text = (ROOT / "conf" / "figure" / "gap.yaml").read_text()
    (tmp_path / "mine" / "figure" / "own.yaml").write_text(text)
    assert isinstance(package.load(small, config_dir=tmp_path / "mine").plot("own"), Figure)


def test_it_shows_its_name_its_runs_and_the_gap_table(small):
    loaded = package.load(small)
    assert repr(loaded) == "<study small: 6 runs of 3 variants>"
    page = Tags(loaded._repr_html_())
    assert page.words[:2] == ["small", ": 6 runs of 3 variants"]
    assert {"none", "l1-lam0.0001", "l2-lam0.01", "Acc. gap (points)"} <= set(page.words)
    assert page.tags.count("tr") == 4


def test_names_from_configs_cannot_add_markup(small):
    evil = "<img src=x onerror=alert(1)>"
    for run in run_folders(small):
        status = json.loads((run / "status.json").read_text())
        status["variant"] = status["variant"].replace("l1", evil)
        (run / "status.json").write_text(json.dumps(status))
        reseal(run)
    page = package.load(small)._repr_html_()
    assert "img" not in Tags(page).tags
    assert any(evil in words for words in Tags(page).words)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda small: package.load(small.parent / "nothing"), StudyError, "does not exist; studies here: small"),
        (lambda small: package.load(small, baseline="l9"), ConfigError, "baseline=l9: no such variant"),
        (lambda small: package.load(small, filter={"reg": "l9"}), ConfigError, "matches no run"),
        (
            lambda small: package.load(small).gap_table(["gap"]),
            ConfigError,
            "there is no such column. Allowed: variant",
        ),
        (lambda small: package.load(small).plot("nothing"), ConfigError, "there is no such figure. Allowed: "),
        (lambda small: package.load(small).plot("gap", style="x"), ConfigError, "there is no such style. Allowed: "),
        (lambda small: package.load(small).plot("curves", band=3), ConfigError, "band=3"),
        (lambda small: package.load(small).plot("answer", most=0), ConfigError, "most=0: must be at least 1"),
        (lambda small: package.load(small, filter="l1"), ConfigError, "filter='l1': must map columns to values"),
        (lambda small: package.load(small, config_dir="mien"), ConfigError, "config_dir=mien: there is no such folder"),
        (lambda small: package.load(small).plot("curves", width=3), ConfigError, "width is not an option of curves"),
    ],
)
def test_what_is_not_allowed_is_said_in_one_line(small, call, error, words):
    with pytest.raises(error, match=re.escape(words)) as raised:
        call(small)
    assert "\n" not in str(raised.value)


def test_importing_the_package_imports_no_library():
    code = "import sys, study; print(sorted({'numpy', 'pandas', 'torch', 'matplotlib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_backend_that_shows_figures_stays(small):
    """Jupyter sets one by this variable. With another one, it would show no figure, not even the user's own."""
    code = f"import matplotlib, study; study.load({str(small)!r}).plot('gap'); print(matplotlib.get_backend())"
    command, environment = [sys.executable, "-c", code], os.environ | {"MPLBACKEND": "svg"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "svg\n"
