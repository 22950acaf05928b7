"""Loop 1: outputs (S, N, C) to packed correlations (S, P), cosine.

All contenders correlate raw outputs, as the authors do; sacfast's default, which centres rows and
classes first, runs beside them. The authors' loop, scikit-learn and torchmetrics leave a full
square of each model, which is not gathered into a triangle at their cost. The libraries take one
model at a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import sacfast
from benchmarks.kernels import data
from benchmarks.kernels.limits import Work
from benchmarks.kernels.race import Contender, Contest, Missing, Read
from sacfast.kernels import torch_reference


def contest(S: int, N: int, C: int) -> Contest:
    models = data.outputs(S, N, C)
    tensor = torch.from_numpy(models)
    pairs = N * (N - 1) // 2
    triangle = data.upper(N)
    packed = np.zeros((S, pairs), np.float32)
    packed_tensor = torch.zeros(S, pairs)
    tolerance = data.product_tolerance(C)

    def own(center: str, level: str | None = None) -> Contender:
        name = "sacfast" if center == "none" else "sacfast, double-centred"
        return Contender(
            f"{name}, {data.LEVEL_NAMES[level]} only" if level else name,
            "sacfast",
            lambda count: sacfast.correlation(models[:count], center=center, out=packed[:count]),
            data.rows,
            S,
            data.OWN_TOLERANCE,
            level=level,
            oracle=data.packed_oracle(models, center),
        )

    def last(square: Any, count: int) -> Read:
        """Reads 1 - cos of the last model."""
        flat = np.asarray(square, dtype=np.float64).ravel()
        yield count - 1, slice(None), 1 - flat[triangle]

    def loop(count: int) -> Any:
        for model in tensor[:count]:
            a = torch.nn.functional.normalize(model, dim=1)
            square = 1 - torch.mm(a, a.t())
        return square

    def naive(count: int) -> Any:
        a = torch.nn.functional.normalize(tensor[:count], dim=2)
        return torch.bmm(a, a.transpose(1, 2)).view(count, -1)[:, triangle]

    def by_torch(count: int) -> Any:
        return torch_reference.correlation(tensor[:count], center="none", out=packed_tensor[:count])

    def per_model(name: str, call: Any, read: Any) -> Contender:
        def run(count: int) -> Any:
            for model in models[:count]:
                result = call(model)
            return result

        return Contender(name, "library", run, read, S, tolerance)

    def cosine(square: Any, count: int) -> Read:
        yield count - 1, slice(None), np.asarray(square).ravel()[triangle]

    def distances(condensed: Any, count: int) -> Read:
        yield count - 1, slice(None), 1 - condensed

    def metrics(module: Any) -> Contender:
        def run(count: int) -> Any:
            for model in tensor[:count]:
                square = module.pairwise_cosine_similarity(model)
            return square

        name = "torchmetrics"
        return Contender(name, "library", run, cosine, S, tolerance)

    contenders: list[Contender | Missing] = [
        own("none"),
        own("double"),
        *(own("none", level) for level in data.lower_levels()),
        Contender("authors' loop", "loop", loop, last, S, tolerance),
        Contender("torch, buffers reused", "torch", by_torch, data.rows, S, tolerance),
        Contender("torch, naive bmm", "torch", naive, data.rows, S, tolerance),
        data.optional(
            "scipy.spatial.distance",
            "scipy pdist",
            "library",
            lambda scipy: per_model("scipy pdist", lambda x: scipy.pdist(x, "cosine"), distances),
        ),
        data.optional(
            "sklearn.metrics.pairwise",
            "scikit-learn",
            "library",
            lambda sklearn: per_model("scikit-learn", sklearn.cosine_similarity, cosine),
        ),
        data.optional("torchmetrics.functional.pairwise", "torchmetrics", "library", metrics),
        data.optional(
            "numkong",
            "NumKong",
            "library",
            lambda numkong: per_model("NumKong", numkong.angulars_symmetric, last),
        ),
    ]
    return Contest(
        "correlation",
        f"correlation ({S}, {N}, {C})",
        {"S": S, "N": N, "C": C},
        Work(flops=2.0 * S * pairs * C, bytes_in=4 * S * N * C, bytes_out=4 * S * pairs),
        data.packed_oracle(models, "none"),
        contenders,
    )
