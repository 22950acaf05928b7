"""What is asked of PyTorch about GPUs: the only place in the kernels that touches one.

Memory comes from PyTorch's allocator, whose blocks are used again in the order of the stream they
were taken on; so scratch may be let go as soon as its kernels are on the stream. Nothing here waits
for a device or copies between one and the CPU, but `placed`, `rows` and `on_host`, which the
detector asks for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from sacfast.errors import DeviceMemoryError, ShapeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST_BYTES = 2**63 - 1


def index_of(tensor: Any) -> int | None:
    """The number of the GPU that holds a tensor; None: it is in CPU memory."""
    return int(tensor.get_device()) if tensor.device.type == "cuda" else None


def from_dlpack(value: Any) -> Any:
    """A tensor on the memory of another library's array, whose stream the current one waits for."""
    from torch.utils.dlpack import from_dlpack as adopted

    return adopted(value)


def stream(device: int) -> int:
    """The current stream of a device, as an address."""
    import torch

    return int(torch.cuda.current_stream(device).cuda_stream)


def current(device: int) -> AbstractContextManager[Any]:
    """Makes a device current for a while.

    PyTorch puts the one before back without giving it a context, some hundred MB, that it never
    needed; the CUDA runtime alone would.
    """
    import torch

    context: AbstractContextManager[Any] = torch.cuda.device(device)
    return context


def empty(function: str, shape: tuple[int, ...], dtype: str, device: int) -> Any:
    """A new contiguous tensor on a device, not filled.

    Raises:
        DeviceMemoryError: If the device has not enough memory left; nothing is kept of the try.
        ShapeError: If it would be larger than an address space.
    """
    import torch

    kind: torch.dtype = getattr(torch, dtype)
    size = math.prod(shape) * kind.itemsize
    if size > _MOST_BYTES:
        raise ShapeError(
            f"{function}: the result must be smaller than the address space, got {shape}"
        )
    with wanting(function, size, device):
        return torch.empty(shape, dtype=kind, device=f"cuda:{device}")


@contextmanager
def wanting(function: str, size: int, device: int) -> Iterator[None]:
    """What PyTorch computes in here takes about `size` bytes at once.

    Raises:
        DeviceMemoryError: If the device has not enough memory left for it.
    """
    import torch

    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        free, total = torch.cuda.mem_get_info(device)
        raise DeviceMemoryError(function, f"cuda:{device}", size, free, total) from error


def float32_rows(function: str, tensor: Any, device: int) -> Any:
    """A matrix as contiguous float32: itself where it is that already.

    Raises:
        DeviceMemoryError: If the device has not enough memory left for a copy.
    """
    import torch

    if tensor.dtype == torch.float32 and tensor.is_contiguous():
        return tensor
    return empty(function, tuple(tensor.shape), "float32", device).copy_(tensor)


def placed(function: str, values: NDArray[Any], device: int) -> Any:
    """A copy on a device; whoever has it may read it on any stream.

    Raises:
        DeviceMemoryError: If the device has not enough memory left.
    """
    import torch

    made = empty(function, values.shape, values.dtype.name, device)
    return made.copy_(torch.from_numpy(values.copy()))  # waits, for the memory is not pinned


def rows(function: str, tensor: Any, kept: NDArray[Any], device: int) -> Any:
    """A copy of some rows of a matrix, by their numbers.

    Raises:
        DeviceMemoryError: If the device has not enough memory left.
    """
    import torch

    index = placed(function, kept, device)
    dtype = str(tensor.dtype).removeprefix("torch.")
    made = empty(function, (len(kept), *tensor.shape[1:]), dtype, device)
    return torch.index_select(tensor, 0, index, out=made)


def on_host(tensor: Any) -> NDArray[Any]:
    """The values in CPU memory, floats of 16 bits as float32; waits for the current stream."""
    import torch

    half = tensor.dtype in (torch.float16, torch.bfloat16)
    values: NDArray[Any] = (tensor.float() if half else tensor).cpu().numpy()
    return values
