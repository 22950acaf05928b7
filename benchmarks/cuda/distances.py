"""Packed correlations to distances, mean |a - b|, with fixed others or all pairs.

The authors compare full squares, two models at a time; a few of them are used again and again. A
part of the work is a part of both sides' models where both are many.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import sacfast
from benchmarks.cuda import data, device
from benchmarks.cuda.race import FLOAT32_TOLERANCE, Runner, numbers
from benchmarks.kernels.distances import CLASSES, FEW, authors_loop
from benchmarks.kernels.limits import Work
from benchmarks.kernels.race import Contender, Contest, Missing, Read


def contest(A: int, N: int, B: int = 0) -> Contest:
    """B = 0: all pairs of the A models among themselves."""
    pairs = N * (N - 1) // 2
    a = sacfast.correlation(data.outputs(A, N, CLASSES), center="none")
    b = sacfast.correlation(data.outputs(B, N, CLASSES, 1), center="none") if B else a
    columns = len(b)
    left = device.upload(a)
    right = device.upload(b) if B else left
    distance = device.empty(A * columns)
    tolerance = data.mean_tolerance(pairs)
    power = 1 if 0 < B <= FEW else 2

    @cache
    def row(unit: int) -> NDArray[np.float64]:
        some = max(1, (1 << 27) // (8 * pairs))
        parts = [
            np.abs(b[first : first + some].astype(np.float64) - a[unit]).mean(axis=1)
            for first in range(0, columns, some)
        ]
        return np.concatenate(parts)

    def width(count: int) -> int:
        """Models of `b` that this many of `a` are compared with."""
        return columns if power == 1 else max(1, count * columns // A)

    def out(count: int) -> Any:
        return distance[: count * width(count)].view(count, width(count))

    def read(result: Any, count: int) -> Read:
        for unit in sorted({0, count // 2, count - 1}):
            yield unit, slice(width(count)), numbers(result[unit])

    def means(result: Any, count: int) -> Read:
        for unit, part, values in read(result, count):
            yield unit, part, values / pairs

    def own(count: int) -> Any:
        others = right[: width(count)] if B else None
        return sacfast.pairwise_distance(left[:count], others, out=out(count))

    def by_cdist(count: int) -> Any:
        return torch.cdist(left[:count], right[: width(count)], p=1.0)

    def by_cpu(count: int) -> Any:
        return sacfast.pairwise_distance(a[:count], b[: width(count)] if B else None)

    @cache
    def cuvs() -> tuple[Any, Any]:
        """The library, told to use the stream that is timed; where it does not load, it fails."""
        from cuvs.common import Resources
        from cuvs.distance import pairwise_distance

        return pairwise_distance, Resources(stream=device.stream_address())

    def by_cuvs(count: int) -> Any:
        call, resources = cuvs()
        others = right[: width(count)]
        call(left[:count], others, out=out(count), metric="l1", resources=resources)
        return out(count)

    contenders: list[Contender | Missing] = [
        Runner("sacfast", "sacfast", own, read, A, FLOAT32_TOLERANCE, power, product="fma"),
        Runner(
            "authors' loop",
            "loop",
            *authors_loop(a, b, N, device.upload),
            A * columns,
            tolerance,
        ),
        Runner("torch.cdist p=1", "torch", by_cdist, means, A, tolerance, power),
        Runner("cuVS", "library", by_cuvs, means, A, tolerance, power)
        if importlib.util.find_spec("cuvs")
        else Missing("cuVS", "library"),
        Runner("sacfast on the CPU", "cpu", by_cpu, read, A, data.OWN_TOLERANCE, power, cpu=True),
    ]
    compared = float(A) * columns if B else A * (A - 1) / 2
    label = f"{A} × {B}" if B else f"all pairs of {A}"
    return Contest(
        "pairwise",
        f"distances {label}, N = {N}",
        {"A": A, "B": columns, "N": N, "symmetric": int(not B)},
        Work(
            differences=compared * pairs,
            bytes_in=4 * pairs * (A + B),
            bytes_out=4 * A * columns,
        ),
        lambda unit, part: row(unit)[part],
        contenders,
    )
