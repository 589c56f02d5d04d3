"""What makes two runs the same experiment: the science, and nothing else."""

from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from functools import lru_cache

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from study.cli.patches import patch
from study.config.folders import CONF
from study.config.identity import identify
from study.config.names import variant_key, varying_keys
from study.config.points.compose import BaseComposer
from study.config.points.parsing import OverridesOnce
from study.config.resolve import resolve
from study.config.run_config import ResolvedRun, RunConfig
from study.config.schema import register_schemas


@lru_cache(maxsize=1)
def composer() -> BaseComposer:
    """One for all tests, since it keeps what Hydra has composed."""
    patch()  # as a command does: YAML is read in half the time
    register_schemas()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        base = compose("config", return_hydra_config=True)
        loader = GlobalHydra.instance().config_loader()
        return BaseComposer(base, loader, OverridesOnce(loader))


def resolved(*overrides: str) -> ResolvedRun:
    """The run of a command line."""
    return resolve(*composer().compose(["data=digits", *overrides]), composer().reg_option)


def config(*overrides: str) -> RunConfig:
    """Its config."""
    return resolved(*overrides).config


def run_id(given: RunConfig) -> str:
    """As a config gives it that was read from a run's folder."""
    return identify(given).run_id


def keys_of(*runs: ResolvedRun, among: Sequence[ResolvedRun] = ()) -> list[str]:
    """What variants are called in a study of these runs."""
    varying = varying_keys(run.settings for run in (*runs, *among))
    lams = [run.config.lam if run.takes_lam else None for run in runs]
    return [
        variant_key(run.config.reg["option"], lam, run.settings, varying) for run, lam in zip(runs, lams, strict=True)
    ]


BASE = ("reg=l1", "lam=1e-3")
SCIENCE = {
    "seed": "seed=1",
    "epochs": "epochs=3",
    "budget": "budget=steps",
    "batch_size": "batch_size=16",
    "lam": "lam=1e-2",
    "data": "data=fashion_mnist_mini",
    "data.split": "data.split=textbook",
    "data.val_size": "data.val_size=100",
    "data.train_size": "data.train_size=100",
    "data.label_noise": "data.label_noise=0.1",
    "model": "model=linear",
    "model.hidden": "model.hidden=[3]",
    "model.dropout": "model.dropout=0.1",
    "model.norm": "model.norm=batch",
    "model.activation": "model.activation=tanh",
    "data.standardize": "data.standardize=feature",
    "optimizer": "optimizer=sgd",
    "optimizer.lr": "optimizer.lr=0.01",
    "schedule": "schedule=cosine",
    "schedule.warmup": "schedule.warmup=1",
    "schedule.warmup_unit": "schedule.warmup=1 schedule.warmup_unit=steps",
    "schedule.final": "schedule=cosine schedule.final=0.1",
    "clip_norm": "clip_norm=1",
    "precision": "precision=float64",
    "score_train": "score_train=100",
    "reg": "reg=l2",
    "reg.scope": "reg.scope=weights",
    "reg.schedule": "reg.schedule=anneal",
    "reg.ramp": "reg.schedule=anneal reg.ramp=3",
}
HOW = {
    "name": "name=other",
    "device": "device=cpu",
    "threads": "threads=2",
    "data.root": "data.root=/elsewhere",
    "checkpoint_every": "checkpoint_every=2",
    "keep_checkpoint": "keep_checkpoint=true",
    "keep_model": "keep_model=true",
}


@pytest.mark.parametrize("key", SCIENCE)
def test_science_is_part_of_the_id(key):
    base = config(*BASE, *(["reg.schedule=anneal"] if key == "reg.ramp" else []))
    assert run_id(config(*BASE, *SCIENCE[key].split())) != run_id(base)


@pytest.mark.parametrize("key", HOW)
def test_how_a_run_is_trained_is_not(key):
    assert run_id(config(*BASE, HOW[key])) == run_id(config(*BASE))


def test_whether_the_test_set_is_scored_is_not():
    assert run_id(replace(config(*BASE), test=False)) == run_id(config(*BASE))


def test_every_key_of_the_config_is_on_one_side_or_the_other():
    decided = set(SCIENCE) | set(HOW) | {"test"}
    assert {field.name for field in fields(RunConfig)} <= decided
    assert set(resolved().settings) - {"optimizer.momentum"} <= decided


