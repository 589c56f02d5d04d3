"""Effects of regularizers in several settings, and whether they differ: exact values, panels, and a real study."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from study.analysis.statistics.interaction import ALL_KEYS, interaction, panels_of
from tests.conftest import run_here


def rows_of(settings, regs=("none", "l2"), seeds=6):
    """One row per run, as `gaps.at_epoch` returns them, with random scores."""
    generator, lines = np.random.default_rng(0), []
    for place, setting in enumerate(settings):
        for reg in regs:
            for seed in range(seeds):
                lines.append(
                    {
                        **{"variant": f"{reg}-{place}", "reg": reg, "lam": 0.1, "takes_lam": reg != "none"},
                        **{"scope": None, "seed": seed, "state": "complete", "context": str(place)},
                        **{"setting": json.dumps(setting), "val_accuracy": generator.normal(0.9, 0.01)},
                    }
                )
    return pd.DataFrame(lines)


def compared_of(rows):
    variants = [variant for variant in rows["variant"].unique() if not variant.startswith("none")]
    columns = {"mean_difference": 0.0, "ci_low": 0.0, "ci_high": 0.0, "p_holm": 1.0, "n": 6}
    return pd.DataFrame({"measure": "val_accuracy", "variant": variants, **columns})


def effects_of(rows):
    baselines = {v: f"none-{v.partition('-')[2]}" for v in rows["variant"].unique() if not v.startswith("none")}
    return interaction(rows, baselines, compared_of(rows), "val_accuracy")


ADAM, SGD = {"optimizer": "adam", "optimizer.lr": 1e-3}, {"optimizer": "sgd", "optimizer.lr": 0.1}
STAR = [ADAM, SGD, {**ADAM, "optimizer.lr": 1e-2}, {**ADAM, "optimizer.lr": 1e-4}]


def test_changes_are_paired_t_tests_of_differences_of_differences_with_holm():
    rows = rows_of(STAR, regs=("none", "l2", "l1"))
    table = effects_of(rows)
    values = rows.pivot_table(index="seed", columns="variant", values="val_accuracy")
    changes = table[~table["is_reference"].astype(bool)]
    assert len(changes) == 6
    expected = []
    for row in changes.itertuples():
        place = row.variant[-1]
        d = values[row.variant] - values[f"none-{place}"] - (values[f"{row.reg}-0"] - values["none-0"])
        test = stats.ttest_1samp(d, 0)
        assert row.change == pytest.approx(d.mean())
        assert (row.change_low, row.change_high) == pytest.approx(tuple(test.confidence_interval()))
        expected.append(test.pvalue)
    assert list(changes["p_change"]) == pytest.approx(expected)
    assert list(changes["p_change_holm"]) == pytest.approx(list(multipletests(expected, method="holm")[1]))


def test_settings_that_differ_in_one_key_make_a_panel_and_numbers_are_in_order():
    panels = panels_of(rows_of(STAR))
    assert [panel.key for panel in panels] == ["optimizer", "optimizer.lr"]  # sgd's own lr belongs to it
    assert list(panels[1].contexts.values()) == ["0.0001", "0.001", "0.01"]
    assert {panel.reference for panel in panels} == {"0"}


def test_settings_that_differ_in_several_keys_are_one_panel():
    grid = [{"batch_size": size, "epochs": epochs} for size in (8, 32) for epochs in (1, 2)]
    (panel,) = panels_of(rows_of(grid))
    assert panel.key == ALL_KEYS
    assert len(panel.contexts) == 4


def test_effects_on_different_data_sets_have_no_change_because_nothing_pairs_their_seeds():
    digits, wine = {"data": "digits"}, {"data": "wine"}
    effects = effects_of(rows_of([digits, {**wine, "epochs": 2}, {**wine, "epochs": 3}]))
    assert len(effects) == 3
    assert not effects["is_reference"].any()
    assert effects["change"].isna().all()
    panels = panels_of(rows_of([digits, wine, {**digits, "epochs": 2}, {**digits, "epochs": 3}]))
    assert {panel.key: panel.reference for panel in panels} == {"data": "", "epochs": "0"}


def test_an_option_that_a_regularizer_sets_is_no_setting():
    rows = rows_of(STAR)
    rows.loc[rows["reg"] == "none", "setting"] = [
        json.dumps({**json.loads(text), "model.dropout": 0.0}) for text in rows.loc[rows["reg"] == "none", "setting"]
    ]
    assert [panel.key for panel in panels_of(rows)] == ["optimizer", "optimizer.lr"]


def test_one_setting_and_a_missing_baseline_give_no_table():
    assert effects_of(rows_of([ADAM])).empty
    rows = rows_of(STAR[:2])
    assert interaction(rows, {"l2-0": "none-0"}, compared_of(rows), "val_accuracy").empty
    assert interaction(rows, {"l2-0": "none-0", "l2-1": "none-0"}, compared_of(rows), "val_accuracy").empty


def test_a_diverged_run_leaves_its_seed_out_and_two_seeds_are_not_tested():
    rows = rows_of(STAR[:2])
    rows.loc[(rows["variant"] == "l2-1") & (rows["seed"] > 1), "state"] = "diverged"
    (change,) = effects_of(rows).query("not is_reference").to_dict("records")
    assert np.isfinite(change["change"])
    assert np.isnan(change["p_change"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """outputs/settings: none and l2 with two optimizers and two sizes of the training set."""
    folder = tmp_path_factory.mktemp("settings")
    few = ("data=digits", "epochs=1", "model.hidden=[5]", "workers=1", "seeds=3", "name=settings")
    sizes = "[{reg: [none, l2], data.train_size: [50, 100]}, {reg: [none, l2], data.train_size: 100, optimizer: sgd}]"
    result = run_here(*few, f"variants={sizes}", cwd=folder)
    assert result.code == 0, result.err
    return folder


def test_the_analysis_shows_effects_and_changes(folder):
    result = run_here("analyze", "name=settings", "figures=[interaction]", cwd=folder)
    assert result.code == 0, result.err
    target = folder / "outputs/settings/analysis"
    table = pd.read_csv(target / "interaction.csv")
    assert list(table["key"].unique()) == ["data.train_size", "optimizer"]
    compared = pd.read_csv(target / "significance.csv").query("measure == 'val_accuracy'").set_index("variant")
    assert list(table["difference"]) == pytest.approx(list(compared.loc[table["variant"], "mean_difference"]))
    assert "corrected for all 2 changes (Holm)" in result.out
    assert "L2, λ = 10⁻², optimizer: adam" in (target / "figures/interaction.txt").read_text()


def test_the_figure_says_what_it_requires(folder):
    result = run_here("analyze", "name=settings", "figures=[interaction]", "filter.train_size=50", cwd=folder)
    assert result.code != 0  # not a column
    where = "filter.run=[]"
    assert run_here("analyze", "name=settings", "figures=[interaction]", where, cwd=folder).code != 0
    result = run_here("analyze", "name=settings", "figures=[interaction]", "filter.train_images=50", cwd=folder)
    assert "interaction requires a regularizer in several settings" in result.err
    assert len(result.err.splitlines()) == 1


def test_the_figure_of_a_suite_has_every_variant_of_every_data_set(tmp_path):
    few = ("epochs=1", "model.hidden=[5]", "workers=1", "name=many", "seeds=3", "data.train_size=40")
    lams = "lam=1e-7,1e-6,1e-5,1e-4,1e-3,1e-2,1e-1"
    result = run_here("-m", "suite=[{data: digits}, {data: wine}]", "reg=none,l2", lams, *few, cwd=tmp_path)
    assert result.code == 0, result.err
    result = run_here("analyze", "name=many", "figures=[interaction]", cwd=tmp_path)
    assert result.code == 0, result.err
    assert "figures show" not in result.out  # 12 of 16 variants, as line figures do
    target = tmp_path / "outputs/many/analysis"
    assert "Effects on different data sets are not compared" in (target / "report.md").read_text()
    (drawn,) = re.findall("Alt text: (.*)", (target / "figures/interaction.txt").read_text())
    assert drawn.count("digits") == drawn.count("wine") == 7
