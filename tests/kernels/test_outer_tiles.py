"""Correlations and FRI scores from register tiles: every level, every edge, and sums gone wrong.

The tiles take 4 or 8 rows and up to 48 columns at a time, in chains of 16 classes; results of more
than 2^20 pairs are written past the caches. The sizes here lie on both sides of each of these.
"""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from sacfast.kernels import correlation, fri_features, reference
from tests import tolerances

CENTERS = ("double", "row", "none")
PROBES = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 49, 64, 65, 97, 130, 199]
CLASSES = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 49, 64, 65, 100]

pytestmark = pytest.mark.usefixtures("level")


def guarded(count: int, length: int, offset: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """An array to write into, and all of the memory around it, set to 7."""
    memory = np.full(offset + count * length + 70, 7.0, dtype=np.float32)
    return memory[offset : offset + count * length].reshape(count, length), memory


def assert_untouched(memory: np.ndarray, size: int, offset: int = 3) -> None:
    assert (memory[:offset] == 7).all()
    assert (memory[offset + size :] == 7).all()


@pytest.mark.parametrize("center", CENTERS)
def test_every_edge_of_the_tiles(rng, center):
    for probes, other in zip(PROBES, reversed(CLASSES), strict=True):
        for classes in (other, 16, 17, 33):
            outputs = rng.normal(1.0, 2.0, (2, probes, classes)).astype(np.float32)
            out, memory = guarded(2, probes * (probes - 1) // 2)
            correlation(outputs, center=center, out=out)
            expected = reference.correlation(outputs, center=center)
            np.testing.assert_allclose(out, expected, rtol=0, atol=tolerances.CORRELATION)
            assert_untouched(memory, out.size)


@pytest.mark.parametrize("center", CENTERS)
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
def test_every_type_and_layout(rng, dtype, center):
    base = rng.normal(size=(4, 66, 38)).astype(dtype)
    base.flags.writeable = False
    views = [base, base[:, ::-2], base[..., ::3], base.transpose(0, 2, 1), base[::-1, 5:, 1:]]
    views += [np.broadcast_to(base[:1], (3, 66, 38)), base[:, :, :1], np.asfortranarray(base)]
    for view in views:
        expected = reference.correlation(view, center=center)
        packed = correlation(view, center=center)
        np.testing.assert_allclose(packed, expected, rtol=0, atol=tolerances.CORRELATION)
        np.testing.assert_array_equal(packed, correlation(view.copy(), center=center))


@pytest.mark.parametrize("signs", ["equal", "random"])
def test_rounding_does_not_add_up_where_all_products_are_of_one_size(rng, signs):
    """Rows of +-1: what float32 rounds away is the same in every step of a sum. 1000 products in
    one chain would be wrong by 1e-5; sacfast promises 5e-7 for any outputs."""
    for classes in [2, 3, 15, 16, 17, 100, 143, 575, 768, 1000, 1277, 2443, 3159, 3968, 4096]:
        outputs = np.ones((3, 9, classes), dtype=np.float32)
        if signs == "random":
            shares = rng.uniform(0, 0.5, (3, 9, 1))
            outputs[rng.uniform(size=outputs.shape) < shares] = -1
        packed = correlation(outputs, center="none")
        expected = reference.correlation(outputs, center="none")
        np.testing.assert_allclose(packed, expected, rtol=0, atol=5e-7)


@pytest.mark.parametrize("center", CENTERS)
def test_a_large_common_part_does_not_cost_precision(rng, center):
    for offset, classes in [(1e3, 10), (1e3, 1000), (1e5, 100)]:
        outputs = (offset + rng.normal(size=(2, 33, classes))).astype(np.float32)
        expected = reference.correlation(outputs, center=center)
        packed = correlation(outputs, center=center)
        np.testing.assert_allclose(packed, expected, rtol=0, atol=tolerances.CORRELATION)


def test_rows_at_the_ends_of_the_range_of_float32(rng):
    plain = rng.uniform(0.5, 1.0, (19, 21)) * rng.choice([-1, 1], (19, 21))
    powers = np.array([2.0**p for p in (-146, -130, -126, -100, -60, 0, 60, 100, 126, 127)])
    outputs = (plain * rng.choice(powers, (19, 1))).astype(np.float32)
    expected = reference.correlation([outputs], center="none")[0]
    packed = correlation(outputs, center="none")
    np.testing.assert_allclose(packed, expected, rtol=0, atol=tolerances.CORRELATION)
    # A row's scale, a power of two that loses no bit, changes no bit of any result.
    rows = plain.astype(np.float32)
    exact = np.float32(2.0) ** rng.integers(-120, 120, (19, 1)).astype(np.float32)
    np.testing.assert_array_equal(
        correlation(rows * exact, center="none"), correlation(rows, center="none")
    )


def test_zero_nan_and_infinite_rows_leave_their_neighbours_alone(rng):
    outputs = rng.normal(size=(40, 18)).astype(np.float32)
    spoilt = outputs.copy()
    spoilt[3], spoilt[17, 4], spoilt[21, 0], spoilt[39, 17] = 0, np.nan, np.inf, -np.inf
    square = np.zeros((40, 40), dtype=np.float32)
    rows, columns = np.triu_indices(40, 1)
    square[rows, columns] = correlation(spoilt, center="none")
    square += square.T
    others = np.delete(np.arange(40), [3, 17, 21, 39])
    assert (square[3, others] == 0).all()
    assert np.isnan(square[17, [*others, 3, 21, 39]]).all()
    assert np.isnan(square[21, others]).all()
    assert np.isnan(square[39, others]).all()
    plain = np.zeros((40, 40), dtype=np.float32)
    plain[rows, columns] = correlation(outputs, center="none")
    plain += plain.T
    np.testing.assert_array_equal(square[np.ix_(others, others)], plain[np.ix_(others, others)])


@pytest.mark.parametrize("center", ["none", "double"])
@pytest.mark.parametrize("offset", [0, 1, 15])
def test_a_result_larger_than_the_caches_has_the_bits_of_small_ones(
    rng, set_threads, center, offset
):
    outputs = rng.normal(size=(230, 97, 5)).astype(np.float32)
    out, memory = guarded(230, 97 * 48, offset)
    for threads in (1, 2):
        set_threads(threads)
        out[...] = 0
        correlation(outputs, center=center, out=out)
        assert_untouched(memory, out.size, offset)
        for first, last in [(0, 1), (1, 60), (60, 230)]:
            np.testing.assert_array_equal(
                out[first:last], correlation(outputs[first:last], center=center)
            )


def test_the_same_bits_where_one_model_is_split_among_threads(rng, set_threads):
    outputs = rng.normal(size=(1500, 6)).astype(np.float32)
    set_threads(1)
    out, memory = guarded(1, 1500 * 1499 // 2)
    correlation(outputs[None], out=out)
    once = out.copy()
    for threads in (2, 3, 16):
        set_threads(threads)
        correlation(outputs[None], out=out)
        np.testing.assert_array_equal(out, once)
        assert_untouched(memory, out.size)
        np.testing.assert_array_equal(
            correlation(outputs[:700]), correlation(outputs[:700].copy(order="F"))
        )
    head = reference.correlation([outputs[:90]], center="row")[0]
    np.testing.assert_allclose(
        correlation(outputs[:90], center="row"), head, rtol=0, atol=tolerances.CORRELATION
    )


def test_fri_on_every_edge_of_the_tiles(rng):
    for (n, r), e in zip(
        [(1, 1), (7, 9), (8, 16), (9, 17), (16, 47), (17, 48), (33, 49), (100, 65)],
        [1, 3, 15, 16, 17, 33, 128, 512],
        strict=True,
    ):
        probes = rng.normal(size=(2, n, e)).astype(np.float32)
        references = rng.normal(size=(2, r, e)).astype(np.float32)
        scores = fri_features(probes, references)
        expected = reference.fri_features(probes, references)
        np.testing.assert_allclose(scores, expected, rtol=0, atol=tolerances.CORRELATION)


def test_fri_has_the_same_bits_where_it_is_split_among_threads(rng, set_threads):
    probes = rng.normal(size=(1, 800, 512)).astype(np.float32)
    references = rng.normal(size=(1, 100, 512)).astype(np.float32)
    set_threads(1)
    once = fri_features(probes, references)
    for threads in (2, 3, 16):
        set_threads(threads)
        np.testing.assert_array_equal(fri_features(probes, references), once)