def test_none_is_one_run_whatever_lam_says():
    assert run_id(config("reg=none", "lam=1")) == run_id(config("reg=none"))
    assert config("reg=none", "lam=1").lam == 0
    assert config("reg=none").reg["scope"] is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["reg=dropout", "lam=0.25"], ["reg=none", "model.dropout=0.25"]),
        (["reg=batch_norm"], ["reg=none", "model.norm=batch"]),
        (["reg=batch_norm", "lam=3"], ["reg=batch_norm"]),
        (
            ["reg=combine", "reg.parts=[{reg:l1,lam:1e-3},{reg:dropout,lam:0.25}]"],
            ["reg=l1", "lam=1e-3", "model.dropout=0.25"],
        ),
        (["reg=combine", "reg.parts=[{reg:l2,lam:1e-3}]"], ["reg=l2", "lam=1e-3"]),
        (["reg=l1", "reg.ramp=7"], ["reg=l1"]),
        (["reg=early_stopping", "lam=7"], ["reg=early_stopping"]),
    ],
)
def test_two_spellings_of_one_experiment_are_one_run(one, other):
    assert run_id(config(*one)) == run_id(config(*other))


def test_the_order_of_what_is_combined_is_part_of_the_id():
    first = config("reg=combine", "reg.parts=[{reg:l1,lam:1e-3},{reg:l2,lam:1e-3}]")
    assert run_id(first) != run_id(config("reg=combine", "reg.parts=[{reg:l1,lam:1e-3},{reg:l2,lam:1e-4}]"))


def test_a_variant_is_a_run_without_its_seed():
    assert resolved("seed=0").variant_id == resolved("seed=5").variant_id
    assert resolved("reg=l1").variant_id != resolved("reg=l2").variant_id


def test_a_default_given_explicitly_changes_nothing():
    assert run_id(config("reg=l1", "lam=1e-4", "optimizer.lr=1e-3", "seed=0")) == run_id(config("reg=l1"))


def test_editing_the_source_of_ones_own_penalty_makes_new_runs(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path / "my_penalty_source.py"
    module.write_text("def cubic(w):\n    return w.abs().pow(3).sum()\n")
    given = config("reg=l1")
    given = replace(given, reg={**given.reg, "_target_": "my_penalty_source.cubic"})
    before = run_id(given)
    assert run_id(given) == before
    module.write_text("def cubic(w):\n    return 2 * w.abs().pow(3).sum()\n")
    assert run_id(given) != before


def test_lam_has_no_meaning_beside_parts_be_it_one():
    assert resolved("reg=l2").takes_lam
    assert not resolved("reg=combine", "reg.parts=[{reg:l2,lam:0.01}]").takes_lam
    assert not resolved("reg=none").takes_lam


def test_variants_are_named_by_what_varies():
    l1, none = resolved("reg=l1", "lam=1e-4"), resolved("reg=none")
    faster = resolved("reg=l1", "lam=1e-5", "optimizer.lr=0.01")
    assert keys_of(l1, none, faster) == ["l1-lam0.0001-lr0.001", "none-lr0.001", "l1-lam1e-05-lr0.01"]
    assert keys_of(l1, none) == ["l1-lam0.0001", "none"]
    assert keys_of(resolved("reg=dropout", "lam=0.25"), among=[l1, faster]) == ["dropout-lam0.25-lr0.001"]
    several = [resolved(f"reg={reg}") for reg in ("combine", "early_stopping", "none")]
    assert keys_of(*several) == ["combine", "early_stopping", "none"]
    parts = [resolved("reg=combine"), resolved("reg=combine", "reg.parts=[{reg:l2,lam:0.01}]")]
    assert keys_of(*parts) == ["combine-partsl11e-05_dropout0.25", "combine-partsl20.01"]
    types = [
        resolved("model=cnn", "reg=l2", f"reg.scope={scope}") for scope in ("all", "Conv2d", "{Conv2d:1,Linear:0.1}")
    ]
    assert keys_of(*types) == ["l2-lam0.01-scopeall", "l2-lam0.01-scopeConv2d", "l2-lam0.01-scope_Conv2d_1_Linear_0.1_"]
    assert keys_of(resolved("model.hidden=[8]"), resolved("model.hidden=[8,4]")) == ["none-hidden8", "none-hidden8_4"]


@pytest.mark.parametrize(
    "overrides", [[], ["reg=combine"], ["reg=l1", "reg.scope={Linear: 1}", "lam=1e-7", "name=a-1"]]
)
def test_config_yaml_is_omegaconf_s(overrides):
    given = replace(config(*overrides), name="null", keep_model=True)
    assert given.to_yaml() == OmegaConf.to_yaml(OmegaConf.create(asdict(given)))
