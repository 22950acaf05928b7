"""Two smaller kernels: FRI features of face models, and correlations of labels."""

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


def fri(S: int, N: int, R: int, E: int) -> Contest:
    """Embeddings of N probes and R references to their cosines."""
    probes, references = data.outputs(S, N, E), data.outputs(S, R, E, 1)
    x, r = torch.from_numpy(probes), torch.from_numpy(references)
    tolerance = data.product_tolerance(E)

    @cache
    def row(unit: int) -> NDArray[np.float64]:
        return reference.fri_features(probes[unit : unit + 1], references[unit : unit + 1])[0]

    def own(level: str | None = None) -> Contender:
        return Contender(
            f"sacfast, {data.LEVEL_NAMES[level]} only" if level else "sacfast",
            "sacfast",
            lambda count: sacfast.fri_features(probes[:count], references[:count]),
            data.rows,
            S,
            data.OWN_TOLERANCE,
            level=level,
        )

    def loop(count: int) -> Any:
        for one, other in zip(x[:count], r[:count], strict=True):
            a = torch.nn.functional.normalize(one, dim=1)
            scores = torch.mm(a, torch.nn.functional.normalize(other, dim=1).t())
        return scores

    def last(scores: Any, count: int) -> Read:
        yield count - 1, slice(None), np.asarray(scores)

    def by_torch(count: int) -> Any:
        return torch_reference.fri_features(x[:count], r[:count])

    contenders: list[Contender | Missing] = [
        own(),
        *(own(level) for level in data.lower_levels()),
        Contender("loop over models", "loop", loop, last, S, tolerance),
        Contender("torch bmm", "torch", by_torch, data.rows, S, tolerance),
    ]
    return Contest(
        "fri",
        f"FRI ({S}, {N}, {E}), {R} references",
        {"S": S, "N": N, "R": R, "E": E},
        Work(flops=2.0 * S * N * R * E, bytes_in=4 * S * (N + R) * E, bytes_out=4 * S * N * R),
        lambda unit, part: row(unit)[part],
        contenders,
    )


def labels(S: int, N: int) -> Contest:
    """Labels to packed correlations: 1 where two probes got the same one."""
    given = np.random.default_rng(0).integers(0, 10, (S, N))
    tensor, triangle = torch.from_numpy(given), torch.from_numpy(data.upper(N))

    def own(level: str | None = None) -> Contender:
        return Contender(
            f"sacfast, {data.LEVEL_NAMES[level]} only" if level else "sacfast",
            "sacfast",
            lambda count: sacfast.label_correlation(given[:count]),
            data.rows,
            S,
            0.0,
            level=level,
        )

    def loop(count: int) -> Any:
        for one in tensor[:count]:
            square = (one[:, None] == one[None]).float()
        return square

    def last(square: Any, count: int) -> Read:
        yield count - 1, slice(None), np.asarray(square).ravel()[triangle.numpy()]

    def by_torch(count: int) -> Any:
        part = tensor[:count].int()
        rows, columns = triangle // N, triangle % N
        return (part.index_select(1, rows) == part.index_select(1, columns)).float()

    pairs = N * (N - 1) // 2
    contenders: list[Contender | Missing] = [
        own(),
        *(own(level) for level in data.lower_levels()),
        Contender("loop over models", "loop", loop, last, S, 0.0),
        Contender("torch, two gathers", "torch", by_torch, data.rows, S, 0.0),
    ]
    return Contest(
        "labels",
        f"labels ({S}, {N})",
        {"S": S, "N": N},
        Work(bytes_in=8 * S * N, bytes_out=4 * S * pairs),
        lambda unit, part: reference.label_correlation(given[unit : unit + 1])[0][part],
        contenders,
    )
