"""Labels: correlations and distances of them, exact on every level."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sacfast.errors import DtypeError, ShapeError
from sacfast.kernels import label_correlation, label_distance, pairwise_distance, reference

DTYPES = [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64]

# Around vectors of 4, 8 and 16 codes, words of 64 pairs and lines of 512; 65 pairs are N = 12.
SIZES = [1, 2, 3, 4, 5, 8, 9, 11, 12, 15, 16, 17, 31, 32, 33, 34, 63, 64, 65, 66, 97, 100, 129]


def expected_distance(a, b):
    """The share of the pairs that differ, rounded once: what the float64 oracle rounds to."""
    left, right = reference.label_correlation(a), reference.label_correlation(b)
    return reference.pairwise_distance(left, right).astype(np.float32)


@pytest.mark.parametrize("probes", SIZES)
def test_correlation_agrees_with_the_oracle(rng, level, probes):
    labels = rng.integers(0, 4, (3, probes))
    packed = label_correlation(labels)
    assert packed.dtype == np.float32
    np.testing.assert_array_equal(packed, reference.label_correlation(labels))


@pytest.mark.parametrize("dtype", DTYPES)
def test_labels_of_every_width_and_stride(rng, level, dtype):
    labels = rng.integers(0, 4, (3, 17)).astype(dtype)
    labels[0, :2] = np.iinfo(dtype).max
    labels[1, :2] = np.iinfo(dtype).min
    expected = reference.label_correlation(labels)
    np.testing.assert_array_equal(label_correlation(labels), expected)
    np.testing.assert_array_equal(label_correlation(labels[1]), expected[1])
    turned = labels[::-1, ::-2]
    np.testing.assert_array_equal(label_correlation(turned), reference.label_correlation(turned))
    np.testing.assert_array_equal(label_distance(turned), expected_distance(turned, turned))


def test_labels_that_only_their_upper_halves_tell_apart(level):
    labels = np.array([[0, 1 << 32, 1 << 33, 1 << 32, -1, -(1 << 32) - 1, -1, 0]])
    expected = reference.label_correlation(labels)
    np.testing.assert_array_equal(label_correlation(labels), expected)
    plain = np.array([[0, 1, 2, 1, 3, 4, 3, 0]])
    assert label_distance(labels, plain)[0, 0] == 0


def test_a_row_longer_than_what_is_written_at_a_time(rng, level):
    labels = rng.integers(0, 3, 2500)
    np.testing.assert_array_equal(
        label_correlation(labels), reference.label_correlation(labels[None])[0]
    )


def test_results_larger_than_the_caches_are_the_same(rng, level):
    labels = rng.integers(0, 10, (3, 101))  # 5050 pairs: models begin at every alignment
    expected = reference.label_correlation(labels)
    packed = label_correlation(np.tile(labels, (280, 1)))
    assert packed.size > 2**22
    assert (packed.reshape(280, 3, -1) == expected).all()


@pytest.mark.parametrize("probes", SIZES[1:])
def test_distance_agrees_with_the_oracle(rng, level, probes):
    a, b = rng.integers(0, 4, (3, probes)), rng.integers(-2, 3, (2, probes))
    distance = label_distance(a, b)
    assert distance.dtype == np.float32
    np.testing.assert_array_equal(distance, expected_distance(a, b))


@pytest.mark.parametrize(("a", "b"), [(1, 9), (8, 8), (17, 7)])
def test_distance_of_400_probes_is_that_of_the_packed_correlations(rng, level, a, b):
    left, right = rng.integers(0, 10, (a, 400)), rng.integers(0, 10, (b, 400))
    distance = label_distance(left, right)
    np.testing.assert_array_equal(distance, expected_distance(left, right))
    packed = pairwise_distance(label_correlation(left), label_correlation(right))
    np.testing.assert_array_equal(distance, packed)


def test_without_b_symmetric_and_zero_on_the_diagonal(rng, level):
    labels = rng.integers(0, 5, (19, 50))
    distance = label_distance(labels)
    np.testing.assert_array_equal(distance, label_distance(labels, labels))
    np.testing.assert_array_equal(distance, distance.T)
    assert (np.diag(distance) == 0).all()


@pytest.mark.parametrize("function", [label_correlation, label_distance])
def test_the_same_bits_for_any_number_of_threads_and_any_split(rng, set_threads, function):
    labels = rng.integers(0, 10, (40, 60))
    set_threads(1)
    once = function(labels)
    for count in (2, 3, 16):
        set_threads(count)
        np.testing.assert_array_equal(function(labels), once)
    if function is label_correlation:
        np.testing.assert_array_equal(np.stack([function(one) for one in labels]), once)
    else:
        np.testing.assert_array_equal(function(labels[13:20], labels), once[13:20])


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 40), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_law_a_metric_that_does_not_see_what_labels_are_called(probes, classes, seed):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, (4, probes))
    renamed = generator.permutation(classes)[labels] - 2
    np.testing.assert_array_equal(label_correlation(renamed), label_correlation(labels))
    assert (np.diag(label_distance(labels, renamed)) == 0).all()
    distance = label_distance(labels).astype(np.float64)
    detour = distance[:, :, None] + distance[None, :, :]  # triangle inequality
    assert (distance[:, None, :] <= detour + 2.0**-23).all()  # three roundings of 2^-25 at most


def test_torch_for_torch():
    labels = torch.tensor([[3, 1, 3], [2, 2, 2]])
    packed, distance = label_correlation(labels[0]), label_distance(labels, labels.numpy())
    assert isinstance(packed, torch.Tensor)
    assert packed.tolist() == [0.0, 1.0, 0.0]
    assert isinstance(distance, torch.Tensor)
    assert distance[0, 1] == np.float32(2 / 3)


def test_no_models_and_one_probe_give_empty_results():
    assert label_correlation(np.ones((0, 5), int)).shape == (0, 10)
    assert label_correlation(np.ones((4, 1), int)).shape == (4, 0)
    assert label_correlation(np.ones(1, int)).shape == (0,)
    assert label_distance(np.ones((0, 5), int)).shape == (0, 0)
    assert label_distance(np.ones((0, 5), int), np.ones((3, 5), int)).shape == (0, 3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: label_correlation(x * 1.0), DtypeError, "must be integers, got float64"),
        (lambda x: label_correlation(x > 0), DtypeError, "must be integers, got bool"),
        (lambda x: label_correlation(x[:, :0]), ShapeError, "at least one probe"),
        (lambda x: label_correlation(x[None]), ShapeError, r"must be \(S, N\) or \(N,\)"),
        (lambda x: label_distance(x * 1.0), DtypeError, "`a` must be integers, got float64"),
        (lambda x: label_distance(x[:, :1]), ShapeError, "at least two probes"),
        (lambda x: label_distance(x, x[0]), ShapeError, r"(?s)must be \(B, N\).*pass b\[None\]"),
        (lambda x: label_distance(x, x[:, 1:]), ShapeError, "`b` must have N = 4 probes like"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call(np.ones((2, 4), int))
