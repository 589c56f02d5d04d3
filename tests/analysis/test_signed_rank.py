"""The Bayesian signed-rank test gives the published probabilities, and the same ones each time."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from study.analysis.statistics.signed_rank import signed_rank

# Mean accuracies (%) of five classifiers on 54 UCI data sets (github.com/BayesianTestsML/tutorial), and the
# probabilities in that repository's sixth notebook: first better, equivalent within 1 point, second better. They come
# from a simulation.
ACCURACIES = pd.read_csv(Path(__file__).parent / "uci_accuracies.csv")
PUBLISHED = {
    ("nbc", "aode"): (0.000, 0.123, 0.877),
    ("nbc", "hnb"): (0.000, 0.001, 0.999),
    ("nbc", "j48"): (0.228, 0.006, 0.766),
    ("nbc", "j48gr"): (0.179, 0.004, 0.817),
    ("aode", "hnb"): (0.001, 0.965, 0.034),
    ("aode", "j48"): (0.904, 0.034, 0.062),
    ("aode", "j48gr"): (0.883, 0.046, 0.071),
    ("hnb", "j48"): (0.962, 0.020, 0.019),
    ("hnb", "j48gr"): (0.950, 0.026, 0.024),
    ("j48", "j48gr"): (0.000, 1.000, 0.000),
}


@pytest.mark.parametrize(("pair", "expected"), PUBLISHED.items(), ids=map("-".join, PUBLISHED))
def test_published_probabilities_of_54_data_sets(pair, expected):
    first, second = pair
    found = signed_rank((ACCURACIES[second] - ACCURACIES[first]).to_numpy(), rope=1.0)
    assert (found.below, found.inside, found.above) == pytest.approx(expected, abs=0.006)


def test_the_same_differences_give_the_same_probabilities_and_the_opposite_ones_the_opposite():
    differences = np.array([0.5, 1.5, -0.3, 2.0, 0.9, 1.2])
    found, again = signed_rank(differences, 1.0), signed_rank(differences, 1.0)
    opposite = signed_rank(-differences, 1.0)
    assert found == again
    assert (opposite.below, opposite.inside, opposite.above) == (found.above, found.inside, found.below)
    assert found.below + found.inside + found.above == pytest.approx(1)
    moved = signed_rank(np.round(differences, 1)[::-1], 1.0)
    assert moved.above == pytest.approx(found.above, abs=0.01)  # the order of data sets does not matter


def test_differences_inside_the_region_are_equivalent_and_far_ones_are_not():
    assert signed_rank(np.array([0.2, -0.5, 0.9, 0.1]), 1.0).inside == 1.0
    assert signed_rank(np.full(8, 5.0), 1.0).above > 0.999
    assert signed_rank(np.full(6, 1.0), 1.0).inside == 1.0  # on the edge
    assert signed_rank(np.zeros(3), 0.0).inside == 1.0
