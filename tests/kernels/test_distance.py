"""Distances against the oracle; the fused kernel against its two halves, to the bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sacfast.errors import ArgumentError, DtypeError, ShapeError
from sacfast.kernels import (
    correlation,
    correlation_distance,
    pairwise_distance,
    paper_scale,
    reference,
)
from tests import tolerances


def packed(rng, *shape, dtype=np.float32):
    return rng.uniform(-1, 1, shape).astype(dtype)


@pytest.mark.parametrize("pairs", [1, 2, 3, 7, 8, 9, 15, 17, 1023, 1024, 1025, 4950])
@pytest.mark.parametrize(("a", "b"), [(1, 1), (3, 2), (31, 33), (65, 1)])
def test_pairwise_agrees_with_the_oracle(rng, a, b, pairs):
    left, right = packed(rng, a, pairs), packed(rng, b, pairs)
    distance = pairwise_distance(left, right)
    assert distance.dtype == np.float32
    expected = reference.pairwise_distance(left, right)
    np.testing.assert_allclose(distance, expected, rtol=0, atol=tolerances.PAIRWISE_DISTANCE)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_pairwise_of_other_types_and_strides(rng, dtype):
    left, right = packed(rng, 9, 600, dtype=dtype)[::-2, ::3], packed(rng, 3, 200)
    expected = reference.pairwise_distance(left, right)
    for a, b, wanted in ((left, right, expected), (right, left, expected.T)):
        np.testing.assert_allclose(
            pairwise_distance(a, b), wanted, rtol=0, atol=tolerances.PAIRWISE_DISTANCE
        )


def test_pairwise_of_800_probes(rng):
    pairs = 800 * 799 // 2
    left = packed(rng, 3, pairs)
    expected = reference.pairwise_distance(left, left)
    np.testing.assert_allclose(
        pairwise_distance(left), expected, rtol=0, atol=tolerances.PAIRWISE_DISTANCE
    )


def test_without_b_symmetric_zero_on_the_diagonal_and_the_same_bits(rng):
    a = packed(rng, 70, 1100)
    distance = pairwise_distance(a)
    np.testing.assert_array_equal(distance, pairwise_distance(a, a))
    np.testing.assert_array_equal(distance, distance.T)
    assert (np.diag(distance) == 0).all()


def test_a_distance_depends_on_its_two_rows_only(rng):
    a, b = packed(rng, 40, 1500), packed(rng, 37, 1500)
    everything = pairwise_distance(a, b)
    for i, j in ((0, 0), (31, 32), (39, 36)):
        assert pairwise_distance(a[i : i + 1], b[j : j + 1])[0, 0] == everything[i, j]


def test_nan_stays_with_its_row(rng):
    a = packed(rng, 3, 20)
    a[1, 5] = np.nan
    distance = pairwise_distance(a)
    assert np.isnan(distance[1]).all()
    assert distance[0, 2] == pairwise_distance(a[[0, 2]])[0, 1]


def test_indices_past_two_to_the_31():
    pairs = 2**31 + 5
    zeros = np.broadcast_to(np.float32(0), (1, pairs))
    ones = np.broadcast_to(np.float32(1), (1, pairs))
    assert pairwise_distance(zeros, ones)[0, 0] == 1.0


@pytest.mark.parametrize("center", ["double", "row", "none"])
@pytest.mark.parametrize(("probes", "classes"), [(2, 3), (3, 2), (16, 5), (46, 7), (65, 30)])
def test_fused_agrees_with_the_oracle_and_has_the_bits_of_its_halves(rng, probes, classes, center):
    outputs = rng.normal(size=(5, probes, classes)).astype(np.float32)
    sources = correlation(rng.normal(size=(3, probes, classes)), center=center)
    distance = correlation_distance(outputs, sources, center=center)
    expected = reference.correlation_distance(outputs, sources, center=center)
    np.testing.assert_allclose(distance, expected, rtol=0, atol=tolerances.CORRELATION_DISTANCE)
    halves = pairwise_distance(correlation(outputs, center=center), sources)
    np.testing.assert_array_equal(distance, halves)


def test_fused_agrees_with_the_oracle_on_800_probes(rng):
    outputs = rng.normal(size=(2, 800, 7)).astype(np.float32)
    sources = correlation(outputs[:1])
    distance = correlation_distance(outputs, sources)
    expected = reference.correlation_distance(outputs, sources)
    np.testing.assert_allclose(distance, expected, rtol=0, atol=tolerances.CORRELATION_DISTANCE)
    assert distance[0, 0] == 0


@pytest.mark.parametrize("kind", [{"sigma": 0.7}, {}, {"rbf_normalized": True}])
def test_fused_rbf_has_the_bits_of_its_halves(rng, kind):
    outputs = rng.normal(size=(4, 50, 6))
    sources = correlation(outputs[:2] + 0.1, kernel="rbf", **kind)
    distance = correlation_distance(outputs, sources, kernel="rbf", **kind)
    halves = pairwise_distance(correlation(outputs, kernel="rbf", **kind), sources)
    np.testing.assert_array_equal(distance, halves)


def test_fused_takes_a_list_of_models_with_other_classes(rng):
    models = [rng.normal(size=(20, classes)) for classes in (2, 10, 100)]
    sources = correlation(models)
    distance = correlation_distance(models, torch.from_numpy(sources[:, :]))
    assert isinstance(distance, torch.Tensor)
    assert (distance.diagonal() == 0).all()
    assert (distance[~torch.eye(3, dtype=torch.bool)] > 0.01).all()


def test_nothing_to_compare_gives_empty_results(rng):
    sources = packed(rng, 3, 10)
    assert correlation_distance(np.ones((0, 5, 3)), sources).shape == (0, 3)
    assert correlation_distance([], sources).shape == (0, 3)
    assert correlation_distance(np.ones((2, 5, 3)), sources[:0]).shape == (2, 0)
    assert pairwise_distance(sources[:0], sources).shape == (0, 3)
    assert pairwise_distance(sources[:0]).shape == (0, 0)


@pytest.mark.parametrize("function", ["pairwise", "fused"])
def test_the_same_bits_from_run_to_run_and_for_any_number_of_threads(rng, set_threads, function):
    outputs = rng.normal(size=(70, 50, 6)).astype(np.float32)
    sources = correlation(outputs)

    def run():
        if function == "fused":
            return correlation_distance(outputs, sources)
        return pairwise_distance(sources)

    set_threads(1)
    once = run()
    for count in (1, 2, 3, 16):
        set_threads(count)
        np.testing.assert_array_equal(run(), once)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(2, 50), st.integers(2, 9), st.integers(0, 2**32 - 1))
def test_law_a_metric_on_structures(models, probes, classes, seed):
    outputs = np.random.default_rng(seed).normal(size=(models, probes, classes))
    sources = correlation(outputs)
    distance = correlation_distance(outputs, sources)
    np.testing.assert_array_equal(distance, distance.T)
    assert (np.diag(distance) == 0).all()
    assert distance.min() >= 0
    assert distance.max() <= 2
    loop = np.stack([correlation_distance(one[None], sources)[0] for one in outputs])
    np.testing.assert_array_equal(distance, loop)
    detour = distance[:, :, None] + distance[None, :, :]  # triangle inequality
    assert (distance[:, None, :] <= detour + tolerances.CORRELATION_DISTANCE).all()


def test_paper_scale_is_what_the_authors_compute(rng):
    outputs = rng.normal(size=(2, 12, 5))
    squares = [np.corrcoef(one) for one in outputs]
    authors_2024 = np.abs((1 - squares[0]) - (1 - squares[1])).mean()
    ours = correlation_distance(outputs[:1], correlation(outputs[1:], center="row"), center="row")
    assert paper_scale(ours, 12)[0, 0] == pytest.approx(authors_2024, abs=1e-6)
    assert paper_scale(ours, 12, version="2022")[0, 0] == pytest.approx(authors_2024 / 2, abs=1e-6)
    assert paper_scale(0.5, 2) == 0.25
    assert paper_scale(torch.tensor([0.5]), 2, version="2022").tolist() == [0.125]


def test_paper_scale_takes_lists_and_arrays_of_any_numbers():
    assert paper_scale([1.0, 2], np.int64(2)).tolist() == [0.5, 1.0]
    assert paper_scale(((1, 2), (3, 4)), 2).tolist() == [[0.5, 1.0], [1.5, 2.0]]
    assert paper_scale([], 2).shape == (0,)
    assert paper_scale(np.array([1, 2], np.uint8), 2).tolist() == [0.5, 1.0]
    assert paper_scale(np.ones(2, np.float32), 2).dtype == np.float32
    assert paper_scale(np.float32(1), 2) == 0.5


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda o, c: pairwise_distance(c[0]), ShapeError, r"(?s)must be \(A, P\).*pass a\[None\]"),
        (lambda o, c: pairwise_distance(c, c[:, 1:]), ShapeError, "`b` must have P = 6 pairs"),
        (lambda o, c: pairwise_distance(c[:, :0]), ShapeError, "`a` must have at least one pair"),
        (
            lambda o, c: correlation_distance(o[0], c),
            ShapeError,
            r"(?s)`outputs` must be \(S, N, C\), got \(4, 3\).*one suspect pass outputs\[None\]",
        ),
        (
            lambda o, c: correlation_distance(o, c[0]),
            ShapeError,
            r"(?s)must be \(V, P\), got \(6,\).*pass source_correlations\[None\]",
        ),
        (
            lambda o, c: correlation_distance(o, c[:, 1:]),
            ShapeError,
            r"must be \(V, 6\) for N = 4 probes, got \(2, 5\)",
        ),
        (lambda o, c: correlation_distance(o[:, :1], c), ShapeError, "at least two probes"),
        (lambda o, c: correlation_distance([], c[:, :0]), ShapeError, "one pair"),
        (lambda o, c: paper_scale(c, 0), ArgumentError, "`n` must be >= 1, got 0"),
        (lambda o, c: paper_scale(1.0, "3"), DtypeError, "`n` must be an integer, got str"),
        (lambda o, c: paper_scale(1.0, 2.5), DtypeError, "`n` must be an integer, got float"),
        (lambda o, c: paper_scale("1.0", 3), DtypeError, "`distance` must be an array, got str"),
        (lambda o, c: paper_scale(["1.0"], 3), DtypeError, "`distance` must be .*, got str"),
        (lambda o, c: paper_scale([[1], [1, 2]], 3), DtypeError, "must be a list of numbers"),
        (lambda o, c: paper_scale(c, 4, version="2023"), ArgumentError, '"2024", "2022"'),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call(np.ones((2, 4, 3)), np.ones((2, 6)))


@pytest.mark.parametrize(
    "spoiled", [[np.inf], [-np.inf], [np.nan], [3e38, 3e38], [np.inf, -np.inf]]
)
def test_sources_beyond_float32_sums_are_settled_as_pairwise_distance_settles_them(
    rng, level, spoiled
):
    outputs = rng.standard_normal((9, 70, 5)).astype(np.float32)
    outputs[4, 3] = np.nan
    sources = np.array(correlation(outputs[:3], center="none"))
    sources[1, 5 : 5 + len(spoiled)] = spoiled
    expected = pairwise_distance(correlation(outputs, center="none"), sources)
    found = correlation_distance(outputs, sources, center="none")
    np.testing.assert_array_equal(found, expected)
    assert np.isnan(found[4]).all()
    assert np.isnan(found[0, 1]) == np.isnan(spoiled).any()
