"""Loop 3: outputs of suspects straight to their distances from the sources' correlations."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import sacfast
from benchmarks.kernels import data
from benchmarks.kernels.limits import Work
from benchmarks.kernels.race import Contender, Contest, Missing, Read
from sacfast.kernels import reference, torch_reference

CHUNK_BYTES = 20 << 20  # of squares that the simple contenders hold at once


def contest(S: int, V: int, N: int, C: int) -> Contest:
    pairs = N * (N - 1) // 2
    models, owned = data.outputs(S, N, C), data.outputs(V, N, C, 1)
    tensor = torch.from_numpy(models)
    sources = {center: sacfast.correlation(owned, center=center) for center in ("none", "double")}
    raw = torch.from_numpy(sources["none"])
    triangle = torch.from_numpy(data.upper(N))
    distance = np.zeros((S, V), np.float32)
    distance_tensor = torch.zeros(S, V)
    tolerance = data.mean_tolerance(pairs) + data.product_tolerance(C)
    chunk = max(1, CHUNK_BYTES // (4 * N * N))

    def oracle(center: str) -> Any:
        @cache
        def row(unit: int) -> NDArray[np.float64]:
            given = sources[center]
            return reference.correlation_distance([models[unit]], given, center=center)[0]

        return lambda unit, part: row(unit)[part]

    def own(center: str, level: str | None = None) -> Contender:
        name = "sacfast" if center == "none" else "sacfast, double-centred"
        return Contender(
            f"{name}, {data.LEVEL_NAMES[level]} only" if level else name,
            "sacfast",
            lambda count: sacfast.correlation_distance(
                models[:count], sources[center], center=center, out=distance[:count]
            ),
            data.rows,
            S,
            data.OWN_TOLERANCE,
            level=level,
            oracle=oracle(center),
        )

    squares = torch.from_numpy(1 - sacfast.unpack(sources["none"], N))

    def loop(count: int) -> Any:
        for model in tensor[:count]:
            a = torch.nn.functional.normalize(model, dim=1)
            square = 1 - torch.mm(a, a.t())
            row = [torch.sum(torch.abs(square - source)) / (N * N) for source in squares]
        return row

    def paper(result: Any, count: int) -> Read:
        yield count - 1, slice(None), np.asarray(result, np.float64) * N / (N - 1)

    def by_torch(count: int) -> Any:
        out = distance_tensor[:count]
        return torch_reference.correlation_distance(tensor[:count], raw, center="none", out=out)

    def packed(part: torch.Tensor) -> torch.Tensor:
        a = torch.nn.functional.normalize(part, dim=2)
        return torch.bmm(a, a.transpose(1, 2)).view(len(part), -1).index_select(1, triangle)

    def chunked(name: str, group: Any, distances: Any) -> Contender:
        def run(count: int) -> Any:
            return np.concatenate([distances(packed(part)) for part in tensor[:count].split(chunk)])

        def means(result: Any, count: int) -> Read:
            for unit, part, values in data.rows(result, count):
                yield unit, part, values / pairs

        return Contender(name, group, run, means, S, tolerance)

    contenders: list[Contender | Missing] = [
        own("none"),
        own("double"),
        *(own("none", level) for level in data.lower_levels()),
        Contender("authors' loop", "loop", loop, paper, S, tolerance),
        Contender("torch, blocks in the cache", "torch", by_torch, data.rows, S, tolerance),
        chunked("torch bmm + cdist", "torch", lambda rows: torch.cdist(rows, raw, p=1.0).numpy()),
        data.optional(
            "faiss",
            "torch bmm + faiss",
            "library",
            lambda faiss: chunked(
                "torch bmm + faiss",
                "library",
                lambda rows: faiss.pairwise_distances(
                    rows.numpy(), sources["none"], faiss.METRIC_L1
                ),
            ),
        ),
    ]
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
        oracle("none"),
        contenders,
    )
