"""Arrays of any framework, as the kernels see them.

NumPy arrays, PyTorch tensors and anything with `__dlpack__` come in; a `TensorRef` (address, shape,
byte strides, element type) goes on to the compiled module, which copies nothing. PyTorch is never
imported here: where it isn't loaded yet, no argument can be a tensor. bfloat16 exists in NumPy only
through `ml_dtypes`, whose type is known by its name; `as_numpy` reads it by its bits.

Memory of the CPU goes to the module `_core`, a GPU's to `_cuda`; nothing is ever moved from one to
the other. A GPU's arrays are held as PyTorch tensors: those of other libraries are taken over in
place through DLPack, which makes the current stream wait for theirs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sacfast.errors import ArgumentError, BackendError, DtypeError
from sacfast.kernels import _device
from sacfast.kernels._native import core, cuda
from sacfast.kernels._places import check_device, refuse_device, refuse_host

if TYPE_CHECKING:
    from numpy.typing import NDArray

FLOATS = ("float16", "bfloat16", "float32", "float64")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
DECISIONS = ("bool", *INTEGERS, *FLOATS)

_HOST_DEVICES = (1, 3)  # DLPack: CPU, and pinned memory that the CPU reads
_CUDA_DEVICE = 2


@dataclass(frozen=True)
class Array:
    """One array: what the kernels need, and the object that owns the memory."""

    ref: Any  # a TensorRef: of the module `_core`, on a GPU of `_cuda`
    argument: str
    shape: tuple[int, ...]
    dtype: str
    is_torch: bool
    device: int | None  # the GPU; None: CPU memory
    owner: Any

    @property
    def place(self) -> str:
        """Where the memory is, for a message."""
        return "in CPU memory" if self.device is None else f"on cuda:{self.device}"


def is_torch(value: object) -> bool:
    """Whether `value` is a PyTorch tensor."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def array(
    function: str,
    argument: str,
    value: Any,
    dtypes: tuple[str, ...] = FLOATS,
    backend: str | None = None,
) -> Array:
    """Read an argument as an array, without a copy.

    Args:
        function: Who asks, for messages.
        argument: What it calls the array.
        value: The array.
        dtypes: The types of elements that it takes.
        backend: What the caller of `function` asked for; None: CPU memory alone is read.

    Raises:
        DtypeError: If it is no array, or its elements are of none of `dtypes`.
        ArgumentError: If it is a tensor whose memory was taken away, or DLPack doesn't give it.
        BackendError: If its memory is not where `backend` runs.
    """
    if isinstance(value, np.ndarray):
        found = _from_numpy(function, argument, value, dtypes)
    elif is_torch(value):
        found = _from_torch(function, argument, value, dtypes, backend)
    elif hasattr(value, "__dlpack__") and hasattr(value, "__dlpack_device__"):
        found = _from_dlpack(function, argument, value, dtypes, backend)
    else:
        raise DtypeError(
            f"{function}: `{argument}` must be an array, got {type(value).__name__}",
            hint="numpy arrays, torch tensors and anything with __dlpack__ and "
            "__dlpack_device__ will do",
        )
    if backend == "cuda" and found.device is None:
        refuse_host(function, found)
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
    return numpy_of(array(function, argument, value, dtypes))


def numpy_of(given: Array) -> NDArray[Any]:
    """The same of an array in CPU memory that has been read already."""
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
    return Array(ref, argument, value.shape, value.dtype.name, False, None, value)


def _from_torch(
    function: str, argument: str, value: Any, dtypes: tuple[str, ...], backend: str | None
) -> Array:
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
    device = _device.index_of(value)
    if device is not None:
        check_device(function, argument, device, backend)
    elif value.device.type != "cpu":
        refuse_device(function, argument, f"a tensor on {value.device}", backend)
    value = value.detach().resolve_neg()
    size = value.element_size()
    try:
        memory = value.untyped_storage()
    except NotImplementedError:  # a wrapper of torch.func
        memory = None
    if memory is None or memory.device.type == "meta":
        raise DtypeError(
            f"{function}: `{argument}` must be a dense tensor with data, got {type(value).__name__}"
            " without memory of its own",
            hint="vmap, torch.func and tracing hold no numbers yet",
        )
    reach = sum((n - 1) * stride for n, stride in zip(value.shape, value.stride(), strict=True))
    end = size * (value.storage_offset() + reach + 1)
    if 0 not in value.shape and end > memory.nbytes():
        raise ArgumentError(
            f"{function}: `{argument}` must be a tensor with all its memory, got one whose storage "
            "was resized"
        )
    shape, strides = tuple(value.shape), tuple(size * stride for stride in value.stride())
    if device is None:
        ref = core().TensorRef(value.data_ptr(), shape, strides, dtype)
    else:
        ref = cuda().TensorRef(value.data_ptr(), shape, strides, dtype, device)
    return Array(ref, argument, shape, dtype, True, device, value)


def _from_dlpack(
    function: str, argument: str, value: Any, dtypes: tuple[str, ...], backend: str | None
) -> Array:
    with _told_of_dlpack(function, argument, value):
        device, index = map(int, value.__dlpack_device__())
    if device == _CUDA_DEVICE:
        check_device(function, argument, index, backend)
        with _told_of_dlpack(function, argument, value):
            tensor = _device.from_dlpack(value)
        return _from_torch(function, argument, tensor, dtypes, backend)
    if device not in _HOST_DEVICES:
        refuse_device(function, argument, f"an array on DLPack device {device}", backend)
    with _told_of_dlpack(function, argument, value):
        try:
            capsule = value.__dlpack__(max_version=(1, 0))
        except TypeError:  # a producer older than DLPack 1.0 takes no max_version
            capsule = value.__dlpack__()
        if type(capsule).__name__ != "PyCapsule":
            raise ValueError(f"no capsule but {type(capsule).__name__}")
    try:
        ref = core().TensorRef.from_dlpack(capsule)
    except TypeError as error:
        raise DtypeError(
            f"{function}: `{argument}` must be {_listed(dtypes)}, got {error}"
        ) from error
    except ValueError as error:
        raise _no_dlpack(function, argument, value, error) from error
    _check_dtype(function, argument, ref.dtype, dtypes)
    return Array(ref, argument, ref.shape, ref.dtype, False, None, capsule)


@contextmanager
def _told_of_dlpack(function: str, argument: str, value: Any) -> Iterator[None]:
    """Says whose array it was where another library, or PyTorch for a GPU's, fails."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise BackendError(
            f"{function}: `{argument}` must be read with PyTorch, as all arrays on a GPU are, and "
            f"there is none: {error}",
            hint="install torch",
        ) from error
    except Exception as error:  # whatever it raises
        raise _no_dlpack(function, argument, value, error) from error


def _no_dlpack(function: str, argument: str, value: Any, error: Exception) -> ArgumentError:
    return ArgumentError(
        f"{function}: `{argument}` must be an array that DLPack hands over, got "
        f"{type(value).__name__}, which does not: {error}"
    )
