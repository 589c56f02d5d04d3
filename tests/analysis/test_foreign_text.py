"""Names of options may have any characters: in tables, on the terminal and in figures they are shown as they are."""

import html
import json
import os
import re
import shutil
import subprocess
from xml.etree import ElementTree

import pandas as pd
import pytest
from markdown_it import MarkdownIt
from matplotlib import cbook

from study.analysis.drawing.labels import as_drawn, variant_label
from study.analysis.drawing.looks import looks
from study.analysis.text.columns import Column, TextTable
from study.analysis.text.escaping import UNICODE_OR, latex, latex_of_mathtext, markdown, mathtext
from study.analysis.text.markdown import to_markdown
from study.config.names import for_file_name
from tests.conftest import run_folders, run_here

NAMES = ["l1_50%_&_$x#", "l1|a*b_c<i>", "we[red]ird~^\\{}`", "[red]", "*_x_*", "Łé_я中λά"]
FEW = ("data=digits", "data.train_size=50", "epochs=1", "model.hidden=[5]", "workers=1")
needs_latex = pytest.mark.skipif(
    shutil.which("pdflatex") is None and "REGSTUDY_CI" not in os.environ,
    reason="LaTeX is not installed; .ci/run installs it",
)


def write_options(folder, names):
    for number, name in enumerate(names, start=1):
        file = folder / "own" / "reg" / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"_target_: study.regularizers.penalties.L1\nlam: {number}e-3\n")


@pytest.fixture(scope="module")
def analyzed(tmp_path_factory):
    """A study with options of such names, and what its analysis printed; figures have names in legends or on axes."""
    folder = tmp_path_factory.mktemp("foreign")
    write_options(folder, NAMES)
    listed = ",".join(f'"{name}"' for name in NAMES)
    trained = run_here("-m", "--config-dir=own", *FEW, f"reg=none,{listed}", "seeds=3", "name=names", cwd=folder)
    assert trained.code == 0, trained.err
    result = run_here("analyze", "name=names", "figures=[curves,forest]", cwd=folder)
    assert result.code == 0, result.err
    return folder / "outputs" / "names", result


def test_the_terminal_shows_them(analyzed):
    _, result = analyzed
    for number, name in enumerate(NAMES, start=1):
        assert f" {for_file_name(name)}-lam0.00{number} " in result.out
    assert result.err == ""


def test_patterns_and_variants_in_yaml_find_them(analyzed, study, tmp_path):
    folder, _ = analyzed
    shutil.copytree(folder.parent.parent, tmp_path, dirs_exist_ok=True)
    few = ("--config-dir=own", "-m", *FEW, "seeds=3", "name=names", "dry_run=true")
    found = study(*few, "reg=glob(['Ł*','l1_5*','*red*'])")  # the last one fits two
    assert "12 already complete, 0 to run" in found.out
    (tmp_path / "own" / "experiment").mkdir()
    listed = "".join(f"  - {json.dumps({'reg': name})}\n" for name in NAMES)
    (tmp_path / "own" / "experiment" / "mine.yaml").write_text(f"# @package _global_\nvariants:\n{listed}")
    assert "18 already complete, 0 to run" in study(*few, "experiment=mine").out


def test_markdown_shows_them(analyzed):
    folder, _ = analyzed
    shown = (
        MarkdownIt("commonmark").enable(["table", "strikethrough"]).render((folder / "analysis/report.md").read_text())
    )
    cells = set(re.findall(r"<td>(.*?)</td>", shown))
    names = [for_file_name(name) for name in NAMES]
    assert {f"{html.escape(name)}-lam0.00{number}" for number, name in enumerate(names, start=1)} <= cells


@pytest.mark.parametrize("name", NAMES)
def test_markdown_shows_what_folders_of_an_earlier_version_are_called(name):
    table = to_markdown(TextTable([Column("variant", "Variant", words=True)], [[name]]), [])
    shown = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(table)
    assert f"<td>{html.escape(name)}</td>" in shown


def test_markdown_of_ordinary_text_stays_readable():
    text = "l2_norm-lam0.01: [−2.06, +0.99], p < .05, 95 % & more"
    assert markdown(text) == text


def compile_latex(folder, body, preamble=""):
    (folder / "page.tex").write_text(
        f"\\documentclass{{article}}\\usepackage[utf8]{{inputenc}}\\usepackage{{booktabs}}{preamble}\n"
        f"\\begin{{document}}\\tracinglostchars=2\\tiny\n{body}\n\\end{{document}}\n"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=60)
    assert done.returncode == 0, done.stdout[-1500:]
    assert "Missing character" not in (folder / "page.log").read_text(errors="replace")


