"""Claims about the captions beside figures, and about which variants `answer` shows."""

import shutil

import pandas as pd
import pytest

from study.analysis.figures.answer import shown_variants
from tests.analysis.test_figures import paths, view_of  # noqa: F401
from tests.conftest import run_here

FEW = ("data=digits", "data.train_size=150", "epochs=3", "model.hidden=[20]", "workers=1", "reg=none,l1", "seeds=3")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with outputs/s: none and l1, three seeds each."""
    folder = tmp_path_factory.mktemp("captions")
    assert run_here("-m", *FEW, "name=s", cwd=folder).code == 0
    return folder


@pytest.fixture
def outputs(trained, tmp_path):
    """A copy of it."""
    return shutil.copytree(trained / "outputs", tmp_path / "outputs")


@pytest.fixture
def analyzed(study, outputs):
    def with_figures(figures, *more):
        result = study("analyze", "name=s", f"figures=[{figures}]", *more)
        return result, outputs / "s" / "analysis" / "figures"

    return with_figures


def test_a_caption_states_what_is_shown_of_how_many_seeds_with_which_bands_and_data(analyzed):
    result, figures = analyzed("curves,gap,seeds", "filter.reg=[none,l1]")
    assert result.code == 0
    caption, alternative = (figures / "curves.txt").read_text().split("\n\n")
    assert caption.startswith("Training and validation loss and accuracy over the epochs. A panel for each variant.")
    assert "Bands extend from the smallest to the largest value over seeds." in caption
    assert "Seeds per variant: 3. Budget: 3 epochs. Data: digits, data.split=holdout, 150 training and" in caption
    assert "Filtered (reg=['none', 'l1'])" in caption  # an exception stands below every result
    assert "t-intervals" not in (figures / "seeds.txt").read_text()  # which has no band
    assert alternative.startswith("Alt text: Training and validation loss")
    runs = pd.read_csv(figures.parent / "gap_table.csv").set_index("variant")
    assert f"L1, λ = 10⁻⁴: validation accuracy (%) {100 * runs.loc['l1-lam0.0001', 'val_accuracy']:.4g}" in alternative


def test_a_figure_of_the_user_has_a_caption_from_its_comment_or_its_key(study, tmp_path, outputs):
    (tmp_path / "mine" / "figure").mkdir(parents=True)
    lines = "_target_: study.analysis.figures.lines.lines\nx: epoch\ny: val_loss\ncolour: variant\n"
    (tmp_path / "mine" / "figure" / "loss.yaml").write_text(f"# The loss\n# In nats.\n{lines}")
    (tmp_path / "mine" / "figure" / "named.yaml").write_text(f"# Not this\n{lines}caption: My words.\n")
    assert study("analyze", "--config-dir", "mine", "name=s", "figures=[loss,named]").code == 0
    figures = outputs / "s" / "analysis" / "figures"
    assert (figures / "loss.txt").read_text().startswith("The loss. In nats. Bands")
    assert (figures / "named.txt").read_text().startswith("My words. Bands")


def test_answer_shows_the_references_and_the_best_of_each_regularizer(paths):  # noqa: F811
    view = view_of(paths / "paths")
    chosen = shown_variants(view, most=4)
    means = view.rows.groupby(["reg", "variant"])["val_accuracy"].mean()
    best = [means[reg].idxmax() for reg in ("l1_proximal", "l2")]
    assert [variant for variant in chosen if not variant.startswith("none")] == best
    assert sum(variant.startswith("none") for variant in chosen) == 2
    assert shown_variants(view, most=40) == list(view.looks)


def test_figures_from_files_that_earlier_versions_did_not_write_are_refused_with_what_to_do(study, outputs):
    for name in ("calibration.csv", "pruning_curve.csv"):
        for file in outputs.glob(f"s/*/{name}"):
            file.unlink()
    for figure, name in (("reliability", "calibration.csv"), ("pruning", "pruning_curve.csv")):
        result = study("analyze", "name=s", f"figures=[{figure}]", "allow=[changed]")
        assert result.code == 1
        assert f"{figure} requires {name}" in result.err
        assert "Train the study again" in result.err


def test_a_study_whose_runs_all_diverged_is_analyzed_as_well(study, tmp_path):
    assert study("-m", *FEW, "optimizer=sgd", "optimizer.lr=1e30", "name=d").code == 0
    result = study("analyze", "name=d")
    assert result.code == 0, result.err
    analysis = tmp_path / "outputs" / "d" / "analysis"
    assert pd.read_csv(analysis / "gap_table.csv")["diverged"].tolist() == [3, 3]
    assert "6 runs diverged" in (analysis / "figures" / "answer.txt").read_text()
    assert (analysis / "report.html").is_file()
