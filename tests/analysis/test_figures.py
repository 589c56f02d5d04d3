"""Figures: every kind in every style, text inside and not on top of other text, filters."""

import itertools
import os
import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.testing.compare import compare_images

from study.analysis.drawing.bands import summarized
from study.analysis.drawing.captions import caption_of
from study.analysis.drawing.draw import lay_out
from study.analysis.drawing.labels import variant_label
from study.analysis.drawing.looks import looks
from study.analysis.drawing.specs import read_specs
from study.analysis.drawing.style import style_of
from study.analysis.drawing.view import View, difference_label, matches
from study.analysis.reading.collect import collect
from study.analysis.statistics import contrasts
from study.analysis.statistics.gaps import at_epoch
from study.config.folders import CONF
from study.errors import ConfigError
from tests.analysis.made_tables import answers_of, components_of, interactions_of
from tests.conftest import run_folders, run_here

BASELINE = Path(__file__).parent / "figures"
KINDS = sorted(file.stem for file in (CONF / "figure").glob("*.yaml"))
FUNCTIONS = {yaml.safe_load((CONF / "figure" / f"{kind}.yaml").read_text())["_target_"]: kind for kind in KINDS[::-1]}
STYLES = sorted(file.stem for file in (CONF / "style").glob("*.yaml"))
FAR = {
    ("none", "l2-lam0.001"),
    ("none", "max_norm-lam3"),
    ("l2-lam0.01", "max_norm-lam3"),
}  # pairs of a suite that differ
FAST = {(kind, "plain") for kind in FUNCTIONS.values()}  # of each function that draws, the first kind
EXTREMES = ("plain", "neurips", "slides")  # the narrowest and the largest text: where others fit, these may not


def marks_of(kind, style):
    if (kind, style) in FAST:
        return ()
    return pytest.mark.slow if style in EXTREMES else (pytest.mark.slow, pytest.mark.longest)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """outputs/paths: none, three λ of l1_proximal and of l2, three seeds each, on few images with flipped labels."""
    folder = tmp_path_factory.mktemp("paths")
    few = (
        "data=digits",
        "data.train_size=150",
        "epochs=3",
        "model.hidden=[20]",
        "optimizer.lr=1e-2",
        "keep_model=true",
        "workers=1",
    )
    noise = "data.label_noise=[0.0,0.2]"
    variants = (
        f"variants=[{{reg: none, {noise}}}, {{reg: l1_proximal, lam: [1e-3, 1e-2, 3e-2]}},"
        " {reg: l2, lam: [1e-3, 1e-2, 3e-2]}]"
    ).replace("data.label_noise=", "data.label_noise: ")
    assert run_here(*few, variants, "seeds=3", "name=paths", cwd=folder).code == 0
    return folder / "outputs"


