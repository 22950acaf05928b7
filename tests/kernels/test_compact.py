"""pairs_within: the decisions and distances of pairwise_distance, to the bit, whatever comes in."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sacfast.errors import ArgumentError, DtypeError, ShapeError
from sacfast.kernels import compact, correlation, pairs_within, pairwise_distance


def packed(rng, *shape):
    return rng.uniform(-1, 1, shape).astype(np.float32)


def family(rng, rows, pairs, near=0.01):
    """Copies of a few rows among strangers: distances of all sizes, many near each other."""
    parents = packed(rng, 5, pairs)
    copies = parents[rng.integers(0, 5, rows)] + packed(rng, rows, pairs) * np.float32(near)
    copies[::3] = packed(rng, len(copies[::3]), pairs)
    return np.clip(copies, -1, 1)


def expected(a, b, threshold):
    """The definition: `pairwise_distance` <= threshold."""
    distance = pairwise_distance(a, b)
    inside = distance <= np.float32(threshold)
    if b is None:
        inside = np.triu(inside, 1)
    pairs = np.argwhere(inside)
    return pairs, distance[inside]


def check(a, b, threshold, form_a=None, form_b=None):
    first = a if form_a is None else form_a
    second = b if form_b is None else form_b
    pairs, distance = pairs_within(first, second, threshold=threshold)
    wanted_pairs, wanted_distance = expected(a, b, threshold)
    assert pairs.dtype == np.int64
    assert distance.dtype == np.float32
    np.testing.assert_array_equal(pairs, wanted_pairs)
    np.testing.assert_array_equal(distance, wanted_distance)
    return len(pairs)


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("pairs", [1, 31, 33, 767, 769, 1537, 3100])
def test_thresholds_at_and_beside_distances_that_occur(rng, pairs):
    a, b = family(rng, 70, pairs), family(rng, 67, pairs)
    form_a, form_b = compact(a), compact(b)
    for second, form in ((None, None), (b, form_b)):
        distance = pairwise_distance(a, second)
        for occurs in np.quantile(distance, [0.02, 0.3, 0.9], method="nearest"):
            for threshold in (np.nextafter(occurs, np.float32(-1)), occurs,
                              np.nextafter(occurs, np.float32(9))):  # fmt: skip
                if threshold >= 0:
                    check(a, second, threshold, form_a=form_a, form_b=form)


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 5), (63, 64), (64, 65), (130, 66)])
def test_sizes_around_tiles_and_blocks(rng, rows, columns):
    a, b = family(rng, rows, 500), family(rng, columns, 500)
    for threshold in (0, 0.02, 0.5, np.inf):
        check(a, b, threshold, form_a=compact(a), form_b=compact(b))
        check(a, None, threshold, form_a=compact(a))


def test_arrays_and_compact_forms_are_the_same(rng):
    both = family(rng, 170, 400)
    a, b = both[:90], both[90:]
    for first in (a, compact(a)):
        for second in (b, compact(b)):
            assert check(a, b, 0.05, form_a=first, form_b=second) > 0
        assert check(a, None, 0.05, form_a=first) > 0
        assert check(a, b[:3], 0.7, form_a=first, form_b=b[:3]) > 0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_types_and_strides(rng, dtype):
    wide = torch.from_numpy(family(rng, 80, 1300)).to(getattr(torch, dtype))[:, ::2]
    distance = pairwise_distance(wide)
    threshold = float(distance.flatten().kthvalue(900).values)
    pairs, found = pairs_within(compact(wide), threshold=threshold)
    inside = torch.triu(distance <= threshold, 1)
    assert torch.equal(pairs, inside.nonzero())
    assert torch.equal(found, distance[inside])


@pytest.mark.usefixtures("level")
def test_values_that_int16_can_not_hold(rng):
    a = family(rng, 70, 900)
    a[0] *= 3
    a[1, 5] = np.inf
    a[2, 5] = -np.inf
    a[3, 5] = np.nan
    a[4] *= np.float32(1e-6)
    a[5] = 0
    a[6] *= np.float32(2e38)
    a[7, 800:] = 1.5
    with np.errstate(all="ignore"):
        for threshold in (0.0, 1e-6, 0.3, 0.9, 5.0, np.inf):
            check(a, None, threshold, form_a=compact(a))
            check(a, a[:66], threshold, form_a=compact(a), form_b=compact(a[:66]))


def test_equal_rows_are_within_zero(rng):
    a = packed(rng, 70, 300)[np.arange(140) // 2]
    pairs, distance = pairs_within(a, threshold=0)
    np.testing.assert_array_equal(pairs, np.arange(140).reshape(70, 2))
    assert (distance == 0).all()


def test_the_threshold_is_read_as_float32(rng):
    a = np.zeros((1, 10), np.float32)
    b = np.full((1, 10), 0.1, np.float32)
    assert float(pairwise_distance(a, b)[0, 0]) > 0.1
    assert len(pairs_within(a, b, threshold=0.1)[0]) == 1


@pytest.mark.parametrize("threads", [1, 2, 3, 16])
def test_any_number_of_threads(rng, set_threads, threads):
    a = family(rng, 300, 200)
    set_threads(threads)
    form = compact(a)
    assert check(a, None, 0.03, form_a=form) > 100


def test_a_threshold_just_below_every_distance(rng):
    a = correlation(rng.normal(size=(80, 40, 10)).astype(np.float32))
    distance = pairwise_distance(a)
    smallest = distance[np.triu_indices(80, 1)].min()
    assert check(a, None, np.nextafter(smallest, np.float32(0)), form_a=compact(a)) == 0
    assert check(a, None, smallest, form_a=compact(a)) == 1


def test_nothing_to_compare(rng):
    a = packed(rng, 3, 10)
    for first, second in ((a[:0], None), (a[:0], a), (a, a[:0]), (a[:1], None)):
        pairs, distance = pairs_within(first, second, threshold=1)
        assert pairs.shape == (0, 2)
        assert distance.shape == (0,)
    assert compact(a[:0]).shape == (0, 10)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_laws(data):
    pairs = data.draw(st.integers(1, 70))
    elements = st.floats(-1, 1, width=32) | st.sampled_from([0.0, 1.0, -1.0, 1 / 32767, 0.5])
    rows = hnp.arrays(np.float32, st.tuples(st.integers(1, 6), st.just(pairs)), elements=elements)
    a, b = data.draw(rows), data.draw(rows)
    distances = pairwise_distance(a, b)
    threshold = data.draw(st.sampled_from(sorted(set(distances.ravel().tolist()))))
    check(a, b, threshold, form_a=compact(a), form_b=compact(b))
    check(a, None, threshold, form_a=compact(a))
    swapped, _ = pairs_within(compact(b), compact(a), threshold=threshold)
    straight, _ = pairs_within(compact(a), compact(b), threshold=threshold)
    assert {(j, i) for i, j in swapped.tolist()} == set(map(tuple, straight.tolist()))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda a: pairs_within(a, threshold=-1),
            ArgumentError,
            "`threshold` must be >= 0, got -1",
        ),
        (lambda a: pairs_within(a, threshold=float("nan")), ArgumentError, "must be >= 0, got nan"),
        (lambda a: pairs_within(a, threshold=-(10**400)), ArgumentError, "must be >= 0"),
        (lambda a: pairs_within(a, threshold="1"), DtypeError, "must be a number, got str"),
        (lambda a: pairs_within(a, threshold=True), DtypeError, "must be a number, got bool"),
        (lambda a: pairs_within(a[0], threshold=1), ShapeError, r"`a` must be \(A, P\)"),
        (lambda a: pairs_within(a, a[0], threshold=1), ShapeError, r"`b` must be \(B, P\)"),
        (lambda a: pairs_within(a, a[:, 1:], threshold=1), ShapeError, "must have P = 9 pairs"),
        (lambda a: pairs_within(compact(a), a[:, 1:], threshold=1), ShapeError, "got .2, 8."),
        (lambda a: pairs_within(a[:, :0], threshold=1), ShapeError, "at least one pair"),
        (lambda a: compact(a[:, :0]), ShapeError, "compact: `packed` must have at least one pair"),
        (lambda a: compact(a[0]), ShapeError, r"`packed` must be \(A, P\)"),
        (lambda a: compact(a.astype(int)), DtypeError, "compact: `packed` must be float16"),
        (lambda a: compact([[1.0]]), DtypeError, "`packed` must be an array, got list"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call(np.ones((2, 9)))


def test_compact_says_what_it_is(rng):
    assert repr(compact(packed(rng, 3, 10))) == "Compact(shape=(3, 10))"
