"""Unit rows on the simulated GPU: types, strides, means, and rows that have no direction.

They are seen through correlations by FMAs, whose own error is small beside what goes wrong here.
"""

from __future__ import annotations

import functools
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from sacfast.kernels import reference, unpack
from tests import tolerances
from tests.cuda import calls

CENTERS = ("double", "row", "none")
TYPES = (np.float16, ml_dtypes.bfloat16, np.float32, np.float64)


def made(shape: tuple[int, ...], dtype: Any = np.float32, seed: int = 5) -> Any:
    return np.random.default_rng(seed).normal(1.0, 2.0, shape).astype(dtype)


def assert_right(packed: Any, outputs: Any, **kind: Any) -> None:
    expected = reference.correlation(outputs, **kind)
    tolerance = tolerances.CUDA_CORRELATION["fma"]
    np.testing.assert_allclose(packed, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("center", CENTERS)
@pytest.mark.parametrize("dtype", TYPES)
def test_every_floating_type_is_read_exactly(simulated, dtype, center):
    for probes, classes in ((33, 9), (5, 40)):
        outputs = made((2, probes, classes), dtype)
        outputs[0, 0, :3] = [6e-8, -6e-8, 0.0]  # float16 has subnormals here
        assert_right(calls.correlation(simulated, outputs, center=center), outputs, center=center)


def interleaved(base: Any) -> Any:
    return base[1::2, ::-1, 2::3]


def repeated(base: Any) -> Any:
    return np.broadcast_to(base[:1], base.shape)


def transposed(base: Any) -> Any:
    return base.transpose(0, 2, 1)


def unaligned(base: Any) -> Any:
    """Records of one byte and one number: no number lies at a multiple of its size."""
    record = np.dtype([("flag", "u1"), ("x", base.dtype)])
    records = np.zeros(base.shape, record)
    records["x"] = base
    return records


@pytest.mark.parametrize("view", [interleaved, repeated, transposed])
@pytest.mark.parametrize("dtype", TYPES)
def test_any_strides(simulated, dtype, view):
    base = made((4, 35, 30), dtype)
    outputs = calls.Placed(simulated, view(base), base)
    plain = calls.correlation(simulated, np.ascontiguousarray(view(base)))
    np.testing.assert_array_equal(calls.correlation(simulated, [outputs]), plain)
    assert_right(plain, view(base))


@pytest.mark.parametrize("dtype", TYPES)
def test_numbers_at_odd_addresses(simulated, dtype):
    base = made((3, 33, 9), dtype)
    records = unaligned(base)
    outputs = calls.Placed(simulated, records["x"], records)
    expected = calls.correlation(simulated, base)
    np.testing.assert_array_equal(calls.correlation(simulated, [outputs]), expected)


def test_offsets_past_two_to_the_31(plain):
    step = 2**31 + 4096
    memory = plain.empty((2 * step + 256,), np.uint8)  # pages never touched take no memory
    near = made((3, 5, 4))
    far = np.ndarray(near.shape, near.dtype, memory.view(), 0, (step, 16, 4))
    far[...] = near
    outputs = plain.cuda.TensorRef(memory.address, far.shape, far.strides, "float32", 0)
    expected = calls.correlation(plain, near)
    for refs in ([outputs], [far_model(plain, memory, s * step) for s in range(3)]):
        out, out_ref = calls.result(plain, (3, 10), np.float32)
        scratch = calls.Scratch(plain, plain.cuda.correlation_scratch(refs, "fma"))
        plain.cuda.correlation(refs, "double", "cosine", "fma", scratch.place, out_ref)
        np.testing.assert_array_equal(out.numpy(), expected)


def far_model(simulator: Any, memory: Any, offset: int) -> Any:
    return simulator.cuda.TensorRef(memory.address + offset, (5, 4), (16, 4), "float32", 0)


def test_a_list_takes_models_of_other_classes_types_and_strides(simulated):
    records = unaligned(made((2, 33, 4), seed=1))
    views = [made((33, 2)), made((33, 70), np.float64), made((33, 9), np.float16)]
    views += [made((9, 33), ml_dtypes.bfloat16).T, records["x"][1], made((33, 70), np.float64, 2)]
    bases = [None, None, None, views[3].base, records, None]
    models = [calls.Placed(simulated, v, b) for v, b in zip(views, bases, strict=True)]
    packed = calls.correlation(simulated, models)
    assert_right(packed, views)
    for row, model in zip(packed, models, strict=True):
        np.testing.assert_array_equal(calls.correlation(simulated, [model])[0], row)


@pytest.mark.parametrize("center", CENTERS)
@pytest.mark.parametrize(("dtype", "size"), [(np.float32, 1e38), (np.float64, 1e300)])
def test_huge_rows_do_not_overflow(plain, dtype, size, center):
    outputs = (np.random.default_rng(1).uniform(-1, 1, (1, 9, 300)) * size).astype(dtype)
    assert_right(calls.correlation(plain, outputs, center=center), outputs, center=center)


@pytest.mark.parametrize(("dtype", "size"), [(np.float32, 1e-38), (np.float64, 1e-290)])
def test_tiny_rows_do_not_underflow(plain, dtype, size):
    outputs = (made((1, 9, 5), np.float64) * size).astype(dtype)
    assert_right(calls.correlation(plain, outputs, center="none"), outputs, center="none")


def test_row_scales_over_six_decades(plain):
    scales = 10.0 ** np.random.default_rng(2).uniform(-3, 3, (2, 65, 1))
    outputs = (made((2, 65, 10)) * scales).astype(np.float32)
    for center in CENTERS:
        assert_right(calls.correlation(plain, outputs, center=center), outputs, center=center)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_constants_added_to_rows_and_classes_do_not_matter(plain, dtype):
    """Exactly: the shifts are powers of two that leave no digit of the numbers behind."""
    rng = np.random.default_rng(3)
    outputs = np.round(made((1, 40, 12), np.float64) * 64) / 64
    rows = outputs + 2.0 ** rng.integers(10, 17, (1, 40, 1))
    both = rows + 2.0 ** rng.integers(10, 17, 12)
    for shifted, center in ((rows, "row"), (rows, "double"), (both, "double")):
        assert (shifted.astype(dtype) == shifted).all()
        packed = calls.correlation(plain, shifted.astype(dtype), center=center)
        assert_right(packed, outputs, center=center)


@pytest.mark.parametrize("classes", [1, 3, 1000])
@pytest.mark.parametrize("value", [0.1, 1e5 + 0.1, -1e300])
def test_a_row_that_centring_leaves_nothing_of_correlates_zero(plain, classes, value):
    outputs = made((5, classes), np.float64)
    outputs[2] = value
    correlated = functools.partial(calls.correlation, plain)
    matrix = unpack(correlated([outputs], center="row")[0], 5)
    assert (matrix[2, [0, 1, 3, 4]] == 0).all()
    same = np.full((4, classes), value) + np.arange(4)[:, None]  # constant rows, no two alike
    assert (correlated([same], center="row") == 0).all()
    assert (correlated([np.tile(outputs[:1], (4, 1))], center="double") == 0).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_zero_row_correlates_zero(plain, dtype):
    outputs = made((1, 40, 9), dtype)
    outputs[0, [3, 39]] = 0
    for center in ("none", "row"):
        matrix = unpack(calls.correlation(plain, outputs, center=center)[0], 40)
        assert (matrix[3, :3] == 0).all()
        assert (matrix[39, :39] == 0).all()
        assert_right(calls.correlation(plain, outputs, center=center), outputs, center=center)


@pytest.mark.parametrize(("probes", "classes"), [(700, 3), (20, 500)])
def test_rows_that_differ_by_a_constant_leave_nothing_under_double_centring(plain, probes, classes):
    rng = np.random.default_rng(4)
    outputs = rng.normal(size=classes) + rng.normal(size=(probes, 1)) * 100
    assert (calls.correlation(plain, outputs[None]) == 0).all()
    for dtype in (np.float32, np.float64):
        same = np.tile(outputs[:1].astype(dtype), (1, probes, 1))
        assert (calls.correlation(plain, same) == 0).all()


def test_a_mean_over_many_equal_classes_is_that_class(plain):
    """50,000 of them, added once in chains of 1,562, drift by 4e-14 of the sum."""
    outputs = np.full((1, 3, 50_000), 0.021252851070693524)
    assert (calls.correlation(plain, outputs, center="row") == 0).all()


def test_a_small_row_is_no_zero_row(plain):
    outputs = 1.0 + 1e-12 * made((2, 4, 3), np.float64)
    packed = calls.correlation(plain, outputs, center="row")
    assert (np.abs(packed) > 0.01).any()
    assert_right(packed, outputs, center="row")


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_row_without_a_number_is_nan_and_spoils_others_only_through_the_class_means(
    plain, dtype, bad
):
    outputs = made((5, 4), dtype)
    outputs[1, 2] = bad
    for product in ("fma", "tf32x3", "bfloat16"):
        correlated = functools.partial(calls.correlation, plain, product=product)
        for center in ("none", "row"):
            matrix = unpack(correlated([outputs], center=center)[0], 5)
            assert np.isnan(matrix[1, [0, 2, 3, 4]]).all()
            kept = np.delete(np.delete(matrix, 1, 0), 1, 1)
            expected = correlated([np.delete(outputs, 1, 0)], center=center)[0]
            np.testing.assert_array_equal(kept, unpack(expected, 4))
        assert np.isnan(correlated([outputs])).all()


def test_numbers_that_are_no_floats_are_refused(plain):
    outputs = calls.Placed(plain, np.ones((2, 3, 4), np.int32))
    _, out = calls.result(plain, (2, 3), np.float32)
    needed = plain.cuda.correlation_scratch([outputs.ref], "fma")
    scratch = calls.Scratch(plain, needed)
    with pytest.raises(ValueError, match="floating-point numbers expected"):
        plain.cuda.correlation([outputs.ref], "row", "cosine", "fma", scratch.place, out)
