"""Conformal p-values against a count done by hand."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sacfast.errors import ArgumentError, ShapeError
from sacfast.statistics import conformal_p


def by_hand(score: float, null: list[float], groups: list[int]) -> float:
    """The definition, in exact arithmetic."""
    labels = sorted(set(groups))
    total = Fraction(0)
    for label in labels:
        members = [x for x, g in zip(null, groups, strict=True) if g == label]
        total += Fraction(sum(x >= score for x in members), len(members))
    return float((1 + total) / (len(labels) + 1))


@given(
    st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 4)), max_size=30),
    st.lists(st.integers(-4, 4), min_size=1, max_size=8),
)
def test_equals_the_definition_with_ties_and_groups(bank, scores):
    null = [float(x) for x, _ in bank]
    groups = [g for _, g in bank]
    p = conformal_p(np.array(scores, float)[:, None], np.array(null).reshape(-1, 1), groups)
    expected = [by_hand(s, null, groups) for s in scores]
    np.testing.assert_allclose(p[:, 0], expected, rtol=0, atol=1e-12)


def test_without_groups_every_member_counts_alone():
    p = conformal_p([[0.5], [2.0], [-1.0]], [[0.0], [0.5], [1.0]])
    np.testing.assert_array_equal(p[:, 0], [3 / 4, 1 / 4, 1.0])


def test_a_whole_group_counts_exactly_one():
    # Three members of one group, all above: 3 * (1/3) must be 1, not 1 - 1e-16.
    p = conformal_p([[0.0]], [[1.0], [1.0], [1.0], [-1.0]], ["a", "a", "a", "b"])
    assert p[0, 0] == 2 / 3


def test_an_empty_bank_says_nothing():
    assert conformal_p([[9.0]], np.empty((0, 1)))[0, 0] == 1.0


def test_nan_score_gives_nan_and_turned_away_nulls_never_count():
    p = conformal_p([[np.nan], [-1e300]], [[-np.inf], [0.0]])
    assert np.isnan(p[0, 0])
    assert p[1, 0] == 2 / 3


def test_exchangeable_scores_give_valid_p_values():
    # P(p <= a) <= a for every a, with equality on the grid of a bank without ties.
    draws = np.random.default_rng(0).standard_normal((4000, 20))
    p = np.array([conformal_p([[row[0]]], row[1:, None])[0, 0] for row in draws])
    for level in (0.05, 0.1, 0.3):
        share = (p <= level + 1e-12).mean()
        assert abs(share - level) < 4 * np.sqrt(level * (1 - level) / len(p))


def test_refuses_what_it_cannot_count():
    with pytest.raises(ShapeError, match="conformal_p: `scores` and `null_scores`"):
        conformal_p([1.0], [[1.0]])
    with pytest.raises(ArgumentError, match="must be numbers, got NaN"):
        conformal_p([[1.0]], [[np.nan]])
    with pytest.raises(ShapeError, match="one label a member of the null bank \\(1\\), got 2"):
        conformal_p([[1.0]], [[1.0]], ["a", "b"])
