"""report.html: what its data says, that nothing in it can become code, and that it stays the same and small."""

import copy
import json
import re
import shlex
import shutil
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from study.analysis.page.render import SCRIPTS, render
from study.analysis.text.escaping import plain
from study.records.status import mark_failed
from tests.conftest import run_folders, run_here, without_looks

SCRIPT = "<script>alert(1)</script>"
FEW = ("data=digits", "data.train_size=100", "epochs=2", "model.hidden=[5]", "workers=1")


class Elements(HTMLParser):
    """The elements of a page, and the text of its data."""

    def __init__(self, page):
        super().__init__()
        self.found, self.data, self.inside = [], "", False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self.inside = dict(attrs).get("id") == "data"

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.data += data


def page_of(folder):
    return (folder / "analysis" / "report.html").read_text()


def data_of(folder):
    return json.loads(Elements(page_of(folder)).data)


@pytest.fixture(scope="module")
def analyzed(finished, tmp_path_factory):
    """The study `small`, analyzed with one figure."""
    folder = tmp_path_factory.mktemp("page")
    shutil.copytree(finished / "outputs", folder / "outputs")
    result = run_here("analyze", "name=small", "figures=[gap]", cwd=folder)
    assert result.code == 0, result.err
    assert "page: outputs/small/analysis/report.html" in result.out
    return folder / "outputs" / "small"


def test_curves_are_those_of_the_files(analyzed):
    curves = data_of(analyzed)["curves"]
    assert len(curves["runs"]) == 6
    for run in curves["runs"]:
        metrics = pd.read_csv(analyzed / run["run"] / "metrics.csv")
        assert np.allclose(run["val_accuracy"], 100 * metrics["val_accuracy"], rtol=1e-4)
        assert np.allclose(run["loss_gap"], metrics["val_loss"] - metrics["train_loss"], rtol=1e-4, atol=1e-4)


def test_shares_of_weights_are_those_of_the_files(analyzed):
    weights = data_of(analyzed)["weights"]
    assert weights["epochs"] == [0, 1, 2, 3]
    variant, parameter = weights["variants"].index("l1-lam0.0001"), weights["parameters"].index("hidden.0.weight")
    files = [pd.read_csv(run / "histogram.csv") for run in run_folders(analyzed) if run.name.startswith("l1-")]
    table = pd.concat(files).query("epoch == 2 and parameter == 'hidden.0.weight'")
    first, shares = weights["shares"][parameter][variant][2]
    assert sum(shares) == pytest.approx(100, abs=0.5)
    small = table["count"][(table["bin_left"].abs().clip(upper=table["bin_right"].abs())) < 0.99e-5].sum()
    assert shares[weights["half"] - first] == pytest.approx(100 * small / table["count"].sum(), rel=0.01)
    large = table["count"][table["bin_left"] >= 0.99e-1].sum()
    above = weights["half"] + weights["per_decade"] * (-1 - weights["smallest"]) + 1 - first
    assert sum(shares[above:]) == pytest.approx(100 * large / table["count"].sum(), abs=0.1)


def test_tables_are_those_of_the_report(analyzed):
    table = next(table for table in data_of(analyzed)["tables"] if table["stem"] == "gap_table")
    lines = (analyzed / "analysis" / "gap_table.md").read_text().replace("**", "").splitlines()
    rows = [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[:5]]
    places = [table["headers"].index(header) for header in rows[0]]  # the page has further columns
    assert [[row[place] for place in places] for row in table["rows"]] == rows[2:]
    page = (analyzed / "analysis/gap_table.md").read_text().splitlines()
    assert len(table["bold"]) == sum("**" in line for line in page)


def test_labels_are_plain_text(analyzed):
    assert [variant["label"] for variant in data_of(analyzed)["variants"]] == [
        "No regularizer",
        "L1, λ = 10⁻⁴",
        "L2, λ = 10⁻²",
    ]
    assert plain("L2, $\\lambda$ = $3 \\cdot 10^{-4}$") == "L2, λ = 3 · 10⁻⁴"
    assert plain("$\\ell_1$ for \\$5") == "ℓ₁ for $5"
    assert plain("costs $5") == "costs $5"


def test_the_same_study_gives_the_same_page(analyzed, tmp_path):
    shutil.copytree(analyzed.parent, tmp_path / "outputs")
    before = page_of(analyzed)
    assert run_here("analyze", "name=small", "figures=[gap]", cwd=tmp_path).code == 0
    after = page_of(tmp_path / "outputs" / "small")
    assert without_looks(after.encode()) == without_looks(before.encode())


