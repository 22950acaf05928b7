"""Arrays as they come: every layout is read or refused, by every function, on every level.

Layouts must not change a bit of a result; what is no plain array of numbers must end in an error
of the package; values that no correlation holds must give what the oracle gives.
"""

from __future__ import annotations

import functools
import math
import mmap
import warnings

import numpy as np
import pytest
import torch

from sacfast import _core
from sacfast.errors import ArgumentError, DtypeError, SacfastError, ShapeError
from sacfast.kernels import (
    access_mode,
    canonical_outputs,
    compact,
    correlation,
    correlation_distance,
    fri_features,
    label_correlation,
    label_distance,
    pairs_within,
    pairwise_distance,
    paper_scale,
    reference,
    unpack,
)
from sacfast.kernels.linear import inner_products
from tests import tolerances

FIXED = np.random.default_rng(7)
PACKED = FIXED.uniform(-1, 1, (4, 36)).astype(np.float32)
EMBEDDINGS = FIXED.normal(size=(3, 5, 6)).astype(np.float32)


def within(a, b):
    pairs, distances = pairs_within(a, b, threshold=1.0)
    return np.column_stack([np.asarray(pairs), np.asarray(distances)])


#: name -> (shape of the argument, what is done with it). The rest of the arguments is fixed.
FLOAT_FUNCTIONS = {
    "correlation": ((3, 9, 6), correlation),
    "correlation-none": ((3, 9, 6), lambda x: correlation(x, center="none")),
    "correlation-rbf": ((3, 9, 6), lambda x: correlation(x, kernel="rbf")),
    "correlation-list": ((9, 6), lambda x: correlation([x, EMBEDDINGS[0, [0, 1, 2] * 3]])),
    "correlation_distance": ((3, 9, 6), lambda x: correlation_distance(x, PACKED)),
    "correlation_distance-b": ((3, 36), lambda x: correlation_distance(EMBEDDINGS[:, [0] * 9], x)),
    "pairwise_distance": ((3, 36), pairwise_distance),
    "pairwise_distance-b": ((3, 36), lambda x: pairwise_distance(PACKED, x)),
    "pairs_within": ((3, 36), lambda x: within(x, None)),
    "pairs_within-b": ((3, 36), lambda x: within(PACKED, x)),
    "compact": ((3, 36), lambda x: within(compact(x), compact(PACKED))),
    "fri_features": ((3, 9, 6), lambda x: fri_features(x, EMBEDDINGS)),
    "fri_features-b": ((3, 9, 6), lambda x: fri_features(EMBEDDINGS, x)),
    "inner_products": ((3, 36), lambda x: inner_products(x, PACKED)),
    "unpack": ((3, 36), lambda x: unpack(x, 9)),
    "paper_scale": ((3, 9), lambda x: paper_scale(x, 9)),
    "canonical_outputs": ((3, 9, 6), lambda x: canonical_outputs(x, "logits")),
    "access_mode": ((3, 9, 6), lambda x: access_mode(x, "logits", "probs")),
}
LABELS = FIXED.integers(0, 3, (4, 11))
LABEL_FUNCTIONS = {
    "label_correlation": ((3, 11), label_correlation),
    "label_distance": ((3, 11), label_distance),
    "label_distance-b": ((3, 11), lambda x: label_distance(LABELS, x)),
    "canonical_outputs-labels": ((3, 11), lambda x: canonical_outputs(x, "labels")),
}
FUNCTIONS = {**FLOAT_FUNCTIONS, **LABEL_FUNCTIONS}
#: Those that take `out`, with the shape of the result.
WRITERS = {
    "correlation": ((3, 9, 6), (3, 36), correlation),
    "correlation_distance": (
        (3, 9, 6),
        (3, 4),
        lambda x, out: correlation_distance(x, PACKED, out=out),
    ),
    "pairwise_distance": ((4, 36), (4, 4), pairwise_distance),
}


def values(name, rng):
    shape = FUNCTIONS[name][0]
    if name in LABEL_FUNCTIONS:
        return rng.integers(0, 4, shape).astype(np.int32)
    return rng.normal(size=shape).astype(np.float32)


