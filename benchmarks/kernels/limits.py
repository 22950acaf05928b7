"""The machine's limits: how fast it multiplies, takes absolute differences, reads and writes.

`limits.cpp` is compiled with the system's compiler when the benchmark runs: a share of a limit
means something only where both were measured on the same machine at the same time. A kernel's floor
is the longer of two times: its arithmetic at the fastest known sequence of instructions with all
operands in registers; and reading its inputs and writing its result once, at the rates that buffers
of these sizes reach when nothing else is done.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

LEVELS = ("baseline", "v3", "v4")
SOURCE = Path(__file__).with_name("limits.cpp")


@dataclass(frozen=True)
class Work:
    """What a shape takes at least, counted on paper."""

    flops: float = 0.0  # float32 multiplications and additions
    differences: float = 0.0  # |a - b| of float32, each added to a sum
    int16_differences: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0


class LimitsError(RuntimeError):
    """The limits can't be measured here."""


@cache
def _library() -> Any:
    compiler = shlex.split(os.environ.get("CXX", "c++"))
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / "limits.so"
        flags = ["-O2", "-std=c++17", "-fPIC", "-shared", "-pthread"]
        command = [*compiler, *flags, str(SOURCE), "-o", str(built)]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except FileNotFoundError as error:
            raise LimitsError(
                "the limits are measured by a C++ program, and there is no compiler "
                f"{compiler[0]!r} (Debian: apt install g++; or name one in CXX)"
            ) from error
        except subprocess.CalledProcessError as error:
            raise LimitsError(f"{SOURCE.name} does not compile:\n{error.stderr}") from error
        library = ctypes.CDLL(str(built))
    for name in ("probe_kind", "probe_level", "probe_sequence"):
        getattr(library, name).restype = ctypes.c_char_p
    library.probe_rate.restype = library.memory_rate.restype = ctypes.c_double
    library.memory_rate.argtypes = [ctypes.c_char_p, ctypes.c_int64, ctypes.c_int, ctypes.c_int]
    return library


def compiler_version() -> str:
    """The compiler's own words."""
    command = [*shlex.split(os.environ.get("CXX", "c++")), "--version"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return told.splitlines()[0]


def arithmetic(threads: int, repeats: int) -> list[dict[str, Any]]:
    """Operations a second of every sequence of instructions that this processor has."""
    library = _library()
    return [
        {
            "kind": library.probe_kind(i).decode(),
            "level": library.probe_level(i).decode(),
            "sequence": library.probe_sequence(i).decode(),
            "rate": library.probe_rate(i, threads, repeats),
        }
        for i in range(library.probe_total())
        if library.probe_runs(i)
    ]


def best(probes: list[dict[str, Any]], kind: str, level: str) -> dict[str, Any]:
    """The fastest sequence of a kind that a level may use."""
    allowed = LEVELS[: LEVELS.index(level) + 1]
    own = [one for one in probes if one["kind"] == kind and one["level"] in allowed]
    return max(own, key=lambda one: one["rate"])


def memory(size: int, threads: int, repeats: int) -> dict[str, float]:
    """Bytes a second read from and written to a buffer of this size.

    Writing is the faster of ordinary stores and of those that go past the caches. Sizes are rounded
    up to a power of two, so that shapes share measurements.
    """
    return _memory(1 << max(12, (size - 1).bit_length()), threads, repeats)


@cache
def _memory(size: int, threads: int, repeats: int) -> dict[str, float]:
    rate = {
        kind: _library().memory_rate(kind.encode(), size, threads, repeats)
        for kind in ("read", "store", "stream")
    }
    if not all(rate.values()):
        raise LimitsError(f"no memory for a buffer of {size >> 20} MB")
    return {"read": rate["read"], "write": max(rate["store"], rate["stream"])}


def floor(
    work: Work, probes: list[dict[str, Any]], threads: int, level: str, repeats: int
) -> dict[str, Any]:
    """The least time that this work can take: seconds, and by which limit."""
    counted = {
        "fma": work.flops,
        "l1_float32": work.differences,
        "l1_int16": work.int16_differences,
    }
    compute = sum(
        amount / best(probes, kind, level)["rate"] for kind, amount in counted.items() if amount
    )
    moved = 0.0
    if work.bytes_in:
        moved += work.bytes_in / memory(work.bytes_in, threads, repeats)["read"]
    if work.bytes_out:
        moved += work.bytes_out / memory(work.bytes_out, threads, repeats)["write"]
    return {
        "seconds": max(compute, moved),
        "limit": "arithmetic" if compute >= moved else "memory",
        "arithmetic": compute,
        "memory": moved,
    }
