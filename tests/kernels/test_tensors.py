"""Arrays of every framework and layout in; results in the caller's framework out."""

from __future__ import annotations

import ctypes

import ml_dtypes
import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from sacfast.errors import ArgumentError, BackendError, DtypeError, ShapeError
from sacfast.kernels import (
    access_mode,
    canonical_outputs,
    correlation,
    correlation_distance,
    label_correlation,
    pairwise_distance,
    unpack,
)
from sacfast.kernels._tensors import DECISIONS, as_numpy


class Foreign:
    """An array of some other library: nothing but the DLPack protocol."""

    def __init__(self, array, device=None):
        self.array = array
        self.device = device

    def __dlpack__(self, **kwargs):
        return self.array.__dlpack__(**kwargs)

    def __dlpack_device__(self):
        return self.device or self.array.__dlpack_device__()


class OldForeign(Foreign):
    """The same from before DLPack 1.0, which took no max_version."""

    def __dlpack__(self, stream=None):
        return self.array.__dlpack__()


class WithoutDevice:
    """Half of the protocol: nobody can tell where the data lies."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **kwargs):
        return self.array.__dlpack__(**kwargs)


@pytest.fixture
def outputs(rng):
    return rng.normal(size=(3, 9, 6)).astype(np.float32)


def unaligned(array):
    memory = np.empty(array.nbytes + 1, dtype=np.uint8)
    view = memory[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    assert not view.flags.aligned
    return view


@pytest.mark.parametrize(
    "change",
    [
        lambda x: np.asfortranarray(x),
        lambda x: np.repeat(np.repeat(x, 2, axis=1), 3, axis=2)[:, ::2, ::3],
        lambda x: np.flip(x).copy()[::-1, ::-1, ::-1],
        lambda x: unaligned(x),
        lambda x: x.astype(">f4"),
        lambda x: x.astype(np.float64),
        lambda x: torch.from_numpy(x).permute(2, 0, 1).contiguous().permute(1, 2, 0),
        lambda x: torch.from_numpy(x).requires_grad_(True),
        lambda x: torch.complex(torch.zeros(3, 9, 6), -torch.from_numpy(x)).conj().imag,
        lambda x: Foreign(x),
        lambda x: OldForeign(x),
        lambda x: Foreign(torch.from_numpy(x).transpose(0, 2).contiguous().transpose(0, 2)),
    ],
    ids=[
        "fortran",
        "strided",
        "negative",
        "unaligned",
        "big-endian",
        "float64",
        "torch-strided",
        "torch-grad",
        "torch-negated",
        "dlpack",
        "dlpack-old",
        "dlpack-torch",
    ],
)
def test_the_same_values_give_the_same_bits(outputs, change):
    expected = correlation(outputs)
    changed = change(outputs)
    packed = correlation(changed)
    assert isinstance(packed, torch.Tensor) == isinstance(changed, torch.Tensor)
    np.testing.assert_array_equal(np.asarray(packed), expected)
    distance = correlation_distance(changed, expected)
    np.testing.assert_array_equal(np.diag(np.asarray(distance)), np.zeros(3))


def test_read_only_inputs_are_read(outputs):
    expected = correlation(outputs)
    outputs.flags.writeable = False
    np.testing.assert_array_equal(correlation(outputs), expected)


def test_rows_that_share_memory(rng):
    one = rng.normal(size=(1, 9, 6))
    packed = correlation(np.broadcast_to(one, (4, 9, 6)))
    np.testing.assert_array_equal(packed, np.repeat(correlation(one), 4, axis=0))


class Tensor(ctypes.Structure):
    """DLTensor, as the specification lays it out."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", ctypes.c_int32 * 2),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("byte_offset", ctypes.c_uint64),
    )


