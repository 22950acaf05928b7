"""Every public function that has a GPU form: what it takes, how it is called, what judges it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sacfast.kernels import (
    correlation,
    correlation_distance,
    fri_features,
    pairwise_distance,
    reference,
)
from sacfast.kernels.products import correlation_products
from tests import tolerances

#: What the GPU promises of float32: docs of `correlation`.
FLOAT32 = 1e-5
#: Rounding both factors to 8 bits, by 2^-8 at most.
BFLOAT16 = tolerances.CUDA_CORRELATION["bfloat16"]


@dataclass(frozen=True)
class Case:
    """One call: `call(*arrays)` lies within `tolerance` of `oracle(*arrays)`."""

    arrays: tuple[Any, ...]
    call: Callable[..., Any]
    oracle: Callable[..., Any]
    tolerance: float

    @property
    def expected(self) -> Any:
        return self.oracle(*self.arrays)


def cases(s: int = 3, n: int = 9, c: int = 6, v: int = 4, r: int = 5) -> dict[str, Case]:
    """S models on N probes with C classes, V sources, R reference images; N >= 2."""
    rng = np.random.default_rng(11)
    outputs = rng.normal(size=(s, n, c)).astype(np.float32)
    pairs = n * (n - 1) // 2
    packed = rng.uniform(-1, 1, (v, pairs)).astype(np.float32)
    references = rng.normal(size=(s, r, c)).astype(np.float32)
    made_of = rng.normal(size=(v, n, c)).astype(np.float32)
    fixed = np.concatenate([np.ones((1, pairs)), reference.correlation(made_of)])
    return {
        "correlation": Case((outputs,), correlation, reference.correlation, FLOAT32),
        "correlation-one": Case(
            (outputs[0],), correlation, lambda x: reference.correlation(x[None])[0], FLOAT32
        ),
        "correlation-list": Case(
            (outputs[0], outputs[-1, :, : c // 2 + 1]),
            lambda *x: correlation(list(x), center="row"),
            lambda *x: reference.correlation(x, center="row"),
            FLOAT32,
        ),
        "correlation-rbf-normalised": Case(
            (outputs,),
            lambda x, **k: correlation(x, kernel="rbf", rbf_normalized=True, **k),
            lambda x: reference.correlation(x, kernel="rbf", rbf_normalized=True),
            2 * FLOAT32,
        ),
        "correlation_distance": Case(
            (outputs, packed), correlation_distance, reference.correlation_distance, FLOAT32
        ),
        "pairwise_distance": Case(
            (packed,),
            pairwise_distance,
            lambda a: reference.pairwise_distance(a, a),
            tolerances.PAIRWISE_DISTANCE,
        ),
        "pairwise_distance-b": Case(
            (packed, packed[1:3]),
            pairwise_distance,
            reference.pairwise_distance,
            tolerances.PAIRWISE_DISTANCE,
        ),
        "fri_features": Case((outputs, references), fri_features, reference.fri_features, FLOAT32),
        "fri_features-one": Case(
            (outputs[0], references[0]),
            fri_features,
            lambda x, r: reference.fri_features(x[None], r[None])[0],
            FLOAT32,
        ),
        "correlation_products": Case(
            (outputs, fixed),
            lambda x, rows: correlation_products(x, rows)[0],
            lambda x, rows: reference.inner_products(reference.correlation(x), rows),
            pairs * FLOAT32,
        ),
        "correlation_products-classes": Case(
            (outputs, fixed, made_of),
            lambda x, rows, origins: correlation_products(x, rows, origins)[0],
            lambda x, rows, _: reference.inner_products(reference.correlation(x), rows),
            pairs * FLOAT32,
        ),
        "correlation_products-squares": Case(
            (outputs, fixed),
            lambda x, rows: correlation_products(x, rows)[1],
            lambda x, _: (reference.correlation(x) ** 2).sum(axis=1),
            pairs * 2 * FLOAT32,
        ),
    }


def rbf_cases(s: int = 3, n: int = 9, c: int = 6, v: int = 4) -> dict[str, Case]:
    """The kernel that PyTorch computes."""
    given = cases(s, n, c, v)
    return {
        f"{name}-rbf-{sigma}": Case(
            given[name].arrays,
            lambda *x, f=given[name].call, width=sigma: f(*x, kernel="rbf", sigma=width),
            lambda *x, f=given[name].oracle, width=sigma: f(*x, kernel="rbf", sigma=width),
            tolerances.RBF + tolerances.PAIRWISE_DISTANCE,
        )
        for sigma in (None, 0.7)
        for name in ("correlation", "correlation_distance")
    }
