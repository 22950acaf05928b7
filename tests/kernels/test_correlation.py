"""Correlations against the oracle, and the laws that they obey."""

from __future__ import annotations

import mmap

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sacfast import _core
from sacfast.errors import ArgumentError, DtypeError, ShapeError
from sacfast.kernels import correlation, reference, unpack
from tests import tolerances

CENTERS = ("double", "row", "none")
SIZES = [(1, 1), (1, 5), (2, 1), (2, 2), (3, 3), (3, 1000), (15, 4), (16, 5), (17, 7), (63, 8)]
SIZES += [(64, 10), (65, 17), (97, 100)]


@pytest.mark.parametrize("center", CENTERS)
@pytest.mark.parametrize(("probes", "classes"), SIZES)
def test_agrees_with_the_oracle(rng, probes, classes, center):
    outputs = rng.normal(1.0, 2.0, (3, probes, classes)).astype(np.float32)
    packed = correlation(outputs, center=center)
    assert packed.dtype == np.float32
    assert packed.shape == (3, probes * (probes - 1) // 2)
    expected = reference.correlation(outputs, center=center)
    np.testing.assert_allclose(packed, expected, rtol=0, atol=tolerances.CORRELATION)


def test_agrees_with_the_oracle_on_800_probes_and_1000_classes(rng):
    outputs = np.abs(rng.normal(size=(1, 800, 1000))).astype(np.float32)
    for center in ("double", "none"):
        expected = reference.correlation(outputs, center=center)
        packed = correlation(outputs, center=center)
        np.testing.assert_allclose(packed, expected, rtol=0, atol=tolerances.CORRELATION)


@pytest.mark.parametrize("center", CENTERS)
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
def test_every_floating_type_is_read_exactly(rng, dtype, center):
    outputs = rng.normal(size=(2, 17, 9)).astype(dtype)
    outputs[0, 0, :3] = [6e-8, -6e-8, 0.0]  # float16 has subnormals here
    expected = reference.correlation(outputs, center=center)
    packed = correlation(outputs, center=center)
    np.testing.assert_allclose(packed, expected, rtol=0, atol=tolerances.CORRELATION)


@pytest.mark.parametrize("center", CENTERS)
@pytest.mark.parametrize("sigma", [None, 0.5])
def test_rbf_agrees_with_the_oracle(rng, center, sigma):
    outputs = rng.normal(size=(3, 17, 6)).astype(np.float32)
    settings_ = {"center": center, "kernel": "rbf", "sigma": sigma}
    packed = correlation(outputs, **settings_)
    expected = reference.correlation(outputs, **settings_)
    np.testing.assert_allclose(packed, expected, rtol=0, atol=tolerances.RBF)
    assert (packed > 0).all()


def test_rbf_median_of_an_even_number_of_pairs_is_the_mean_of_the_middle_two():
    outputs = np.array([[0.0], [1.0], [4.0], [9.0]])  # 6 pairs, distances 1, 3, 4, 5, 8, 9
    packed = correlation(outputs, center="none", kernel="rbf")
    distances = np.array([1, 4, 9, 3, 8, 5])
    np.testing.assert_allclose(packed, np.exp(-0.5 * (distances / 4.5) ** 2), atol=tolerances.RBF)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("center", ["none", "row"])
def test_rbf_of_a_row_that_is_not_finite_is_nan(rng, center, bad):
    outputs = 1e300 * rng.normal(size=(1, 5, 3))
    outputs[0, 4] = outputs[0, 3]
    outputs[0, 1, 2] = bad
    kind = {"center": center, "kernel": "rbf", "sigma": 1e300}
    packed = correlation(outputs, **kind)
    expected = reference.correlation(outputs, **kind)
    np.testing.assert_allclose(packed, expected, rtol=0, atol=tolerances.RBF)
    assert np.isnan(packed).sum() == 4  # its own pairs
    assert np.isnan(correlation(outputs, center=center, kernel="rbf")).all()  # as the median is


def test_rbf_of_equal_rows_takes_sigma_one():
    outputs = np.tile([1.0, 2.0, 5.0], (5, 1))
    outputs[4] = 2.0  # most distances are 0, so their median is
    packed = correlation(outputs, center="none", kernel="rbf")
    expected = reference.correlation([outputs], center="none", kernel="rbf")[0]
    np.testing.assert_allclose(packed, expected, rtol=0, atol=tolerances.RBF)
    assert unpack(packed, 5)[0, 4] == np.float32(np.exp(-0.5 * (1 + 0 + 9)))


def test_rbf_does_not_overflow(rng):
    outputs = rng.normal(size=(9, 4))
    small = correlation(outputs, kernel="rbf")
    np.testing.assert_allclose(
        correlation(outputs * 1e300, kernel="rbf"), small, rtol=0, atol=tolerances.RBF
    )


def test_rbf_of_equal_rows_is_one_even_where_sigma_is_nothing_beside_the_distances():
    outputs = np.array([[1e30, 0.0], [1e30, 0.0], [0.0, 1e30]])
    packed = correlation(outputs, center="none", kernel="rbf", sigma=1e-300)
    assert packed.tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("sigma", [2, np.float32(2), np.float16(2), np.int64(2)])
def test_rbf_takes_a_sigma_of_any_kind_of_number(rng, sigma):
    outputs = rng.normal(size=(5, 4))
    expected = correlation(outputs, kernel="rbf", sigma=2.0)
    np.testing.assert_array_equal(correlation(outputs, kernel="rbf", sigma=sigma), expected)


def test_normalised_rbf_is_a_function_of_the_cosine(rng):
    outputs = rng.normal(size=(17, 6)).astype(np.float32)
    packed = correlation(outputs, kernel="rbf", rbf_normalized=True)
    cosine = reference.correlation([outputs])[0]
    expected = np.exp(-2 * (1 - cosine))
    np.testing.assert_allclose(packed, expected, rtol=0, atol=tolerances.RBF_NORMALISED)


@pytest.mark.parametrize("center", CENTERS)
def test_row_scales_over_six_decades(rng, center):
    scales = 10.0 ** rng.uniform(-3, 3, (2, 65, 1))
    outputs = (rng.normal(size=(2, 65, 10)) * scales).astype(np.float32)
    expected = reference.correlation(outputs, center=center)
    packed = correlation(outputs, center=center)
    np.testing.assert_allclose(packed, expected, rtol=0, atol=tolerances.CORRELATION)


@pytest.mark.parametrize("center", CENTERS)
@pytest.mark.parametrize(("dtype", "size"), [(np.float32, 1e38), (np.float64, 1e300)])
def test_huge_rows_do_not_overflow(rng, dtype, size, center):
    plain = rng.uniform(-1, 1, (9, 300))
    packed = correlation((plain * size).astype(dtype), center=center)
    expected = reference.correlation([(plain * size).astype(dtype)], center=center)[0]
    np.testing.assert_allclose(packed, expected, rtol=0, atol=tolerances.CORRELATION)
    np.testing.assert_allclose(packed, correlation(plain, center=center), rtol=0, atol=1e-6)


def test_tiny_rows_do_not_underflow(rng):
    plain = rng.normal(size=(9, 5))
    tiny = correlation(plain * 1e-290, center="none")
    np.testing.assert_allclose(
        tiny, correlation(plain, center="none"), rtol=0, atol=2 * tolerances.CORRELATION
    )


@pytest.mark.parametrize("classes", [1, 3, 1000])
@pytest.mark.parametrize("value", [0.1, 1e5 + 0.1, -1e300])
def test_a_row_that_centring_leaves_nothing_of_correlates_zero(rng, classes, value):
    outputs = rng.normal(size=(5, classes))
    outputs[2] = value
    matrix = unpack(correlation(outputs, center="row"), 5)
    assert (matrix[2, [0, 1, 3, 4]] == 0).all()
    same = np.full((4, classes), value) + np.arange(4)[:, None]  # constant rows, no two alike
    assert (correlation(same, center="row") == 0).all()
    assert (correlation(np.tile(outputs[:1], (4, 1)), center="double") == 0).all()


@pytest.mark.parametrize(("probes", "classes"), [(1500, 3), (20, 500)])
def test_rows_that_differ_by_a_constant_leave_nothing_under_double_centring(rng, probes, classes):
    outputs = rng.normal(size=classes) + rng.normal(size=(probes, 1)) * 100
    assert (correlation(outputs) == 0).all()
    assert (correlation(np.tile(outputs[:1], (probes, 1))) == 0).all()


def test_a_mean_over_many_equal_rows_is_that_row():
    value = 0.021252851070693524  # 1500 of them, added one by one, drift by 4e-14 of the sum
    outputs = np.tile([value, -value], (1500, 1))
    assert (correlation(outputs) == 0).all()


def test_a_small_row_is_no_zero_row(rng):
    outputs = 1.0 + 1e-12 * rng.normal(size=(2, 4, 3))
    packed = correlation(outputs, center="row")
    expected = reference.correlation(outputs, center="row")
    assert (np.abs(packed) > 0.01).any()
    np.testing.assert_allclose(packed, expected, rtol=0, atol=tolerances.CORRELATION)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_row_without_a_number_is_nan_and_spoils_others_only_through_the_class_means(rng, bad):
    outputs = rng.normal(size=(5, 4)).astype(np.float32)
    outputs[1, 2] = bad
    for center in ("none", "row"):
        matrix = unpack(correlation(outputs, center=center), 5)
        assert np.isnan(matrix[1, [0, 2, 3, 4]]).all()
        kept = np.delete(np.delete(matrix, 1, 0), 1, 1)
        expected = correlation(np.delete(outputs, 1, 0), center=center)
        np.testing.assert_array_equal(kept, unpack(expected, 4))
    assert np.isnan(correlation(outputs, center="double")).all()
    assert np.isnan(correlation(outputs, kernel="rbf")).all()


def test_no_models_and_one_probe_give_empty_results():
    assert correlation(np.ones((0, 5, 3))).shape == (0, 10)
    assert correlation(np.ones((4, 1, 3))).shape == (4, 0)
    assert correlation(np.ones((1, 3))).shape == (0,)


@pytest.mark.parametrize("center", CENTERS)
def test_a_batch_is_a_loop_and_a_list_is_one_too(rng, center):
    outputs = rng.normal(size=(5, 17, 6)).astype(np.float32)
    batch = correlation(outputs, center=center)
    loop = np.stack([correlation(one, center=center) for one in outputs])
    np.testing.assert_array_equal(batch, loop)
    np.testing.assert_array_equal(correlation(list(outputs), center=center), batch)


def test_a_list_takes_models_with_other_classes_and_types(rng):
    models = [
        rng.normal(size=(9, 3)).astype(np.float32),
        rng.normal(size=(9, 100)),
        torch.randn(9, 7, dtype=torch.bfloat16),
    ]
    packed = correlation(tuple(models))
    assert isinstance(packed, torch.Tensor)
    for row, model in zip(packed, models, strict=True):
        np.testing.assert_array_equal(row.numpy(), np.asarray(correlation(model)))


@pytest.mark.parametrize("shape", [(40, 33, 7), (1, 97, 30), (2, 200, 10)])
def test_the_same_bits_from_run_to_run_and_for_any_number_of_threads(rng, set_threads, shape):
    outputs = rng.normal(size=shape).astype(np.float32)
    set_threads(1)
    once = correlation(outputs)
    for count in (1, 2, 3, 16):
        set_threads(count)
        np.testing.assert_array_equal(correlation(outputs), once)


@pytest.mark.skipif(
    not {"v3", "v4"} <= set(_core.levels()), reason="needs a processor that has both v3 and v4"
)
@pytest.mark.parametrize("center", CENTERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_v3_and_v4_give_the_same_bits(rng, dtype, center):
    """Every result is one lane, added up in the same order; both fuse products into sums."""
    outputs = rng.normal(3.0, 1.0, (2, 97, 143)).astype(dtype)
    before = _core.level()
    packed = []
    for level in ("v3", "v4"):
        _core.use_level(level)
        packed.append(correlation(outputs, center=center))
    _core.use_level(before)
    np.testing.assert_array_equal(*packed)


def test_offsets_past_two_to_the_31():
    stride = 2**31 + 4096
    memory = mmap.mmap(-1, 3 * stride, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000)
    everything = np.frombuffer(memory, dtype=np.float32)  # pages never touched take no memory
    far = np.lib.stride_tricks.as_strided(everything, (3, 4, 2), (stride, 16, 8))
    near = np.random.default_rng(0).normal(size=(3, 4, 2)).astype(np.float32)
    far[...] = near
    np.testing.assert_array_equal(correlation(far, center="row"), correlation(near, center="row"))
    np.testing.assert_array_equal(correlation(far[::-1, ::-1]), correlation(near[::-1, ::-1]))


# ---- laws --------------------------------------------------------------------------------------

cases = st.tuples(st.integers(2, 20), st.integers(2, 12), st.integers(0, 2**32 - 1))
lawful = settings(max_examples=40, deadline=None)


def made(case: tuple[int, int, int]) -> tuple[np.random.Generator, np.ndarray]:
    probes, classes, seed = case
    generator = np.random.default_rng(seed)
    return generator, generator.normal(size=(probes, classes))


def assert_close(a, b):
    np.testing.assert_allclose(a, b, rtol=0, atol=2 * tolerances.CORRELATION)


@lawful
@given(cases)
def test_law_symmetric(case):
    generator, outputs = made(case)
    order = generator.permutation(len(outputs))
    matrix = unpack(correlation(outputs, center="none"), len(outputs))
    again = unpack(correlation(outputs[order], center="none"), len(outputs))
    np.testing.assert_array_equal(again, matrix[order][:, order])


@lawful
@given(cases)
def test_law_positive_scale_of_a_row_does_not_matter(case):
    generator, outputs = made(case)
    before = correlation(outputs, center="none")
    powers = 2.0 ** generator.integers(-300, 300, (len(outputs), 1))
    np.testing.assert_array_equal(correlation(outputs * powers, center="none"), before)
    scales = 10.0 ** generator.uniform(-3, 3, (len(outputs), 1))
    assert_close(correlation(outputs * scales, center="row"), correlation(outputs, center="row"))


@lawful
@given(cases, st.sampled_from(["row", "double"]))
def test_law_a_constant_added_to_a_row_does_not_matter(case, center):
    generator, outputs = made(case)
    shifts = generator.normal(size=(len(outputs), 1)) * 1e5
    assert_close(correlation(outputs + shifts, center=center), correlation(outputs, center=center))


@lawful
@given(cases)
def test_law_a_constant_added_to_a_class_does_not_matter_when_doubly_centred(case):
    generator, outputs = made(case)
    shifts = generator.normal(size=outputs.shape[1]) * 1e5
    assert_close(correlation(outputs + shifts), correlation(outputs))


@lawful
@given(cases, st.sampled_from(CENTERS))
def test_law_the_order_of_the_classes_does_not_matter(case, center):
    generator, outputs = made(case)
    order = generator.permutation(outputs.shape[1])
    assert_close(correlation(outputs[:, order], center=center), correlation(outputs, center=center))


@lawful
@given(cases, st.sampled_from(["row", "none"]))
def test_law_within_minus_one_and_one(case, center):
    _, outputs = made(case)
    packed = correlation(np.concatenate([outputs, 3 * outputs, -outputs]), center=center)
    assert -1 <= packed.min() <= -1 + tolerances.CORRELATION
    assert 1 - tolerances.CORRELATION <= packed.max() <= 1


# ---- the square matrix -------------------------------------------------------------------------


def test_unpack_is_symmetric_with_a_unit_diagonal(rng):
    packed = rng.normal(size=(2, 3, 10))
    square = unpack(packed, 5)
    assert square.shape == (2, 3, 5, 5)
    assert square.dtype == packed.dtype
    np.testing.assert_array_equal(reference.packed(square), packed)
    np.testing.assert_array_equal(square, np.swapaxes(square, -1, -2))
    assert (np.diagonal(square, axis1=-2, axis2=-1) == 1).all()


def test_unpack_gives_torch_for_torch():
    packed = torch.arange(3, dtype=torch.bfloat16)
    square = unpack(packed, 3)
    assert square.dtype == torch.bfloat16
    assert square.tolist() == [[1, 0, 1], [0, 1, 2], [1, 2, 1]]


def test_unpack_of_one_probe_is_a_one():
    assert unpack(np.ones(0), 1).tolist() == [[1.0]]


# ---- errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: correlation(x[0, 0]), ShapeError, r"`outputs` must be \(S, N, C\) or \(N, C\)"),
        (lambda x: correlation(x[:, :0]), ShapeError, "at least one probe and one class"),
        (lambda x: correlation(x[:, :, :0]), ShapeError, "at least one probe and one class"),
        (lambda x: correlation([]), ShapeError, "at least one model, got an empty list"),
        (lambda x: correlation([x[0], x[0, 1:]]), ShapeError, r"`outputs\[1\]` must have N = 4"),
        (lambda x: correlation([x]), ShapeError, r"`outputs\[0\]` must be \(N, C\), got \(2, 4, 3"),
        (
            lambda x: correlation(x, center="both"),
            ArgumentError,
            '`center` must be one of "double"',
        ),
        (
            lambda x: correlation(x, center=np.array(["row", "none"])),
            ArgumentError,
            r"`center` must be one of .*, got array\(\['row', 'none'\]",
        ),
        (lambda x: correlation(x, center=["row"]), ArgumentError, "`center` must be one of"),
        (lambda x: correlation(x, backend=None), ArgumentError, "`backend` must be one of"),
        (lambda x: correlation(x, kernel="linear"), ArgumentError, "`kernel` must be one of"),
        (lambda x: correlation(x, sigma=1.0), ArgumentError, "`sigma` must go with"),
        (lambda x: correlation(x, kernel="rbf", sigma=0), ArgumentError, "positive and finite"),
        (lambda x: correlation(x, kernel="rbf", sigma="a"), DtypeError, "must be a number"),
        (lambda x: correlation(x, kernel="rbf", sigma=True), DtypeError, "must be a number"),
        (lambda x: correlation(x, kernel="rbf", sigma=10**400), ArgumentError, "positive and fini"),
        (lambda x: correlation(x, kernel="rbf", rbf_normalized=x), DtypeError, "must be a bool"),
        (lambda x: correlation(x, rbf_normalized=True), ArgumentError, "`rbf_normalized` must go"),
        (lambda x: unpack(x, 5), ShapeError, r"must be \(..., 10\) for n = 5, got \(2, 4, 3\)"),
        (lambda x: unpack(x, 0), ArgumentError, "`n` must be >= 1, got 0"),
        (lambda x: unpack(x, 2.0), DtypeError, "`n` must be an integer, got float"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call(np.ones((2, 4, 3)))