def view_of(folder, runs=None):
    """What `study analyze` hands to figures."""
    study = collect(folder)
    if runs is not None:
        study = study.of_runs(runs(study.runs))
    rows = at_epoch(study, "last")
    rows["context"] = contrasts.contexts(rows, None)
    baselines = contrasts.choose_baselines(rows, "auto")
    shares = (rows["val_images"] / rows["train_images"]).groupby(rows["variant"]).first()
    compared = contrasts.contrasts(rows, baselines, "val_accuracy", shares, study.test_correct(rows))
    expected = [("", reg, "val_accuracy", n, 0.9 + n / 100) for reg in ("none", "l2") for n in (1, 2, 3)]
    best = pd.DataFrame(expected, columns=["context", "reg", "measure", "n", "expected"])
    scores = [("", reg, n, "val_accuracy", 0.9 + n / 100, 0.01, 9, n == 2) for reg in ("none", "l2") for n in range(3)]
    columns = ["context", "reg", "trial", "measure", "score", "score_sd", "epochs", "chosen"]
    trials = pd.DataFrame(scores, columns=columns)
    trials.insert(7, "pruned", False)
    trials["optimizer.lr"], trials["lam"] = [1e-4, 1e-2, 1e-3] * 2, [np.nan] * 3 + [1e-6, 1e-5, 1e-3]
    named = ["none", "l2-lam0.01", "l1-lam0.0001", "l2-lam0.001", "max_norm-lam3"]
    ranks = pd.DataFrame({"variant": named, "mean_rank": [1.6, 1.9, 3.2, 3.9, 4.4], "against": "none"})
    ranks[["reg", "lam", "model_regularizers"]] = [
        [n.split("-")[0], float(n.split("lam")[-1]) if "-" in n else 0, ""] for n in named
    ]
    each = [(a, b, 8, 0.01, 0.01 if (a, b) in FAR else 0.2) for a, b in itertools.combinations(named, 2)]
    pairs = pd.DataFrame(each, columns=["variant", "other", "n", "rope", "p_holm"])
    pairs["p_worse"], pairs["p_better"] = np.linspace(0, 0.3, len(pairs)), np.linspace(0.9, 0.1, len(pairs))
    pairs["p_equivalent"] = 1 - pairs["p_worse"] - pairs["p_better"]
    view = View(study, rows, looks(study.runs), style_of("plain"), compared, "val_accuracy", best, trials)
    return replace(
        view,
        ranks=ranks,
        pairs=pairs,
        components=components_of(list(view.looks)[:3]),
        interactions=interactions_of(next(iter(view.looks))),
        answers=answers_of(),
    )


@pytest.fixture(scope="module")
def views(paths):
    """What figures of outputs/paths show, by style; read once."""
    plain = view_of(paths / "paths")
    return {style: replace(plain, style=style_of(style)) for style in STYLES}


@pytest.fixture(scope="module")
def one_run(paths):
    """What figures show of a single run."""
    return view_of(paths / "paths", runs=lambda r: (r["reg"] == "l2") & (r["lam"] == 0.01) & (r["seed"] == 0))


# Lines average seeds, not variants: what these kinds show of a study in which several things vary.
FILTERS = {
    "lambda_path": {"label_noise": 0.0},
    "data_size": {"lam": 0.01, "label_noise": 0.0},
    "label_noise": {"lam": 0.01},
}


def drawn(view, kind) -> Figure:
    (spec,) = read_specs([kind], [CONF])
    view = view.filtered(FILTERS.get(kind, {}))
    with plt.rc_context(view.style.rc()):
        figure = spec.draw(view, **spec.options)
        lay_out(figure)
        figure.draw_without_rendering()  # which puts every text where it is going to be
    return figure


def texts(figure):
    """Everything written in a figure that is seen."""
    for axis in figure.axes:
        if axis.axison:
            ticks = [*axis.get_xticklabels(), *axis.get_yticklabels()]
            yield from (t for t in ticks if t.get_text() and t.get_visible() and _within(t, axis))
            yield from (axis.title, axis._left_title, axis.xaxis.label, axis.yaxis.label)
        yield from axis.texts
    yield from figure.texts
    for legend in figure.legends:
        yield from legend.get_texts()


def _within(tick, axis):
    """Ticks outside the limits of their axis are not drawn."""
    (left, right), (low, high) = axis.get_xlim(), axis.get_ylim()
    x, y = tick.get_position()
    if tick in axis.get_xticklabels():
        return min(left, right) <= x <= max(left, right)
    return min(low, high) <= y <= max(low, high)


