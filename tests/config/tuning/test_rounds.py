"""What a search asks for: the same for the same scores, within the budget, and better than chance."""

import math

import numpy as np
import pytest

from study.config.tuning.brackets import brackets
from study.config.tuning.rounds import Told, search_of
from study.config.tuning.search import dimension

LR = {"optimizer.lr": dimension("lr", {"log": [1e-4, 1e-2]}, "tpe")}
LAM = {"lam": dimension("lam", {"log": [1e-8, 1e-3]}, "tpe"), "act": dimension("a", {"choice": [[1], "b"]}, "tpe")}


def peak(values, epochs):
    """A score with its maximum at lr = 1e-3 and λ = 1e-6, which epochs bring nearer."""
    off = abs(math.log10(values["optimizer.lr"] / 1e-3)) + abs(math.log10(values.get("lam", 1e-6) / 1e-6)) / 2
    return -off - 1 / epochs


def course(search, score=peak):
    """All rounds of a search."""
    told = []
    while len(told) < len(search.rounds):
        told.append([Told(asked, score(asked.values, asked.epochs)) for asked in search.ask(told)])
    return told


@pytest.mark.parametrize("kind", ["tpe", "hyperband"])
def test_the_same_scores_give_the_same_trials_and_each_variant_and_seed_has_others(kind):
    def asked(name, seed=0):
        return [t.asked for told in course(search_of(kind, LR, LAM, 14, 9, seed, name)) for t in told]

    assert asked("l1") == asked("l1")
    assert asked("l1")[:4] == asked("l2")[:4]
    assert asked("l1") != asked("l2")
    assert asked("l1") != asked("l1", seed=1)


@pytest.mark.parametrize(("trials", "epochs"), [(1, 9), (5, 3), (14, 9), (16, 30), (24, 10)])
def test_hyperband_trains_all_variants_for_equally_many_epochs_within_the_budget(trials, epochs):
    for own in ({}, LAM):
        search = search_of("hyperband", LR, own, trials, epochs, 0, "l1")
        trained = {}
        for told in course(search):
            for t in told:
                trained[t.asked.trial] = t.asked.epochs
        assert sum(trained.values()) == search.epochs <= trials * epochs
        assert search.epochs > (trials - 1) * epochs
        assert sorted(trained) == list(range(search.trials))
        assert search.epochs == sum(bracket.cost for bracket in brackets(trials * epochs, epochs))


def test_the_brackets_of_81_epochs_are_those_of_the_paper():
    """Table 1 of Li et al. (2018), R = 81 and η = 3; there n = 34 and 15 are rounded up, too."""
    found = brackets(10_000, 81)[:5]
    assert [bracket.counts for bracket in found] == [(81, 27, 9, 3, 1), (34, 11, 3, 1), (15, 5, 1), (8, 2), (5,)]
    assert [bracket.epochs for bracket in found] == [(1, 3, 9, 27, 81), (3, 9, 27, 81), (9, 27, 81), (27, 81), (81,)]


def test_of_each_rung_the_best_third_goes_on_and_a_diverged_trial_never_does():
    search = search_of("hyperband", LR, {}, 3, 9, 0, "none")
    first = search.ask([])
    scores = [-math.inf, *range(len(first) - 2), -math.inf]
    told = [[Told(asked, score) for asked, score in zip(first, scores, strict=True)]]
    assert [asked.trial for asked in search.ask(told)] == [5, 6, 7]
    assert search.ask([[Told(asked, -math.inf) for asked in first]]) == []


@pytest.mark.parametrize("kind", ["tpe", "hyperband"])
def test_trials_chosen_by_scores_are_better_than_those_drawn_without(kind):
    def best(kind, seed):
        return max(t.score for told in course(search_of(kind, LR, LAM, 24, 9, seed, "l1")) for t in told)

    gains = [best(kind, seed) - best("sobol", seed) for seed in range(6)]
    assert np.mean(gains) > 0


def test_choices_with_lists_can_be_proposed_and_one_trial_is_enough_for_nothing_to_tune():
    values = [t.asked.values for told in course(search_of("tpe", LR, LAM, 20, 9, 0, "l1")) for t in told]
    assert {str(own["act"]) for own in values} == {"[1]", "b"}
    assert search_of("hyperband", {}, {}, 16, 9, 0, "none").rounds == [1]
