"""Two-sample tests against permutations done by hand."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sacfast.errors import ArgumentError
from sacfast.statistics import mann_whitney_p, welch_p

distinct = st.lists(st.integers(-50, 50), min_size=2, max_size=8, unique=True)


@given(distinct, st.integers(1, 7))
def test_exact_mann_whitney_counts_every_way_to_draw_the_stolen(values, cut):
    cut = min(cut, len(values) - 1)

    def wins(chosen):
        rest = [i for i in range(len(values)) if i not in chosen]
        return sum(values[i] > values[j] for i in chosen for j in rest)

    all_wins = [wins(chosen) for chosen in combinations(range(len(values)), cut)]
    exact = np.mean([w >= wins(range(cut)) for w in all_wins])
    assert mann_whitney_p(values[:cut], values[cut:]) == pytest.approx(exact)


def test_mann_whitney_with_ties_is_between():
    assert mann_whitney_p([1.0, 1.0], [1.0, 1.0]) == 1.0
    assert 0.01 < mann_whitney_p([2.0, 2.0, 3.0], [1.0, 1.0, 2.0]) < 0.1


def test_welch_is_the_textbook_s():
    a, b = np.array([3.0, 4.0, 5.0]), np.array([1.0, 2.0, 2.0, 3.0])
    from scipy.stats import t

    va, vb = a.var(ddof=1) / 3, b.var(ddof=1) / 4
    freedom = (va + vb) ** 2 / (va**2 / 2 + vb**2 / 3)
    expected = t.sf((a.mean() - b.mean()) / math.sqrt(va + vb), freedom)
    assert welch_p(a, b) == pytest.approx(expected)
    assert welch_p(b, a) == pytest.approx(1 - expected)


def test_too_few_say_nothing():
    assert math.isnan(welch_p([1.0], [0.0, 1.0]))
    assert math.isnan(welch_p([1.0, 1.0], [0.0, 0.0]))
    with pytest.raises(ArgumentError, match="`stolen` must be a non-empty list"):
        mann_whitney_p([], [1.0])