def test_failures_come_first_with_their_reason_and_command(study, small):
    failed, damaged, *_ = run_folders(small)
    mark_failed(failed, "out of memory <b>")
    (damaged / "metrics.csv").write_text("epoch\n")
    (small / "my own notes").mkdir()
    (small / "my own notes" / "text").touch()
    assert study("analyze", "name=small", "figures=[]", "allow=[pairs]").code == 1
    first, second, third = sorted(data_of(small)["problems"], key=lambda problem: "notes" in problem["run"])
    assert (first["run"], first["state"], first["reason"]) == (failed.name, "failed", "out of memory <b>")
    assert (second["run"], second["state"]) == (damaged.name, "left out")
    assert "metrics.csv" in second["reason"]
    assert (third["run"], third["reason"][:27]) == ("my own notes", "Has no readable status.json")
    assert first["command"].startswith("study reg=")
    assert "<b>" not in page_of(small)


VARIANTS = (
    ("reg=l1", "lam=3e-5", "reg.scope=weights"),
    ("reg=l2", "reg.scope={Linear: 0.5}"),
    ("reg=combine", "reg.parts=[{reg: l1, lam: 1e-5, scope: weights}, {reg: dropout, lam: 0.25}]"),
    ("reg=none", "model.activation=tanh", "optimizer=sgd", "optimizer.lr=0.05", "schedule=cosine", "clip_norm=1.0"),
    ("--config-dir=own", f"reg='{SCRIPT}'", "data.label_noise=0.1", "seed=3", "batch_size=16"),
)


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """A study of many settings, and of an option whose name is a script."""
    folder = tmp_path_factory.mktemp("foreign")
    option = folder / "own" / "reg" / f"{SCRIPT}.yaml"
    option.parent.mkdir(parents=True)
    option.write_text("_target_: study.regularizers.penalties.L1\nlam: 1e-3\n")
    for variant in VARIANTS:
        result = run_here(*FEW, *variant, "name=odd", cwd=folder)
        assert result.code == 0, result.err
    result = run_here("analyze", "name=odd", "figures=[]", "allow=[pairs]", cwd=folder)
    assert result.code == 0, result.err
    return folder


def test_names_from_configs_cannot_become_code(foreign):
    page = page_of(foreign / "outputs" / "odd")
    assert "alert(1)" in page
    for wrong in ("<script>alert", "</script>alert", "alert(1)</script", "alert(1)<"):
        assert wrong not in page
    elements = Elements(page)
    assert [tag for tag, _ in elements.found].count("script") == 1 + len(SCRIPTS)
    assert f"{SCRIPT[:1]}script>alert(1)" in json.dumps(json.loads(elements.data), ensure_ascii=False)
    policy = next(attrs["content"] for tag, attrs in elements.found if attrs.get("http-equiv"))
    assert policy.count("sha256-") == len(SCRIPTS) + 1
    assert "unsafe" not in policy
    assert not re.search(r"\b(?:src|href)=[\"']?(?:https?:)?//", page)


def test_the_command_of_a_run_repeats_it(foreign):
    runs = data_of(foreign / "outputs" / "odd")["runs"]["rows"]
    assert len(runs) == len(VARIANTS)
    for run in runs:
        program, *arguments = shlex.split(run["command"])
        assert program == "study"
        assert "name=odd_again" in arguments
        arguments = ["name=odd" if argument == "name=odd_again" else argument for argument in arguments]
        result = run_here(*arguments, "dry_run=true", cwd=foreign)
        assert "1 already complete, 0 to run" in result.out, (run["command"], result.out, result.err)


def test_a_page_of_100_runs_of_30_epochs_is_small(analyzed):
    data = data_of(analyzed)
    many, of_run = copy.deepcopy(data), data["curves"]["runs"][0]
    measures = [measure["name"] for measure in data["curves"]["measures"]]
    random = np.random.default_rng(0)
    curve = {name: [float(f"{value:.5g}") for value in random.random(31)] for name in measures}
    many["curves"] |= {"epochs": list(range(31)), "runs": [{**of_run, **curve} for _ in range(100)]}
    shares = [0, [float(f"{value:.3g}") for value in random.random(115)]]
    many["weights"]["shares"] = [[[shares] * 10 for _ in range(33)] for _ in range(4)]
    many["runs"]["rows"] = (17 * data["runs"]["rows"])[:100]
    for table in many["tables"]:
        table["rows"] = (11 * table["rows"])[: 11 * len(table["rows"])]
    assert len(render(many).encode()) < 3e6
