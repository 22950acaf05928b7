"""Two pieces of linear algebra whose bits depend on nothing but their operands.

NumPy hands both to a BLAS, which changes the last bits with its thread count and with the number of
rows around a row. A conformal p-value counts null scores that are >= a score, and a rescan must
give the same count; so the detector uses these. Internal: NumPy arrays only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sacfast.errors import ArgumentError, ShapeError
from sacfast.kernels import _check
from sacfast.kernels._native import core, threads
from sacfast.kernels._tensors import array

Float64 = NDArray[np.float64]


def inner_products(a: NDArray[Any], b: NDArray[Any]) -> Float64:
    """The inner product of every row of `a` with every row of `b`.

    Args:
        a: (A, P), any floating-point type and strides.
        b: (B, P), likewise.

    Returns:
        float64 (A, B), accumulated in float64 in one fixed order: each result depends on its two
        rows only. P = 0 gives zeros.

    Raises:
        ShapeError: If the two are not matrices with rows of equal length.
        DtypeError: If one is no floating-point array.
    """
    left = _check.matrix("inner_products", "a", a, "(A, P)")
    right = _check.matrix("inner_products", "b", b, "(B, P)")
    if right.shape[1] != left.shape[1]:
        raise ShapeError(
            f"inner_products: `b` must have rows of {left.shape[1]} values like `a`, "
            f"got {right.shape}"
        )
    products = np.empty((left.shape[0], right.shape[0]))
    ref = array("inner_products", "out", products).ref
    core().inner_products(left.ref, right.ref, threads(), ref)
    return products


def spd_inverse(a: NDArray[np.float64]) -> Float64:
    """The inverse of a symmetric positive definite matrix, in one fixed order.

    Args:
        a: (m, m); its upper triangle is read.

    Returns:
        float64 (m, m), exactly symmetric.

    Raises:
        ArgumentError: If the matrix is not positive definite, or holds NaN or Inf.
        ShapeError: If it is not square.
        DtypeError: If it is no floating-point array.
    """
    given = _check.matrix("spd_inverse", "a", a, "(m, m)")
    m = given.shape[0]
    if given.shape[1] != m:
        raise ShapeError(f"spd_inverse: `a` must be (m, m), got {given.shape}")
    inverse = np.empty((m, m))
    failed = core().spd_inverse(given.ref, array("spd_inverse", "out", inverse).ref)
    if failed != m:
        raise ArgumentError(
            f"spd_inverse: `a` must be positive definite, got one whose pivot {failed} is not"
        )
    return inverse
