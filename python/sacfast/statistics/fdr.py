"""The false discovery rate over all comparisons of a scan."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sacfast.errors import ArgumentError, DtypeError


def benjamini_hochberg(p: ArrayLike) -> NDArray[np.float64]:
    """Adjusted p-values (q-values) of all comparisons of one scan, by Benjamini and Hochberg.

    Calling every comparison with q <= a a discovery keeps the expected share of false ones among
    them at or below a, for independent p-values and for conformal p-values that share a null bank
    (Bates et al., arXiv 2104.08279).

    Args:
        p: P-values in [0, 1], any shape; pass the whole scan at once (suspects × sources), for q
            depends on how many comparisons were made. NaN marks a comparison that could not be
            made: it stays NaN and is not counted.

    Returns:
        float64 of the same shape, in [0, 1], each at least its p.

    Raises:
        ArgumentError: If a value lies outside [0, 1].
        DtypeError: If a value is no number.

    Source: Benjamini & Hochberg 1995; docs/method.md, The score.
    """
    try:
        values = np.asarray(p, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DtypeError(f"benjamini_hochberg: `p` must hold numbers: {error}") from error
    tested = ~np.isnan(values)
    flat = values[tested]
    if ((flat < 0) | (flat > 1)).any():
        bad = flat[(flat < 0) | (flat > 1)][0]
        raise ArgumentError(f"benjamini_hochberg: `p` must lie in [0, 1], got {bad:g}")
    q = np.full(values.shape, np.nan)
    if flat.size:
        order = np.argsort(flat, kind="stable")
        # n / k first: it is exact where p is 1 / n's multiple, so that q meets the level it should.
        stepped = flat[order] * (flat.size / np.arange(1, flat.size + 1))
        monotone = np.minimum.accumulate(stepped[::-1])[::-1]
        adjusted = np.empty_like(flat)
        adjusted[order] = np.clip(monotone, flat[order], 1.0)
        q[tested] = adjusted
    return q
