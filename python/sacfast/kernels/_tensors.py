"""Arrays of any framework, as the kernels see them.

NumPy arrays, PyTorch tensors and anything with `__dlpack__` come in; a `TensorRef` (address, shape,
byte strides, element type) goes on to the compiled module, which copies nothing. PyTorch is never
imported here: where it isn't loaded yet, no argument can be a tensor. bfloat16 exists in NumPy only
through `ml_dtypes`, whose type is known by its name; `as_numpy` reads it by its bits.

Results live in NumPy memory, and are handed out as PyTorch tensors where a tensor came in.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sacfast.errors import ArgumentError, BackendError, DtypeError, ShapeError
from sacfast.kernels._native import core

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from sacfast._core import TensorRef

FLOATS = ("float16", "bfloat16", "float32", "float64")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
DECISIONS = ("bool", *INTEGERS, *FLOATS)

_HOST_DEVICES = (1, 3)  # DLPack: CPU, and pinned memory that the CPU reads


@dataclass(frozen=True)
class Array:
    """One array: what the kernels need, and the object that owns the memory."""

    ref: TensorRef
    shape: tuple[int, ...]
    dtype: str
    is_torch: bool
    owner: object


def is_torch(value: object) -> bool:
    """Whether `value` is a PyTorch tensor."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def array(function: str, argument: str, value: Any, dtypes: tuple[str, ...] = FLOATS) -> Array:
    """Read an argument as an array, without a copy.

    Raises:
        DtypeError: If it is no array, or its elements are of none of `dtypes`.
        ArgumentError: If it is a tensor whose memory was taken away.
        BackendError: If its memory is not the CPU's.
    """
    if isinstance(value, np.ndarray):
        found = _from_numpy(function, argument, value, dtypes)
    elif is_torch(value):
        found = _from_torch(function, argument, value, dtypes)
    elif hasattr(value, "__dlpack__") and hasattr(value, "__dlpack_device__"):
        found = _from_dlpack(function, argument, value, dtypes)
    else:
        raise DtypeError(
            f"{function}: `{argument}` must be an array, got {type(value).__name__}",
            hint="numpy arrays, torch tensors and anything with __dlpack__ and "
            "__dlpack_device__ will do",
        )
    return found


def as_numpy(
    function: str, argument: str, value: Any, dtypes: tuple[str, ...] = FLOATS
) -> NDArray[Any]:
    """Read an argument as a NumPy array: floats as float32 or float64, all else as it is.

    Without a copy where nothing is to be converted; 16-bit floats become float32.

    Raises:
        DtypeError: If it is no array, or its elements are of none of `dtypes`.
        BackendError: If its memory is not the CPU's.
    """
    given = array(function, argument, value, dtypes)
    bfloat16 = given.dtype == "bfloat16"
    if isinstance(given.owner, np.ndarray):
        plain = given.owner.view(np.uint16) if bfloat16 else given.owner
    else:
        dtype = "uint16" if bfloat16 else given.dtype
        # An empty array may lie at address 0, which NumPy before 2.3 takes for no address.
        empty = 0 in given.shape
        plain = np.empty(given.shape, dtype) if empty else np.asarray(_Memory(given, dtype))
    if bfloat16:  # the upper half of a float32
        return (plain.astype(np.uint32) << 16).view(np.float32)
    with np.errstate(invalid="ignore"):  # a NaN with odd bits
        return plain.astype(np.float32) if given.dtype == "float16" else plain


class _Memory:
    """An array's memory, as NumPy takes it: read-only, and kept alive by whoever views it."""

    def __init__(self, given: Array, dtype: str) -> None:
        self.owner = given.owner
        self.__array_interface__ = {
            "version": 3,
            "data": (given.ref.address, True),
            "shape": given.shape,
            "strides": given.ref.strides,
            "typestr": np.dtype(dtype).str,
        }


def like(value: NDArray[Any], *, is_torch: bool) -> Any:
    """Hand a NumPy result out in the caller's framework."""
    return sys.modules["torch"].from_numpy(value) if is_torch else value


def _check_dtype(function: str, argument: str, dtype: str, dtypes: tuple[str, ...]) -> None:
    if dtype not in dtypes:
        raise DtypeError(f"{function}: `{argument}` must be {_listed(dtypes)}, got {dtype}")


def _listed(dtypes: tuple[str, ...]) -> str:
    return "integers" if dtypes == INTEGERS else ", ".join(dtypes)


