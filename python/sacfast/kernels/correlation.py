"""Correlations: the similarity structure of one model's outputs.

docs/method.md, "Correlation". `correlation` is what everything else is made of; `unpack` makes the
square matrix for people to look at.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from sacfast.errors import ShapeError
from sacfast.kernels import _check, _device, _gpu
from sacfast.kernels._native import core, threads
from sacfast.kernels._places import one_device
from sacfast.kernels._results import result
from sacfast.kernels._tensors import FLOATS, array, as_numpy


def correlation(
    outputs: Any,
    *,
    center: str = "double",
    kernel: str = "cosine",
    sigma: float | None = None,
    rbf_normalized: bool = False,
    backend: str = "auto",
    precision: str = "float32",
    out: Any = None,
) -> Any:
    """Packed correlations of the outputs of one or many models.

    Args:
        outputs: (S, N, C), one model's (N, C), or a list of (N, C_s); float16, bfloat16, float32
            or float64, any strides. As the model gave them, or from `canonical_outputs`.
        center: "double" subtracts from each row its mean over the classes, then from each class its
            mean over the probes; "row" does the first alone; "none" neither.
        kernel: "cosine", or "rbf": exp(-||a_i - a_j||² / (2 sigma²)) of the centred rows.
        sigma: of the rbf kernel; None takes the median of ||a_i - a_j|| over the pairs (1 where
            that is 0).
        rbf_normalized: with kernel="rbf", exp(-2 (1 - cosine)) instead.
        backend: "auto" runs where the data is; "cpu" and "cuda" refuse data that is elsewhere.
            Data is never moved between devices.
        precision: "float32", within 1e-5 of the exact value; or, on a GPU, "bfloat16": meant
            for speed, the rows' numbers rounded to 8 bits, within 8e-3 (16e-3 of the rbf kernel).
        out: float32 array of the result's shape to write into.

    Returns:
        float32 (S, P), or (P,) for one model: the strict upper triangles, row by row,
        P = N(N-1)/2; in [-1, 1] (cosine) or [0, 1] (rbf). A torch tensor where one came in, and
        always on a GPU, on which it may still be computing: what is done with it there waits, on
        the current stream. A row that is zero after centring correlates 0 with everything; one with
        NaN or Inf gives NaN.

    Raises:
        ShapeError: If `outputs` or `out` has another shape, or `outputs` no probe or class.
        DtypeError: If `outputs` is no floating-point array, `out` no float32 array, or a setting
            of the wrong type.
        ArgumentError: If a setting has a value that is not taken, or `out` can't be written to.
        BackendError: If data is where `backend` does not run, or in several places.
        DeviceMemoryError: If a GPU has too little memory left.

    Departs from the paper: the authors take raw logits, center="none", which a constant added to
    all logits defeats; and they store 1 - cosine. Their rbf is rbf_normalized=True.

    Source: SAC-JC (arXiv 2412.20768), section 3; SAC (arXiv 2210.15427), section 3.2.
    """
    name = "correlation"
    backend = _check.backend(name, backend)
    kind = _check.correlation_kind(name, center, kernel, sigma, rbf_normalized)
    models = _check.models(name, "outputs", outputs, one=True, backend=backend)
    if models.probes is None:
        raise ShapeError(
            "correlation: `outputs` must hold at least one model, got an empty list",
            hint="an array (0, N, C) tells the number of probes; an empty list does not",
        )
    length = _check.pairs(models.probes)
    shape = (length,) if models.single else (models.count, length)
    precision = _check.precision(name, precision, one_device(name, models.arrays), kind[1])
    packed, given = result(name, shape, models.arrays, out)
    if 0 in shape:
        return packed
    if given.device is None:
        core().correlation(models.refs, *kind, threads(), given.ref)
    else:
        _gpu.correlation(name, models, kind, precision, given.device, given)
    return packed


def unpack(packed: Any, n: int) -> Any:
    """The square matrices of packed correlations, with a diagonal of 1.

    Args:
        packed: (..., P), P = n(n-1)/2, any floating-point type.
        n: number of probes N.

    Returns:
        (..., N, N), symmetric, a numpy array or torch tensor of the type of `packed` (float32 for
        16-bit floats that came through DLPack).

    Raises:
        ShapeError: If the last axis of `packed` is not P long.
        DtypeError: If `packed` is no floating-point array, or `n` no integer.
        ArgumentError: If `n` is below 1.
        BackendError: If `packed` is where no kernel can run.
        DeviceMemoryError: If a GPU has too little memory left.
    """
    given = array("unpack", "packed", packed, FLOATS, "auto")
    n = _check.integer("unpack", "n", n, 1)
    length = _check.pairs(n)
    if not given.shape or given.shape[-1] != length:
        raise ShapeError(f"unpack: `packed` must be (..., {length}) for n = {n}, got {given.shape}")
    if given.device is not None:
        size = math.prod(given.shape[:-1]) * n * n * given.owner.element_size()
        with _device.wanting("unpack", size, given.device):
            return _unpacked(given.owner, n)
    if given.is_torch:
        return _unpacked(given.owner, n)
    values = packed if isinstance(packed, np.ndarray) else as_numpy("unpack", "packed", packed)
    square = np.ones((*given.shape[:-1], n, n), dtype=values.dtype)
    rows, columns = np.triu_indices(n, 1)
    square[..., rows, columns] = values
    square[..., columns, rows] = values
    return square


def _unpacked(values: Any, n: int) -> Any:
    """`unpack` of a tensor, where it is."""
    square = values.new_ones((*values.shape[:-1], n, n))
    rows, columns = sys.modules["torch"].triu_indices(n, n, 1, device=values.device)
    square[..., rows, columns] = values
    square[..., columns, rows] = values
    return square