@needs_latex
def test_latex_sets_every_table_and_shows_them(analyzed, tmp_path):
    folder, _ = analyzed
    for table in sorted((folder / "analysis").glob("*.tex")):
        compile_latex(tmp_path, table.read_text())
    rows = (folder / "analysis" / "gap_table.tex").read_text().splitlines()
    assert any(row.startswith(r"L1 50\% \& \$x\#, $\lambda$ = $10^{-3}$ & 3 &") for row in rows)
    assert any(row.startswith("{}[red], ") for row in rows)  # or it would be an argument of the \\ before


@needs_latex
@pytest.mark.parametrize("preamble", ["", r"\usepackage[T1]{fontenc}"])
def test_latex_sets_every_character(tmp_path, preamble):
    ranges = [(0x00, 0x24F), (0x300, 0x3FF), (0x400, 0x45F), (0x1E00, 0x1FFF), (0x2000, 0x22FF), (0x4E00, 0x4E02)]
    characters = [chr(code) for begin, end in [*ranges, (0x1F600, 0x1F602)] for code in range(begin, end + 1)]
    labels = [latex_of_mathtext(variant_label(f"{name}-lam0.001", name, 1e-3, "")) for name in NAMES]
    compile_latex(tmp_path, "\n\n".join([UNICODE_OR, *(latex(f"a{char}b") for char in characters), *labels]), preamble)


def test_latex_keeps_letters_and_changes_each_character_once():
    assert latex("é ü ß ł Œ") == "é ü ß ł Œ"
    assert latex("\\{~^#") == r"\textbackslash{}\{\textasciitilde{}\textasciicircum{}\#"
    assert latex("λ ± 10⁻⁴ − ½") == r"$\lambda$ $\pm$ 10$^{-}$$^{4}$ $-$ $\frac12$"
    assert latex("e\u0301") == "é"  # as some systems spell the names of files
    assert latex("ạ") == r"\d{a}"
    assert latex("中") == r"\unicodeor{中}{[U+4E2D]}"


def test_figures_show_them_and_no_mathematics(analyzed):
    folder, _ = analyzed
    texts = "".join(ElementTree.parse(folder / "analysis" / "figures" / "curves.svg").getroot().itertext())
    for name in ("L1 50% & $x#", "L1|a*b c<i>", "We[red]ird~^\\{}`", "[red]"):
        assert name in texts
    assert as_drawn("Łé_я中λά") == "Łé_я[U+4E2D]λά"  # what no font of figures has, by its number
    assert not cbook.is_math_text(mathtext("costs $5 to $6"))
    assert latex_of_mathtext(mathtext("costs $5 to $6")) == r"costs \$5 to \$6"


def test_variants_that_are_the_same_in_words_have_different_labels():
    runs = pd.DataFrame({"variant": ["a_b", "a b", "l1-lam0.1"], "reg": ["a_b", "a b", "l1"], "lam": 0.1})
    labels = [look.label for look in looks(runs.assign(model_regularizers="")).values()]
    assert labels == ["a_b", "a b", "L1, $\\lambda$ = 0.1"]


def test_a_label_of_ones_own_may_have_mathematics_and_a_dollar_sign(study, analyzed, tmp_path):
    folder, _ = analyzed
    shutil.copytree(folder, tmp_path / "outputs" / "names")
    result = study("analyze", "name=names", "figures=[gap]", "variants={none: 'for $5', l1*: '$\\ell_1$'}")
    assert result.code == 0, result.err
    result = study("analyze", "name=names", "figures=[gap]", "variants={none: '$\\foo$'}")
    assert result.code == 1
    assert "the text between dollar signs in the label $\\foo$ is not valid mathematics" in result.err


def test_an_option_in_a_subfolder_is_one_run_in_one_folder(study, tmp_path):
    write_options(tmp_path, ["sub/mine", "x" * 240])
    for _ in range(2):
        result = study("--config-dir=own", "-m", *FEW, f"reg=sub/mine,{'x' * 240}")
        assert result.code == 0, result.err
    assert "2 already complete, 0 to run" in result.out
    names = [folder.name.partition("-seed")[0] for folder in run_folders(tmp_path / "outputs" / "default")]
    assert names == ["sub.mine-lam0.001", f"{'x' * 100}-lam0.002"]
    assert "2 complete" in study("status").out
    assert "sub.mine-lam0.001" in study("analyze", "figures=[]").out
