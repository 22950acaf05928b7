"""Which of thousands of models lie close together, without all their distances.

`pairs_within` finds every pair of rows whose distance is at most a threshold: a duplicate search
over a registry, or a batch pipeline that looks at candidates only. It compares a compact form of
the correlations, whole numbers of 16 bits in half the memory, and knows of each row how far off
that can be: pairs beyond the threshold for certain are left there, all others are compared again in
float32. So the answer is the one that `pairwise_distance` would give, to the bit, in less than half
the time and without a matrix of A x B. `compact` makes that form once for many calls.
"""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from sacfast.errors import ArgumentError, DtypeError, ShapeError
from sacfast.kernels import _check
from sacfast.kernels._native import core, threads
from sacfast.kernels._tensors import Array, array, like

if TYPE_CHECKING:
    from sacfast._core import CompactRows

#: Rows to be compared with, from which on making a compact form takes less time than it saves.
_WORTH_IT = 64


@dataclass(frozen=True)
class Compact:
    """Packed correlations with their compact form, made by `compact` for `pairs_within`.

    It keeps a reference to the array it was made from, which must not be written to meanwhile.
    """

    shape: tuple[int, ...]
    _rows: Array = field(repr=False)
    _form: CompactRows = field(repr=False)


def compact(packed: Any) -> Compact:
    """The compact form of packed correlations: a 16-bit number for each, and what that costs.

    Args:
        packed: packed correlations (A, P); float16, bfloat16, float32 or float64, any strides. A
            reference is kept: the array must not be written to while the compact form is in use.

    Returns:
        A `Compact`, which `pairs_within` takes in place of the array; 2 bytes a number besides the
        array itself.

    Raises:
        ShapeError: If `packed` is no matrix, or has no pairs.
        DtypeError: If it is no floating-point array.
        BackendError: If its memory is not the CPU's.

    Source: ours.
    """
    return _compacted(_matrix("compact", "packed", packed))


def pairs_within(a: Any, b: Any = None, *, threshold: float) -> tuple[Any, Any]:
    """The pairs of rows whose `pairwise_distance` is at most `threshold`, and these distances.

    Args:
        a: packed correlations (A, P), or a `Compact` of them.
        b: likewise (B, P); None looks for pairs i < j within `a`.
        threshold: the largest distance that counts, not negative; it is read as float32, as in
            `pairwise_distance(a, b) <= threshold`.

    Returns:
        int64 (K, 2): the pairs (i, j), row i of `a` and row j of `b`, in ascending order; and
        float32 (K,): their distances, the same bits as in `pairwise_distance(a, b)`. PyTorch
        tensors where a tensor came in, else NumPy arrays. A row with NaN is in no pair.

    Raises:
        ShapeError: If `a` and `b` are not matrices with rows of equal length.
        DtypeError: If one is no floating-point array, or `threshold` is no number.
        ArgumentError: If `threshold` is negative or NaN.
        BackendError: If data is not in CPU memory.

    Source: ours; the distance is that of SAC-JC (arXiv 2412.20768), section 3.
    """
    name = "pairs_within"
    limit = _threshold(name, threshold)
    left = _matrix(name, "a", a)
    right = left if b is None else _matrix(name, "b", b)
    if right.shape[1] != left.shape[1]:
        raise ShapeError(
            f"{name}: `b` must have P = {left.shape[1]} pairs like `a`, got {right.shape}"
        )
    if _worth_it(left, right) and _worth_it(right, left):
        left = _compacted(left)
        right = left if b is None else _compacted(right)
    rows_a, form_a = _parts(left)
    rows_b, form_b = _parts(right)
    if form_a is None or form_b is None:
        form_a = form_b = None
    second = None if b is None else rows_b.ref
    found = core().pairs_within(rows_a.ref, form_a, second, form_b, limit, threads())
    pairs = np.empty((len(found), 2), np.int64)
    distance = np.empty(len(found), np.float32)
    found.write(array(name, "pairs", pairs, ("int64",)).ref, array(name, "distance", distance).ref)
    is_torch = rows_a.is_torch or rows_b.is_torch
    return like(pairs, is_torch=is_torch), like(distance, is_torch=is_torch)


def _matrix(function: str, argument: str, value: Any) -> Array | Compact:
    if isinstance(value, Compact):
        return value
    given = _check.matrix(function, argument, value, "(B, P)" if argument == "b" else "(A, P)")
    if given.shape[1] == 0:
        raise ShapeError(f"{function}: `{argument}` must have at least one pair, got {given.shape}")
    return given


def _worth_it(rows: Array | Compact, others: Array | Compact) -> bool:
    return isinstance(rows, Compact) or others.shape[0] >= _WORTH_IT


def _compacted(rows: Array | Compact) -> Compact:
    if isinstance(rows, Compact):
        return rows
    return Compact(rows.shape, rows, core().CompactRows(rows.ref, threads()))


def _parts(rows: Array | Compact) -> tuple[Array, CompactRows | None]:
    return (rows._rows, rows._form) if isinstance(rows, Compact) else (rows, None)


def _threshold(function: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise DtypeError(f"{function}: `threshold` must be a number, got {type(value).__name__}")
    try:
        limit = float(value)
    except OverflowError:  # an int beyond all floats
        limit = -math.inf if value < 0 else math.inf
    if not limit >= 0:
        raise ArgumentError(f"{function}: `threshold` must be >= 0, got {value!r}")
    with np.errstate(over="ignore"):
        return float(np.float32(limit))
