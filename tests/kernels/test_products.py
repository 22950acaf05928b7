"""Inner products of correlations with fixed rows, and which rows can be compared at all."""

from __future__ import annotations

import numpy as np
import pytest

from sacfast.errors import ArgumentError, ShapeError
from sacfast.kernels import correlation, reference
from sacfast.kernels.products import correlation_products, usable_rows


def related(rng, n, classes):
    """Models that agree in part, as networks for one task do."""
    common = rng.standard_normal((n, max(classes)))
    return [(rng.standard_normal((n, c)) + common[:, :c]).astype(np.float32) for c in classes]


def rows_of(origins, center="double"):
    packed = np.asarray(correlation(origins, center=center))
    return np.concatenate([np.ones_like(packed[:1]), packed])


def expected(outputs, rows, center="double"):
    """Products and squares in float64, and how far each may lie off.

    A sum in float32 lanes errs by some u of |c_s| |row|; each correlation errs by up to 3e-7, in
    either direction, so that a sum of them errs by that times |row|.
    """
    c = reference.correlation(outputs, center=center)
    rows = rows.astype(np.float64)
    length = np.sqrt((rows**2).sum(axis=1))
    squares = (c**2).sum(axis=1)
    own = np.sqrt(squares)
    return c @ rows.T, squares, 2e-7 * np.outer(own, length) + 3e-7 * length, 4e-7 * (squares + own)


# Many probes and few classes go class by class where the origins are known, the others pair by
# pair.
@pytest.mark.parametrize("center", ["double", "none"])
@pytest.mark.parametrize(
    ("n", "classes", "origins"),
    [
        (2, [3, 4], [5]),
        (17, [2, 40, 3], [3, 2, 9]),
        (65, [10] * 70, [10, 3]),
        (150, [2, 3, 2], [2] * 4),
        (300, [7, 30, 7], [7] * 3),
    ],
)
def test_products_agree_with_the_oracle(rng, level, n, classes, origins, center):
    outputs, made_of = related(rng, n, classes), related(rng, n, origins)
    rows = rows_of(made_of, center)
    products, squares, off, off_squares = expected(outputs, rows, center)
    for known in ((), made_of):
        found, own = correlation_products(outputs, rows, known, center=center)
        assert (np.abs(found - products) <= off).all()
        assert (np.abs(own - squares) <= off_squares).all()


def test_both_ways_agree_and_the_cheaper_is_taken(rng):
    outputs, made_of = related(rng, 400, [4, 4]), related(rng, 400, [4, 4, 4])
    rows = rows_of(made_of)
    pairs, _ = correlation_products(outputs, rows)
    classes, _ = correlation_products(outputs, rows, made_of)
    assert (pairs != classes).any()  # another order of summation
    np.testing.assert_allclose(classes, pairs, rtol=0, atol=2e-7 * rows.shape[1])


@pytest.mark.parametrize("known", [False, True])
def test_a_product_depends_on_its_model_and_row_alone(rng, level, set_threads, known):
    outputs, made_of = related(rng, 120, [5] * 67), related(rng, 120, [5] * 9)
    rows = rows_of(made_of)
    origins = made_of if known else []
    set_threads(1)
    everything, squares = correlation_products(outputs, rows, origins)
    for threads in (2, 3, 16):
        set_threads(threads)
        again, own = correlation_products(outputs, rows, origins)
        np.testing.assert_array_equal(again, everything)
        np.testing.assert_array_equal(own, squares)
    for s in (0, 3, 66):
        alone, own = correlation_products(outputs[s : s + 1], rows, origins)
        np.testing.assert_array_equal(alone[0], everything[s])
        assert own[0] == squares[s]
    batch, _ = correlation_products(np.stack(outputs), rows, origins)
    np.testing.assert_array_equal(batch, everything)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_rows_of_other_types_and_strides(rng, level, dtype):
    outputs = related(rng, 70, [6] * 5)
    rows = rows_of(related(rng, 70, [6] * 40)).astype(dtype)
    found, _ = correlation_products(outputs, np.asfortranarray(rows)[:, ::-1][:, ::-1])
    same, _ = correlation_products(outputs, rows.astype(np.float32))
    np.testing.assert_array_equal(found, same)


def test_zero_rows_count_for_nothing(rng):
    outputs = related(rng, 90, [3, 3])
    outputs[0][5] = 0.0
    made_of = related(rng, 90, [3, 3])
    made_of[1][7] = 0.0
    rows = rows_of(made_of, "none")
    products, _, off, _ = expected(outputs, rows, "none")
    found, _ = correlation_products(outputs, rows, made_of, center="none")
    assert (np.abs(found - products) <= off).all()


def test_no_models_and_no_pairs(rng):
    products, squares = correlation_products([], np.ones((3, 10), np.float32))
    assert products.shape == (0, 3)
    assert squares.shape == (0,)
    products, squares = correlation_products([], np.ones((3, 10)), related(rng, 5, [3, 4]))
    assert products.shape == (0, 3)
    products, squares = correlation_products(np.ones((2, 1, 4), np.float32), np.ones((1, 0)))
    assert products.tolist() == [[0.0], [0.0]]
    assert squares.tolist() == [0.0, 0.0]


def test_shapes_that_do_not_go_together(rng):
    outputs = related(rng, 10, [3])
    with pytest.raises(ShapeError, match=r"`rows` must be \(K, 45\) for N = 10"):
        correlation_products(outputs, np.ones((2, 44)))
    with pytest.raises(ArgumentError, match="`origins` must be 1 models on 10 probes, got 2 on 10"):
        correlation_products(outputs, np.ones((2, 45)), related(rng, 10, [3, 3]))
    with pytest.raises(ArgumentError, match="`origins` must be 1 models on 10 probes, got 1 on 9"):
        correlation_products(outputs, np.ones((2, 45)), related(rng, 9, [3]))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("columns", [1, 2, 3, 4, 5, 8, 9, 15, 16, 17, 33, 100])
def test_usable_rows_are_finite_and_vary(rng, level, dtype, columns):
    batch = rng.standard_normal((6, 8, columns)).astype(dtype)
    batch[1, 2] = 3.0
    batch[2, 3, -1] = np.nan
    batch[3, 4, 0] = np.inf
    batch[4] = batch[4, :1]
    batch[5, 6] = 0.0
    batch[5, 6, -1] = -0.0
    finite = np.isfinite(batch).all(axis=2)
    for constants in (False, True):
        usable, same = usable_rows(batch, constants=constants)
        varies = batch.max(axis=2) != batch.min(axis=2)
        np.testing.assert_array_equal(usable, finite & (varies | constants))
        kept = [one[mask] for one, mask in zip(batch, usable, strict=True)]
        assert same.tolist() == [bool((rows == rows[:1]).all()) for rows in kept]
        by_list, _ = usable_rows([one[::-1] for one in batch], constants=constants)
        np.testing.assert_array_equal(by_list, usable[:, ::-1])


def test_doubles_that_float32_would_round_into_one_stay_apart():
    row = np.array([[[1.0, 1.0 + 1e-12], [1e300, -1e300]]])
    assert usable_rows(row)[0].all()


def test_rows_of_no_models():
    usable, same = usable_rows([])
    assert usable.shape[0] == same.shape[0] == 0
