"""Tables in LaTeX: a caption and a label, columns of siunitx, and ten variants in one column of a venue's page."""

import os
import re
import shutil
import subprocess

import pytest

from study.analysis.comparison import Options, compare
from study.analysis.drawing.labels import variant_label
from study.analysis.latex_forms import table_forms
from study.analysis.sections import TITLES
from study.analysis.tables.gap_tables import gap_text
from study.analysis.text.escaping import latex
from study.analysis.text.fitting import Width
from study.analysis.text.latex import Form, to_latex
from study.config.folders import CONF
from study.errors import ConfigError

needs_latex = pytest.mark.skipif(
    "REGSTUDY_CI" not in os.environ
    and (
        shutil.which("kpsewhich") is None
        or subprocess.run(["kpsewhich", "siunitx.sty", "IEEEtran.cls"], capture_output=True).returncode != 0
    ),
    reason="LaTeX with siunitx and IEEEtran is not installed; .ci/run installs it",
)
# IEEEtran is the class itself. NeurIPS and ICML have no package in TeX Live: their pages are those of article with
# their widths of text and columns, in Times of 10 points.
CLASSES = {
    "ieee": r"\documentclass[conference]{IEEEtran}",
    "neurips": r"\documentclass{article}\usepackage{times}\usepackage[textheight=9in,textwidth=5.5in]{geometry}",
    "icml": r"\documentclass[twocolumn]{article}\usepackage{times}"
    r"\usepackage[textheight=9in,textwidth=6.75in]{geometry}\setlength{\columnsep}{0.25in}",
    "3.25in": r"\documentclass[twocolumn]{article}\usepackage[textheight=9in,textwidth=6.75in]{geometry}"
    r"\setlength{\columnsep}{0.25in}",
}
SHORTEST = r"\documentclass[12pt]{article}"  # 36 lines
NOTES = ["± is the standard deviation over seeds, data.split=holdout."]


def form_of(study="ten", **given):
    return table_forms(given, study, TITLES, [CONF])["gap_table"]


def labels_of(gaps):
    return {row.variant: variant_label(row.variant, row.reg, row.lam, "") for row in gaps.itertuples()}


def latex_of(gaps, form, columns=("short",)):
    text = gap_text(gaps, set(gaps["variant"][:3]), False)
    return to_latex(text.chosen(columns), NOTES, labels_of(gaps), form, "gap_table")


def log_of(folder, page, kind):
    """What pdflatex says about a document with a table."""
    (folder / "page.tex").write_text(
        f"{CLASSES.get(kind, SHORTEST)}\n\\usepackage[utf8]{{inputenc}}\\usepackage{{booktabs,siunitx}}\n"
        f"\\begin{{document}}\n{page}\nSee Table~\\ref{{tab:ten-gap_table}}.\n\\end{{document}}\n"
    )
    for _ in range(2):  # the second time, it knows the label
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=60)
        assert done.returncode == 0, done.stdout[-1500:]
    return (folder / "page.log").read_text(errors="replace")


@needs_latex
@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("siunitx", [False, True])
def test_ten_variants_fit_into_one_column_of_a_venue(table, tmp_path, kind, siunitx):
    page = latex_of(table, form_of(width=kind, siunitx=siunitx))
    assert "Left out" not in page or kind == "3.25in"  # which assumes the wide letters of Computer Modern
    assert min(map(int, re.findall(r"\\fontsize\{(\d+)\}", page))) >= 7  # \scriptsize
    log = log_of(tmp_path, page, kind)
    assert "Overfull" not in log, re.findall(r"Overfull.*", log)
    for complaint in ("undefined references", "Missing character", "Float too large", "siunitx Warning"):
        assert complaint not in log
    assert r"\resizebox" not in page


@needs_latex
@pytest.mark.slow
@pytest.mark.parametrize("siunitx", [False, True])
def test_long_names_all_columns_and_a_narrow_width_fit_too(table, tmp_path, siunitx):
    named = table.assign(variant=["x" * 60, "a_very-long_name.of-an/option" * 2, *table["variant"][2:]])
    page = latex_of(named, form_of(width="2.5in", siunitx=siunitx), ["full"])
    assert re.search(r"Left out to fit: .*\(gap\\_table\.csv has all columns\)", page)
    log = log_of(tmp_path, page, "3.25in")
    assert "Overfull" not in log, re.findall(r"Overfull.*", log)


@pytest.fixture(scope="session")
def significance(trained):
    """The table of 60 contrasts of the ten variants."""
    sections = compare(trained, Options("ten", live=True)).sections()
    return next(section for section in sections if section.stem == "significance")


