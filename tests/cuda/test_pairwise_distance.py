"""Distances on the simulated GPU: against the oracle, and the same bits however the work is cut."""

from __future__ import annotations

import numpy as np
import pytest

from sacfast.kernels import reference
from tests import tolerances


class Rows:
    """A matrix in device memory that ends with its last number: nothing beyond may be read."""

    def __init__(self, simulator, values, first=0, stride=None):
        count, pairs = values.shape
        stride = stride or pairs
        memory = np.full(first + (count - 1) * stride + pairs, np.nan, np.float32)
        at = np.lib.stride_tricks.as_strided(memory[first:], values.shape, (4 * stride, 4))
        at[:] = values
        self.array = simulator.upload(memory)
        self.ref = simulator.cuda.TensorRef(
            self.array.address + 4 * first, values.shape, (4 * stride, 4), "float32", 0
        )


def distance(simulator, a, b=None, *, scratch="most", seed=0, preempt=0):
    """pairwise_distance of arrays or Rows; `scratch` in bytes, or "least", or "most"."""
    cuda = simulator.cuda
    a, b = (Rows(simulator, x) if isinstance(x, np.ndarray) else x for x in (a, b))
    refs = a.ref, None if b is None else b.ref
    least, most = cuda.pairwise_distance_scratch(*refs)
    size = {"least": least, "most": most}.get(scratch, scratch)
    shape = a.ref.shape[0], (b or a).ref.shape[0]
    memory, result = simulator.empty((size,), np.uint8), simulator.empty(shape, np.float32)
    out = cuda.TensorRef(result.address, shape, (4 * shape[1], 4), "float32", 0)
    simulator.configure(seed=seed, preempt=preempt)
    cuda.pairwise_distance(*refs, cuda.Place(0, 0, memory.address, size), out)
    return result.numpy()


def packed(rng, *shape):
    return rng.uniform(-1, 1, shape).astype(np.float32)


def agrees(found, a, b):
    expected = reference.pairwise_distance(a, b)
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerances.PAIRWISE_DISTANCE)


@pytest.mark.parametrize("pairs", [1, 2, 3, 4, 15, 16, 17, 31, 32, 33, 255, 256, 257, 300])
def test_any_number_of_pairs(simulated, rng, pairs):
    a, b = packed(rng, 3, pairs), packed(rng, 2, pairs)
    agrees(distance(simulated, a, b), a, b)


@pytest.mark.parametrize("pairs", [2047, 2048, 2049, 4950, 20000])
def test_beyond_one_group(plain, rng, pairs):
    a, b = packed(rng, 3, pairs), packed(rng, 2, pairs)
    whole = distance(plain, a, b)
    agrees(whole, a, b)
    np.testing.assert_array_equal(distance(plain, a, b, scratch="least"), whole)


# Tiles of 64 x 64 and of 128 x 24, one and several, whole and not; rows that become columns.
@pytest.mark.parametrize(
    ("rows", "columns"),
    [(1, 1), (64, 64), (65, 63), (66, 130), (128, 24), (129, 25), (130, 3), (2, 140)],
)
def test_any_number_of_rows(simulated, rng, rows, columns):
    a, b = packed(rng, rows, 37), packed(rng, columns, 37)
    agrees(distance(simulated, a, b), a, b)


@pytest.mark.parametrize("rows", [1, 2, 63, 64, 65, 129, 193])
def test_with_itself_symmetric_and_zero_on_the_diagonal(simulated, rng, rows):
    a = packed(rng, rows, 40)
    found = distance(simulated, a)
    np.testing.assert_array_equal(found, distance(simulated, a, a))
    np.testing.assert_array_equal(found, found.T)
    assert (np.diag(found) == 0).all()
    agrees(found, a, a)