@pytest.mark.parametrize(
    ("kind", "style"),
    [pytest.param(*look, marks=marks_of(*look)) for look in itertools.product(KINDS, STYLES)],
)
def test_every_kind_in_every_style_looks_as_it_did_with_its_text_inside_and_not_on_other_text(
    views, tmp_path, kind, style
):
    """Up to the rounding of another processor; UPDATE_FIGURES=1 makes what is drawn the new look."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # missing fonts, layouts that do not fit
        figure = drawn(views[style], kind)
    with plt.rc_context(style_of(style).rc()):  # of which ticks take their size
        seen = [t for t in texts(figure) if t.get_text().strip()]
        boxes = [(t.get_text(), t.get_window_extent()) for t in seen]
    inside = figure.bbox
    for text, box in boxes:
        assert inside.x0 - 1 <= box.x0, text
        assert box.x1 <= inside.x1 + 1, text
        assert inside.y0 - 1 <= box.y0, text
        assert box.y1 <= inside.y1 + 1, text
    on_top = [
        (a, b)
        for (a, one), (b, other) in itertools.combinations(boxes, 2)
        if one.shrunk(0.9, 0.8).overlaps(other.shrunk(0.9, 0.8))
    ]
    assert not on_top
    assert figure.get_size_inches()[0] <= style_of(style).double + 1e-9
    if style == "plain":
        expected, found = BASELINE / f"{kind}.png", tmp_path / f"{kind}.png"
        with plt.rc_context(style_of(style).rc()):
            figure.savefig(expected if os.environ.get("UPDATE_FIGURES") else found, dpi=50)
        if found.exists():
            shutil.copy(expected, tmp_path / "expected.png")
            assert compare_images(str(tmp_path / "expected.png"), str(found), tol=6) is None
    plt.close(figure)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["curves", "weights"])
def test_the_same_files_give_the_same_figure(study, paths, tmp_path, kind):
    shutil.copytree(paths, tmp_path / "outputs")
    folder = tmp_path / "outputs" / "paths" / "analysis" / "figures"
    content = []
    for _ in range(2):
        result = study("analyze", "name=paths", f"figures=[{kind}]")
        assert result.code == 0, result.err
        content.append({f.name: f.read_bytes() for f in folder.iterdir()})
        shutil.rmtree(folder)
    assert content[0] == content[1]
    assert set(content[0]) == {f"{kind}.{suffix}" for suffix in ("pdf", "png", "svg", "txt")}
    assert b"/Type /Font /Subtype /Type3" not in content[0][f"{kind}.pdf"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", sorted(set(KINDS) - {"best_of_n", "tuning", "forest", "matched", "ridgeline_lambda", "lambda_path"})
)
def test_one_run_alone_is_drawn_as_well(one_run, kind):
    plt.close(drawn(one_run, kind))


def test_the_largest_weight_has_room_below_the_edge_of_its_panel(one_run):
    figure = drawn(one_run, "answer")
    panel = next(axis for axis in figure.axes if axis.get_title("left") == "Largest |w|")
    assert max(line.get_ydata().max() for line in panel.lines) < 0.95 * panel.get_ylim()[1]
    plt.close(figure)


def test_labels_state_what_differs():
    assert variant_label("none", "none", 0.0, "") == "No regularizer"
    assert variant_label("l1-lam0.0001", "l1", 1e-4, "") == "L1, $\\lambda$ = $10^{-4}$"
    assert (
        variant_label("l2-lam0.03-train_size500", "l2", 0.03, "")
        == "L2, $\\lambda$ = $3 \\cdot 10^{-2}$, train size 500"
    )


def test_bands_are_ranges_or_t_intervals():
    x, y = pd.Series([1, 1, 1, 2]), pd.Series([1.0, 2.0, 6.0, 5.0])
    found = summarized(x, y, "range")
    assert found.loc[1].tolist() == [3.0, 1.0, 6.0]
    interval = summarized(x, y, "interval")
    half = 4.302652729911275 * np.std([1, 2, 6], ddof=1) / np.sqrt(3)
    assert interval.loc[1].tolist() == pytest.approx([3.0, 3 - half, 3 + half])
    assert np.isnan(interval.loc[2, "low"])
    assert np.isnan(summarized(x[:2], y[:2], "interval").loc[1, "low"])  # of two seeds it would cover everything


def test_none_passes_every_filter_of_lam_and_unknown_columns_are_refused(paths):
    runs = collect(paths / "paths").runs
    kept = runs[matches(runs, {"lam": [0.01]})]
    assert set(kept["reg"]) == {"none", "l1_proximal", "l2"}
    assert set(kept.loc[kept["reg"] != "none", "lam"]) == {0.01}
    assert set(runs[matches(runs, {"reg": "l2"})]["reg"]) == {"l2"}
    with pytest.raises(ConfigError, match="must be a number or a list of them"):
        matches(runs, {"lam": "x"})
    with pytest.raises(ConfigError, match=r"filter: colour is not a column\. Allowed: run, variant, reg"):
        matches(runs, {"colour": "red"})


def test_filters_apply_to_tables_too(study, paths, tmp_path):
    shutil.copytree(paths, tmp_path / "outputs")
    arguments = ("filter.reg=[none,l2]", "filter.lam=[1e-2]", "filter.label_noise=0.0", "figures=[]")
    result = study("analyze", "name=paths", *arguments)
    assert result.code == 0, result.err
    table = pd.read_csv(tmp_path / "outputs" / "paths" / "analysis" / "gap_table.csv")
    assert sorted(table["variant"]) == ["l2-lam0.01-label_noise0.0", "none-label_noise0.0"]
    assert "matches no run" in study("analyze", "name=paths", "filter.reg=l3").err


def test_variants_give_order_and_labels(study, paths, tmp_path):
    shutil.copytree(paths, tmp_path / "outputs")
    assert "variants: l9 matches no variant" in study("analyze", "name=paths", "variants=[none*,l9]").err
    chosen = "variants={l2-lam0.01-label_noise0.0: Ridge, none-label_noise0.0: Plain}"
    result = study("analyze", "name=paths", chosen, "figures=[gap]")
    assert result.code == 0, result.err
    drawing = (tmp_path / "outputs" / "paths" / "analysis" / "figures" / "gap.svg").read_text()
    assert drawing.index(">Ridge<") < drawing.index(">Plain<")
    assert "proximal" not in drawing


def test_variants_that_are_no_patterns_are_refused(study, finished, tmp_path):
    shutil.copytree(finished / "outputs", tmp_path / "outputs")
    refused = study("analyze", "name=small", "variants=5", "figures=[]")
    assert refused.code == 1
    assert "variants=5: must be a list of patterns, or a mapping from patterns to labels" in refused.err


@pytest.mark.slow
def test_a_diverged_run_and_a_missing_seed_are_drawn_around(study, paths, tmp_path):
    shutil.copytree(paths, tmp_path / "outputs")
    folder = tmp_path / "outputs" / "paths"
    few = ("data=digits", "data.train_size=150", "epochs=3", "model.hidden=[20]", "name=paths")
    study(*few, "optimizer=sgd", "optimizer.lr=1e30", "seed=1")
    shutil.rmtree(next(folder.glob("l2-lam0.01-*seed2-*")))
    view = view_of(folder)
    for spec in read_specs(["curves", "gap", "weights", "forest", "ridgeline", "scatter"], [CONF]):
        with plt.rc_context(view.style.rc()):
            figure = spec.draw(view, **spec.options)
            figure.draw_without_rendering()
        plt.close(figure)


@pytest.mark.parametrize("kind", FILTERS)
def test_a_line_never_averages_variants_as_if_they_were_seeds(views, kind):
    (spec,) = read_specs([kind], [CONF])
    with pytest.raises(ConfigError, match=r"the line .* would average"):
        spec.draw(views["plain"].filtered(spec.filter), **spec.options)


def test_tables_come_before_a_figure_that_is_refused(study, paths, tmp_path):
    shutil.copytree(paths, tmp_path / "outputs")
    refused = study("analyze", "name=paths", "figures=[lambda_path]")
    assert refused.code == 1
    assert "figure lambda_path: the line" in refused.err
    assert "Training and validation" in refused.out


@pytest.mark.parametrize("kind", ["ranks", "rope"])
def test_what_suites_show_is_for_suites(views, kind):
    (spec,) = read_specs([kind], [CONF])
    with pytest.raises(ConfigError, match="requires a suite with scores of two variants in two settings"):
        spec.draw(replace(views["plain"], ranks=pd.DataFrame(), pairs=pd.DataFrame()), **spec.options)


@pytest.mark.parametrize("kind", ["best_of_n", "tuning"])
def test_what_trials_show_is_for_tuned_studies(views, kind):
    (spec,) = read_specs([kind], [CONF])
    view = replace(views["plain"], best_of_n=pd.DataFrame(), trials=pd.DataFrame())  # as of other studies
    with pytest.raises(ConfigError, match="requires a tuned study"):
        spec.draw(view, **spec.options)


def test_the_alternative_text_has_the_questions_that_are_drawn(views):
    (spec,) = read_specs(["hypotheses"], [CONF])
    text = caption_of(replace(spec, options={"questions": ["gap"]}), views["plain"], "")
    assert "gap, val_accuracy with accuracy_gap: +0.40, rises with it." in text
    assert "helps" not in text
    assert "helps" in caption_of(spec, views["plain"], "")


def test_first_layer_says_so_when_models_are_missing(study, paths, tmp_path):
    shutil.copytree(paths, tmp_path / "outputs")
    for run in run_folders(tmp_path / "outputs" / "paths"):
        (run / "model.safetensors").unlink()
    result = study("analyze", "name=paths", "figures=[first_layer]")
    assert result.code == 1
    assert "keep_model=true" in result.err


def test_an_unknown_style_is_refused(study, paths, tmp_path):
    shutil.copytree(paths, tmp_path / "outputs")
    assert (
        "style=science: there is no such option. Allowed: book, icml, ieee"
        in study("analyze", "name=paths", "style=science").err
    )


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "count"), [("curves", 40), ("forest", 40), ("scatter", 8), ("tails", 8)])
def test_many_variants_with_long_names_have_their_text_inside(paths, tmp_path, kind, count):
    view = view_of(paths / "paths")
    one = view.rows[view.rows["variant"] == view.rows["variant"].iloc[-1]]
    names = [f"l2-lam{10.0**-i:.15g}-hidden10_10_10-train_size500-epochs30" for i in range(count)]
    rows = pd.concat([one.assign(variant=name, lam=10.0**-i, run=one["run"] + str(i)) for i, name in enumerate(names)])
    copies = {
        key: pd.concat(
            [
                t[t["run"].isin(one["run"])].assign(variant=n, run=lambda f, i=i: f["run"] + str(i))
                for i, n in enumerate(names)
            ]
        )
        for key, t in view.study.tables.items()
    }
    entries = {}
    for run, i in itertools.product(one["run"], range(count)):
        entries[f"{run}{i}"] = view.study.entries[run]
        (tmp_path / f"{run}{i}").symlink_to(view.study.folder / run)
    runs = rows[view.study.runs.columns].reset_index(drop=True)
    study = replace(
        view.study, runs=runs, tables={k: t.reset_index(drop=True) for k, t in copies.items()}, entries=entries
    )
    study = replace(study, folder=tmp_path)
    compared = view.contrasts[view.contrasts["variant"] == view.contrasts["variant"].iloc[-1]]
    compared = pd.concat([compared.assign(variant=name) for name in names])
    many = replace(view, study=study, rows=rows.reset_index(drop=True), looks=looks(runs), contrasts=compared)
    figure = drawn(many, kind)
    with plt.rc_context(style_of("plain").rc()):
        boxes = [(t.get_text(), t.get_window_extent()) for t in texts(figure) if t.get_text().strip()]
    for text, box in boxes:
        assert figure.bbox.x0 - 1 <= box.x0, text
        assert box.x1 <= figure.bbox.x1 + 1, text
    plt.close(figure)


def test_a_symbol_in_a_label_keeps_its_case():
    assert difference_label("weights_l1") == r"Δ $\Sigma|w|$"
    assert difference_label("val_accuracy") == "Δ validation accuracy (points)"
    assert difference_label("val_loss", "\n") == "Δ validation loss\n(nats)"


def test_variants_of_one_label_each_have_a_panel(study, finished, tmp_path):
    shutil.copytree(finished / "outputs", tmp_path / "outputs")
    result = study("analyze", "name=small", "variants={l*: Penalty}", "figures=[ridgeline]")
    assert result.code == 0, result.err
    drawing = (tmp_path / "outputs" / "small" / "analysis" / "figures" / "ridgeline.svg").read_text()
    assert drawing.count(">Penalty<") == 2
