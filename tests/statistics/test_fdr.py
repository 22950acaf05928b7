"""Benjamini–Hochberg against SciPy's, and the error rate that it promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from sacfast import benjamini_hochberg
from sacfast.errors import ArgumentError, DtypeError


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_equals_scipy(p):
    np.testing.assert_allclose(benjamini_hochberg(p), false_discovery_control(p), atol=1e-15)


def test_nan_is_neither_tested_nor_counted():
    p = np.array([[0.01, np.nan], [0.02, 0.5]])
    q = benjamini_hochberg(p)
    assert np.isnan(q[0, 1])
    np.testing.assert_allclose(q[~np.isnan(q)], false_discovery_control([0.01, 0.02, 0.5]))


@pytest.mark.parametrize("pairs", [3, 6, 12, 24, 39])
@pytest.mark.parametrize("nulls", [19, 39, 79, 159, 259])
def test_q_meets_the_level_it_should(nulls, pairs):
    # p at 1 / (nulls + 1) for as many hits as the arithmetic asks for: q is the level, not a
    # last bit above it.
    hits = -(-pairs * 20 // (nulls + 1))
    if hits <= pairs:
        p = np.r_[np.full(hits, 1 / (nulls + 1)), np.ones(pairs - hits)]
        assert benjamini_hochberg(p)[0] <= 0.05


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_q_is_never_below_p(p):
    assert (benjamini_hochberg(p) >= np.array(p)).all()


def test_shape_is_kept_and_nothing_is_fine():
    assert benjamini_hochberg(np.empty((0, 3))).shape == (0, 3)
    assert np.isnan(benjamini_hochberg([np.nan])).all()


def test_refuses_what_is_no_probability():
    with pytest.raises(ArgumentError, match=r"`p` must lie in \[0, 1\], got 1.5"):
        benjamini_hochberg([0.1, 1.5])
    with pytest.raises(DtypeError, match="`p` must hold numbers"):
        benjamini_hochberg(["a"])


def test_false_discoveries_stay_below_the_level():
    # 40 innocent and 10 stolen a scan, p-values from one shared bank of 199: the mean share of
    # false discoveries over 300 scans is at most the level asked, within three standard errors.
    from sacfast.statistics import conformal_p

    generator = np.random.default_rng(1)
    shares = []
    for _ in range(300):
        null = generator.standard_normal((199, 1))
        scores = generator.standard_normal((50, 1))
        scores[:10] += 4
        called = benjamini_hochberg(conformal_p(scores, null))[:, 0] <= 0.1
        shares.append(called[10:].sum() / max(1, called.sum()))
    error = np.std(shares) / np.sqrt(len(shares))
    assert np.mean(shares) <= 0.1 + 3 * error
    assert np.mean(shares) > 0.02
