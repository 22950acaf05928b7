"""What the detector asks of many suspects at once, in one call each.

`usable_rows` says which probes a model answered in a way that can be compared, and
`correlation_products` takes the inner products of each suspect's correlation with the fixed rows of
the partial score, without keeping a correlation. Internal: NumPy arrays, or tensors on a GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sacfast.errors import ArgumentError, ShapeError
from sacfast.kernels import _check, _gpu, _usable
from sacfast.kernels._native import core, threads
from sacfast.kernels._places import one_device
from sacfast.kernels._results import result
from sacfast.kernels._tensors import array

_LINE = 16  # float32 in a cache line

Outputs = NDArray[Any] | Sequence[Any]


def usable_rows(
    outputs: Outputs, *, constants: bool = False
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which rows of each model can be compared, and which models answer the same on all of those.

    Args:
        outputs: (S, N, C), or a list of (N, C_s); any floating-point type and strides. A GPU that
            they are on is waited for.
        constants: Whether a row of equal numbers is an answer like any other.

    Returns:
        (S, N) bool: the row is finite and, unless `constants`, not constant (max == min); and
        (S,) bool: all usable rows of the model are equal (also where there are fewer than two).

    Raises:
        ShapeError: If `outputs` has another shape.
        DtypeError: If it is no floating-point array.
        BackendError: If the arrays are in several places.
    """
    models = _check.models("usable_rows", "outputs", outputs, one=False, backend="auto")
    if models.arrays and one_device("usable_rows", models.arrays) is not None:
        return _usable.usable_rows(models, constants)
    usable = np.empty((models.count, models.probes or 0), dtype=np.uint8)
    same = np.empty(models.count, dtype=np.uint8)
    core().usable_rows(models.refs, constants, threads(), _ref(usable), _ref(same))
    return usable.view(np.bool_), same.view(np.bool_)


def correlation_products(
    outputs: Any, rows: Any, origins: Any = (), *, center: str = "double"
) -> tuple[Any, Any]:
    """Inner products of each model's packed correlation with fixed rows, and with itself.

    Args:
        outputs: (S, N, C), or a list of (N, C_s); any floating-point type and strides.
        rows: (K, P) fixed rows, P = N(N-1)/2: ones, then packed correlations.
        origins: The K-1 models' outputs whose correlations follow the ones, like `outputs`; without
            them the products are taken pair by pair, with them class by class where that takes
            fewer operations.
        center: See `correlation`; of `outputs` and `origins` alike.

    Returns:
        float64 (S, K) and (S,), tensors where the arguments are on a GPU. Each number depends on
        its own model and row only, and on N, C and the origins' numbers of classes: not on the
        batch or the threads.

    Raises:
        ShapeError: If the shapes do not go together.
        DtypeError: If an array is none of floats.
        ArgumentError: If `center` is not one that is taken.
        BackendError: If the arrays are in several places.
        DeviceMemoryError: If a GPU has too little memory left.
    """
    name = "correlation_products"
    _check.choice(name, "center", center, _check.CENTERS)
    models = _check.models(name, "outputs", outputs, one=False, backend="auto")
    fixed = _check.matrix(name, "rows", rows, "(K, P)", "auto")
    made_of = _check.models(name, "origins", origins, one=False, backend="auto")
    count, pairs = fixed.shape
    probes = models.probes or made_of.probes  # an empty list of models tells none
    if probes is not None and pairs != _check.pairs(probes):
        raise ShapeError(
            f"{name}: `rows` must be (K, {_check.pairs(probes)}) for N = {probes} probes, "
            f"got {fixed.shape}"
        )
    if made_of.count and (made_of.count + 1 != count or made_of.probes != probes):
        raise ArgumentError(
            f"{name}: `origins` must be {count - 1} models on {probes} probes, got "
            f"{made_of.count} on {made_of.probes}"
        )
    arrays = (*models.arrays, fixed, *made_of.arrays)
    products, sums = result(name, (models.count, count), arrays, dtype="float64")
    squares, own = result(name, (models.count,), arrays, dtype="float64")
    if sums.device is None:
        core().correlation_products(
            models.refs, fixed.ref, made_of.refs, center, threads(), sums.ref, own.ref
        )
    elif models.count:
        _gpu.correlation_products(name, models, fixed, made_of, center, sums.device, sums, own)
    return products, squares


def aligned_rows(count: int, pairs: int) -> NDArray[np.float32]:
    """(count, pairs) float32 to fill, each row beginning at a cache line.

    The rows lie an odd number of cache lines apart, so that no two of them fall on one place in a
    cache. Vectors that straddle no line are what products run fastest on.
    """
    lines = -(-pairs // _LINE) | 1
    memory = np.zeros((count * lines + 1) * _LINE, dtype=np.float32)
    skipped = -memory.ctypes.data // memory.itemsize % _LINE
    rows = memory[skipped : skipped + count * lines * _LINE].reshape(count, lines * _LINE)
    return rows[:, :pairs]


def _ref(out: NDArray[Any]) -> Any:
    return array("products", "out", out, ("float64", "uint8")).ref