class Capsule:
    """A producer that leaves strides out and starts behind the address that it gives."""

    def __init__(self, array, offset, name=b"dltensor"):
        self.shape = np.array(array.shape, dtype=np.int64)
        self.array, self.name = array, name
        address = array.ctypes.data - offset
        self.tensor = Tensor(
            address, (1, 0), array.ndim, 2, 32, 1, self.shape.ctypes.data, None, offset
        )

    def __dlpack_device__(self):
        return (1, 0)

    def __dlpack__(self, max_version=None):
        make = ctypes.pythonapi.PyCapsule_New
        make.restype, make.argtypes = (
            ctypes.py_object,
            (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p),
        )
        return make(ctypes.addressof(self.tensor), self.name, None)


def test_a_dlpack_tensor_without_strides_and_with_an_offset(outputs):
    np.testing.assert_array_equal(correlation(Capsule(outputs, 64)), correlation(outputs))
    with pytest.raises(ValueError, match="not a DLPack capsule"):
        correlation(Capsule(outputs, 0, name=b"used_dltensor"))


class Liar(Capsule):
    """One field of the tensor, or of the protocol, is not what it should be."""

    def __init__(self, array, field):
        super().__init__(array, 0)
        self.strides = np.array([2**62, 1, 1], dtype=np.int64)
        for name, value in field.items():
            setattr(self.tensor, name, self.strides.ctypes.data if name == "strides" else value)


class Broken:
    """Each half of the protocol gives an answer, or raises it."""

    def __init__(self, device, capsule=None):
        self.device, self.capsule = device, capsule

    def __dlpack_device__(self):
        return self.answer(self.device)

    def __dlpack__(self, **_):
        return self.answer(self.capsule)

    @staticmethod
    def answer(value):
        if isinstance(value, Exception):
            raise value
        return value


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"data": None}, "a null address"),
        ({"device": (2, 0)}, "memory that the CPU can't read"),
        ({"ndim": -1}, "a negative number of axes"),
        ({"strides": 1}, "an offset that does not fit into 64 bits"),
    ],
)
def test_a_dlpack_tensor_that_lies_is_refused(outputs, field, message):
    with pytest.raises(ArgumentError, match=f"correlation: `outputs` must be .* Liar.*{message}"):
        correlation(Liar(outputs, field))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Broken(RuntimeError("gone")), "gone"),
        (Broken(None), "NoneType"),
        (Broken((1,)), "unpack"),
        (Broken((1, 0), BufferError("no export")), "no export"),
        (Broken((1, 0), 5), "no capsule but int"),
    ],
)
def test_a_producer_that_fails_is_named(broken, message):
    with pytest.raises(ArgumentError, match=f"correlation: `outputs` must be .* Broken.*{message}"):
        correlation(broken)


def traced() -> None:
    with FakeTensorMode():
        given = torch.empty(2, 5, 3)
    correlation(given)


@pytest.mark.parametrize("call", [lambda: torch.vmap(correlation)(torch.ones(2, 5, 3)), traced])
def test_a_tensor_without_numbers_of_its_own_is_refused(call):
    with pytest.raises(
        DtypeError, match=r"(?s)`outputs` must be a dense tensor with data, got .*hint: vmap"
    ):
        call()


def test_an_out_that_is_not_aligned_is_refused(outputs):
    memory = bytearray(4 * 3 * 36 + 8)
    out = torch.frombuffer(memory, dtype=torch.float32, offset=1, count=3 * 36).view(3, 36)
    with pytest.raises(ArgumentError, match="`out` must be an aligned, writable"):
        correlation(torch.from_numpy(outputs), out=out)


def test_bfloat16_of_every_framework_is_the_same(rng):
    tensor = torch.from_numpy(rng.normal(size=(2, 9, 6))).bfloat16()
    array = tensor.float().numpy().astype(ml_dtypes.bfloat16)
    expected = correlation(tensor.float().numpy())
    for given in (tensor, array, Foreign(tensor)):
        np.testing.assert_array_equal(np.asarray(correlation(given)), expected)


@pytest.mark.parametrize(
    "make", [lambda s: np.full(s, np.nan, np.float32), lambda s: torch.full(s, torch.nan)]
)
def test_out_is_written_and_returned(outputs, make):
    packed, distance, pairwise = make((3, 36)), make((3, 3)), make((3, 3))
    assert correlation(outputs, out=packed) is packed
    np.testing.assert_array_equal(np.asarray(packed), correlation(outputs))
    assert correlation_distance(outputs, packed, out=distance) is distance
    assert pairwise_distance(packed, out=pairwise) is pairwise
    np.testing.assert_array_equal(np.asarray(distance), np.asarray(pairwise))


