"""Comparison over data sets by ranks: published values, and those of SciPy and scikit-posthocs."""

import itertools
import warnings

import numpy as np
import pytest
from scipy import stats

from study.analysis.statistics import ranks

# AUC of C4.5, C4.5+m, C4.5+cf, C4.5+m+cf on 14 data sets: Demšar (2006), table 6. The last two of `voting` are equal as
# printed, but ranked 2 and 3 there.
TABLE = """
    .763 .768 .771 .798   .599 .591 .590 .569   .954 .971 .968 .967   .628 .661 .654 .657   .882 .888 .886 .898
    .936 .931 .916 .931   .661 .668 .609 .685   .583 .583 .563 .625   .775 .838 .866 .875   1 1 1 1
    .940 .962 .965 .962   .619 .666 .614 .669   .972 .981 .9751 .9750   .957 .978 .946 .970
"""
DEMSAR = np.fromstring(TABLE, sep=" ").reshape(14, 4)


def test_demsars_example_gives_his_ranks_and_tests():
    ranked = ranks.ranks(DEMSAR)
    assert ranked.mean(axis=0) == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)
    found = ranks.friedman(ranked, ties=False)  # as he computes it
    assert (found.chi2, found.f) == pytest.approx((9.28, 3.69), abs=6e-3)
    assert (found.df, found.df_error) == (3, 39)
    assert found.p_f < 0.05
    assert ranks.critical_difference(4, 14) == pytest.approx(1.25, abs=5e-3)


def test_demsars_signed_rank_example_rejects():
    differences = DEMSAR[:, 1] - DEMSAR[:, 0]
    assert ranks.wilcoxon(differences) < 0.05  # his T = 12 is below the critical value 21
    assert ranks.wilcoxon(-differences) == ranks.wilcoxon(differences)


def test_friedman_with_ties_is_that_of_scipy_and_f_that_of_an_analysis_of_variance_of_the_ranks():
    generator = np.random.default_rng(0)
    for n, k in ((5, 3), (8, 4), (12, 6)):
        scores = generator.integers(0, 6, size=(n, k)).astype(float)
        ranked = ranks.ranks(scores)
        found, expected = ranks.friedman(ranked), stats.friedmanchisquare(*scores.T)
        assert (found.chi2, found.p) == pytest.approx((expected.statistic, expected.pvalue))
        treatment = n * np.square(ranked.mean(axis=0) - ranked.mean()).sum() / (k - 1)
        rest = ranked - ranked.mean(axis=0) - ranked.mean(axis=1)[:, None] + ranked.mean()
        f = treatment / (np.square(rest).sum() / ((n - 1) * (k - 1)))
        assert (found.f, found.p_f) == pytest.approx((f, stats.f.sf(f, k - 1, (n - 1) * (k - 1))))


def test_all_alike_and_all_equal_rankings_have_a_p_value():
    alike = ranks.friedman(np.tile([1.0, 2.0, 3.0], (4, 1)))
    assert alike.p_f == pytest.approx(6.0**-3)  # one ranking of 3! in each data set after the first
    assert alike.f == np.inf
    equal = ranks.friedman(np.full((4, 3), 2.0))
    assert (equal.p, equal.p_f) == (1.0, 1.0)


def test_permutations_give_the_p_value_of_all_rankings_of_a_small_suite():
    ranked = np.array([[1.0, 2.0, 3.0], [1.0, 3.0, 2.0], [1.0, 2.5, 2.5]])
    statistic = [
        np.square(np.sum(each, axis=0)).sum()
        for each in itertools.product(*(list(itertools.permutations(row)) for row in ranked))
    ]
    exact = np.mean(np.array(statistic) >= np.square(ranked.sum(axis=0)).sum() - 1e-9)
    assert ranks.permuted(ranked) == pytest.approx(exact, abs=0.01)
    assert ranks.permuted(ranked) == ranks.permuted(ranked)
    assert ranks.permuted(np.full((4, 3), 2.0)) == 1.0
    demsar = ranks.ranks(DEMSAR)
    assert ranks.permuted(demsar) == pytest.approx(ranks.friedman(demsar).p_f, abs=0.004)


def test_ties_by_rounding_of_means_are_ties():
    a = np.array([0.1, 0.2, 0.3]).mean()
    assert ranks.ranks(np.array([[a, 0.6 / 3]])).tolist() == [[1.5, 1.5]]


def test_signed_rank_is_exact_with_and_without_ties():
    generator = np.random.default_rng(1)
    for n in (5, 8, 12):
        differences = generator.normal(0.4, 1, size=n)
        expected = stats.wilcoxon(differences, method="exact").pvalue
        assert ranks.wilcoxon(differences) == pytest.approx(expected)
        tied = np.round(differences)
        method = stats.PermutationMethod(n_resamples=np.inf)
        expected = stats.wilcoxon(tied, zero_method="pratt", method=method).pvalue
        assert ranks.wilcoxon(tied) == pytest.approx(expected)
    assert ranks.wilcoxon(np.zeros(6)) == 1.0
    assert ranks.wilcoxon(np.arange(1.0, 7.0)) == 2 / 2**6


def test_critical_differences_are_where_nemenyis_p_value_of_scikit_posthocs_is_5_percent():
    posthocs = pytest.importorskip("scikit_posthocs")
    scores = np.random.default_rng(2).normal(size=(10, 5)) + np.arange(5) * 0.7
    means = ranks.ranks(scores).mean(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        p = posthocs.posthoc_nemenyi_friedman(scores).to_numpy()
    apart = np.abs(means[:, None] - means) >= ranks.critical_difference(5, 10)
    assert ((p < 0.05) == apart).all()
    assert apart.any()
    assert not apart.all()


def test_groups_join_variants_of_which_no_two_differ():
    different = np.zeros((4, 4), bool)
    for one, other in ((0, 2), (0, 3), (1, 3)):
        different[one, other] = different[other, one] = True
    assert ranks.cliques(different) == [(0, 1), (1, 2), (2, 3)]
    assert ranks.cliques(np.zeros((3, 3), bool)) == [(0, 2)]
    assert ranks.cliques(~np.eye(3, dtype=bool)) == []
    between = np.zeros((3, 3), bool)  # the ends do not differ, but one between them does
    between[0, 1] = between[1, 0] = True
    assert ranks.cliques(between) == [(1, 2)]
