"""What the GPU does at most, measured by PyTorch in the same run: copying and multiplying.

A contender's floor is the longest of three times. Bytes: its inputs read and its result written
once, at the rate of a large copy. Products: at the rate of a large matrix product in float32
(`fma`), in TF32, of which `tf32x3` takes three for each one, or in bfloat16. Differences: |a - b|
added to a sum is two float32 additions, of which as many are done a second as fused multiply-adds,
each of which counts as two operations of a product.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from benchmarks.cuda import device
from benchmarks.kernels.limits import Work

SIDE = 8192  # of the matrices
COPIED = 1 << 30  # bytes
PRODUCTS = ("fma", "tf32x3", "bfloat16")


def rates(repeats: int) -> dict[str, float]:
    """Bytes a second of a copy, read and written; operations a second of matrix products."""
    operations = 2.0 * SIDE**3
    single = torch.rand(SIDE, SIDE, device=device.NAME)
    half = single.to(torch.bfloat16)
    source = torch.zeros(COPIED, dtype=torch.uint8, device=device.NAME)
    target = torch.empty_like(source)
    product, half_product = torch.empty_like(single), torch.empty_like(half)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("highest")
        fma = operations / _fastest(lambda: torch.mm(single, single, out=product), repeats)
        torch.set_float32_matmul_precision("high")
        tf32 = operations / _fastest(lambda: torch.mm(single, single, out=product), repeats)
    finally:
        torch.set_float32_matmul_precision(before)
    return {
        "copy": 2.0 * COPIED / _fastest(lambda: target.copy_(source), repeats),
        "fma": fma,
        "tf32": tf32,
        "bfloat16": operations / _fastest(lambda: torch.mm(half, half, out=half_product), repeats),
    }


def _fastest(call: Callable[[], Any], repeats: int) -> float:
    call()  # warms up
    taken = []
    for _ in range(repeats):
        start = device.event()
        call()
        end = device.event()
        device.wait()
        taken.append(device.seconds(start, end))
    return min(taken)


def best(one: dict[str, float], other: dict[str, float]) -> dict[str, float]:
    """The faster of two measurements of each: a GPU that was idle runs slower at first."""
    return {name: max(rate, other[name]) for name, rate in one.items()}


def floor(work: Work, product: str, measured: dict[str, float]) -> dict[str, Any]:
    """The least time that this work can take: seconds, and by which limit."""
    multiply = {
        "fma": measured["fma"],
        "tf32x3": measured["tf32"] / 3,
        "bfloat16": measured["bfloat16"],
    }[product]
    parts = {
        "memory": (work.bytes_in + work.bytes_out) / measured["copy"],
        "arithmetic": work.flops / multiply + 2 * work.differences / (measured["fma"] / 2),
    }
    limit = max(parts, key=lambda name: parts[name])
    return {"seconds": parts[limit], "limit": limit, **parts}
