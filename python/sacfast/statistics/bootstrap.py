"""Resampling of models, for intervals of what has no exact one.

Models of one author are not independent draws, so whole clusters are drawn: a model's weight in a
draw is how often its cluster came up. A measure that is a weighted mean over models is then one
matrix product for all draws.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sacfast.errors import ArgumentError
from sacfast.statistics.conformal import group_codes


def bootstrap_weights(
    clusters: Sequence[Hashable], draws: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    """How often each model comes up when its clusters are drawn with replacement.

    Args:
        clusters: One label a model; models of one cluster come up together.
        draws: Number of draws, >= 1.
        generator: Where the randomness comes from.

    Returns:
        (n, draws) float64, whole numbers >= 0.

    Raises:
        ArgumentError: If there are no models or no draws.
    """
    if not len(clusters) or draws < 1:
        raise ArgumentError(
            "bootstrap_weights: `clusters` and `draws` must not be empty, "
            f"got {len(clusters)} models and {draws} draws"
        )
    codes = group_codes(clusters, len(clusters), function="bootstrap_weights")
    count = int(codes.max()) + 1
    drawn = generator.multinomial(count, np.full(count, 1.0 / count), size=draws)
    weights: NDArray[np.float64] = drawn.T[codes].astype(np.float64)
    return weights


def percentile_interval(values: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """The middle `level` of bootstrap values; those that are NaN are left out.

    Raises:
        ArgumentError: If there are no values, or `level` is not in (0, 1).
    """
    known = np.asarray(values, dtype=np.float64).ravel()
    known = known[~np.isnan(known)]
    if not known.size or not 0 < level < 1:
        raise ArgumentError(
            "percentile_interval: `values` must hold numbers and `level` lie in (0, 1), "
            f"got {known.size} numbers and {level}"
        )
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(known, [tail, 1.0 - tail])
    return float(low), float(high)
