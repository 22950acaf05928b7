"""Outputs of suspects straight to their distances from the sources' correlations."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import sacfast
from benchmarks.cuda import data, device
from benchmarks.cuda.race import Runner, rows
from benchmarks.kernels.limits import Work
from benchmarks.kernels.race import Contest, Read
from sacfast.kernels import reference, torch_reference

CHUNK_BYTES = 256 << 20  # of squares that PyTorch holds at once


def contest(S: int, V: int, N: int, C: int) -> Contest:
    pairs = N * (N - 1) // 2
    models = data.outputs(S, N, C)
    sources = sacfast.correlation(data.outputs(V, N, C, 1), center="none")
    tensor, raw = device.upload(models), device.upload(sources)
    triangle = device.upload(data.upper(N))
    distance = device.empty(S, V)
    squares = device.upload(1 - sacfast.unpack(sources, N))
    tolerance = data.mean_tolerance(pairs) + data.product_tolerance(C)
    chunk = max(1, CHUNK_BYTES // (4 * N * N))

    @cache
    def row(unit: int) -> NDArray[np.float64]:
        return reference.correlation_distance([models[unit]], sources, center="none")[0]

    def own(count: int, precision: str) -> Any:
        return sacfast.correlation_distance(
            tensor[:count], raw, center="none", precision=precision, out=distance[:count]
        )

    def loop(count: int) -> Any:
        for model in tensor[:count]:
            a = torch.nn.functional.normalize(model, dim=1)
            square = 1 - torch.mm(a, a.t())
            found = [torch.sum(torch.abs(square - source)) / (N * N) for source in squares]
        return found

    def paper(found: Any, count: int) -> Read:
        values = np.array([float(one) for one in found])
        yield count - 1, slice(None), values * N / (N - 1)

    def by_bmm(count: int) -> Any:
        for start in range(0, count, chunk):
            part = tensor[start : min(count, start + chunk)]
            a = torch.nn.functional.normalize(part, dim=2)
            packed = torch.bmm(a, a.transpose(1, 2)).view(len(part), -1)
            packed = packed.index_select(1, triangle)
            distance[start : start + len(part)] = torch.cdist(packed, raw, p=1.0)
        return distance[:count]

    def means(result: Any, count: int) -> Read:
        for unit, part, values in rows(result, count):
            yield unit, part, values / pairs

    def by_chunks(count: int) -> Any:
        return torch_reference.correlation_distance(
            tensor[:count], raw, center="none", out=distance[:count]
        )

    def by_cpu(count: int) -> Any:
        return sacfast.correlation_distance(models[:count], sources, center="none")

    return Contest(
        "outputs to distances",
        f"outputs to distances ({S}, {N}, {C}), {V} sources",
        {"S": S, "V": V, "N": N, "C": C},
        Work(
            flops=2.0 * S * pairs * C,
            differences=float(S) * V * pairs,
            bytes_in=4 * (S * N * C + V * pairs),
            bytes_out=4 * S * V,
        ),
        lambda unit, part: row(unit)[part],
        [
            *data.own(own, S),
            Runner("authors' loop", "loop", loop, paper, S, tolerance),
            Runner("torch bmm + cdist", "torch", by_bmm, means, S, tolerance),
            Runner("torch, small chunks", "torch", by_chunks, rows, S, tolerance),
            data.cpu(by_cpu, S),
        ],
    )
