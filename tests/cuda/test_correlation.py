"""Correlations on the simulated GPU, against the oracle: every product, tiles of both sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sacfast.kernels import reference
from tests import tolerances
from tests.cuda import calls

PRODUCTS = ("fma", "tf32x3", "bfloat16")
CENTERS = ("double", "row", "none")
#: Straddle tiles of 32 and 64 rows; from 97 to 128 those of 64 are taken.
PROBES = (1, 2, 3, 31, 32, 33, 63, 64, 65, 97, 130)
#: Straddle stages of 8 words (16 classes of bfloat16), chains of 3 and 8, and pairs of classes.
CLASSES = (1, 2, 7, 8, 9, 16, 17, 24, 25, 64, 65, 100, 130)


def made(shape: tuple[int, ...], seed: int = 7) -> Any:
    return np.random.default_rng(seed).normal(1.0, 2.0, shape).astype(np.float32)


def assert_right(packed: Any, outputs: Any, product: str, **kind: Any) -> None:
    expected = reference.correlation(outputs, **kind)
    tolerance = tolerances.CUDA_CORRELATION[product]
    np.testing.assert_allclose(packed, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("probes", PROBES)
def test_agrees_with_the_oracle(plain, product, probes):
    for i, classes in enumerate(CLASSES):
        outputs = made((2, probes, classes), seed=classes)
        center = CENTERS[i % 3]
        packed = calls.correlation(plain, outputs, center=center, product=product)
        assert_right(packed, outputs, product, center=center)


@pytest.mark.parametrize("order", [(0, 0), (1, 0), (5, 20), (6, 3)])
@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize(("probes", "classes"), [(2, 3), (33, 9), (33, 35), (97, 35)])
def test_no_race_whatever_the_order_of_threads(checked, order, product, probes, classes):
    checked.configure(seed=order[0], preempt=order[1])
    outputs = made((3, probes, classes))
    assert_right(calls.correlation(checked, outputs, product=product), outputs, product)


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("probes", [33, 100])
def test_the_error_of_constant_rows_is_what_gram_cuh_says(plain, product, probes):
    """All products equal: every rounding errs to one side. Opposite rows, because of the clamp."""
    for classes in (58, 60, 125, 127, 1000):
        outputs = np.ones((1, probes, classes), np.float32)
        outputs[0, ::2] = -1
        packed = calls.correlation(plain, outputs, center="none", product=product)
        assert_right(packed, outputs, product, center="none")
        assert packed.min() >= -1
        assert packed.max() <= 1


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("probes", [9, 97])
def test_normalised_rbf(plain, product, probes):
    outputs = made((2, probes, 10))
    packed = calls.correlation(plain, outputs, kernel="rbf_normalised", product=product)
    expected = reference.correlation(outputs, kernel="rbf", rbf_normalized=True)
    # a slope of at most 2, the rounding of 1 - c and expf: 3 U
    tolerance = 2 * tolerances.CUDA_CORRELATION[product] + 3 * tolerances.U
    np.testing.assert_allclose(packed, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("probes", [3, 40, 97])
def test_the_same_bits_whatever_else_is_in_the_call(plain, product, probes):
    """Alone, in a batch, in a list with models of other classes, with scratch for one at a time."""
    outputs = made((5, probes, 19))
    batch = calls.correlation(plain, outputs, product=product)
    for s in range(5):
        alone = calls.correlation(plain, outputs[s : s + 1], product=product)
        np.testing.assert_array_equal(alone[0], batch[s])
    others = [made((probes, 1)), outputs[1], made((probes, 150)), outputs[0], made((probes, 2))]
    ragged = calls.correlation(plain, others, product=product)
    np.testing.assert_array_equal(ragged[[3, 1]], batch[:2])
    assert_right(ragged, others, product)
    for share in (0.0, 0.4):
        np.testing.assert_array_equal(
            calls.correlation(plain, others, product=product, share=share), ragged
        )


@pytest.mark.parametrize("probes", [33, 97])
def test_the_same_bits_whatever_the_grid_and_the_order(plain, probes):
    outputs = made((4, probes, 70))
    before = calls.correlation(plain, outputs, product="tf32x3")
    for multiprocessors, seed in ((1, 1), (2, 9), (132, 0)):
        plain.machine((9, 0, multiprocessors))
        plain.configure(seed=seed)
        again = calls.correlation(plain, outputs, product="tf32x3")
        np.testing.assert_array_equal(again, before)


def test_tiles_of_both_sizes_give_the_same_bits(plain):
    """96 rows go by tiles of 32, 97 by tiles of 64."""
    outputs = made((1, 97, 77))
    for product in PRODUCTS:
        wide = calls.correlation(plain, outputs, center="row", product=product)
        narrow = calls.correlation(plain, outputs[:, :96], center="row", product=product)
        rows, columns = np.triu_indices(97, 1)
        np.testing.assert_array_equal(wide[:, (columns < 96)], narrow)
        assert len(rows) == wide.shape[1]


def test_many_models_in_few_launches(plain):
    """A batch is one run of models, however many; 300 arrays that differ are two tables of runs."""
    outputs = made((300, 3, 2))
    before = plain.launches
    batch = calls.correlation(plain, outputs)
    assert plain.launches - before == 5  # geometry, two means, unit rows, correlations
    assert_right(batch, outputs, "fma")
    models = [x.astype(np.float64) if s % 2 else x for s, x in enumerate(outputs)]
    before = plain.launches
    packed = calls.correlation(plain, models)
    assert plain.launches - before == 6
    np.testing.assert_array_equal(packed[::2], batch[::2])
    assert_right(packed, outputs, "fma")


def test_too_little_scratch_is_refused(plain):
    outputs = calls.Placed(plain, made((3, 33, 9)))
    least, most = plain.cuda.correlation_scratch([outputs.ref], "fma")
    assert least < most
    _, out = calls.result(plain, (3, 33 * 16), np.float32)
    scratch = calls.Scratch(plain, (least - 1, least - 1))
    with pytest.raises(ValueError, match=f"correlation: at least {least} bytes of scratch"):
        plain.cuda.correlation([outputs.ref], "row", "cosine", "fma", scratch.place, out)


def test_scratch_does_not_grow_with_the_number_of_models(plain):
    outputs = calls.Placed(plain, made((1, 200, 100)))
    one, _ = plain.cuda.correlation_scratch([outputs.ref], "fma")
    least, most = plain.cuda.correlation_scratch([outputs.ref] * 5000, "fma")
    assert least == one
    assert most == 256 << 20
