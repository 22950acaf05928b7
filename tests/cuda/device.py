"""A GPU for the Python side: a real one, or tensors in the simulator's memory that pass for it.

`SimulatedDevice` stands behind sacfast.kernels._device, the only place of the kernels that asks
PyTorch about GPUs: whoever takes memory gets the simulator's, and whatever tensor lies there is
"on" the GPU, views included. PyTorch itself computes with such tensors on the CPU. `RealDevice`
does for a GPU what tests ask of either.
"""

from __future__ import annotations

import ctypes
import math
import sys
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from sacfast.errors import DeviceMemoryError
from sacfast.kernels import _device, _native

REAL = {
    name: getattr(_device, name)
    for name in (
        "index_of",
        "from_dlpack",
        "stream",
        "current",
        "empty",
        "float32_rows",
        "placed",
        "rows",
    )
}


class SimulatedDevice:
    """What sacfast sees of the GPUs of a `Simulator`.

    Attributes:
        streams: The current stream of each device.
        taken: (function, shape, dtype, device) of every allocation that sacfast made.
        free: Bytes that a device has left to give.
        kept: Where it is a list, all memory that sacfast takes stays allocated in it.
    """

    def __init__(self, simulator: Any) -> None:
        self.simulator = simulator
        self.streams: dict[int, int] = {}
        self.taken: list[tuple[str, tuple[int, ...], str, int]] = []
        self.free = 8 << 30
        self.kept: list[Any] | None = None
        self._blocks: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
        self._device_of: dict[int, int] = {}

    # ---- what sacfast.kernels._device does ------------------------------------------------------

    def index_of(self, tensor: torch.Tensor) -> int | None:
        address = tensor.untyped_storage().data_ptr()
        return self._device_of[address] if address in self._blocks else None

    def from_dlpack(self, value: Any) -> torch.Tensor:
        tensor: torch.Tensor = value.tensor
        return tensor

    def stream(self, device: int) -> int:
        return self.streams.get(device, 0)

    def current(self, device: int) -> AbstractContextManager[None]:
        return nullcontext()  # the binding does it too, and that is what is tested

    def empty(self, function: str, shape: tuple[int, ...], dtype: str, device: int) -> torch.Tensor:
        self.taken.append((function, shape, dtype, device))
        kind = getattr(torch, dtype)
        size = math.prod(shape) * kind.itemsize
        if size > self.free:
            raise DeviceMemoryError(function, f"cuda:{device}", size, self.free, 8 << 30)
        made = self._made(shape, kind, device)
        if self.kept is not None:
            self.kept.append(made)
        return made

    def float32_rows(self, function: str, tensor: torch.Tensor, device: int) -> torch.Tensor:
        rows: torch.Tensor = REAL["float32_rows"](function, tensor, device)
        self.written(rows)
        return rows

    def placed(self, function: str, values: Any, device: int) -> torch.Tensor:
        return self.written(REAL["placed"](function, values, device))

    def rows(self, function: str, tensor: torch.Tensor, kept: Any, device: int) -> torch.Tensor:
        return self.written(REAL["rows"](function, tensor, kept, device))

    # ---- for tests ------------------------------------------------------------------------------

    def tensor(self, values: Any, device: int = 0) -> torch.Tensor:
        """A tensor on the device with the values and the type of an array or tensor."""
        given = torch.as_tensor(values)
        placed = self._made(tuple(given.shape), given.dtype, device)
        placed.copy_(given)
        return self.written(placed)

    def written(self, tensor: torch.Tensor) -> torch.Tensor:
        """Says that what the CPU has written there counts as written."""
        storage = tensor.untyped_storage()
        self.simulator.mark_written(storage.data_ptr(), storage.nbytes())
        return tensor

    def on(self, tensor: Any) -> bool:
        return isinstance(tensor, torch.Tensor) and self.index_of(tensor) is not None

    def _made(self, shape: tuple[int, ...], kind: torch.dtype, device: int) -> torch.Tensor:
        size = max(math.prod(shape), 1) * kind.itemsize
        block = self.simulator.empty((size,), np.uint8, device)
        memory = (ctypes.c_char * size).from_address(block.address)
        memory.block = block  # lives as long as a tensor lies there
        self._blocks[block.address] = block
        self._device_of[block.address] = device
        return torch.frombuffer(memory, dtype=kind)[: math.prod(shape)].view(shape)

    def on_host(self, tensor: torch.Tensor) -> Any:
        return tensor.numpy()

    @contextmanager
    def nobody_waits(self, *, computing: bool) -> Iterator[None]:
        """Fails where PyTorch is asked for more than views and copies on the stream.

        Args:
            computing: PyTorch may compute too, with what never waits.
        """
        allowed = ON_THE_STREAM | (ARITHMETIC if computing else set())
        with _Watch() as watch:
            yield
        assert watch.ran <= allowed, watch.ran - allowed

    def captured(self, call: Callable[[], torch.Tensor]) -> tuple[torch.Tensor, Callable[[], Any]]:
        """What `call` gives, and what launches its kernels again, in the same memory."""
        recorder = _Recorder(self.simulator.cuda)
        before, self.kept = sys.modules["sacfast._cuda"], []
        sys.modules["sacfast._cuda"] = recorder  # type: ignore[assignment]
        forget()
        try:
            result = call()
        finally:
            sys.modules["sacfast._cuda"] = before
            forget()

        def replay() -> None:
            for function, arguments in recorder.calls:
                function(*arguments)

        return result, replay


