"""pairwise_distance on every level of the processor: the oracle's values, and one order of sums."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sacfast.kernels import pairwise_distance, reference
from tests import tolerances

pytestmark = pytest.mark.usefixtures("level")

#: Around vectors of 4, 8 and 16, chains of 16 of them, chunks of 768.
PAIRS = [1, 3, 5, 15, 17, 63, 65, 129, 255, 257, 767, 769, 1537, 4950]
#: Around tiles of 2 x 4 and 4 x 4, blocks of 64 and halves of them.
ROWS = [(1, 1), (2, 5), (3, 4), (5, 7), (33, 2), (63, 65), (129, 6)]


def packed(rng, *shape):
    return rng.uniform(-1, 1, shape).astype(np.float32)


@pytest.mark.parametrize("pairs", PAIRS)
def test_every_length(rng, pairs):
    a, b = packed(rng, 6, pairs), packed(rng, 5, pairs)
    expected = reference.pairwise_distance(a, b)
    found = pairwise_distance(a, b)
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerances.PAIRWISE_DISTANCE)


@pytest.mark.parametrize(("rows", "columns"), ROWS)
@pytest.mark.parametrize("pairs", [17, 800])
def test_a_distance_depends_on_its_two_rows_only(rng, rows, columns, pairs):
    a, b = packed(rng, rows, pairs), packed(rng, columns, pairs)
    whole = pairwise_distance(a, b)
    expected = reference.pairwise_distance(a, b)
    np.testing.assert_allclose(whole, expected, rtol=0, atol=tolerances.PAIRWISE_DISTANCE)
    np.testing.assert_array_equal(pairwise_distance(b, a), whole.T)
    for i, j in {(0, 0), (rows - 1, columns - 1), (rows // 2, columns // 2), (rows - 1, 0)}:
        assert pairwise_distance(a[i : i + 1], b[j : j + 1])[0, 0] == whole[i, j]
    split = np.concatenate(
        [pairwise_distance(a[: rows // 3], b), pairwise_distance(a[rows // 3 :], b)]
    )
    np.testing.assert_array_equal(split, whole)


@pytest.mark.parametrize("rows", [1, 2, 31, 33, 64, 65, 130])
def test_with_itself_half_the_work_and_the_same_bits(rng, rows):
    a = packed(rng, rows, 801)
    distance = pairwise_distance(a)
    np.testing.assert_array_equal(distance, pairwise_distance(a, a))
    np.testing.assert_array_equal(distance, distance.T)
    assert (np.diag(distance) == 0).all()


@pytest.mark.parametrize("threads", [1, 2, 3, 16])
def test_the_same_bits_for_any_number_of_threads(rng, set_threads, threads):
    a, b = packed(rng, 200, 900), packed(rng, 70, 900)
    set_threads(5)
    expected, own = pairwise_distance(a, b), pairwise_distance(a)
    set_threads(threads)
    np.testing.assert_array_equal(pairwise_distance(a, b), expected)
    np.testing.assert_array_equal(pairwise_distance(a), own)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_every_type_is_read_as_float32(rng, dtype):
    given = torch.from_numpy(packed(rng, 7, 1100)).to(getattr(torch, dtype))
    wanted = pairwise_distance(given.float().contiguous(), given[:3].float().contiguous())
    assert torch.equal(pairwise_distance(given, given[:3]), wanted)


def layouts(a):
    """The same matrix in other places."""
    rows, pairs = a.shape
    wide = np.zeros((rows, 1024), np.float32)  # rows 4 KB apart: all at one place in the cache
    wide[:, :pairs] = a
    loose = np.zeros((rows, pairs, 3), np.float32)
    loose[:, :, 1] = a
    odd = np.zeros(rows * pairs * 4 + 1, np.uint8)[1:].view(np.float32).reshape(rows, pairs)
    odd[...] = a
    return {
        "4 KB apart": wide[:, :pairs],
        "every third": loose[:, :, 1],
        "by columns": np.asfortranarray(a),
        "backwards": np.ascontiguousarray(a[::-1, ::-1])[::-1, ::-1],
        "odd address": odd,
        "one row": np.broadcast_to(a[0], a.shape),
    }


@pytest.mark.parametrize("layout", list(layouts(np.zeros((1, 1), np.float32))))
def test_strides_change_nothing(rng, layout):
    plain = packed(rng, 9, 800)
    moved = layouts(plain)[layout]
    moved.flags.writeable = False
    expected = pairwise_distance(np.array(moved), plain)
    np.testing.assert_array_equal(pairwise_distance(moved, plain), expected)
    np.testing.assert_array_equal(pairwise_distance(plain, moved), expected.T)


def test_constant_rows_whose_roundings_go_one_way(rng):
    values = np.concatenate([rng.uniform(-1, 1, 120), [1, -1, 0, 1 - 2**-24, 1 / 3, -0.9]])
    expected = np.abs(values[:, None].astype(np.float32).astype(float) - values.astype(np.float32))
    for pairs in (200, 768, 4950):
        rows = np.repeat(values[:, None].astype(np.float32), pairs, 1)
        found = pairwise_distance(rows)
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerances.PAIRWISE_DISTANCE)


@pytest.mark.parametrize("largest", [1e-38, 1e-3, 1e6, 1e30])
def test_the_error_grows_with_the_largest_value(rng, largest):
    a = packed(rng, 5, 2000) * np.float32(largest)
    expected = reference.pairwise_distance(a, a)
    atol = tolerances.PAIRWISE_DISTANCE * largest
    np.testing.assert_allclose(pairwise_distance(a), expected, rtol=0, atol=atol)


def test_values_whose_sums_leave_float32(rng):
    a = packed(rng, 4, 900)
    a[0] *= np.float32(3e38)
    a[1, 7] = np.inf
    a[2, 3] = -np.inf
    with np.errstate(invalid="ignore", over="ignore"):
        expected = reference.pairwise_distance(a, a)
        wanted = expected.astype(np.float32)
    found = pairwise_distance(a, a)
    assert np.isinf(found[1, 2:]).all()
    assert np.isnan(found[1, 1])
    np.testing.assert_allclose(found, wanted, rtol=1e-7, atol=tolerances.PAIRWISE_DISTANCE)


def test_nan_stays_with_its_rows(rng):
    a = packed(rng, 70, 900)
    clean = pairwise_distance(a)
    a[[3, 66], [0, 899]] = np.nan
    found = pairwise_distance(a)
    bad = np.zeros((70, 70), bool)
    bad[[3, 66]] = bad[:, [3, 66]] = True
    assert np.isnan(found[bad]).all()
    np.testing.assert_array_equal(found[~bad], clean[~bad])
