"""Labels: the similarity structure of services that answer with nothing else.

Two probes are alike where they got the same label. `label_correlation` says so for every pair, as
`correlation` does for outputs; `label_distance` compares models by it, bit by bit, and never makes
the correlations: thousands of models against each other take a fraction of a second.
"""

from __future__ import annotations

from typing import Any

from sacfast.errors import ShapeError
from sacfast.kernels import _check
from sacfast.kernels._native import core, threads
from sacfast.kernels._results import result
from sacfast.kernels._tensors import INTEGERS, Array, array


def label_correlation(labels: Any) -> Any:
    """Packed correlations of labels: 1 where two probes got the same label, else 0.

    It does not change when the labels are renamed, as agreement of labels does.

    Args:
        labels: integers of any width, (S, N) or (N,).

    Returns:
        float32 (S, P) or (P,), P = N(N-1)/2.

    Raises:
        ShapeError: If `labels` has another shape, or no probes.
        DtypeError: If it is no array of integers.
        BackendError: If its memory is not the CPU's.

    Source: ours; the correlation of SAC with one-hot outputs and center="none".
    """
    given = array("label_correlation", "labels", labels, INTEGERS)
    if len(given.shape) not in (1, 2) or given.shape[-1] == 0:
        raise ShapeError(
            "label_correlation: `labels` must be (S, N) or (N,) with at least one probe, "
            f"got {given.shape}"
        )
    shape = (*given.shape[:-1], _check.pairs(given.shape[-1]))
    packed, out = result("label_correlation", shape, (given,))
    if 0 not in shape:
        core().label_correlation(given.ref, threads(), out.ref)
    return packed


def label_distance(a: Any, b: Any = None) -> Any:
    """The share of pairs of probes that one model gives equal labels and the other does not.

    The same bits as `pairwise_distance` of the two `label_correlation`s, many times faster, in a
    32nd of the memory.

    Args:
        a: labels of A models, (A, N), integers of any width.
        b: likewise (B, N); None compares `a` with itself.

    Returns:
        float32 (A, B), in [0, 1]; 0 = the same structure, whatever the labels are called. Without
        `b` exactly symmetric, with a diagonal of 0. A torch tensor where one came in.

    Raises:
        ShapeError: If one is no matrix, they differ in N, or N < 2.
        DtypeError: If one is no array of integers.
        BackendError: If its memory is not the CPU's.

    Source: ours; the distance of SAC-JC (arXiv 2412.20768), section 3, of label correlations. It is
    1 - the Rand index of two clusterings.
    """
    left = _labels("a", a, "A")
    right = left if b is None else _labels("b", b, "B")
    if right.shape[1] != left.shape[1]:
        raise ShapeError(
            f"label_distance: `b` must have N = {left.shape[1]} probes like `a`, got {right.shape}"
        )
    shape = (left.shape[0], right.shape[0])
    distance, out = result("label_distance", shape, (left, right))
    if 0 not in shape:
        core().label_distance(left.ref, None if b is None else right.ref, threads(), out.ref)
    return distance


def _labels(argument: str, value: Any, letter: str) -> Array:
    given = array("label_distance", argument, value, INTEGERS)
    if len(given.shape) != 2 or given.shape[1] < 2:
        hint = f"for one model pass {argument}[None]" if len(given.shape) == 1 else None
        raise ShapeError(
            f"label_distance: `{argument}` must be ({letter}, N) with at least two probes, "
            f"got {given.shape}",
            hint=hint,
        )
    return given
