"""The learning rate of every step, by formulas of its own; and the run that follows it."""

import csv
import math

import pytest
import torch
from torch.nn import Linear

from study.config.build import build_schedule
from study.data import Part
from study.errors import ConfigError
from study.optimizers import sgd
from study.regularizers import Combined
from study.training import general
from study.training.state import State
from tests.config.test_identity import config, resolved
from tests.conftest import run_folders

LR, STEPS = 0.2, 20  # four epochs of five steps


def rates(*overrides):
    """The learning rate of each of 20 steps."""
    schedule = config("optimizer=sgd", f"optimizer.lr={LR}", "epochs=4", *overrides).schedule
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = sgd([weight], LR)
    made = build_schedule(schedule, optimizer, 4, 5)
    found = []
    for _ in range(STEPS):
        weight.grad = torch.ones(1)
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        made.step()
    return found


def cosine(t, end=0.0):
    """From 1 at t = 0 to `end` at t = 1."""
    return end + (1 - end) * (1 + math.cos(math.pi * t)) / 2


FORMULAS = {
    "schedule=cosine": lambda t: cosine(t / 20),
    "schedule=cosine schedule.final=0.1": lambda t: cosine(t / 20, 0.1),
    "schedule=cosine schedule.warmup=1": lambda t: (t + 1) / 6 if t < 5 else cosine((t - 5) / 15),
    "schedule=linear": lambda t: 1 - t / 20,
    "schedule=linear schedule.final=0.5 schedule.warmup=4 schedule.warmup_unit=steps": lambda t: (
        (t + 1) / 5 if t < 4 else 1 - 0.5 * (t - 4) / 16
    ),
    "schedule=step schedule.every=2 schedule.factor=0.3": lambda t: 0.3 ** (t // 10),
    "schedule=step schedule.every=1 schedule.warmup=2": lambda t: (t + 1) / 11 if t < 10 else 0.1 ** ((t - 10) // 5),
    "schedule=constant schedule.warmup=2": lambda t: min((t + 1) / 11, 1),
    # Its highest rate is that of step 0.25 · 20 − 1, counted from 0.
    "schedule=onecycle schedule.rise=0.25 schedule.start=0.1 schedule.final=0.01": lambda t: (
        cosine(t / 4, 10) / 10 if t < 4 else cosine((t - 4) / 15, 0.01)
    ),
}


@pytest.mark.parametrize("overrides", FORMULAS)
def test_each_step_has_the_rate_of_the_formula(overrides):
    expected = [LR * FORMULAS[overrides](t) for t in range(STEPS)]
    assert rates(*overrides.split()) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_a_constant_rate_costs_nothing():
    assert build_schedule(config().schedule, sgd([torch.nn.Parameter(torch.zeros(1))], LR), 4, 5) is None


@pytest.mark.parametrize(
    ("overrides", "reason"),
    {
        "schedule=cosine schedule.final=1.5": "a number in [0, 1] is allowed",
        "schedule=step schedule.every=0": "must be a whole number of epochs ≥ 1",
        "schedule=step schedule.factor=0": "a number in (0, 1] is allowed",
        "schedule=onecycle schedule.warmup=1": "schedule=onecycle rises by itself",
        "schedule=onecycle schedule.rise=1": "a number in (0, 1) is allowed",
        "schedule=onecycle epochs=1 batch_size=2000": "of 1 steps, it must leave at least two to rise",
        "schedule.warmup=-1": "must be a whole number ≥ 0",
        "schedule.warmup=3 epochs=3": "must be shorter than the run, which has 120 steps (3 epochs)",
        "schedule.warmup=3 schedule.warmup_unit=hours": "allowed: epochs, steps",
        "schedule._target_=torch.optim.lr_scheduler.ReduceLROnPlateau": "steps here know none",
        "clip_norm=0": "must be a finite number above 0, or null",
        "precision=float16": "allowed: float32, bfloat16, float64",
    }.items(),
)
def test_what_makes_no_sense_is_refused(overrides, reason):
    with pytest.raises(ConfigError) as error:
        config(*overrides.split())
    assert reason in str(error.value)


def test_a_scheduler_of_torch_needs_only_its_name():
    base = ("schedule._target_=torch.optim.lr_scheduler.ExponentialLR", "+schedule.gamma=0.5")
    assert rates(*base) == pytest.approx([LR * 0.5**t for t in range(STEPS)])


def test_a_run_that_knows_its_length_is_not_the_start_of_a_longer_one():
    assert resolved("schedule=step").may_grow
    assert resolved("schedule.warmup=1").may_grow
    assert not resolved("schedule=cosine").may_grow


def test_a_long_gradient_is_scaled_to_the_norm_and_a_short_one_is_left_alone():
    images, labels = torch.rand(8, 3), torch.randint(0, 2, (8,))
    for clip_norm in (0.01, 100.0):
        model = Linear(3, 2)
        before = [p.detach().clone() for p in model.parameters()]
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        norm = math.sqrt(sum(float(g.square().sum()) for g in gradients))
        state = State(model, Combined([]), sgd(model.parameters(), 1.0), torch.Generator(), clip_norm=clip_norm)
        general.train_epoch(state, Part(images, labels), 8)
        for p, start, gradient in zip(model.parameters(), before, gradients, strict=True):
            torch.testing.assert_close(start - p, gradient * min(1, clip_norm / norm), rtol=1e-4, atol=1e-6)


def test_a_run_follows_its_schedule_and_is_not_trained_by_compiled_code(study, tmp_path):
    assert study("data=digits", "data.train_size=160", "epochs=3", "schedule=linear", "model.hidden=[4]").code == 0
    (run,) = run_folders(tmp_path / "outputs" / "default")
    with (run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["learning_rate"]) for row in rows] == pytest.approx([1e-3, 1e-3, 2e-3 / 3, 1e-3 / 3])


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float64"])
def test_a_stopped_run_with_a_schedule_ends_with_the_same_bytes(study, tmp_path, precision):
    base = ("data=digits", "data.train_size=160", "schedule=step", "schedule.every=1", "model.hidden=[4]")
    base = (*base, "clip_norm=0.1", "schedule.warmup=3", "schedule.warmup_unit=steps", f"precision={precision}")
    assert study(*base, "epochs=4", "name=whole").code == 0
    assert study(*base, "epochs=2", "name=grown", "keep_checkpoint=true").code == 0
    assert study(*base, "epochs=4", "name=grown").code == 0
    (whole,) = run_folders(tmp_path / "outputs" / "whole")
    grown = next(run for run in run_folders(tmp_path / "outputs" / "grown") if run.name.endswith(whole.name[-12:]))
    assert "resumes after epoch 2" in (grown / "run.log").read_text()
    for name in ("weights.csv", "histogram.csv", "test.csv"):
        assert (grown / name).read_bytes() == (whole / name).read_bytes()


def test_precision_is_that_of_training(study, tmp_path):
    """Double precision agrees with single to rounding, and bfloat16 to its own three digits."""
    losses = {}
    for precision in ("float32", "bfloat16", "float64"):
        base = ("data=digits", "data.train_size=160", "epochs=2", "model.hidden=[20]", "loop=general")
        assert study(*base, f"precision={precision}", f"name={precision}").code == 0
        (run,) = run_folders(tmp_path / "outputs" / precision)
        with (run / "metrics.csv").open() as file:
            losses[precision] = [float(row["val_loss"]) for row in csv.DictReader(file)]
    assert losses["float64"] != losses["float32"] != losses["bfloat16"]
    assert losses["float64"] == pytest.approx(losses["float32"], rel=1e-5)
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.02)
