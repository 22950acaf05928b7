"""Conformal p-values: how a score ranks among the scores of innocent models."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sacfast.errors import ArgumentError, DtypeError, ShapeError


def group_codes(
    groups: Sequence[Hashable] | None, members: int, *, function: str = "conformal_p"
) -> NDArray[np.intp]:
    """Numbers the groups of a null bank 0..G-1 in order of first appearance.

    Args:
        groups: One hashable label (author, family, training regime) a member, or None where the
            members are exchangeable one by one: each is then its own group.
        members: The number of members, m.
        function: Whose argument this is, for the messages.

    Returns:
        Integers of shape (m,).

    Raises:
        ShapeError: If there are not exactly m labels.
        DtypeError: If `groups` is no sequence of hashable labels.
    """
    if groups is None:
        return np.arange(members, dtype=np.intp)
    if isinstance(groups, str) or not isinstance(groups, (Sequence, np.ndarray)):
        raise DtypeError(
            f"{function}: `groups` must be a sequence of labels, got {type(groups).__name__}"
        )
    labels = list(groups)
    if len(labels) != members:
        raise ShapeError(
            f"{function}: `groups` must have one label a member of the null bank ({members}), "
            f"got {len(labels)}"
        )
    order: dict[Hashable, int] = {}
    try:
        codes = [order.setdefault(label, len(order)) for label in labels]
    except TypeError as error:
        raise DtypeError(f"{function}: `groups` must hold hashable labels: {error}") from error
    return np.array(codes, dtype=np.intp)


def conformal_p(
    scores: ArrayLike,
    null_scores: ArrayLike,
    groups: Sequence[Hashable] | None = None,
) -> NDArray[np.float64]:
    """P-value of every score against the scores of the null bank; high scores are extreme.

    Without groups p = (1 + #{null >= score}) / (m + 1). With G groups
    p = (1 + sum over groups of the mean over its members of 1[null >= score]) / (G + 1), because
    models of one author or family are not independent draws.

    Args:
        scores: (S, V), any real numbers; NaN gives NaN.
        null_scores: (m, V), the null bank's scores against the same V sources; m may be 0. -Inf
            stands for a null model that a stopping rule turned away, +Inf for one that could not
            be scored (it then counts against every suspect).
        groups: One label a member of the bank, or None: every member its own group.

    Returns:
        (S, V) float64 in [1 / (G + 1), 1].

    Raises:
        ShapeError: If the arrays are not 2-D with the same V, or `groups` has another length.
        ArgumentError: If a null score is NaN.

    Source: [ours], docs/method.md, The score; without groups the standard split-conformal p-value
    (Bates et al., arXiv 2104.08279).
    """
    score = np.asarray(scores, dtype=np.float64)
    null = np.asarray(null_scores, dtype=np.float64)
    if score.ndim != 2 or null.ndim != 2 or score.shape[1] != null.shape[1]:
        raise ShapeError(
            "conformal_p: `scores` and `null_scores` must be (S, V) and (m, V), "
            f"got {score.shape} and {null.shape}"
        )
    if np.isnan(null).any():
        raise ArgumentError("conformal_p: `null_scores` must be numbers, got NaN")
    codes = group_codes(groups, len(null))
    sizes = np.bincount(codes) if len(codes) else np.zeros(0, dtype=np.intp)
    weight = 1.0 / sizes[codes]
    p = np.empty_like(score)
    for v in range(score.shape[1]):
        order = np.argsort(null[:, v], kind="stable")
        # at_least[i] = weight of the members from the i-th smallest up. Whole groups must sum to
        # whole numbers although thirds do not: 12 digits are far finer than any group's share.
        tail = np.concatenate([np.cumsum(weight[order][::-1])[::-1], [0.0]])
        at_least = np.round(tail, 12)
        first = np.searchsorted(null[order, v], score[:, v], side="left")
        p[:, v] = (1.0 + at_least[first]) / (len(sizes) + 1.0)
    p[np.isnan(score)] = np.nan
    return p
