"""Arrays of any framework, as the kernels see them.

NumPy arrays, PyTorch tensors and anything with `__dlpack__` come in; a `TensorRef` (address, shape,
byte strides, element type) goes on to the compiled module, which copies nothing. PyTorch is never
imported here: where it isn't loaded yet, no argument can be a tensor. bfloat16 exists in NumPy only
through `ml_dtypes`, whose type is known by its name; `as_numpy` reads it by its bits.

Memory of the CPU goes to the module `_core`, a GPU's to `_cuda`; nothing is ever moved from one to
the other. A GPU's arrays are held as PyTorch tensors: those of other libraries are taken over in
place through DLPack, which makes the current stream wait for theirs.

Results live where the arguments do: in NumPy memory, handed out as PyTorch tensors where a tensor
came in, or in PyTorch tensors on the GPU.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sacfast.errors import ArgumentError, BackendError, DtypeError, ShapeError
from sacfast.kernels import _device
from sacfast.kernels._native import core, cuda, devices

if TYPE_CHECKING:
    from collections.abc import Iterable

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
        return "CPU memory" if self.device is None else f"cuda:{self.device}"


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
        backend: What the caller of `function` asked for; None: it has no GPU form.

    Raises:
        DtypeError: If it is no array, or its elements are of none of `dtypes`.
        ArgumentError: If it is a tensor whose memory was taken away.
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
        _refuse_host(found, function)
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
        _check_device(function, argument, device, backend)
    elif value.device.type != "cpu":
        _refuse_device(function, argument, f"a tensor on {value.device}", backend)
    value = value.detach().resolve_neg()
    size = value.element_size()
    reach = sum((n - 1) * stride for n, stride in zip(value.shape, value.stride(), strict=True))
    end = size * (value.storage_offset() + reach + 1)
    if 0 not in value.shape and end > value.untyped_storage().nbytes():
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
    device, index = value.__dlpack_device__()
    if device == _CUDA_DEVICE:
        _check_device(function, argument, int(index), backend)
        return _from_torch(function, argument, _device.from_dlpack(value), dtypes, backend)
    if device not in _HOST_DEVICES:
        _refuse_device(function, argument, f"an array on DLPack device {int(device)}", backend)
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
    return Array(ref, argument, ref.shape, ref.dtype, False, None, capsule)


def _refuse_device(function: str, argument: str, got: str, backend: str | None) -> None:
    where = "in CPU memory"
    if backend is None:
        where += ", for this function has no GPU form"
    elif backend == "cpu":
        where += ' for backend="cpu"'
    else:
        where += " or on an NVIDIA GPU"
    raise BackendError(
        f"{function}: `{argument}` must be {where}, got {got}", hint=f"pass {argument}.cpu()"
    )


def _check_device(function: str, argument: str, device: int, backend: str | None) -> None:
    if backend not in ("auto", "cuda"):
        _refuse_device(function, argument, f"a tensor on cuda:{device}", backend)
    try:
        count = len(devices())
    except BackendError as error:
        raise BackendError(
            f"{function}: `{argument}` must be where kernels can run, got a tensor on "
            f"cuda:{device}: {error.message}",
            hint=f"pass {argument}.cpu()" + (f", or {error.hint}" if error.hint else ""),
        ) from error
    if device >= count:
        raise BackendError(
            f"{function}: `{argument}` must be on one of the {count} GPUs that sacfast sees, "
            f"got a tensor on cuda:{device}"
        )


def _refuse_host(given: Array, function: str) -> None:
    try:
        devices()
    except BackendError as error:
        cure = 'pass backend="auto"' + (f", or {error.hint}" if error.hint else "")
        hint = f"there is no GPU to move it to ({error.message}): {cure}"
    else:
        moved = given.argument if given.is_torch else f"torch.as_tensor({given.argument})"
        hint = f'pass {moved}.cuda(), or backend="auto"'
    raise BackendError(
        f'{function}: `{given.argument}` must be on a GPU for backend="cuda", got an array in '
        f"CPU memory",
        hint=hint,
    )


def one_device(function: str, arrays: Iterable[Array]) -> int | None:
    """The GPU that all of `arrays` are on; None: CPU memory.

    Raises:
        BackendError: If they are in different places.
    """
    first, *others = arrays
    for other in others:
        if other.device != first.device:
            moved = other.argument if other.is_torch else f"torch.as_tensor({other.argument})"
            target = "cpu" if first.device is None else first.place
            raise BackendError(
                f"{function}: `{other.argument}` must be in one place with `{first.argument}`, "
                f"which is in {first.place}, got one in {other.place}",
                hint=f'pass {moved}.to("{target}")',
            )
    return first.device


def result(
    function: str,
    shape: tuple[int, ...],
    inputs: Iterable[Array],
    out: Any = None,
    dtype: str = "float32",
) -> tuple[Any, Array]:
    """Return the array to hand out, and as what the kernel writes it.

    Without `out` a new array where the inputs are: on a GPU a PyTorch tensor; in CPU memory one
    where an input is one, else NumPy's.

    Raises:
        BackendError: If inputs and `out` are in different places.
        DeviceMemoryError: If the GPU has not enough memory left.
        ShapeError: If `out` has another shape, or the result is beyond the address space.
        DtypeError: If `out` is no array of that type.
        ArgumentError: If `out` can't be written to.
    """
    inputs = tuple(inputs)
    device = one_device(function, inputs)
    if out is not None:
        return out, _check_out(function, shape, inputs, out)
    if device is not None:
        made = _device.empty(function, shape, dtype, device)
        return made, array(function, "out", made, (dtype,), "cuda")
    try:
        memory = np.empty(shape, dtype=dtype)
    except ValueError as error:  # MemoryError stays what it is: another machine may have the room
        raise ShapeError(
            f"{function}: the result must be smaller than the address space, got {shape}"
        ) from error
    given = array(function, "out", memory, (dtype,))
    return like(memory, is_torch=any(one.is_torch for one in inputs)), given


def _check_out(function: str, shape: tuple[int, ...], inputs: tuple[Array, ...], out: Any) -> Array:
    given = array(function, "out", out, ("float32",), "auto")
    if given.shape != shape:
        raise ShapeError(f"{function}: `out` must be {shape}, got {given.shape}")
    if isinstance(out, np.ndarray):
        writable, aligned = out.flags.writeable, out.flags.aligned and out.dtype.isnative
    else:
        writable, aligned = is_torch(out) and not out.is_neg(), True
        if is_torch(out) and out.requires_grad:
            raise ArgumentError(
                f"{function}: `out` must be a tensor that needs no gradient, got one that does",
                hint="pass out.detach()",
            )
    if not (writable and aligned and given.ref.contiguous):
        raise ArgumentError(
            f"{function}: `out` must be a writable C-contiguous numpy array or torch tensor, "
            f"got one that isn't"
        )
    one_device(function, (*inputs, given))
    if any(given.ref.overlaps(one.ref) for one in inputs):
        raise ArgumentError(
            f"{function}: `out` must not share memory with an input, got one that does"
        )
    return given
