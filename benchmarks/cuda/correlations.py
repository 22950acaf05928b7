"""Outputs (S, N, C) to packed correlations (S, P), cosine, of raw outputs as the authors take them.

sacfast's default, which centres rows and classes first, runs beside. The authors' loop leaves a
full square of each model.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import sacfast
from benchmarks.cuda import data, device
from benchmarks.cuda.race import FLOAT32_TOLERANCE, Runner, numbers, rows
from benchmarks.kernels.limits import Work
from benchmarks.kernels.race import Contest, Read
from sacfast.kernels import torch_reference


def contest(S: int, N: int, C: int) -> Contest:
    models = data.outputs(S, N, C)
    tensor = device.upload(models)
    pairs = N * (N - 1) // 2
    flat = data.upper(N)
    triangle = device.upload(flat)
    packed = device.empty(S, pairs)
    on_cpu = np.zeros((S, pairs), np.float32)
    tolerance = data.product_tolerance(C)

    def own(count: int, precision: str) -> Any:
        return sacfast.correlation(
            tensor[:count], center="none", precision=precision, out=packed[:count]
        )

    def centred(count: int) -> Any:
        return sacfast.correlation(tensor[:count], out=packed[:count])

    def loop(count: int) -> Any:
        for model in tensor[:count]:
            a = torch.nn.functional.normalize(model, dim=1)
            square = 1 - torch.mm(a, a.t())
        return square

    def last(square: Any, count: int) -> Read:
        yield count - 1, slice(None), 1 - numbers(square).astype(np.float64).ravel()[flat]

    def by_bmm(count: int) -> Any:
        a = torch.nn.functional.normalize(tensor[:count], dim=2)
        squares = torch.bmm(a, a.transpose(1, 2)).view(count, -1)
        return torch.index_select(squares, 1, triangle, out=packed[:count])

    def by_chunks(count: int) -> Any:
        return torch_reference.correlation(tensor[:count], center="none", out=packed[:count])

    def by_cpu(count: int) -> Any:
        return sacfast.correlation(models[:count], center="none", out=on_cpu[:count])

    return Contest(
        "correlation",
        f"correlation ({S}, {N}, {C})",
        {"S": S, "N": N, "C": C},
        Work(flops=2.0 * S * pairs * C, bytes_in=4 * S * N * C, bytes_out=4 * S * pairs),
        data.packed_oracle(models, "none"),
        [
            *data.own(own, S),
            Runner(
                "sacfast, double-centred",
                "sacfast",
                centred,
                rows,
                S,
                FLOAT32_TOLERANCE,
                oracle=data.packed_oracle(models, "double"),
                product=data.products()[0],
            ),
            Runner("authors' loop", "loop", loop, last, S, tolerance),
            Runner("torch bmm", "torch", by_bmm, rows, S, tolerance),
            Runner("torch, small chunks", "torch", by_chunks, rows, S, tolerance),
            data.cpu(by_cpu, S),
        ],
    )
