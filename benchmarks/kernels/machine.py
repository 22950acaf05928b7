"""Where and with what a benchmark ran: enough to repeat it, nothing that names the machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.kernels.limits import compiler_version
from sacfast.kernels import build_info
from sacfast.kernels._native import core

PACKAGES = ("numpy", "torch", "scipy", "scikit-learn", "faiss-cpu", "numkong", "torchmetrics")
ROOT = Path(__file__).parents[2]


def facts() -> dict[str, Any]:
    """Processor, memory, versions and commit."""
    built = build_info()
    return {
        "machine": {
            **processor(),
            "caches": _caches(),
            "ram_gb": round(int(_field("/proc/meminfo", "MemTotal").split()[0]) / 2**20),
            "level": core().level(),
            "levels": list(core().levels()),
            "system": platform.system(),
        },
        "versions": {
            "sacfast": built["version"],
            "python": platform.python_version(),
            "compiler of sacfast": built["compiler"],
            "compiler of the limits": compiler_version(),
            **{name: version(name) for name in PACKAGES},
        },
        "commit": commit("benchmarks/kernels"),
    }


def processor() -> dict[str, Any]:
    """Its name, and how many cores this process may use."""
    return {
        "cpu": _field("/proc/cpuinfo", "model name"),
        "cores": len(os.sched_getaffinity(0)),
    }


def set_threads(threads: int) -> None:
    """Gives every library of this process so many threads.

    Raises:
        ImportError: If threadpoolctl is missing, through which NumPy's BLAS is set.
    """
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(threads)  # sacfast follows
    threadpool_limits(threads)
    if "faiss" in sys.modules:
        sys.modules["faiss"].omp_set_num_threads(threads)


def _field(path: str, name: str) -> str:
    found = re.search(rf"^{name}\s*:\s*(.+)$", Path(path).read_text(encoding="utf-8"), re.M)
    return found[1].strip() if found else "unknown"


def _caches() -> dict[str, str]:
    caches = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = (
            (index / name).read_text(encoding="utf-8").strip() for name in ("level", "type", "size")
        )
        if kind != "Instruction":
            caches[f"L{level}"] = size
    return caches


def version(package: str) -> str | None:
    """Of an installed package."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def commit(benchmark: str) -> str | None:
    """The commit, with a + where kernels or the benchmark were changed since; None outside git."""

    def git(*arguments: str) -> str:
        run = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
        )
        return run.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", "csrc", "python", benchmark)
        return git("rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None
