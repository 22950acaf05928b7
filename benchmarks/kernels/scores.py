"""Loop 4: partial scores of S suspects against V sources, over a null bank of m models.

What a score takes is the inner products of a suspect's correlation with the K = m + V fixed ones.
There are two exact ways: (a) make the correlation and multiply it with the K packed rows; (b) never
make it, by sum over pairs of c·c' = (||A^T B||² - sum_i |a_i|²|b_i|²) / 2 with A, B the normalised
outputs. PyTorch runs both. "Matrix products alone" is what the cheaper way's products take in
PyTorch, in blocks that fit the cache, with nothing around them.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import sacfast
from benchmarks.kernels import data
from benchmarks.kernels.limits import Work
from benchmarks.kernels.race import Contender, Contest, Missing
from sacfast.kernels import reference, torch_reference

RIDGE = 0.02
BLOCK_BYTES = 4 << 20
OWN_TOLERANCE = 1e-6  # of correlations in float32: independent errors of 5e-7 average out
FLOAT32_TOLERANCE = 1e-5  # of sums over all pairs in float32 besides

Float64 = NDArray[np.float64]


class Known:
    """What is computed of bank and sources before any suspect comes, in float64."""

    def __init__(self, bank: NDArray[Any], owned: NDArray[Any]) -> None:
        self.sources = reference.correlation(owned)
        self.rows = np.concatenate(
            [np.ones_like(self.sources[:1]), reference.correlation(bank)]
        )  # X
        self.gram = self.rows @ self.rows.T
        self.ridge = RIDGE * np.diag(self.gram)
        self.inverse = np.linalg.inv(self.gram + np.diag(self.ridge))
        self.pairs = self.rows.shape[1]
        y = self.sources @ self.rows.T
        self.solved = y @ self.inverse
        self.sums = y[:, 0] - self.solved @ self.gram[0]
        squares = (self.sources**2).sum(axis=1)
        explained = ((y + self.solved * self.ridge) * self.solved).sum(axis=1)
        self.variance = squares - explained - self.sums**2 / self.pairs
        self.targets = np.stack([_standard(self.residual(c)) for c in self.sources])

    def residual(self, c: Float64) -> Float64:
        """What the bank does not explain."""
        return np.asarray(c - self.rows.T @ (self.inverse @ (self.rows @ c)))

    def scores(self, products: Float64, square: Float64) -> Float64:
        """(S, V) from inner products (S, 1 + m + V) with all fixed rows, and with themselves.

        The algebra of python/sacfast/partial.py, in NumPy: residuals are never made.
        """
        x = products[:, : len(self.rows)]
        a = x @ self.inverse
        sums = x[:, 0] - a @ self.gram[0]
        weighted = x + a * self.ridge
        own = square - (weighted * a).sum(axis=1) - sums**2 / self.pairs
        shared = products[:, len(self.rows) :] - weighted @ self.solved.T
        shared -= sums[:, None] * self.sums / self.pairs
        return np.asarray(shared / np.sqrt(own[:, None] * self.variance))


def _standard(x: Float64) -> Float64:
    centred = x - x.mean()
    return np.asarray(centred / np.sqrt(centred @ centred))


def contest(S: int, m: int, V: int, N: int, C: int) -> Contest:
    pairs = N * (N - 1) // 2
    models = data.outputs(S, N, C)
    bank, owned = data.outputs(m, N, C, 1), data.outputs(V, N, C, 2)
    fixed = m + V
    known = Known(bank, owned)
    detector = sacfast.Detector(list(owned), list(bank), ridge=RIDGE)
    tensor, triangle = torch.from_numpy(models), data.upper(N)
    rows32 = torch.from_numpy(np.concatenate([known.rows, known.sources]).astype(np.float32))
    normalised = [reference.normalised(one, "double") for one in (*bank, *owned)]
    # [N, C·K], models innermost: squares are then summed along the rows of memory.
    wide = torch.from_numpy(np.stack(normalised, axis=2).reshape(N, -1).astype(np.float32))
    chunk_a = max(1, BLOCK_BYTES // (4 * N * N))
    chunk_b = max(1, BLOCK_BYTES // (4 * C * C * fixed))

    @cache
    def row(unit: int) -> Float64:
        c = reference.correlation([models[unit]])[0]
        explained = np.linalg.solve(known.gram + np.diag(known.ridge), known.rows @ c)
        residual = c - explained @ known.rows
        return np.array([np.corrcoef(residual, target)[0, 1] for target in known.targets])

    def loop(count: int) -> Any:
        scores = np.empty((count, V))
        for s in range(count):
            a = models[s].astype(np.float64)
            a -= a.mean(axis=1, keepdims=True)
            a -= a.mean(axis=0)
            a /= np.sqrt((a * a).sum(axis=1, keepdims=True))
            c = (a @ a.T).ravel()[triangle]
            scores[s] = known.targets @ _standard(known.residual(c))
        return scores

    def by_rows(count: int) -> Any:
        products, square = np.empty((count, len(rows32))), np.empty(count)
        for start in range(0, count, chunk_a):
            packed = torch_reference.correlation(tensor[start : min(count, start + chunk_a)])
            part = slice(start, start + len(packed))
            products[part] = (packed @ rows32.t()).numpy()
            square[part] = packed.square().sum(dim=1, dtype=torch.float64).numpy()
        return known.scores(products, square)

    def by_identity(count: int) -> Any:
        products, square = np.empty((count, 1 + fixed)), np.empty(count)
        for start in range(0, count, chunk_b):
            a = tensor[start : min(count, start + chunk_b)]
            a = a - a.mean(dim=2, keepdim=True)
            a = a - a.mean(dim=1, keepdim=True)
            a = torch.nn.functional.normalize(a, dim=2)
            size = len(a)
            turned = a.transpose(1, 2).reshape(size * C, N)
            cross = (turned @ wide).view(size, C * C, fixed).square_().sum(dim=1)
            own = torch.bmm(a.transpose(1, 2), a).square_().sum(dim=(1, 2))
            ones = a.sum(dim=1).square().sum(dim=1)
            sums = torch.cat([ones[:, None], cross, own[:, None]], dim=1).double()
            sums = (sums - N) / 2  # rows have length 1: what the diagonal adds
            products[start : start + size] = sums[:, :-1].numpy()
            square[start : start + size] = sums[:, -1].numpy()
        return known.scores(products, square)

    ways = {
        "a": float(S) * (N * N * C + 2.0 * pairs * fixed),
        "b": 2.0 * S * fixed * N * C * C,
    }
    cheaper = min(ways, key=lambda way: ways[way])
    square_buffer = torch.empty(chunk_a, N, N)
    packed_buffer = torch.zeros(chunk_a, pairs)
    product_buffer = torch.empty(chunk_a, fixed)
    wide_buffer = torch.empty(chunk_b * C, fixed * C)
    inner = rows32[1:].t().contiguous()

    def products_alone(count: int) -> None:
        chunk = chunk_a if cheaper == "a" else chunk_b
        for start in range(0, count, chunk):
            a = tensor[start : min(count, start + chunk)]
            size = len(a)
            if cheaper == "b":
                turned = a.transpose(1, 2).reshape(size * C, N)
                torch.mm(turned, wide, out=wide_buffer[: size * C])
                continue
            half = a[: (size + 1) // 2]  # a square of every other model costs what triangles do
            torch.bmm(half, half.transpose(1, 2), out=square_buffer[: len(half)])
            torch.mm(packed_buffer[:size], inner, out=product_buffer[:size])

    def own(level: str | None = None) -> Contender:
        return Contender(
            f"sacfast, {data.LEVEL_NAMES[level]} only" if level else "sacfast",
            "sacfast",
            lambda count: detector.scores(models[:count]).score,
            data.rows,
            S,
            OWN_TOLERANCE,
            level=level,
        )

    contenders: list[Contender | Missing] = [
        own(),
        *(own(level) for level in data.lower_levels()),
        Contender("NumPy float64 loop", "loop", loop, data.rows, S, OWN_TOLERANCE),
        Contender("torch, packed rows", "torch", by_rows, data.rows, S, FLOAT32_TOLERANCE),
        Contender("torch, identity", "torch", by_identity, data.rows, S, FLOAT32_TOLERANCE),
        Contender("matrix products alone", "limit", products_alone, None, S, 0.0),
    ]
    return Contest(
        "partial scores",
        f"partial scores ({S}, {N}, {C}), {m} nulls",
        {"S": S, "m": m, "V": V, "N": N, "C": C},
        Work(
            flops=ways[cheaper],
            bytes_in=4 * S * N * C,
            bytes_out=8 * S * V,
        ),
        lambda unit, part: row(unit)[part],
        contenders,
        notes={"operations": ways, "cheaper": cheaper},
    )
