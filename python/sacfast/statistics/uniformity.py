"""Are p-values of innocent models uniform? The Kolmogorov–Smirnov distance, both ways.

A p-value is valid if P(p <= a) <= a for every a: only an excess of small ones makes false
accusations. The distance is therefore given on both sides and on the harmful side alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from sacfast.errors import ArgumentError


class KolmogorovSmirnov(NamedTuple):
    """How far p-values are from uniform.

    Attributes:
        distance: max over a of |share with p <= a, less a|.
        excess: max over a of (share with p <= a, less a), at least 0: small p-values too many.
    """

    distance: float
    excess: float


def kolmogorov_smirnov(p: ArrayLike) -> KolmogorovSmirnov:
    """The distance of the p-values' distribution from the uniform one.

    Args:
        p: P-values of innocent models, in [0, 1], any shape.

    Returns:
        `KolmogorovSmirnov`. It comes without a p-value of its own: p-values that share a null bank
        depend on one another, and so do those of several splits.

    Raises:
        ArgumentError: If there are none, or one lies outside [0, 1].
    """
    values = np.sort(np.asarray(p, dtype=np.float64).ravel())
    if not values.size or not ((values >= 0) & (values <= 1)).all():
        raise ArgumentError(
            "kolmogorov_smirnov: `p` must be a non-empty list of numbers in [0, 1], "
            f"got {values.size} values"
        )
    n = values.size
    above = float((np.arange(1, n + 1) / n - values).max())
    below = float((values - np.arange(n) / n).max())
    return KolmogorovSmirnov(max(above, below), max(above, 0.0))
