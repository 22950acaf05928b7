"""Inner products of correlations on the simulated GPU, pair by pair and class by class."""

from __future__ import annotations

import numpy as np
import pytest

from sacfast.kernels import reference
from tests import tolerances
from tests.cuda.calls import Placed, correlation_products


def related(rng, n, *classes):
    """Models that agree in part, as networks for one task do."""
    common = rng.standard_normal((n, max(classes, default=1)))
    return [(rng.standard_normal((n, c)) + common[:, :c]).astype(np.float32) for c in classes]


def rows_of(origins, n, center="double"):
    packed = reference.correlation(origins, center=center) if origins else []
    return np.array([np.ones(n * (n - 1) // 2), *packed], np.float32)


def agrees(found, models, rows, center="double"):
    """Against float64: sums of a tile err by 22 U of the terms' sum at most, which is 2e-7 |c_s|
    |row| where roundings go both ways; correlations may all err in one direction."""
    products, squares = found
    c, rows = reference.correlation(models, center=center), rows.astype(np.float64)
    own, length = np.sqrt((c**2).sum(axis=1)), np.sqrt((rows**2).sum(axis=1))
    error = tolerances.CUDA_CORRELATION["fma"]
    assert (np.abs(products - c @ rows.T) <= np.outer(own * 2e-7 + error, length)).all()
    assert (np.abs(squares - own**2) <= (2e-7 + 2 * error) * (own**2 + own)).all()


# Tiles of 32, groups of 8 models, four rows at a time; 64 classes side by side, and more than fit.
@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize(
    ("n", "classes", "origins"),
    [
        (2, [3, 4], [5]),
        (33, [2, 40, 3, 64, 1, 2, 2, 2, 9], [3, 2, 9]),
        (65, [10] * 14, [10, 3, 60, 4]),
        (97, [7, 100, 2, 65], [7, 7, 2]),
    ],
)
def test_agrees_with_the_oracle(simulated, rng, known, n, classes, origins):
    models, made_of = related(rng, n, *classes), related(rng, n, *origins)
    rows = rows_of(made_of, n)
    found = correlation_products(simulated, models, rows, made_of if known else ())
    agrees(found, models, rows)


@pytest.mark.parametrize("center", ["none", "row", "double"])
def test_many_probes(plain, rng, center):
    models, made_of = related(rng, 300, 7, 30, 2, 7), related(rng, 300, *([7] * 12))
    rows = rows_of(made_of, 300, center)
    by_pairs = correlation_products(plain, models, rows, center=center)
    by_classes = correlation_products(plain, models, rows, made_of, center=center)
    assert (by_pairs[0] != by_classes[0])[[0, 2, 3]].any(axis=1).all()  # another way
    agrees(by_pairs, models, rows, center=center)
    agrees(by_classes, models, rows, center=center)


# Sums of 256 rows wait in shared memory; 4096 rows are laid out at a time.
@pytest.mark.parametrize(("n", "count"), [(33, 255), (33, 257), (3, 4101)])
def test_many_rows(plain, rng, n, count):
    models = related(rng, n, 4, 6)
    rows = rng.uniform(-1, 1, (count, n * (n - 1) // 2)).astype(np.float32)
    found = correlation_products(plain, models, rows)
    agrees(found, models, rows)
    for again, before in zip(
        correlation_products(plain, models, rows, share=0), found, strict=True
    ):
        np.testing.assert_array_equal(again, before)


@pytest.mark.parametrize("known", [False, True])
def test_the_same_bits_however_the_work_is_cut(simulated, rng, known):
    models = related(rng, 100, *([4, 7, 90, 2, 2] * 4))
    origins = related(rng, 100, *([5, 30] * 3))
    rows = rows_of(origins, 100)
    made_of = origins if known else []
    whole = correlation_products(simulated, models, rows, made_of)

    def same(found, chosen=slice(None)):
        for one, other in zip(found, whole, strict=True):
            np.testing.assert_array_equal(one, other[chosen])

    for share in (0, 0.1, 0.4):
        same(correlation_products(simulated, models, rows, made_of, share=share))
    for multiprocessors in (1, 132):
        simulated.machine((8, 0, multiprocessors))
        same(correlation_products(simulated, models, rows, made_of))
    for some in (slice(0, 1), slice(2, 3), slice(8, 19)):
        same(correlation_products(simulated, models[some], rows, made_of), some)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_order_of_threads(checked, rng, seed):
    models, made_of = related(rng, 70, 3, 70, 2), related(rng, 70, 3, 2)
    rows = rows_of(made_of, 70)
    whole = correlation_products(checked, models, rows, made_of)
    checked.configure(seed=seed, preempt=20)
    for one, other in zip(correlation_products(checked, models, rows, made_of), whole, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("known", [False, True])
def test_zero_rows_count_for_nothing(simulated, rng, known):
    models, made_of = related(rng, 90, 3, 3, 3), related(rng, 90, 3, 3, 3)
    models[0][5] = 0.0
    models[2][[5, 6]] = 0.0
    made_of[1][7] = 0.0
    made_of[2][[6, 9]] = 0.0
    rows = rows_of(made_of, 90, "none")
    found = correlation_products(simulated, models, rows, made_of if known else (), center="none")
    agrees(found, models, rows, center="none")


@pytest.mark.parametrize("known", [False, True])
def test_nan_stays_with_its_model(simulated, rng, known):
    models, made_of = related(rng, 90, 3, 3, 3), related(rng, 90, 3, 3)
    rows = rows_of(made_of, 90, "none")
    origins = made_of if known else ()
    clean = correlation_products(simulated, models, rows, origins, center="none")
    models[1][89, 2] = np.nan
    products, squares = correlation_products(simulated, models, rows, origins, center="none")
    assert np.isnan(products[1]).all()
    assert np.isnan(squares[1])
    np.testing.assert_array_equal(products[[0, 2]], clean[0][[0, 2]])
    np.testing.assert_array_equal(squares[[0, 2]], clean[1][[0, 2]])


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_rows_of_other_types_and_strides(simulated, rng, dtype):
    models = related(rng, 40, 6, 3)
    base = np.zeros((780, 9), dtype)
    view = base[:, ::-2].T
    view[:] = rows_of(related(rng, 40, 6, 6, 6, 6), 40)
    found, _ = correlation_products(simulated, models, Placed(simulated, view, base))
    same, _ = correlation_products(simulated, models, view.astype(np.float32))
    np.testing.assert_array_equal(found, same)


def test_one_probe_has_no_pairs(simulated, rng):
    models, made_of = related(rng, 1, 4, 2), related(rng, 1, 3)
    for known in ((), made_of):
        products, squares = correlation_products(simulated, models, rows_of(made_of, 1), known)
        assert products.tolist() == [[0.0, 0.0], [0.0, 0.0]]
        assert squares.tolist() == [0.0, 0.0]


def test_no_fixed_rows_leave_the_squares(simulated, rng):
    models = related(rng, 40, 4, 2)
    products, squares = correlation_products(simulated, models, np.ones((0, 780), np.float32))
    assert products.shape == (2, 0)
    np.testing.assert_array_equal(
        squares, correlation_products(simulated, models, np.ones((1, 780), np.float32))[1]
    )