# In units of 4 bytes: where the first row begins and how far the rows are apart.
@pytest.mark.parametrize("rows", [66, 130])
@pytest.mark.parametrize(
    ("pairs", "first", "stride", "other_first", "other_stride"),
    [
        (40, 0, 40, 4, 44),
        (40, 2, 42, 0, 40),
        (40, 0, 40, 0, 42),
        (40, 1, 41, 0, 40),
        (40, 0, 40, 3, 40),
        (38, 0, 40, 0, 40),
        (37, 0, 40, 0, 40),
    ],
)
def test_any_alignment(simulated, rng, rows, pairs, first, stride, other_first, other_stride):
    a, b = packed(rng, rows, pairs), packed(rng, 26, pairs)
    left = Rows(simulated, a, first, stride)
    right = Rows(simulated, b, other_first, other_stride)
    found = distance(simulated, left, right)
    agrees(found, a, b)
    np.testing.assert_array_equal(found, distance(simulated, a, b))


def test_the_same_bits_however_the_work_is_cut(simulated, rng):
    a, b = packed(rng, 130, 600), packed(rng, 26, 600)
    whole = distance(simulated, a, b)
    least, most = 49152, 150000
    for scratch in (least, least + 12288, most):
        np.testing.assert_array_equal(distance(simulated, a, b, scratch=scratch), whole)
    for multiprocessors in (1, 100):
        simulated.machine((8, 0, multiprocessors))
        np.testing.assert_array_equal(distance(simulated, a, b), whole)
    np.testing.assert_array_equal(distance(simulated, b, a), whole.T)
    for i, j in ((0, 0), (64, 25), (129, 3)):
        alone = distance(simulated, a[i : i + 1], b[j : j + 1])
        assert alone[0, 0] == whole[i, j]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_order_of_threads(checked, rng, seed):
    a, b = packed(rng, 66, 300), packed(rng, 3, 301)[:, :300]
    np.testing.assert_array_equal(
        distance(checked, a, b, seed=seed, preempt=20), distance(checked, a, b)
    )
    np.testing.assert_array_equal(distance(checked, a, seed=seed, preempt=20), distance(checked, a))


def test_constant_rows_are_the_worst_and_within_the_tolerance(plain, rng):
    constants = rng.uniform(0, 1, 60).astype(np.float32)
    a = np.repeat(constants[:, None], 4096, axis=1)
    agrees(distance(plain, a, -a), a, -a)


def test_nan_and_infinities(simulated, rng):
    a = packed(rng, 6, 300)
    a[1, 5] = np.nan
    a[2, 7] = np.inf
    a[3, 7] = -np.inf
    a[4] = 3e38  # a sum of these leaves float32
    with np.errstate(invalid="ignore"):
        expected = reference.pairwise_distance(a, a).astype(np.float32)
    assert np.isfinite(expected[0, 4])
    for found in (distance(simulated, a), distance(simulated, a, a)):
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_no_rows(plain):
    for rows, columns in ((0, 3), (3, 0)):
        a, b = (plain.empty((n, 5), np.float32) for n in (rows, columns))
        refs = [plain.cuda.TensorRef(x.address, x.shape, x.strides, "float32", 0) for x in (a, b)]
        _, most = plain.cuda.pairwise_distance_scratch(*refs)
        memory = plain.empty((most,), np.uint8)
        before = plain.launches
        out = plain.cuda.TensorRef(0, (rows, columns), (4 * columns, 4), "float32", 0)
        plain.cuda.pairwise_distance(*refs, plain.cuda.Place(0, 0, memory.address, most), out)
        assert plain.launches == before


def test_more_pairs_than_memory(plain):
    """Zeros in one place stand for 10^6 rows of 2^40 pairs: bytes are counted without overflow."""
    zero = plain.upload(np.zeros(1, np.float32))
    many = plain.cuda.TensorRef(zero.address, (10**6, 2**40), (0, 4), "float32", 0)
    least, most = plain.cuda.pairwise_distance_scratch(many, None)
    assert 0 < least <= most <= 256 << 20


def test_too_little_scratch(plain, rng):
    a = packed(rng, 3, 20)
    with pytest.raises(ValueError, match="scratch"):
        distance(plain, a, scratch=40000)
