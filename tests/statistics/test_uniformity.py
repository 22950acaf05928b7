"""The Kolmogorov–Smirnov distance against SciPy's and by its meaning."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from sacfast.errors import ArgumentError
from sacfast.statistics import kolmogorov_smirnov


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_equals_scipy(p):
    found = kolmogorov_smirnov(p)
    assert found.distance == pytest.approx(kstest(p, "uniform").statistic)
    assert found.excess == pytest.approx(kstest(p, "uniform", alternative="greater").statistic)


def test_only_small_ones_are_an_excess():
    n = 50
    too_small, too_large = np.linspace(0, 1, n) ** 3, np.linspace(0, 1, n) ** (1 / 3)
    assert kolmogorov_smirnov(too_small).excess > 0.3
    assert kolmogorov_smirnov(too_large).excess <= 1 / n
    assert kolmogorov_smirnov(too_large).distance > 0.3


def test_refuses_what_is_no_p_value():
    for p in ([], [1.1], [np.nan]):
        with pytest.raises(ArgumentError, match="`p` must be a non-empty list"):
            kolmogorov_smirnov(p)
