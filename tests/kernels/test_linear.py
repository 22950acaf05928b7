"""The detector's linear algebra: right, and the same bits whatever stands around a row."""

from __future__ import annotations

import numpy as np
import pytest

from sacfast.errors import ArgumentError, DtypeError, ShapeError
from sacfast.kernels import reference
from sacfast.kernels.linear import inner_products, spd_inverse
from tests import tolerances


@pytest.mark.parametrize("pairs", [0, 1, 3, 4, 5, 255, 256, 257, 4950])
@pytest.mark.parametrize(("a", "b"), [(1, 1), (2, 3), (33, 31), (65, 2)])
@pytest.mark.parametrize("dtypes", [("f4", "f4"), ("f4", "f8"), ("f8", "f8")])
def test_inner_products_agree_with_the_oracle(rng, a, b, pairs, dtypes):
    left = rng.normal(size=(a, pairs)).astype(dtypes[0])
    right = rng.normal(size=(b, pairs)).astype(dtypes[1])
    products = inner_products(left, right)
    assert products.dtype == np.float64
    bound = tolerances.inner_product(pairs, np.abs(left) @ np.abs(right).T.astype("f8"))
    error = np.abs(products - reference.inner_products(left, right))
    assert (error <= bound).all()


def test_inner_products_of_any_strides(rng):
    left, right = rng.normal(size=(600, 9)).T[::-1], rng.normal(size=(3, 1200))[:, ::-2]
    expected = inner_products(np.ascontiguousarray(left), np.ascontiguousarray(right))
    np.testing.assert_array_equal(inner_products(left, right), expected)


def test_an_inner_product_depends_on_its_two_rows_only(rng, set_threads):
    a, b = rng.normal(size=(70, 999)), rng.normal(size=(67, 999))
    set_threads(1)
    everything = inner_products(a, b)
    np.testing.assert_array_equal(inner_products(b, a), everything.T)
    for i, j in ((0, 0), (1, 31), (32, 33), (69, 66)):
        assert inner_products(a[i : i + 1], b[j : j + 1])[0, 0] == everything[i, j]
    for count in (2, 3, 16):
        set_threads(count)
        np.testing.assert_array_equal(inner_products(a, b), everything)


def test_nan_beside_a_row_does_not_reach_it(rng):
    a = rng.normal(size=(3, 300))
    clean = inner_products(a, a)
    a[1, 7] = np.nan
    spoiled = inner_products(a, a)
    assert np.isnan(spoiled[1]).all()
    np.testing.assert_array_equal(spoiled[np.ix_([0, 2], [0, 2])], clean[np.ix_([0, 2], [0, 2])])


@pytest.mark.parametrize("m", [1, 2, 3, 4, 5, 17, 64, 97, 200])
def test_spd_inverse(rng, m):
    half = rng.normal(size=(m, 2 * m))
    a = half @ half.T + 0.1 * np.eye(m)
    inverse = spd_inverse(a)
    scale = m * tolerances.U64 * np.linalg.cond(a)
    np.testing.assert_allclose(a @ inverse, np.eye(m), rtol=0, atol=4 * scale)
    expected = reference.spd_inverse(a)
    np.testing.assert_allclose(inverse, expected, rtol=0, atol=4 * scale * np.abs(expected).max())
    np.testing.assert_array_equal(inverse, inverse.T)
    np.testing.assert_array_equal(inverse, spd_inverse(np.asfortranarray(a)))


def test_spd_inverse_reads_the_upper_triangle():
    a = np.array([[4.0, 1.0], [np.nan, 3.0]])
    np.testing.assert_allclose(spd_inverse(a), np.array([[3, -1], [-1, 4]]) / 11, rtol=1e-15)


def test_spd_inverse_of_nothing():
    assert spd_inverse(np.ones((0, 0))).shape == (0, 0)


@pytest.mark.parametrize(
    ("a", "pivot"),
    [
        (np.zeros((2, 2)), 0),
        (np.array([[1.0, 2.0], [2.0, 1.0]]), 1),
        (np.ones((3, 3)), 1),
        (np.diag([1.0, 2.0, -1.0]), 2),
        (np.diag([1.0, np.nan]), 1),
        (np.diag([np.inf, 1.0]), 0),
        (np.array([[0.1, 0.3], [0.3, 0.9]]), 1),  # singular but for rounding
    ],
)
def test_spd_inverse_refuses_what_is_not_positive_definite(a, pivot):
    with pytest.raises(
        ArgumentError, match=f"must be positive definite, got one whose pivot {pivot}"
    ):
        spd_inverse(a)


def test_errors():
    with pytest.raises(ShapeError, match="`b` must have rows of 3 values like `a`"):
        inner_products(np.ones((2, 3)), np.ones((2, 4)))
    with pytest.raises(
        DtypeError, match="`a` must be float16, bfloat16, float32, float64, got int"
    ):
        inner_products(np.ones((2, 3), int), np.ones((2, 3)))
    with pytest.raises(ShapeError, match=r"`a` must be \(m, m\), got \(2, 3\)"):
        spd_inverse(np.ones((2, 3)))