@pytest.mark.parametrize("kind", [None, *CLASSES])
def test_a_table_that_is_longer_than_a_page_is_divided(significance, table, tmp_path, kind):
    form = table_forms({"width": kind, "label": {"significance": "tab:ten-gap_table"}}, "ten", TITLES, [CONF])
    shown = significance.text.chosen(["short"])
    page = to_latex(shown, significance.notes, labels_of(table), form["significance"], "significance")
    parts = page.split(r"\begin{table}")[1:]
    assert 2 <= len(parts) <= 5
    assert [r"\caption{Against the baseline (continued).}" in part for part in parts] == [
        False,
        *[True] * (len(parts) - 1),
    ]
    assert page.count(r"\label{") == 1
    place = 0
    for row in shown.rows:  # each is there, in order
        place = page.index(latex(row[3]), place) + 1
    assert all("Seed-paired differences" not in part for part in parts[:-1])
    if shutil.which("pdflatex"):
        log = log_of(tmp_path, page, kind or SHORTEST)
        assert "Float too large" not in log
        assert kind is None or "Overfull" not in log


def test_columns_are_left_out_in_the_order_of_their_priority_and_only_where_nothing_else_helps(table):
    page = latex_of(table, Form(width=Width(160, "160pt", times=True)))
    assert "Left out to fit: Max" in page
    for kept in ("Variant", "Val", "Acc."):
        assert re.search(rf"(^| ){kept} ", page, re.MULTILINE)
    assert "Left out" not in latex_of(table, Form(width=Width(600, "600pt", times=True)))


def test_only_words_that_are_too_wide_are_broken_and_nothing_is_lost(table):
    names = ["weight_decay-lr0.00573", "x" * 90, *table["variant"][2:]]
    page = latex_of(table.assign(variant=names), form_of(width="ieee"))
    first = [row.partition(" &")[0] for row in page.split(r"\midrule")[1].splitlines() if " & " in row]
    assert "".join(first).count("x") == 90
    assert "lr 0.00573" in page


def test_wide_tables_have_a_line_for_each_variant_in_a_larger_size(table):
    wide, narrow = (latex_of(table, form_of(width=width)) for width in ("8in", "ieee"))
    assert r"\fontsize{9}" in wide
    assert r"$\pm$" in wide.split(r"\midrule")[1].splitlines()[1]
    assert len(wide.splitlines()) < len(narrow.splitlines())


def test_columns_of_siunitx_have_numbers_with_uncertainty(table):
    page = latex_of(table, form_of(siunitx=True))
    row = table.iloc[0]
    mean, sd = 100 * row["val_accuracy"], 100 * row["val_accuracy_sd"]
    assert rf"\bfseries {mean:.2f} +- {sd:.2f} &" in page
    assert "S[table-format=2.2 +- " in page
    assert page.startswith("% requires \\usepackage{booktabs,siunitx}\n")


def test_a_table_has_a_caption_and_a_label_that_can_be_changed():
    assert form_of().caption == "Training and validation."
    assert form_of().label == "tab:ten-gap_table"
    assert form_of(caption="Mine", label="tab:x").caption == "Mine"
    forms = table_forms({"caption": "Mine", "label": {"sparsity": "tab:s"}}, "ten", TITLES, [CONF])
    assert [forms["sparsity"].caption, forms["sparsity"].label] == ["Sparsity and pruning.", "tab:s"]
    assert [forms["gap_table"].caption, forms["gap_table"].label] == ["Mine", "tab:ten-gap_table"]


def test_a_caption_may_have_any_characters_and_none_makes_no_float(table):
    page = latex_of(table, form_of(caption="50% of {A_B} & #1 \\ ~ $x^2$"))
    assert r"\caption{50\% of \{A\_B\} \& \#1 \textbackslash{} \textasciitilde{} \$x\textasciicircum{}2\$}" in page
    bare = latex_of(table, form_of(caption=None))
    assert not re.search(r"\\(begin|end)\{table\}|\\caption|\\label", bare)
    assert bare.count(r"\begin{tabular}") == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"width": "banana"},
            "table.width=banana: must be a length such as 3.25in (pt, bp, in, cm, mm, pc), or the",
        ),
        ({"width": "-3in"}, "must be a length such as"),
        ({"width": "3 lightyears"}, "must be a length such as"),
        ({"width": 3.25}, "must be a length such as"),
        ({"width": "1mm"}, "must be between 2in and 60in"),
        ({"label": "a b"}, "allowed are letters, digits and : . _ / + -"),
        ({"label": {"gap_table": "x}{"}}, "allowed are letters, digits and : . _ / + -"),
        ({"caption": {"gaps": "x"}}, "there is no table gaps. Allowed: hypotheses, suite, ranks"),
        ({"caption": ["x"]}, "must be auto, a text, or texts by table"),
    ],
)
def test_a_form_that_means_nothing_is_refused(given, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        form_of(**given)


def test_the_command_line_reaches_the_tables(study, small):
    arguments = ("table.width=icml", "table.caption=My gaps", "table.label=tab:gaps", "table.siunitx=true")
    assert study("analyze", "name=small", "figures=[]", *arguments).code == 0
    page = (small / "analysis" / "gap_table.tex").read_text()
    assert "\\caption{My gaps}\n\\label{tab:gaps}\n" in page
    assert "S[table-format=" in page
    assert r"\fontsize{" in page
    assert r"\label{tab:small-sparsity}" in (small / "analysis" / "sparsity.tex").read_text()