def unaligned(x):
    view = np.empty(x.nbytes + 1, dtype=np.uint8)[1:].view(x.dtype).reshape(x.shape)
    view[...] = x
    assert not view.flags.aligned
    return view


def spread(x):
    """Elements far apart, with others between them."""
    wide = np.full([2 * n + 1 for n in x.shape], 77, x.dtype)
    inner = wide[tuple(slice(1, None, 2) for _ in x.shape)]
    inner[...] = x
    return inner


def read_only(x):
    copy = x.copy()
    copy.flags.writeable = False
    return copy


def field(x):
    """One field of records of 11 bytes: a stride that is no multiple of the element."""
    records = np.zeros(x.shape, dtype=[("pad", "S3"), ("x", x.dtype), ("more", "S4")])
    records["x"] = x
    return records["x"]


def torch_turned(x):
    axes = list(range(x.ndim))[::-1]
    return torch.from_numpy(np.ascontiguousarray(x.transpose(axes))).permute(axes)


LAYOUTS = {
    "fortran": np.asfortranarray,
    "spread": spread,
    "negative": lambda x: np.flip(np.flip(x).copy()),
    "unaligned": unaligned,
    "unaligned-spread": lambda x: unaligned(np.repeat(x, 2, axis=-1))[..., ::2],
    "record": field,
    "big-endian": lambda x: x.astype(x.dtype.newbyteorder(">")),
    "read-only": read_only,
    "subclass": lambda x: x.view(type("Mine", (np.ndarray,), {})),
    "torch": lambda x: torch.from_numpy(x.copy()),
    "torch-turned": torch_turned,
    "torch-offset": lambda x: torch.from_numpy(np.concatenate([x, x]))[len(x) :],
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_layout_does_not_change_a_bit(rng, level, name, layout):
    x = values(name, rng)
    before, given = x.copy(), LAYOUTS[layout](x)
    call = FUNCTIONS[name][1]
    if name == "unpack" and layout == "big-endian":  # keeps the type of what came
        expected = unpack(x, 9).astype(given.dtype)
    else:
        expected = call(x)
    found = call(given)
    np.testing.assert_array_equal(np.asarray(found), expected)
    np.testing.assert_array_equal(np.asarray(given), before)  # and is left alone


@pytest.mark.parametrize("name", [*FLOAT_FUNCTIONS, *LABEL_FUNCTIONS])
def test_axes_without_a_stride(rng, level, name):
    x = values(name, rng)
    for axis in range(x.ndim):
        first = x.take([0], axis=axis)
        broadcast = np.broadcast_to(first, x.shape)
        assert broadcast.strides[axis] == 0
        call = FUNCTIONS[name][1]
        expected = call(broadcast.copy())
        np.testing.assert_array_equal(call(broadcast), expected)
        expanded = torch.from_numpy(first).expand(x.shape)
        np.testing.assert_array_equal(np.asarray(call(expanded)), expected)


def resized():
    x = torch.ones(3, 9, 6)
    x.untyped_storage().resize_(8)
    return x


def nested():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a prototype of PyTorch
        return torch.nested.nested_tensor([torch.ones(9, 6), torch.ones(8, 6)])


def quantised():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # deprecated
        return torch.quantize_per_tensor(torch.ones(3, 9), 0.1, 0, torch.qint8)


REFUSED = {
    "text": lambda: "1.0",
    "bytes": lambda: b"12345678",
    "dict": dict,
    "iterator": lambda: iter([1.0]),
    "list-of-none": lambda: [None, None],
    "list-of-text": lambda: ["1", "2"],
    "object": lambda: np.full((3, 9), None),
    "objects-that-are-numbers": lambda: np.ones((3, 9), object),
    "structured": lambda: np.zeros((3, 9), [("a", "f4"), ("b", "i4")]),
    "text-array": lambda: np.full((3, 9), "1.0"),
    "bytes-array": lambda: np.full((3, 9), b"1"),
    "times": lambda: np.zeros((3, 9), "M8[s]"),
    "durations": lambda: np.zeros((3, 9), "m8[s]"),
    "complex": lambda: np.ones((3, 9), complex),
    "long-double": lambda: np.ones((3, 9), np.longdouble),
    "bool": lambda: np.ones((3, 9), bool),
    "masked-floats": lambda: np.ma.masked_less(np.ones((3, 9)), 2),
    "masked-integers": lambda: np.ma.masked_less(np.ones((3, 9), int), 2),
    "torch-sparse": lambda: torch.ones(3, 9).to_sparse(),
    "torch-sparse-rows": lambda: torch.sparse_csr_tensor([0, 1], [0], [1.0], (1, 9)),
    "torch-quantised": quantised,
    "torch-meta": lambda: torch.ones(3, 9, device="meta"),
    "torch-complex": lambda: torch.ones(3, 9, dtype=torch.cfloat).conj(),
    "torch-bool": lambda: torch.ones(3, 9, dtype=torch.bool),
    "torch-float8": lambda: torch.ones(3, 9).to(torch.float8_e5m2),
    "torch-nested": nested,
    "torch-resized": resized,
}


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta:UserWarning")
@pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")
@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_no_array_of_numbers_is_refused(name, kind):
    with pytest.raises(SacfastError) as caught:
        FUNCTIONS[name][1](REFUSED[kind]())
    assert str(caught.value).startswith(name.split("-")[0] + ": `")


@pytest.mark.parametrize("name", [n for n in FUNCTIONS if n not in ("unpack", "paper_scale")])
def test_axes_too_many_or_too_few_are_refused(rng, name):
    x = values(name, rng)
    call = FUNCTIONS[name][1]
    for bad in (x[(None,) * (4 - x.ndim)], np.array(x.flat[0])):
        with pytest.raises(ShapeError):
            call(bad)


# ---- sizes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("center", ["double", "row", "none"])
@pytest.mark.parametrize(("probes", "classes"), [(1, 1), (1, 7), (2, 1), (9, 1), (17, 1), (2, 2)])
def test_one_probe_and_one_class(rng, level, probes, classes, center):
    x = rng.normal(size=(3, probes, classes))
    expected = reference.correlation(x, center=center)
    packed = correlation(x, center=center)
    np.testing.assert_allclose(packed, expected, rtol=0, atol=tolerances.CORRELATION)
    if probes > 1:
        fused = correlation_distance(x, packed, center=center)
        np.testing.assert_array_equal(fused, pairwise_distance(packed))


def test_nothing_gives_nothing(level):
    none = np.ones((0, 9, 6), np.float32)
    assert correlation(none).shape == (0, 36)
    assert correlation_distance(none, PACKED).shape == (0, 4)
    assert correlation_distance(EMBEDDINGS, PACKED[:0, :10]).shape == (3, 0)
    assert pairwise_distance(PACKED[:0]).shape == (0, 0)
    assert pairwise_distance(PACKED, PACKED[:0]).shape == (4, 0)
    assert within(PACKED[:0], None).shape == within(compact(PACKED[:0]), PACKED).shape == (0, 3)
    assert within(PACKED, PACKED[:0]).shape == within(PACKED[:1], None).shape == (0, 3)
    assert fri_features(none, none).shape == (0, 9, 9)
    assert inner_products(PACKED[:0], PACKED).shape == (0, 4)
    assert (inner_products(PACKED[:, :0], PACKED[:, :0]) == 0).all()
    assert unpack(PACKED[:0], 9).shape == (0, 9, 9)
    assert paper_scale(PACKED[:0], 9).shape == (0, 36)
    assert label_correlation(LABELS[:0]).shape == (0, 55)
    assert label_distance(LABELS[:0], LABELS).shape == (0, 4)
    out = np.empty((0, 36), np.float32)
    assert correlation(none, out=out) is out


@pytest.mark.parametrize(
    "call",
    [
        lambda: correlation(np.ones((3, 0, 6))),
        lambda: correlation(np.ones((3, 9, 0))),
        lambda: correlation(np.ones((0, 0))),
        lambda: correlation([np.ones((0, 6))]),
        lambda: correlation_distance(np.ones((3, 9, 0)), PACKED),
        lambda: correlation_distance(np.ones((3, 0, 6)), PACKED[:, :0]),
        lambda: pairwise_distance(PACKED[:, :0]),
        lambda: within(PACKED[:, :0], None),
        lambda: compact(PACKED[:, :0]),
        lambda: fri_features(np.ones((3, 0, 6)), EMBEDDINGS),
        lambda: fri_features(EMBEDDINGS, np.ones((3, 0, 6))),
        lambda: fri_features(np.ones((3, 5, 0)), np.ones((3, 5, 0))),
        lambda: unpack(np.ones((3, 0)), 0),
        lambda: label_correlation(LABELS[:, :0]),
        lambda: label_distance(LABELS[:, :1]),
    ],
)
def test_no_probes_classes_or_pairs_are_refused(call):
    with pytest.raises(ArgumentError):
        call()


# ---- values ------------------------------------------------------------------------------------

SMALLEST = {np.float16: 6e-8, np.float32: 1e-45, np.float64: 5e-324}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_rows_without_a_number_are_nan_and_no_others(rng, level, bad, dtype):
    x = rng.normal(size=(2, 19, 35)).astype(dtype)
    x[0, 4, 33], x[1, 17, 0] = bad, bad
    for center in ("none", "row"):
        expected = reference.correlation(x, center=center)
        packed = correlation(x, center=center)
        np.testing.assert_allclose(packed, expected, rtol=0, atol=tolerances.CORRELATION)
        distance = correlation_distance(x, np.zeros((1, 171), np.float32), center=center)
        assert np.isnan(distance).all()
    scores = fri_features(x, x[:, :3])
    with np.errstate(invalid="ignore"):  # inf / inf
        expected = reference.fri_features(x, x[:, :3])
    np.testing.assert_allclose(scores, expected, rtol=0, atol=tolerances.CORRELATION)
    assert np.isnan(correlation(x)).all()
    assert np.isnan(correlation(x, kernel="rbf")).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_rows_of_subnormals_zeros_and_the_largest_numbers(rng, level, dtype):
    x = rng.normal(size=(1, 9, 21)).astype(dtype)
    x[0, 1] = 0
    x[0, 2] = -0.0
    x[0, 3] = SMALLEST[dtype]
    x[0, 4] = SMALLEST[dtype] * rng.integers(-5, 6, 21)
    x[0, 5] = np.finfo(dtype).max
    x[0, 6] = np.finfo(dtype).max * rng.choice([-1, 1], 21)
    x[0, 7, 1:] = 0
    expected = reference.correlation(x, center="none")
    packed = correlation(x, center="none")
    np.testing.assert_allclose(packed, expected, rtol=0, atol=tolerances.CORRELATION)
    scores = fri_features(x, x)
    expected = reference.fri_features(x, x)
    np.testing.assert_allclose(scores, expected, rtol=0, atol=tolerances.CORRELATION)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_distances_of_rows_without_a_number_are_the_oracle_s(rng, level, bad, dtype):
    a = rng.uniform(-1, 1, (5, 2100)).astype(dtype)
    a[1, 3] = a[3, 2099] = bad
    with np.errstate(invalid="ignore"):  # inf - inf
        expected = reference.pairwise_distance(a, a)
    atol = tolerances.PAIRWISE_DISTANCE
    np.testing.assert_allclose(pairwise_distance(a), expected, rtol=0, atol=atol)
    np.testing.assert_allclose(pairwise_distance(a, a.copy()), expected, rtol=0, atol=atol)


@pytest.mark.parametrize("size", [1e-45, 1e-30, 3.0, 1e5, 1e30, 3.4e38])
def test_distances_of_rows_that_are_no_correlations(rng, level, size):
    a = (rng.uniform(-1, 1, (5, 700)) * size).astype(np.float32)
    expected = reference.pairwise_distance(a, a)
    atol = tolerances.PAIRWISE_DISTANCE * max(1.0, size) if size > 1 else size * 2.0**-20 + 1e-45
    np.testing.assert_allclose(pairwise_distance(a), expected, rtol=0, atol=atol)


# ---- 2^31 and more -----------------------------------------------------------------------------


def far_apart(near):
    """The same values, the first axis more than 2^31 bytes apart; pages never touched cost none."""
    stride = 2**31 + 4096
    reserved = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000  # MAP_NORESERVE
    memory = mmap.mmap(-1, len(near) * stride, flags=reserved)
    everything = np.frombuffer(memory, dtype=near.dtype)
    far = np.lib.stride_tricks.as_strided(everything, near.shape, (stride, *near.strides[1:]))
    far[...] = near
    return far


@pytest.mark.parametrize("name", FUNCTIONS)
def test_offsets_past_two_to_the_31(rng, level, name):
    x = values(name, rng)
    call = FUNCTIONS[name][1]
    far = far_apart(x)
    np.testing.assert_array_equal(call(far), call(x))
    np.testing.assert_array_equal(call(far[::-1]), call(x[::-1]))


@pytest.mark.parametrize(
    ("call", "shape"),
    [
        (lambda m: correlation(np.broadcast_to(np.float32(1), (m, 1, 3))), (0,)),
        (lambda m: correlation_distance(np.broadcast_to(np.float32(1), (m, 9, 3)), PACKED[:0]), ()),
        (lambda m: pairwise_distance(np.broadcast_to(np.float32(1), (m, 36)), PACKED[:0]), ()),
        (lambda m: label_correlation(np.broadcast_to(np.int8(1), (m, 1))), (0,)),
        (lambda m: label_distance(np.broadcast_to(np.int8(1), (m, 11)), LABELS[:0]), ()),
    ],
)
def test_more_than_two_to_the_31_models_and_nothing_to_say_of_them(call, shape):
    m = 2**31 + 5
    assert call(m).shape == ((m, *shape) if shape else (m, 0))


def test_more_than_two_to_the_31_rows_and_none_to_pair_them_with():
    many = np.broadcast_to(np.float32(1), (2**31 + 5, 36))
    assert within(many, PACKED[:0]).shape == within(PACKED[:0], many).shape == (0, 3)


@pytest.mark.parametrize(
    "call",
    [
        lambda: correlation(np.broadcast_to(np.float32(1), (1, 2**33, 1))),
        lambda: pairwise_distance(np.broadcast_to(np.float32(1), (2**32, 3))),
        lambda: label_correlation(np.broadcast_to(np.int8(1), 2**33)),
        lambda: label_distance(np.broadcast_to(np.int8(1), (2**32, 3))),
        lambda: fri_features(*[np.broadcast_to(np.float32(1), (2**32, 3))] * 2),
    ],
)
def test_a_result_beyond_the_address_space_is_refused(call):
    with pytest.raises(ShapeError, match="the result must be smaller than the address space"):
        call()


@pytest.mark.parametrize(
    ("call", "shape"),
    [
        (correlation, (1, 2, 2**60)),
        (functools.partial(correlation, kernel="rbf"), (1, 2, 2**60)),
        (lambda x: fri_features(x, x), (1, 1, 2**61)),  # whose bytes can't even be counted
    ],
)
def test_work_beyond_all_memory_is_refused(call, shape):
    with pytest.raises(MemoryError):
        call(np.broadcast_to(np.float16(1), shape))


# ---- out ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WRITERS)
def test_nothing_is_written_beside_out(rng, level, name):
    shape, result, call = WRITERS[name]
    x = rng.normal(size=shape).astype(np.float32)
    size = math.prod(result)
    for offset in (0, 1, 7):  # cache lines that the result shares with others
        memory = np.full(size + 64, np.float32(7), np.float32)
        out = memory[16 + offset : 16 + offset + size].reshape(result)
        call(x, out=out)
        np.testing.assert_array_equal(out, call(x, out=None))
        assert (memory[: 16 + offset] == 7).all()
        assert (memory[16 + offset + size :] == 7).all()


def overlapping(x, result):
    """A result that begins inside of x, or ends there."""
    size = math.prod(result)
    memory = np.zeros(x.size + size, np.float32)
    inside = memory[: x.size].reshape(x.shape)
    inside[...] = x
    return inside, memory[x.size - 1 : x.size - 1 + size].reshape(result)


@pytest.mark.parametrize("name", WRITERS)
def test_an_out_that_touches_the_input_is_refused(rng, name):
    shape, result, call = WRITERS[name]
    x = rng.normal(size=shape).astype(np.float32)
    same = x.reshape(-1)[: math.prod(result)].reshape(result)
    for given, out in ((x, same), (x[::-1], same), overlapping(x, result)):
        before = given.copy()
        with pytest.raises(ArgumentError, match="must not share memory"):
            call(given, out=out)
        np.testing.assert_array_equal(given, before)


def one_row(x, shape):
    return np.lib.stride_tricks.as_strided(x, shape, (0, 4))


UNFIT = {
    "list": (lambda s: [0.0], DtypeError),
    "float64": (np.empty, DtypeError),
    "int32": (lambda s: np.empty(s, np.int32), DtypeError),
    "object": (lambda s: np.empty(s, object), DtypeError),
    "masked": (lambda s: np.ma.zeros(s, np.float32), DtypeError),
    "shape": (lambda s: np.empty((s[0], s[1] + 1), np.float32), ShapeError),
    "axes": (lambda s: np.empty((1, *s), np.float32), ShapeError),
    "fortran": (lambda s: np.empty(s, np.float32, order="F"), ArgumentError),
    "spread": (lambda s: np.empty((s[0], 2 * s[1]), np.float32)[:, ::2], ArgumentError),
    "negative": (lambda s: np.empty(s, np.float32)[::-1], ArgumentError),
    "one-row": (lambda s: one_row(np.empty(s[1], np.float32), s), ArgumentError),
    "unaligned": (lambda s: unaligned(np.empty(s, np.float32)), ArgumentError),
    "read-only": (lambda s: read_only(np.empty(s, np.float32)), ArgumentError),
    "big-endian": (lambda s: np.empty(s, ">f4"), ArgumentError),
    "torch-grad": (lambda s: torch.empty(s, requires_grad=True), ArgumentError),
    "torch-meta": (lambda s: torch.empty(s, device="meta"), DtypeError),
    "torch-sparse": (lambda s: torch.zeros(s).to_sparse(), DtypeError),
    "torch-turned": (lambda s: torch.empty(s[::-1]).T, ArgumentError),
    "torch-one-row": (lambda s: torch.empty(s[1]).expand(s), ArgumentError),
}


@pytest.mark.parametrize("kind", UNFIT)
@pytest.mark.parametrize("name", WRITERS)
def test_an_unfit_out_is_refused(rng, name, kind):
    shape, result, call = WRITERS[name]
    make, error = UNFIT[kind]
    with pytest.raises(error, match=r"`out` must"):
        call(rng.normal(size=shape).astype(np.float32), out=make(result))


# ---- the compiled module by itself -------------------------------------------------------------


def test_the_module_checks_geometry_again():
    ref, memory = _core.TensorRef, np.zeros(64, np.float32)
    address = memory.ctypes.data
    for shape, strides, message in (
        ((2, 3), (12,), "differ in length"),
        ((-1,), (4,), "negative size"),
        ((2**40, 2**40), (0, 0), r"more than 2\^63 elements"),
        ((2**40,), (2**40,), "does not fit into 64 bits"),
    ):
        with pytest.raises(ValueError, match=message):
            ref(address, shape, strides, "float32")
    with pytest.raises(ValueError, match="null address"):
        ref(0, (1,), (4,), "float32")
    with pytest.raises(ValueError, match="unknown name"):
        ref(address, (1,), (4,), "float128")
    a, wrong = ref(address, (2, 3), (12, 4), "float32"), ref(address, (3,), (4,), "float32")
    with pytest.raises(ValueError, match="wrong type, size or layout"):
        _core.pairwise_distance(a, None, 1, wrong)
    with pytest.raises(ValueError, match="2 axes expected, got 1"):
        _core.pairwise_distance(wrong, None, 1, a)
    with pytest.raises(ValueError, match="rows of different lengths"):
        _core.pairwise_distance(a, ref(address, (2, 2), (8, 4), "float32"), 1, a)
    with pytest.raises(ValueError, match="not a level"):
        _core.use_level("v5")
