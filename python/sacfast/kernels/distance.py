"""Distances: how far two models' correlations lie apart.

docs/method.md, "The papers' score": D[s, v] = mean over the pairs i < j of |C_s[i, j] - C_v[i, j]|.
Two functions: from correlations that are kept (`pairwise_distance`), and from outputs straight to
distances (`correlation_distance`), which keeps nothing in between.
"""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from sacfast.errors import ArgumentError, DtypeError, ShapeError
from sacfast.kernels import _check, _gpu
from sacfast.kernels._native import core, threads
from sacfast.kernels._places import one_device
from sacfast.kernels._results import result
from sacfast.kernels._tensors import FLOATS, INTEGERS, array, as_numpy, is_torch

VERSIONS = ("2024", "2022")


def pairwise_distance(a: Any, b: Any = None, *, backend: str = "auto", out: Any = None) -> Any:
    """Mean |a - b| over the pairs, for every row of `a` and every row of `b`.

    Args:
        a: packed correlations (A, P); float16, bfloat16, float32 or float64, any strides. Values
            are read as float32; on a GPU what is not contiguous float32 is copied first.
        b: likewise (B, P); None compares `a` with itself.
        backend: see `correlation`.
        out: float32 array (A, B) to write into.

    Returns:
        float32 (A, B), in [0, 2] for correlations; 0 = the same structure. Without `b` exactly
        symmetric, with a diagonal of exactly 0 (NaN for a row with NaN). Within 5e-7 of the exact
        value for correlations; with larger numbers the error grows as their largest does.

    Raises:
        ShapeError: If `a` and `b` are not matrices with rows of equal length, or `out` has another
            shape.
        DtypeError: If one is no floating-point array, or `out` no float32 array.
        ArgumentError: If `out` can't be written to, or no backend has this name.
        BackendError: If data is where `backend` does not run, or in several places.
        DeviceMemoryError: If a GPU has too little memory left.

    Departs from the paper: a mean over P pairs, not over N² entries; see `paper_scale`.

    Source: SAC-JC (arXiv 2412.20768), section 3.
    """
    name = "pairwise_distance"
    backend = _check.backend(name, backend)
    left = _check.matrix(name, "a", a, "(A, P)", backend)
    if left.shape[1] == 0:
        raise ShapeError(f"pairwise_distance: `a` must have at least one pair, got {left.shape}")
    right = left if b is None else _check.matrix(name, "b", b, "(B, P)", backend)
    if right.shape[1] != left.shape[1]:
        raise ShapeError(
            f"pairwise_distance: `b` must have P = {left.shape[1]} pairs like `a`, "
            f"got {right.shape}"
        )
    shape = (left.shape[0], right.shape[0])
    distance, given = result(name, shape, (left, right), out)
    if 0 in shape:
        return distance
    if given.device is None:
        core().pairwise_distance(left.ref, None if b is None else right.ref, threads(), given.ref)
    else:
        _gpu.pairwise_distance(name, left, None if b is None else right, given.device, given)
    return distance


def correlation_distance(
    outputs: Any,
    source_correlations: Any,
    *,
    center: str = "double",
    kernel: str = "cosine",
    sigma: float | None = None,
    rbf_normalized: bool = False,
    backend: str = "auto",
    precision: str = "float32",
    out: Any = None,
) -> Any:
    """Distances of suspects to sources, from the suspects' outputs, keeping no correlation.

    Args:
        outputs: (S, N, C), or a list of (N, C_s); see `correlation`.
        source_correlations: packed correlations (V, P) of the sources, P = N(N-1)/2, made with the
            same settings.
        center: see `correlation`.
        kernel: see `correlation`.
        sigma: see `correlation`.
        rbf_normalized: see `correlation`.
        backend: see `correlation`.
        precision: see `correlation`.
        out: float32 array (S, V) to write into.

    Returns:
        float32 (S, V), in [0, 2]; 0 = the same structure. On the CPU the same bits as
        `pairwise_distance(correlation(outputs), source_correlations)`; on a GPU, which adds in
        another order, the same within 1e-6.

    Raises:
        ShapeError: If `outputs` has another shape, `source_correlations` is not (V, P) for its N,
            or `out` has another shape.
        DtypeError: If one is no floating-point array, `out` no float32 array, or a setting of the
            wrong type.
        ArgumentError: If a setting has a value that is not taken, or `out` can't be written to.
        BackendError: If data is where `backend` does not run, or in several places.
        DeviceMemoryError: If a GPU has too little memory left.

    Departs from the paper: see `correlation` and `pairwise_distance`.

    Source: SAC-JC (arXiv 2412.20768), section 3.
    """
    name = "correlation_distance"
    backend = _check.backend(name, backend)
    kind = _check.correlation_kind(name, center, kernel, sigma, rbf_normalized)
    models = _check.models(name, "outputs", outputs, one=False, backend=backend)
    sources = _check.matrix(name, "source_correlations", source_correlations, "(V, P)", backend)
    if models.probes == 1 or sources.shape[1] == 0:
        raise ShapeError(
            "correlation_distance: `outputs` must have at least two probes, and "
            f"`source_correlations` one pair, got {sources.shape}"
        )
    if models.probes is not None and sources.shape[1] != (pairs := _check.pairs(models.probes)):
        raise ShapeError(
            f"correlation_distance: `source_correlations` must be (V, {pairs}) "
            f"for N = {models.probes} probes, got {sources.shape}"
        )
    shape = (models.count, sources.shape[0])
    arrays = (*models.arrays, sources)
    precision = _check.precision(name, precision, one_device(name, arrays), kind[1])
    distance, given = result(name, shape, arrays, out)
    if 0 in shape:
        return distance
    if given.device is None:
        core().correlation_distance(models.refs, sources.ref, *kind, threads(), given.ref)
    else:
        _gpu.correlation_distance(name, models, sources, kind, precision, given.device, given)
    return distance


def paper_scale(distance: Any, n: int, *, version: str = "2024") -> Any:
    """Our distance in the authors' units, so that published thresholds can be compared.

    Args:
        distance: a distance, an array of them (any numbers), or a list.
        n: number of probes N.
        version: "2024" (SAC-JC): the sum over all N² entries divided by N², ours × (N-1)/N;
            "2022" (SAC): half of that.

    Returns:
        `distance` scaled: a number, a torch tensor where one came in, else a NumPy array.

    Raises:
        DtypeError: If `distance` holds anything but numbers, or `n` is no integer.
        ArgumentError: If n < 1, `version` is another, or an integer is beyond all floats.
        BackendError: If it is where no kernel can run.

    Source: docs/method.md, "The papers' score"; the released code of SAC-JC and of SAC.
    """
    name = "paper_scale"
    _check.choice(name, "version", version, VERSIONS)
    n = _check.integer(name, "n", n, 1)
    factor = (n - 1) / n if version == "2024" else (n - 1) / n / 2
    if isinstance(distance, (list, tuple)):
        try:
            distance = np.asarray(distance)
        except ValueError as error:
            raise DtypeError(f"{name}: `distance` must be a list of numbers: {error}") from error
    elif isinstance(distance, numbers.Real):
        try:
            return distance * factor
        except OverflowError as error:  # an int beyond all floats
            raise ArgumentError(f"{name}: `distance` must fit a float: {error}") from error
    given = array(name, "distance", distance, (*FLOATS, *INTEGERS), "auto")
    if isinstance(distance, np.ndarray) or is_torch(distance):
        return distance * factor
    if given.is_torch:  # another library's array on a GPU
        return given.owner * factor
    return as_numpy(name, "distance", distance, (*FLOATS, *INTEGERS)) * factor
