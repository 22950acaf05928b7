"""Outputs to distances on the simulated GPU: against the oracle, and to the bit where it counts."""

from __future__ import annotations

import numpy as np
import pytest

from sacfast.kernels import reference
from tests import tolerances
from tests.cuda.calls import Placed, correlation, correlation_distance

PRODUCTS = ("fma", "tf32x3", "bfloat16")

#: The mean of correlations' errors; a subtraction and 11 additions of half a unit each, of numbers
#: below 2.
TOLERANCE = {
    product: tolerances.CUDA_CORRELATION[product] + 24 * tolerances.U for product in PRODUCTS
}


def outputs(rng, n, *classes):
    return [rng.standard_normal((n, c)).astype(np.float32) for c in classes]


def sources(rng, count, n):
    return rng.uniform(-1, 1, (count, n * (n - 1) // 2)).astype(np.float32)


# Tiles of 32, groups of 8 models, four rows at a time.
@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize(("n", "count"), [(2, 1), (3, 4), (31, 5), (32, 3), (33, 9), (65, 2)])
def test_agrees_with_the_oracle(simulated, rng, product, n, count):
    models = outputs(rng, n, 5, 9, 2, 17, 33, 7, 8, 3, 10)
    fixed = sources(rng, count, n)
    found = correlation_distance(simulated, models, fixed, product=product)
    expected = reference.correlation_distance(models, fixed)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE[product])


@pytest.mark.parametrize("product", PRODUCTS)
def test_many_tiles_and_classes(plain, rng, product):
    models = outputs(rng, 130, 65, 130, 1)
    fixed = sources(rng, 20, 130)
    found = correlation_distance(plain, models, fixed, product=product, center="row")
    expected = reference.correlation_distance(models, fixed, center="row")
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE[product])


# Sums of 256 rows wait in shared memory; 4096 rows are laid out at a time.
@pytest.mark.parametrize(("n", "count"), [(33, 261), (3, 4100)])
def test_many_sources(plain, rng, n, count):
    models = outputs(rng, n, 4, 6)
    fixed = sources(rng, count, n)
    found = correlation_distance(plain, models, fixed)
    expected = reference.correlation_distance(models, fixed)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE["fma"])
    np.testing.assert_array_equal(correlation_distance(plain, models, fixed, share=0), found)
    alone = correlation_distance(plain, models, fixed[-1:])
    np.testing.assert_array_equal(alone, found[:, -1:])


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("kernel", ["cosine", "rbf_normalised"])
def test_a_model_is_at_distance_zero_of_itself(simulated, rng, product, kernel):
    models = outputs(rng, 45, 5, 9, 70)
    kind = {"kernel": kernel, "product": product}
    own = correlation(simulated, models, **kind)
    found = correlation_distance(simulated, models, own, **kind)
    assert (np.diag(found) == 0).all()
    rbf = {"kernel": "rbf", "rbf_normalized": True} if kernel != "cosine" else {}
    expected = reference.correlation_distance(models, own, **rbf)
    np.testing.assert_allclose(found, expected, rtol=0, atol=3 * TOLERANCE[product])


def test_the_same_bits_however_the_work_is_cut(simulated, rng):
    models, fixed = outputs(rng, 100, *([4, 7, 2] * 6)), sources(rng, 6, 100)
    whole = correlation_distance(simulated, models, fixed)
    for share in (0, 0.1, 0.4):  # one model and tile at a time, some, more
        np.testing.assert_array_equal(
            correlation_distance(simulated, models, fixed, share=share), whole
        )
    for multiprocessors in (1, 132):
        simulated.machine((8, 0, multiprocessors))
        np.testing.assert_array_equal(correlation_distance(simulated, models, fixed), whole)
    for s, v in ((0, 0), (8, 5), (17, 3)):
        alone = correlation_distance(simulated, models[s : s + 1], fixed[v : v + 1])
        assert alone[0, 0] == whole[s, v]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_order_of_threads(checked, rng, seed):
    models, fixed = outputs(rng, 40, 9, 5), sources(rng, 5, 40)
    whole = correlation_distance(checked, models, fixed)
    checked.configure(seed=seed, preempt=20)
    np.testing.assert_array_equal(correlation_distance(checked, models, fixed), whole)


def test_nan_stays_with_its_model_or_source(simulated, rng):
    models, fixed = outputs(rng, 40, *([5] * 9)), sources(rng, 6, 40)
    clean = correlation_distance(simulated, models, fixed, center="none")
    models[3][39] = np.nan
    fixed[4, 7] = np.nan
    fixed[2, 0] = np.inf
    found = correlation_distance(simulated, models, fixed, center="none")
    assert np.isnan(found[3]).all()
    assert np.isnan(found[:, 4]).all()
    assert (np.delete(found[:, 2], 3) == np.inf).all()
    sound = np.ix_([0, 1, 2, 4, 5, 6, 7, 8], [0, 1, 3, 5])
    np.testing.assert_array_equal(found[sound], clean[sound])


def test_zero_rows_correlate_zero(simulated, rng):
    models, fixed = outputs(rng, 33, 4), sources(rng, 3, 33)
    models[0][[0, 32]] = 0.0
    found = correlation_distance(simulated, models, fixed, center="none")
    expected = reference.correlation_distance(models, fixed, center="none")
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE["fma"])


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_sources_of_other_types_and_strides(simulated, rng, dtype):
    models = outputs(rng, 40, 6, 3)
    base = np.zeros((9, 2 * 780), dtype)
    view = base[::-2, ::2]
    view[:] = sources(rng, 5, 40)
    found = correlation_distance(simulated, models, Placed(simulated, view, base))
    same = correlation_distance(simulated, models, view.astype(np.float32))
    np.testing.assert_array_equal(found, same)


def test_no_models_or_no_sources(plain, rng):
    models, fixed = outputs(rng, 5, 3), sources(rng, 2, 5)
    assert correlation_distance(plain, models, fixed[:0]).shape == (1, 0)
    assert correlation_distance(plain, np.zeros((0, 5, 3), np.float32), fixed).shape == (0, 2)
