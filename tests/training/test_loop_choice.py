"""Which loop trains, and what is said of it."""

import time

import pytest
from numba import njit

from study.training import loop_choice
from study.training.compiled import mlp
from study.training.loop_choice import COMPILING, choose_loops
from study.training.task import Task
from tests.config.test_identity import resolved


def chosen(said):
    task = Task.of(resolved("model.hidden=[5]"), "none", None)
    return choose_loops([task], "common", said.append)[0].path


def test_compiling_is_said_where_numba_compiles_something(monkeypatch):
    monkeypatch.setattr(mlp, "unavailable", lambda: njit(lambda x: x + 1)(1) and None)
    said = []
    assert chosen(said) == mlp.PATH
    assert said == [COMPILING]


def test_it_is_not_said_where_all_is_compiled_however_long_the_start_takes(monkeypatch):
    monkeypatch.setattr(loop_choice.mlp, "unavailable", lambda: time.sleep(2.2))
    said = []
    assert chosen(said) == mlp.PATH
    assert said == []


@pytest.mark.parametrize("reg", ["augment", "cutout", "cutmix", "confidence_penalty", "activity_l1"])
def test_what_needs_the_model_s_inputs_or_outputs_in_a_step_is_not_trained_by_the_loop_of_mlps(reg):
    task = Task.of(resolved("model.hidden=[5]", f"reg={reg}"), reg, None)
    assert choose_loops([task], "fastest", print)[0].path != mlp.PATH