def read_only(array):
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("out", "error", "message"),
    [
        (lambda x: np.empty((3, 36)), DtypeError, "`out` must be float32, got float64"),
        (lambda x: np.empty((3, 35), "f4"), ShapeError, r"must be \(3, 36\), got \(3, 35\)"),
        (lambda x: np.empty((36, 3), "f4").T, ArgumentError, "writable C-contiguous"),
        (lambda x: read_only(np.empty((3, 36), "f4")), ArgumentError, "writable C-contiguous"),
        (lambda x: unaligned(np.empty((3, 36), "f4")), ArgumentError, "writable C-contiguous"),
        (lambda x: np.empty((3, 36), ">f4"), ArgumentError, "writable C-contiguous"),
        (lambda x: Foreign(np.empty((3, 36), "f4")), ArgumentError, "writable C-contiguous"),
        (lambda x: torch.empty(3, 36, dtype=torch.cfloat).conj().imag, ArgumentError, "writable"),
        (
            lambda x: torch.empty(3, 36, requires_grad=True),
            ArgumentError,
            r"(?s)needs no gradient.*pass out.detach\(\)",
        ),
        (lambda x: x.reshape(-1)[:108].reshape(3, 36), ArgumentError, "must not share memory"),
        (lambda x: [0.0], DtypeError, "`out` must be an array, got list"),
    ],
)
def test_an_unfit_out_is_refused(outputs, out, error, message):
    with pytest.raises(error, match=message):
        correlation(outputs, out=out(outputs))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.ones((2, 3, 4), int), "must be float16, bfloat16, float32, float64, got int64"),
        (np.ones((2, 3, 4), complex), "got complex128"),
        (np.ones((2, 3, 4), object), "got object"),
        (np.ones((2, 3, 4), bool), "got bool"),
        (np.ma.masked_array(np.ones((2, 3, 4))), "must be a plain array, got a masked one"),
        (torch.ones(2, 3, 4, dtype=torch.int32), "got int32"),
        (torch.ones(2, 3, 4, dtype=torch.complex64), "got complex64"),
        (torch.ones(2, 3, 4, device="meta"), "must be a dense tensor with data, got a meta tensor"),
        (torch.ones(2, 3, 4).to_sparse(), "must be a dense tensor with data, got torch.sparse_coo"),
        (Foreign(np.ones((2, 3, 4), int)), "got int64"),
        (Foreign(np.ones((2, 3, 4), bool)), "got bool"),
        (Foreign(np.ones((2, 3, 4), complex)), "got DLPack type code 5, 128 bits, 1 lanes"),
        (WithoutDevice(np.ones((2, 3, 4))), "must be an array, got WithoutDevice"),
        (7.0, "must be an array, got float"),
        ([[1.0, 2.0]], r"`outputs\[0\]` must be an array, got list"),
    ],
)
def test_other_types_are_refused(value, message):
    with pytest.raises(DtypeError, match=message):
        correlation(value)


def test_memory_of_another_device_is_refused(outputs):
    with pytest.raises(
        BackendError,
        match=r"(?s)`outputs` must be in CPU memory or on an NVIDIA GPU, got an array on DLPack "
        r"device 10.*pass outputs.cpu\(\)",
    ):
        correlation(Foreign(outputs, device=(10, 0)))
    with pytest.raises(
        BackendError, match=r'must be in CPU memory for backend="cpu", got a tensor on cuda:0'
    ):
        correlation(Foreign(outputs, device=(2, 0)), backend="cpu")
    labels = np.zeros((3, 9), int)
    for call, argument, value in (
        (label_correlation, "labels", labels),
        (lambda x: canonical_outputs(x, "logits"), "outputs", outputs),
        (lambda x: access_mode(x, "logits", "probs"), "outputs", outputs),
    ):
        with pytest.raises(
            BackendError,
            match=rf"(?s)`{argument}` must be in CPU memory, the only place that it is taken from, "
            rf"got a tensor on cuda:0.*pass {argument}.cpu\(\)",
        ):
            call(Foreign(value, device=(2, 0)))