def _from_numpy(
    function: str, argument: str, value: NDArray[Any], dtypes: tuple[str, ...]
) -> Array:
    if isinstance(value, np.ma.MaskedArray):
        raise DtypeError(
            f"{function}: `{argument}` must be a plain array, got a masked one",
            hint="fill it (masked.filled(numpy.nan)): rows with NaN are dropped later",
        )
    _check_dtype(function, argument, value.dtype.name, dtypes)
    if not value.dtype.isnative:
        value = value.astype(value.dtype.newbyteorder("="))
    address = value.__array_interface__["data"][0]
    ref = core().TensorRef(address, value.shape, value.strides, value.dtype.name)
    return Array(ref, value.shape, value.dtype.name, False, value)


def _from_torch(function: str, argument: str, value: Any, dtypes: tuple[str, ...]) -> Array:
    kind = None
    if value.device.type == "meta":
        kind = "a meta tensor"
    elif value.layout is not sys.modules["torch"].strided:
        kind = str(value.layout)
    elif value.is_nested:
        kind = "a nested tensor"
    if kind:
        raise DtypeError(f"{function}: `{argument}` must be a dense tensor with data, got {kind}")
    dtype = str(value.dtype).removeprefix("torch.")
    _check_dtype(function, argument, dtype, dtypes)
    if value.device.type != "cpu":
        _refuse_device(function, argument, str(value.device))
    value = value.detach().resolve_neg()
    size = value.element_size()
    reach = sum((n - 1) * stride for n, stride in zip(value.shape, value.stride(), strict=True))
    end = size * (value.storage_offset() + reach + 1)
    if 0 not in value.shape and end > value.untyped_storage().nbytes():
        raise ArgumentError(
            f"{function}: `{argument}` must be a tensor with all its memory, got one whose storage "
            "was resized"
        )
    strides = tuple(size * stride for stride in value.stride())
    ref = core().TensorRef(value.data_ptr(), tuple(value.shape), strides, dtype)
    return Array(ref, tuple(value.shape), dtype, True, value)


def _from_dlpack(function: str, argument: str, value: Any, dtypes: tuple[str, ...]) -> Array:
    device, _ = value.__dlpack_device__()
    if device not in _HOST_DEVICES:
        _refuse_device(function, argument, f"DLPack device type {int(device)}")
    try:
        capsule = value.__dlpack__(max_version=(1, 0))
    except TypeError:  # a producer older than DLPack 1.0 takes no max_version
        capsule = value.__dlpack__()
    try:
        ref = core().TensorRef.from_dlpack(capsule)
    except TypeError as error:
        raise DtypeError(
            f"{function}: `{argument}` must be {_listed(dtypes)}, got {error}"
        ) from error
    _check_dtype(function, argument, ref.dtype, dtypes)
    return Array(ref, ref.shape, ref.dtype, False, capsule)


def _refuse_device(function: str, argument: str, device: str) -> None:
    raise BackendError(
        f"{function}: `{argument}` must be in CPU memory: this build has no CUDA kernels, "
        f"got a tensor on {device}",
        hint=f"pass {argument}.cpu()",
    )


def result(
    function: str,
    shape: tuple[int, ...],
    inputs: Iterable[Array],
    out: Any = None,
) -> tuple[Any, TensorRef]:
    """Return the array to hand out, and where the kernel writes it.

    Without `out` a new float32 array: a PyTorch tensor where an input is one, else NumPy's.
    """
    inputs = tuple(inputs)
    if out is not None:
        return out, _check_out(function, shape, inputs, out)
    try:
        memory = np.empty(shape, dtype=np.float32)
    except ValueError as error:  # MemoryError stays what it is: another machine may have the room
        raise ShapeError(
            f"{function}: the result must be smaller than the address space, got {shape}"
        ) from error
    ref = array(function, "out", memory).ref
    return like(memory, is_torch=any(given.is_torch for given in inputs)), ref


def _check_out(
    function: str, shape: tuple[int, ...], inputs: tuple[Array, ...], out: Any
) -> TensorRef:
    given = array(function, "out", out, ("float32",))
    if given.shape != shape:
        raise ShapeError(f"{function}: `out` must be {shape}, got {given.shape}")
    if isinstance(out, np.ndarray):
        writable, aligned = out.flags.writeable, out.flags.aligned and out.dtype.isnative
    else:
        writable, aligned = given.is_torch and not out.is_neg(), True
        if given.is_torch and out.requires_grad:
            raise ArgumentError(
                f"{function}: `out` must be a tensor that needs no gradient, got one that does",
                hint="pass out.detach()",
            )
    if not (writable and aligned and given.ref.contiguous):
        raise ArgumentError(
            f"{function}: `out` must be a writable C-contiguous numpy array or torch tensor, "
            f"got one that isn't"
        )
    if any(given.ref.overlaps(one.ref) for one in inputs):
        raise ArgumentError(
            f"{function}: `out` must not share memory with an input, got one that does"
        )
    return given.ref
