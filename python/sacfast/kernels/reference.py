"""What each kernel computes, in plain NumPy and float64: the oracle that judges the fast ones.

It reads like docs/method.md and is in no hurry. Production code never imports it. Arrays here are
NumPy arrays of any floating-point type; a batch is (S, N, C) or a list of (N, C_s).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Batch = NDArray[Any] | Sequence[NDArray[Any]]

#: A centred row of at most this length, per sqrt(C) and relative to what was subtracted, is the
#: residue of rounding: a zero row.
RESIDUE = 1e-14


def mean(x: Float64, axis: int) -> Float64:
    """The mean, and the mean of what is left: a constant comes out to the last bit or two."""
    first = x.mean(axis=axis, keepdims=True)
    return np.asarray(first + (x - first).mean(axis=axis, keepdims=True))


def centred(outputs: NDArray[Any], center: str) -> tuple[Float64, Float64]:
    """Rows of one model (N, C), centred; and (N,), the size that a residue is measured by."""
    a = outputs.astype(np.float64)
    size = np.abs(a).max(axis=1)
    if center in ("row", "double"):
        a = a - mean(a, axis=1)
    if center == "double":
        class_mean = mean(a, axis=0)
        a = a - class_mean
        size = size + np.abs(class_mean).max()
    return a, size


def normalised(outputs: NDArray[Any], center: str) -> Float64:
    """Centred rows of length 1; rows of 0 where nothing but rounding was left."""
    a: Float64
    a, size = centred(outputs, center)
    largest = np.abs(a).max(axis=1)
    scale = np.where(largest == 0, 1.0, largest)
    a = a / scale[:, None]  # so that squares do not overflow
    length = np.sqrt((a * a).sum(axis=1))
    relative = length * (scale / np.where(size == 0, 1.0, size))
    zero = (largest == 0) | (relative <= RESIDUE * np.sqrt(a.shape[1]))
    a = a / np.where(zero, 1.0, length)[:, None]
    a[zero] = 0.0
    return a


def packed(square: NDArray[Any]) -> NDArray[Any]:
    """(..., N, N) -> (..., P): the strict upper triangle, row by row."""
    rows, columns = np.triu_indices(square.shape[-1], 1)
    return np.asarray(square[..., rows, columns])


def correlation(
    outputs: Batch,
    *,
    center: str = "double",
    kernel: str = "cosine",
    sigma: float | None = None,
    rbf_normalized: bool = False,
) -> Float64:
    """(S, P): docs/method.md, "Correlation"."""
    with np.errstate(invalid="ignore", over="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # NaN rows stay NaN, without a word
        if kernel == "rbf" and not rbf_normalized:
            return np.stack([_rbf(o, center, sigma) for o in outputs])
        rows = [normalised(o, center) for o in outputs]
        cosine = np.stack([packed(np.clip(a @ a.T, -1.0, 1.0)) for a in rows])
        return np.asarray(np.exp(-2 * (1 - cosine)) if rbf_normalized else cosine)


def _rbf(outputs: NDArray[Any], center: str, sigma: float | None) -> Float64:
    a, _ = centred(outputs, center)
    a[~np.isfinite(a)] = np.nan  # a row with one is at no distance from any
    largest = np.abs(a).max(initial=0.0, where=np.isfinite(a))
    scale = largest if largest > 0 else 1.0
    differences = (a[:, None, :] - a[None, :, :]) / scale
    distance = packed(np.sqrt((differences**2).sum(axis=2))) * scale
    if sigma is None:
        sigma = float(np.median(distance)) if distance.size else 1.0
        sigma = 1.0 if sigma == 0 else sigma
    return np.asarray(np.exp(-0.5 * (distance / sigma) ** 2))


def label_correlation(labels: NDArray[Any]) -> Float64:
    """(S, N) -> (S, P): 1 where two labels are equal."""
    return packed(labels[:, :, None] == labels[:, None, :]).astype(np.float64)


def pairwise_distance(a: NDArray[Any], b: NDArray[Any]) -> Float64:
    """(A, P), (B, P) -> (A, B): docs/method.md, "The papers' score"."""
    left, right = a.astype(np.float64), b.astype(np.float64)
    return np.stack([np.abs(row - right).mean(axis=1) for row in left])


def correlation_distance(outputs: Batch, sources: NDArray[Any], **kind: Any) -> Float64:
    """(S, N, C), (V, P) -> (S, V)."""
    return pairwise_distance(correlation(outputs, **kind), sources)


def fri_features(probes: Batch, references: Batch) -> Float64:
    """(S, N, E), (S, R, E) -> (S, N, R): docs/method.md, "FRI for face verification"."""
    pairs = zip(probes, references, strict=True)
    return np.stack([normalised(x, "none") @ normalised(r, "none").T for x, r in pairs])


def inner_products(a: NDArray[Any], b: NDArray[Any]) -> Float64:
    """(A, P), (B, P) -> (A, B)."""
    return np.asarray(a.astype(np.float64) @ b.astype(np.float64).T)


def spd_inverse(a: NDArray[Any]) -> Float64:
    """(m, m) -> (m, m)."""
    return np.asarray(np.linalg.inv(a.astype(np.float64)))
