"""Which runs lockstep trains, which of them together, and how many fit in the memory of a card."""

import pytest

from study.models import convolutional
from study.training.lockstep import networks
from study.training.lockstep.fits import group_of, reason_against
from study.training.lockstep.memory import needed_bytes, width_that_fits
from study.training.loop_choice import choose_loops, narrowed
from study.training.task import Task
from tests.config.test_identity import resolved as resolve

SMALL = ("data=digits",)


def config(*overrides):
    return resolve(*SMALL, *overrides).config


WITH_FORMULA = (
    *("none", "l1", "l2", "l2_norm", "elastic_net", "weight_decay", "l1_proximal", "group_lasso", "max_norm"),
    *("label_smoothing", "noise", "dropout", "mixup", "lp", "orthogonal", "early_stopping"),
)


@pytest.mark.parametrize(
    "overrides",
    [
        *([f"reg={reg}"] for reg in WITH_FORMULA),
        ["model.activation=gelu", "model.norm=layer"],
        ["optimizer=sgd", "optimizer.momentum=0.9", "schedule=cosine", "clip_norm=1.0", "precision=float64"],
        ["reg=combine", "reg.parts=[{reg: l1, lam: 1e-5}, {reg: dropout, lam: 0.25}]"],
        ["data=mnist1d"],
    ],
    ids=" ".join,
)
def test_lockstep_trains(overrides):
    assert reason_against(config(*overrides)) is None


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (["reg=sam"], "reg=sam has no batched form"),
        (["reg=spectral"], "reg=spectral has no batched form"),
        (["reg=weight_decay", "reg.independent=true"], "reg=weight_decay has no batched form"),
        (["reg=batch_norm"], "reg=batch_norm has no batched form"),
        (["model.norm=batch"], "model=mlp: it has batch normalization"),
        (["model=cnn"], "model=cnn: on a CPU, only mlp and linear"),
        (["precision=bfloat16"], "precision=bfloat16 is not supported"),
        (["threads=2"], "threads=2: several threads"),
        (["reg=combine", "reg.parts=[{reg: noise, lam: 0.1}, {reg: mixup, lam: 0.25}]"], "an order of their own"),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, list) else "",
)
def test_lockstep_does_not_train(overrides, reason):
    assert reason in reason_against(config(*overrides))


def test_on_accelerators_other_models_fit_unless_they_draw_or_have_buffers():
    assert networks.reason_against(convolutional.cnn((8, 8), 10), (8, 8)) is None
    assert "vmap cannot run it" in networks.reason_against(convolutional.cnn((8, 8), 10, dropout=0.5), (8, 8))
    assert "it has buffers" in networks.reason_against(convolutional.cnn((8, 8), 10, norm="batch"), (8, 8))


def test_runs_that_differ_in_regularizer_rate_noise_and_seed_train_together():
    one = group_of(config("reg=l1", "lam=1e-3", "seed=3", "optimizer.lr=0.1", "data.label_noise=0.2"))
    assert one == group_of(config("reg=dropout", "schedule=cosine"))
    for other in ("model.hidden=[33]", "optimizer=sgd", "batch_size=64", "data.train_size=100", "epochs=3"):
        assert one != group_of(config(other))


def tasks(count, *overrides):
    runs = [resolve(*SMALL, "model.hidden=[32]", f"seed={seed}", *overrides) for seed in range(count)]
    return [Task.of(run, "variant", None) for run in runs]


def paths(count, *overrides, **how):
    return {task.path for task in choose_loops(tasks(count, *overrides), "common", print, **how)}


def test_common_takes_lockstep_on_a_cpu_for_many_small_networks_that_the_compiled_loop_cannot_train():
    assert paths(16, "reg=dropout", workers=2) == {"lockstep_32"}
    assert paths(16, "reg=dropout", workers=2, width=8) == {"lockstep_8"}
    assert paths(15, "reg=dropout", workers=2) == {"compiled_step"}
    assert paths(16, "reg=dropout", "model.hidden=[1000]", workers=2) == {"compiled_step"}
    assert paths(16, "reg=l1", workers=2) == {"mlp"}
    assert paths(16, "reg=dropout", workers=None) == {"compiled_step"}  # a launcher trains each run in its own job


def test_fewer_runs_train_at_once_where_the_memory_of_the_card_is_small():
    many = choose_loops(tasks(2, "reg=l1"), "lockstep", print)
    shared, of_each = needed_bytes(many[0].config)
    said = []
    assert {task.path for task in narrowed(many, 100 * (shared + 32 * of_each), said.append)} == {"lockstep_32"}
    assert said == []
    assert {task.path for task in narrowed(many, 2 * (shared + 8 * of_each), said.append)} == {"lockstep_8"}
    assert "has room for 8 runs at once" in said[0]
    assert width_that_fits(many[0].config, 32, 0) == 1
