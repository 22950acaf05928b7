"""Loop 2: packed correlations to distances, mean |a - b|, with fixed others or all pairs.

The authors compare full N×N matrices, two models at a time, in a Python loop; their squares are
made beforehand, and a few of them are used again and again, so that they come from the cache.

A part of the work is a part of both sides' models where both are many: a library that first copies
or converts what it compares with would otherwise seem slower on a part than it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import sacfast
from benchmarks.kernels import data, within
from benchmarks.kernels.limits import Work
from benchmarks.kernels.race import Contender, Contest, Missing, Read
from sacfast.kernels import torch_reference

CLASSES = 10
SQUARES = 20  # of the authors' matrices kept on either side
FEW = 64  # models of `b` that are never taken in part
NAIVE_BYTES = 1 << 28  # of differences that a naive contender holds at once


def contest(A: int, N: int, B: int = 0) -> Contest:
    """B = 0: all pairs of the A models among themselves."""
    pairs = N * (N - 1) // 2
    a: NDArray[Any] = sacfast.correlation(data.outputs(A, N, CLASSES), center="none")
    b = sacfast.correlation(data.outputs(B, N, CLASSES, 1), center="none") if B else a
    columns = len(b)
    a_tensor, b_tensor = torch.from_numpy(a), torch.from_numpy(b)
    distance = np.zeros((A, columns), np.float32)
    tensor = torch.zeros(A, columns)
    tolerance = data.mean_tolerance(pairs)

    @cache
    def row(unit: int) -> NDArray[np.float64]:
        some = max(1, (1 << 27) // (8 * pairs))
        parts = [
            np.abs(b[first : first + some].astype(np.float64) - a[unit]).mean(axis=1)
            for first in range(0, columns, some)
        ]
        return np.concatenate(parts)

    power = 1 if 0 < B <= FEW else 2

    def width(count: int) -> int:
        """Models of `b` that this many of `a` are compared with."""
        return columns if power == 1 else max(1, count * columns // A)

    def own(level: str | None = None) -> Contender:
        def run(count: int) -> Any:
            size = (count, width(count))
            out = distance.reshape(-1)[: size[0] * size[1]].reshape(size)
            return sacfast.pairwise_distance(a[:count], b[: size[1]] if B else None, out=out)

        name = f"sacfast, {data.LEVEL_NAMES[level]} only" if level else "sacfast"
        return Contender(name, "sacfast", run, read, A, data.OWN_TOLERANCE, power, level)

    def read(result: Any, count: int) -> Read:
        for unit in data.sample(count):
            yield unit, slice(width(count)), np.asarray(result[unit])

    def by_torch(count: int) -> Any:
        size = (count, width(count))
        out = tensor.view(-1)[: size[0] * size[1]].view(size)
        others = b_tensor[: size[1]] if B else None
        return torch_reference.pairwise_distance(a_tensor[:count], others, out=out)

    def each(name: str, group: Any, call: Any, most: int | None = None) -> Contender:
        """Sums of |a - b|, of all pairs both ways."""

        def run(count: int) -> Any:
            return call(slice(count), slice(width(count)))

        def means(result: Any, count: int) -> Read:
            for unit, part, values in read(result, count):
                yield unit, part, values / pairs

        return Contender(name, group, run, means, A, tolerance, power, most=most)

    room = NAIVE_BYTES // (4 * pairs)  # pairs of models
    naive = max(1, room // columns if power == 1 else math.isqrt(room * A // columns))
    compared = float(A) * columns if B else A * (A - 1) / 2

    def oracle(unit: int, part: slice) -> NDArray[np.float64]:
        return row(unit)[part]

    int16, notes = within.contenders(a, b if B else None, width, power, compared * pairs, oracle)
    contenders: list[Contender | Missing] = [
        own(),
        *(own(level) for level in data.lower_levels()),
        *int16,
        Contender(
            "authors' loop",
            "loop",
            *authors_loop(a, b, N, torch.from_numpy),
            A * columns,
            tolerance,
        ),
        Contender("torch, blocks in the cache", "torch", by_torch, read, A, tolerance, power),
        each(
            "torch.cdist p=1",
            "torch",
            lambda some, others: torch.cdist(a_tensor[some], b_tensor[others], p=1.0),
        ),
        data.optional(
            "scipy.spatial.distance",
            "scipy cdist cityblock",
            "library",
            lambda scipy: each(
                "scipy cdist cityblock",
                "library",
                lambda some, others: scipy.cdist(a[some], b[others], "cityblock"),
            ),
        ),
        data.optional(
            "sklearn.metrics.pairwise",
            "scikit-learn manhattan",
            "library",
            lambda sklearn: each(
                "scikit-learn manhattan",
                "library",
                lambda some, others: sklearn.manhattan_distances(a[some], b[others]),
            ),
        ),
        data.optional(
            "faiss",
            "faiss METRIC_L1",
            "library",
            lambda faiss: each(
                "faiss METRIC_L1",
                "library",
                lambda some, others: faiss.pairwise_distances(a[some], b[others], faiss.METRIC_L1),
            ),
        ),
        data.optional(
            "torchmetrics.functional.pairwise",
            "torchmetrics manhattan",
            "library",
            lambda metrics: each(
                "torchmetrics manhattan",
                "library",
                lambda some, others: metrics.pairwise_manhattan_distance(
                    a_tensor[some], b_tensor[others]
                ),
                naive,
            ),
        ),
    ]
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
        oracle,
        contenders,
        notes,
    )


def authors_loop(
    a: NDArray[Any], b: NDArray[Any], N: int, upload: Callable[[NDArray[Any]], Any]
) -> tuple[Callable[[int], Any], Callable[[Any, int], Read]]:
    """The authors' loop over what `upload` makes tensors of, and what reads its results.

    A unit is one pair of models.
    """
    left = upload(1 - sacfast.unpack(a[:SQUARES], N))
    right = upload(1 - sacfast.unpack(b[:SQUARES], N))
    of_each = len(right)

    def run(count: int) -> Any:
        for k in range(count):
            i, j = divmod(k % (len(left) * of_each), of_each)
            distance = torch.sum(torch.abs(left[i] - right[j])) / (N * N)
        return distance

    def read(result: Any, count: int) -> Read:
        i, j = divmod((count - 1) % (len(left) * of_each), of_each)
        yield i, slice(j, j + 1), np.asarray([float(result) * N / (N - 1)])

    return run, read
