"""Arrays that kernels write: where the arguments are, and in the caller's framework.

In CPU memory a result is NumPy's, handed out as a PyTorch tensor where one came in; on a GPU it is
always a PyTorch tensor. What the caller gives to write into is checked to be fit.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from sacfast.errors import ArgumentError, ShapeError
from sacfast.kernels import _device
from sacfast.kernels._places import one_device
from sacfast.kernels._tensors import Array, array, is_torch, like


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
        writable, aligned = is_torch(out) and not out.is_neg(), given.ref.address % 4 == 0
        if is_torch(out) and out.requires_grad:
            raise ArgumentError(
                f"{function}: `out` must be a tensor that needs no gradient, got one that does",
                hint="pass out.detach()",
            )
    if not (writable and aligned and given.ref.contiguous):
        raise ArgumentError(
            f"{function}: `out` must be an aligned, writable C-contiguous numpy array or "
            f"torch tensor, got one that isn't"
        )
    one_device(function, (*inputs, given))
    if any(given.ref.overlaps(one.ref) for one in inputs):
        raise ArgumentError(
            f"{function}: `out` must not share memory with an input, got one that does"
        )
    return given
