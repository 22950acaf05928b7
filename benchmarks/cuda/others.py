"""Inner products of the partial score, and FRI features of face models.

The products are those of each suspect's correlation with K = 1 + m + V fixed rows. PyTorch takes
them both ways, as `benchmarks.kernels.scores` explains: from packed correlations, and class by
class; sacfast takes the cheaper one by counted operations.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import sacfast
from benchmarks.cuda import data, device
from benchmarks.cuda.race import FLOAT32_TOLERANCE, Runner, numbers, rows
from benchmarks.kernels.limits import Work
from benchmarks.kernels.race import Contest, Read
from sacfast.kernels import products as kernel
from sacfast.kernels import reference, torch_reference

BLOCK_BYTES = 256 << 20  # of squares, or of blocks of classes, that PyTorch holds at once


def products(S: int, K: int, N: int, C: int) -> Contest:
    """K fixed rows: ones, and correlations of K - 1 models."""
    pairs = N * (N - 1) // 2
    models, bank = data.outputs(S, N, C), data.outputs(K - 1, N, C, 1)
    known = np.concatenate([np.ones((1, pairs), np.float32), sacfast.correlation(bank)])
    tensor, origins, fixed = device.upload(models), device.upload(bank), device.upload(known)
    wide = np.stack([reference.normalised(one, "double") for one in bank], axis=2)
    classes = device.upload(wide.reshape(N, -1).astype(np.float32))  # [N, C·(K-1)]
    held_a = max(1, BLOCK_BYTES // (4 * N * N))
    held_b = max(1, BLOCK_BYTES // (4 * C * C * K))

    @cache
    def row(unit: int) -> NDArray[np.float64]:
        return reference.inner_products(reference.correlation([models[unit]]), known)[0] / pairs

    def own(count: int) -> Any:
        return kernel.correlation_products(tensor[:count], fixed, origins)[0]

    def means(result: Any, count: int) -> Read:
        for unit, part, values in rows(result, count):
            yield unit, part, values / pairs

    def loop(count: int) -> Any:
        for model in tensor[:count]:
            a = model - model.mean(dim=1, keepdim=True)
            a = torch.nn.functional.normalize(a - a.mean(dim=0), dim=1)
            packed = torch.mm(a, a.t())[triangle[0], triangle[1]]
            sums = fixed @ packed
        return sums

    triangle = torch.triu_indices(N, N, 1, device=device.NAME)

    def last(sums: Any, count: int) -> Read:
        yield count - 1, slice(None), numbers(sums) / pairs

    def by_rows(count: int) -> Any:
        parts = tensor[:count].split(held_a)
        return torch.cat([torch_reference.correlation(part) @ fixed.t() for part in parts])

    def by_classes(count: int) -> Any:
        found = []
        for part in tensor[:count].split(held_b):
            a = part - part.mean(dim=2, keepdim=True)
            a = a - a.mean(dim=1, keepdim=True)
            a = torch.nn.functional.normalize(a, dim=2)
            turned = a.transpose(1, 2).reshape(len(part) * C, N)
            blocks = (turned @ classes).view(len(part), C * C, K - 1)
            cross = blocks.square_().sum(dim=1)
            ones = a.sum(dim=1).square().sum(dim=1)
            found.append((torch.cat([ones[:, None], cross], dim=1) - N) / 2)
        return torch.cat(found)

    def by_cpu(count: int) -> Any:
        return kernel.correlation_products(models[:count], known, list(bank))[0]

    ways = {
        "pairs": float(S) * (N * N * C + 2.0 * pairs * K),
        "classes": 2.0 * S * K * N * C * C,
    }
    cheaper = min(ways, key=lambda way: ways[way])
    # Sums of as many float32 products: rounding errors of a mean of correlations.
    tolerance = data.mean_tolerance(pairs) + data.product_tolerance(C)
    return Contest(
        "products",
        f"products ({S}, {N}, {C}), {K} rows",
        {"S": S, "K": K, "N": N, "C": C},
        Work(
            flops=ways[cheaper],
            bytes_in=4 * (S * N * C + K * (N * C if cheaper == "classes" else pairs)),
            bytes_out=8 * S * K,
        ),
        lambda unit, part: row(unit)[part],
        [
            Runner("sacfast", "sacfast", own, means, S, FLOAT32_TOLERANCE, product="fma"),
            Runner("loop over models", "loop", loop, last, S, tolerance),
            Runner("torch, packed rows", "torch", by_rows, means, S, tolerance),
            Runner("torch, class by class", "torch", by_classes, means, S, tolerance),
            Runner("sacfast on the CPU", "cpu", by_cpu, means, S, FLOAT32_TOLERANCE, cpu=True),
        ],
        notes={"operations": ways, "cheaper": cheaper},
    )


def fri(S: int, N: int, R: int, E: int) -> Contest:
    """Embeddings of N probes and R references to their cosines."""
    probes, references = data.outputs(S, N, E), data.outputs(S, R, E, 1)
    x, r = device.upload(probes), device.upload(references)
    tolerance = data.product_tolerance(E)

    @cache
    def row(unit: int) -> NDArray[np.float64]:
        return reference.fri_features(probes[unit : unit + 1], references[unit : unit + 1])[0]

    def own(count: int, precision: str) -> Any:
        return sacfast.fri_features(x[:count], r[:count], precision=precision)

    def loop(count: int) -> Any:
        for one, other in zip(x[:count], r[:count], strict=True):
            a = torch.nn.functional.normalize(one, dim=1)
            scores = torch.mm(a, torch.nn.functional.normalize(other, dim=1).t())
        return scores

    def last(scores: Any, count: int) -> Read:
        yield count - 1, slice(None), numbers(scores)

    return Contest(
        "fri",
        f"FRI ({S}, {N}, {E}), {R} references",
        {"S": S, "N": N, "R": R, "E": E},
        Work(flops=2.0 * S * N * R * E, bytes_in=4 * S * (N + R) * E, bytes_out=4 * S * N * R),
        lambda unit, part: row(unit)[part],
        [
            *data.own(own, S),
            Runner("loop over models", "loop", loop, last, S, tolerance),
            Runner(
                "torch bmm",
                "torch",
                lambda count: torch_reference.fri_features(x[:count], r[:count]),
                rows,
                S,
                tolerance,
            ),
            data.cpu(lambda count: sacfast.fri_features(probes[:count], references[:count]), S),
        ],
    )
