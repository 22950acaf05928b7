"""How much memory `correlation_distance` takes beyond its inputs and its result.

In a process of its own, which makes inputs and result, touches them, resets the kernel's record of
the most memory held (VmHWM) and looks at it after the call.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

import sacfast

SIZES = ((2000, 100, 10), (20000, 100, 10), (200, 800, 7))
SOURCES = 20
ROOT = Path(__file__).parents[2]


def peaks(sizes: tuple[tuple[int, int, int], ...] = SIZES) -> list[dict[str, float]]:
    """Megabytes of every size, each in a fresh process."""
    found = []
    for size in sizes:
        words = [sys.executable, "-m", "benchmarks.kernels.memory", *map(str, size)]
        run = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
        found.append(json.loads(run.stdout))
    return found


def measured(S: int, N: int, C: int) -> dict[str, float]:
    """Peak of this process during one call, beyond what it held before."""
    rng = np.random.default_rng(0)
    sources = sacfast.correlation(rng.standard_normal((SOURCES, N, C), dtype=np.float32))
    outputs = rng.standard_normal((S, N, C), dtype=np.float32)
    out = np.zeros((S, SOURCES), np.float32)
    out.fill(1)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # VmHWM starts anew
    before = _kilobytes("VmRSS")
    sacfast.correlation_distance(outputs, sources, out=out)
    peak = _kilobytes("VmHWM") - before
    return {"S": S, "N": N, "C": C, "V": SOURCES, "megabytes": round(peak / 1024, 1)}


def _kilobytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for axis in "SNC":
        parser.add_argument(axis, type=int)
    print(json.dumps(measured(**vars(parser.parse_args()))))
