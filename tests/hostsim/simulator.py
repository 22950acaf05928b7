"""The simulated `_cuda` module and the simulator behind it, for tests.

`load("check")` builds (or looks up) the module and gives a `Simulator`: its `cuda` is the module,
the rest says what there is to run on, holds device memory and tells what the judge has found.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.machinery
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tests.hostsim import build

NO_DRIVER, DRIVER_TOO_OLD, NO_DEVICE = 35, 35, 100  # as the CUDA runtime numbers its errors


class DeviceArray:
    """An array in simulated device memory: NaN bytes at first, freed with its last reference."""

    def __init__(
        self, simulator: Simulator, shape: tuple[int, ...], dtype: Any, device: int = 0
    ) -> None:
        self.dtype = np.dtype(dtype)
        self.shape = shape
        self.nbytes = int(np.prod(shape, dtype=np.int64)) * self.dtype.itemsize
        self._simulator = simulator
        self.address: int = simulator.allocate(self.nbytes, device)

    def __del__(self) -> None:
        self._simulator.free(self.address)

    @property
    def strides(self) -> tuple[int, ...]:
        return np.lib.stride_tricks.as_strided(np.empty(0, self.dtype), self.shape).strides

    def numpy(self) -> Any:
        """A copy in CPU memory."""
        raw = (ctypes.c_char * self.nbytes).from_address(self.address)
        return np.frombuffer(bytes(raw), self.dtype).reshape(self.shape)

    def view(self) -> Any:
        """The memory itself as a NumPy array; it counts as written. Keep `self` alive."""
        self._simulator.mark_written(self.address, self.nbytes)
        raw = (ctypes.c_char * self.nbytes).from_address(self.address)
        return np.frombuffer(raw, self.dtype).reshape(self.shape)


class Simulator:
    """One built library: its device memory, its machine and its findings."""

    def __init__(self, path: Path, cuda: ModuleType | None = None) -> None:
        self.path = path
        self._cuda = cuda
        self.library = c = ctypes.CDLL(str(path), mode=os.RTLD_LAZY)
        c.hostsim_configure.argtypes = [ctypes.c_ulonglong, ctypes.c_uint]
        c.hostsim_allocate.argtypes = [ctypes.c_size_t, ctypes.c_int]
        c.hostsim_allocate.restype = ctypes.c_void_p
        c.hostsim_free.argtypes = [ctypes.c_void_p]
        c.hostsim_upload.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
        c.hostsim_mark_written.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        c.hostsim_findings.restype = ctypes.c_char_p
        c.hostsim_live_allocations.restype = ctypes.c_size_t
        c.hostsim_launches.restype = ctypes.c_ulonglong
        c.hostsim_add_device.argtypes = [ctypes.c_int] * 3 + [ctypes.c_size_t]
        c.hostsim_create_stream.restype = ctypes.c_void_p
        c.hostsim_set_capturing.argtypes = [ctypes.c_void_p, ctypes.c_int]

    @property
    def cuda(self) -> Any:
        assert self._cuda is not None
        return self._cuda

    # ---- how threads run, and what was found ----------------------------------------------------

    def configure(self, *, seed: int = 0, preempt: int = 0) -> None:
        """Threads and blocks forward (0), in reverse (1) or at random (other seeds); in check
        mode one access in `preempt` ends a thread's turn."""
        self.library.hostsim_configure(seed, preempt)

    def findings(self) -> list[str]:
        """What the judge objects to since the last reset, with source lines."""
        text = self.library.hostsim_findings().decode()
        return [with_lines(line) for line in text.splitlines()]

    def reset(self) -> None:
        self.library.hostsim_reset()

    @property
    def launches(self) -> int:
        return int(self.library.hostsim_launches())

    # ---- memory ---------------------------------------------------------------------------------

    def allocate(self, size: int, device: int = 0) -> int:
        """The address of `size` bytes of 0xff, nothing near it."""
        address = self.library.hostsim_allocate(size, device)
        if address is None:
            raise MemoryError("the simulator's device memory is used up")
        return int(address)

    def free(self, address: int) -> None:
        if not self.library.hostsim_free(address):
            raise ValueError(f"nothing is allocated at {address:#x}")

    @property
    def live_allocations(self) -> int:
        return int(self.library.hostsim_live_allocations())

    def mark_written(self, address: int, size: int) -> None:
        """What the CPU has written there by itself is not "never written" to a kernel."""
        self.library.hostsim_mark_written(address, size)

    def upload(self, array: Any, device: int = 0) -> DeviceArray:
        array = np.ascontiguousarray(array)
        placed = self.empty(array.shape, array.dtype, device)
        self.library.hostsim_upload(placed.address, array.ctypes.data, array.nbytes)
        return placed

    def empty(self, shape: tuple[int, ...], dtype: Any, device: int = 0) -> DeviceArray:
        return DeviceArray(self, shape, dtype, device)

    # ---- the machine ----------------------------------------------------------------------------

    def machine(
        self,
        *devices: tuple[int, int, int],
        memory_bytes: int = 8 << 30,
        failure: int = 0,
        driver: int = 13000,
    ) -> None:
        """Devices as (major, minor, multiprocessors). With `failure` every call of the runtime
        answers that error."""
        self.library.hostsim_fail(0, driver)
        self.library.hostsim_clear_devices()
        for major, minor, multiprocessors in devices:
            self.library.hostsim_add_device(major, minor, multiprocessors, memory_bytes)
        self.library.hostsim_fail(failure, driver)

    def stream(self, device: int = 0) -> int:
        return int(self.library.hostsim_create_stream(device))

    def set_capturing(self, stream: int, capturing: bool) -> None:
        self.library.hostsim_set_capturing(stream, capturing)

    @property
    def current_device(self) -> int:
        return int(self.library.hostsim_current_device())


@functools.cache
def source_line(path: str, offset: str) -> str:
    run = subprocess.run(
        ["addr2line", "-i", "-e", path, offset], capture_output=True, text=True, check=False
    )
    lines = [
        re.sub(r".*/sources/[0-9a-f]+/", "csrc/", line.split(" ")[0]).removeprefix(f"{build.ROOT}/")
        for line in run.stdout.splitlines()
    ]
    kept = [line for line in lines if not line.startswith("tests/hostsim/include")]
    return " < ".join((kept or lines)[:3])


def with_lines(finding: str) -> str:
    """The place at a finding's end, `[file+0x12]`, as lines of source, the innermost first."""
    match = re.fullmatch(r"(.*) \[(.+)\+(0x[0-9a-f]+)\]", finding)
    return f"{match[1]} ({source_line(match[2], match[3])})" if match else finding


@functools.cache
def load(mode: str) -> Simulator:
    """The simulated `_cuda`, one of each mode in a process.

    HOSTSIM_SOURCES=csrc/cuda/a.cu,csrc/cuda/b.cu leaves the other kernels out, for work on some.
    """
    return open_module(build.module(mode, build.names(os.environ.get("HOSTSIM_SOURCES", ""))))


def open_module(path: Path) -> Simulator:
    before = sys.getdlopenflags()
    sys.setdlopenflags(os.RTLD_LAZY)  # a kernel that does not exist yet is missed when called
    try:
        # pybind11 keeps modules by name: under one name the second mode would be the first again.
        name = f"{path.parent.name}._cuda"
        loader = importlib.machinery.ExtensionFileLoader(name, str(path))
        spec = importlib.util.spec_from_loader(name, loader)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
    finally:
        sys.setdlopenflags(before)
    return Simulator(path, module)