@pytest.mark.parametrize(
    "call",
    [
        lambda x, **k: correlation(x, **k),
        lambda x, **k: correlation_distance(x, correlation(x), **k),
        lambda x, **k: pairwise_distance(x[0], **k),
    ],
)
def test_backends(outputs, call):
    np.testing.assert_array_equal(call(outputs, backend="cpu"), call(outputs, backend="auto"))
    with pytest.raises(
        BackendError, match=r'must be on a GPU for backend="cuda", got an array in CPU memory'
    ):
        call(outputs, backend="cuda")
    with pytest.raises(ArgumentError, match='must be one of "auto", "cpu", "cuda", got \'gpu\''):
        call(outputs, backend="gpu")


def test_labels_and_packed_rows_through_dlpack(rng):
    labels = rng.integers(0, 3, 12).astype(np.int16)
    packed = label_correlation(Foreign(labels))
    np.testing.assert_array_equal(packed, label_correlation(labels))
    np.testing.assert_array_equal(unpack(Foreign(packed), 12), unpack(packed, 12))


def test_as_numpy_reads_floats_as_float32_or_float64(rng):
    values = rng.normal(size=(4, 3)).astype(np.float16)
    tensor = torch.from_numpy(values)
    for given in (values, tensor, tensor.bfloat16(), Foreign(values)):
        assert as_numpy("f", "x", given).dtype == np.float32
    np.testing.assert_array_equal(as_numpy("f", "x", tensor), values)
    assert as_numpy("f", "x", values.astype(np.float64)).dtype == np.float64


@pytest.mark.parametrize("dtype", DECISIONS)
@pytest.mark.parametrize("source", [Foreign, OldForeign, lambda tensor: tensor])
def test_as_numpy_reads_every_type_and_stride(rng, dtype, source):
    tensor = torch.from_numpy(rng.integers(0, 100, (4, 6, 5))).to(getattr(torch, dtype))
    expected = tensor.float().numpy() if dtype == "bfloat16" else tensor.numpy()
    for view in (tensor, tensor[1:, ::2].permute(2, 0, 1), tensor[:0], tensor[0, 0, 0]):
        read = as_numpy("f", "x", source(view), DECISIONS)
        assert read.dtype == (np.float32 if dtype == "float16" else expected.dtype)
        wanted = view.float().numpy() if dtype == "bfloat16" else view.numpy()
        np.testing.assert_array_equal(read, wanted)
        assert read.shape == tuple(view.shape)


def test_as_numpy_keeps_the_memory_alive():
    read = as_numpy("f", "x", Foreign(torch.full((1000, 100), 7.0)))
    others = [torch.zeros(1000, 100) for _ in range(20)]  # would take memory that was given back
    assert (read == 7).all()
    assert len(others) == 20


def test_bfloat16_through_dlpack_goes_everywhere(rng):
    tensor = torch.from_numpy(rng.normal(size=(9, 6))).bfloat16()
    plain, foreign = tensor.float().numpy(), Foreign(tensor)
    array = plain.astype(ml_dtypes.bfloat16)
    for given in (foreign, array, Foreign(tensor.T.contiguous().T)):
        np.testing.assert_array_equal(canonical_outputs(given, "logits"), plain)
        np.testing.assert_array_equal(
            access_mode(given, "logits", "probs"), access_mode(plain, "logits", "probs")
        )
    packed = correlation(plain)
    halves = torch.from_numpy(packed).bfloat16()
    np.testing.assert_array_equal(unpack(Foreign(halves), 9), unpack(halves.float().numpy(), 9))


def test_decisions_of_bool_through_dlpack(rng):
    decisions = rng.integers(0, 2, (5, 4)).astype(bool)
    np.testing.assert_array_equal(canonical_outputs(Foreign(decisions), "decisions"), decisions)
