"""How numbers are read: every 16-bit pattern, every stride, on every level.

The functions used here give a number back as it was read: the inner product with 1 in float64, the
distance of one pair to 0 in float32 (its magnitude).
"""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from sacfast.kernels import pairwise_distance
from sacfast.kernels.linear import inner_products

HALVES = [np.float16, ml_dtypes.bfloat16]


def as_float64(values):
    return inner_products(values[:, None], np.ones((1, 1)))[:, 0]


def as_magnitude(values):
    return pairwise_distance(values[:, None], np.zeros((1, 1), np.float32))[:, 0]


def every_pattern(dtype):
    return np.arange(2**16, dtype=np.uint16).view(dtype)


@pytest.mark.parametrize("dtype", HALVES)
def test_every_16_bit_float_is_read_exactly(level, dtype):
    values = every_pattern(dtype)
    with np.errstate(invalid="ignore"):  # NaN with odd bits
        wide, single = values.astype(np.float64), np.abs(values.astype(np.float32))
    np.testing.assert_array_equal(as_float64(values), wide)
    np.testing.assert_array_equal(as_magnitude(values), single)


@pytest.mark.parametrize("dtype", [*HALVES, np.float32, np.float64])
@pytest.mark.parametrize("size", [1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 33, 1023, 1024, 1025, 2100])
def test_rows_of_every_length_and_stride(rng, level, dtype, size):
    memory = rng.normal(size=(3, 2 * size)).astype(dtype)
    for values in (memory[:, :size], memory[:, ::2], memory[::-1, ::-2]):
        read = inner_products(values, np.eye(1, size))
        last = inner_products(values, np.eye(1, size, size - 1))
        np.testing.assert_array_equal(read[:, 0], values[:, 0].astype(np.float64))
        np.testing.assert_array_equal(last[:, 0], values[:, -1].astype(np.float64))
        total = inner_products(values, np.ones((1, size)))[:, 0]
        expected = values.astype(np.float64).sum(axis=1)
        # Two sums of `size` numbers below 4: each of their roundings is at most 2^-53 of the sum.
        np.testing.assert_allclose(total, expected, rtol=0, atol=size * size * 2.0**-50)


def test_float64_is_rounded_to_the_nearest_float32(rng, level):
    values = rng.normal(size=500) * 10.0 ** rng.uniform(-37, 37, 500)
    halfway = 1 + np.arange(32) * 2.0**-24  # even and odd neighbours in turn
    largest = np.float64(np.finfo(np.float32).max)
    beyond = [largest, largest * (1 + 2.0**-26), largest * (1 + 2.0**-24), 1e300, np.inf, np.nan]
    values = np.concatenate([values, halfway, beyond, [0.0, 1e-39, 1e-46, -1e-300]])
    with np.errstate(over="ignore"):
        expected = np.abs(values.astype(np.float32))
    np.testing.assert_array_equal(as_magnitude(values), expected)
    spread = np.repeat(values, 3)[::3]
    np.testing.assert_array_equal(as_magnitude(spread), expected)
