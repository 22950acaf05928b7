"""What is asked of PyTorch about the GPU: its facts, events, a stream, and waiting.

Everything runs on the first GPU, on a stream of its own: libraries that are given a stream can't
take that one for "none".
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

NAME = "cuda:0"
#: Bytes written to empty the cache. No GPU's is nearly as large; it takes the GPU so long that the
#: CPU can put a call's kernels in line meanwhile.
FLUSHED = 1 << 30


class NoGpuError(RuntimeError):
    """PyTorch has no GPU here."""


def require() -> None:
    """Raises NoGpuError unless PyTorch has a GPU."""
    if not torch.cuda.is_available():
        raise NoGpuError(f"PyTorch {torch.__version__} finds no CUDA device")


def facts() -> dict[str, Any]:
    """The GPU, its driver, and the CUDA version that PyTorch was built for."""
    about = torch.cuda.get_device_properties(0)
    return {
        "name": about.name,
        "compute_capability": f"{about.major}.{about.minor}",
        "multiprocessors": about.multi_processor_count,
        "memory_gb": round(about.total_memory / 2**30),
        "driver": _driver(),
        "torch_cuda": torch.version.cuda,
    }


def _driver() -> str:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader", "--id=0"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return told.stdout.strip() or "unknown"


def upload(values: NDArray[Any]) -> torch.Tensor:
    """A copy on the GPU."""
    return torch.from_numpy(np.ascontiguousarray(values)).to(NAME)


def empty(*shape: int) -> torch.Tensor:
    """float32 on the GPU, zeros."""
    return torch.zeros(shape, device=NAME)


@contextmanager
def stream() -> Iterator[None]:
    """Everything inside runs on one stream of its own."""
    one = torch.cuda.Stream(NAME)
    one.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(one):
        yield
    wait()


def stream_address() -> int:
    """The current stream, for libraries that want to be told."""
    return int(torch.cuda.current_stream().cuda_stream)


def event() -> Any:
    """A mark in the stream, with a time; put there now."""
    mark = torch.cuda.Event(enable_timing=True)
    mark.record()
    return mark


def seconds(start: Any, end: Any) -> float:
    """From one mark to another; both have been reached."""
    return float(start.elapsed_time(end)) / 1e3


def wait() -> None:
    """Until the GPU has done all that it was given."""
    torch.cuda.synchronize()


def release() -> None:
    """Gives PyTorch's unused memory back to the GPU."""
    torch.cuda.empty_cache()


class Cache:
    """Something to write that is larger than the GPU's cache."""

    def __init__(self) -> None:
        self._memory = torch.empty(FLUSHED, dtype=torch.uint8, device=NAME)

    def empty(self) -> None:
        """Drives everything else out."""
        self._memory.zero_()