class RealDevice:
    """The same of a GPU."""

    def tensor(self, values: Any, device: int = 0) -> torch.Tensor:
        return torch.as_tensor(values).to(f"cuda:{device}")

    def on(self, tensor: Any) -> bool:
        return isinstance(tensor, torch.Tensor) and tensor.is_cuda

    def on_host(self, tensor: torch.Tensor) -> Any:
        return tensor.cpu().numpy()

    @contextmanager
    def nobody_waits(self, *, computing: bool) -> Iterator[None]:
        """Fails where PyTorch waits for the device."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # PyTorch: not every wait is seen
            torch.cuda.set_sync_debug_mode("error")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode("default")

    def captured(self, call: Callable[[], torch.Tensor]) -> tuple[torch.Tensor, Callable[[], Any]]:
        """What `call` gives, captured in a CUDA graph, and what replays that."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):  # kernels are loaded before a capture
            call()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            result = call()
        graph.replay()
        return result, graph.replay


#: Views and copies on the device; what asks the device for a number is none of these.
ON_THE_STREAM = {"detach", "view", "slice", "select", "as_strided", "copy_", "alias", "unbind"}
#: The rbf kernel's arithmetic, none of which waits either.
ARITHMETIC = {
    "_to_copy", "mean", "sub", "add", "abs", "amax", "gt", "where", "ones_like", "div", "full_like",
    "triu_indices", "_cdist_forward", "index", "mul", "pow", "exp", "sort", "eq", "isnan",
    "bitwise_not", "logical_not", "neg", "new_ones", "empty", "fill_", "scalar_tensor",
}  # fmt: skip


class _Watch(TorchDispatchMode):
    """Which operations PyTorch itself runs."""

    def __init__(self) -> None:
        super().__init__()
        self.ran: set[str] = set()

    def __torch_dispatch__(self, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.ran.add(op.overloadpacket.__name__)
        return op(*args, **(kwargs or {}))


class _Recorder:
    """Passes calls of kernels on, and keeps them: what the capture of a graph keeps."""

    def __init__(self, module: Any) -> None:
        self._module, self.__spec__ = module, module.__spec__
        self.calls: list[tuple[Any, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._module, name)
        if name not in _native.CUDA_KERNELS:
            return function

        def recorded(*arguments: Any) -> None:
            self.calls.append((function, arguments))
            function(*arguments)

        return recorded


def installed(simulator: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedDevice]:
    """Puts the simulator in the GPU's place for one test."""
    device = SimulatedDevice(simulator)
    for name in REAL:
        monkeypatch.setattr(_device, name, getattr(device, name))
    monkeypatch.setitem(sys.modules, "sacfast._cuda", simulator.cuda)
    forget()
    yield device
    monkeypatch.undo()
    forget()


def forget() -> None:
    """What is known about the module and the devices is asked again."""
    _native.cuda.cache_clear()
    _native._devices.cache_clear()
