"""`pairs_within`: which pairs lie within a threshold, settled in whole numbers of 16 bits.

It answers less than a matrix of distances does, so it stands beside the contenders of loop 2 and is
no rival of theirs. The threshold lies so low that one pair in a hundred is within it. The share of
pairs that can't be told by their bound, because it straddles the threshold, is kept with the race.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

import sacfast
from benchmarks.kernels import data
from benchmarks.kernels.limits import Work
from benchmarks.kernels.race import Contender, Oracle, Read

QUANTILE = 0.01
SAMPLE = 200  # rows that the threshold is taken from
APART = 2.0  # stands for the distance of a pair beyond the threshold
ROUNDING = 1e-6  # nearer to the threshold than this, float32 and the oracle may disagree


def contenders(
    a: NDArray[Any],
    b: NDArray[Any] | None,
    width: Callable[[int], int],
    power: int,
    differences: float,
    distances: Oracle,
) -> tuple[list[Contender], dict[str, float]]:
    """From a compact form made beforehand, and from float32; and what is noted with the race.

    Args:
        a: (A, P) packed correlations.
        b: (B, P) others, or None for the pairs of `a`.
        width: How many others that many of `a` are compared with.
        power: As in `Contender`.
        differences: Absolute differences that the whole takes.
        distances: The oracle of float64.
    """
    other = a if b is None else b
    threshold, straddling = _threshold(a[:SAMPLE], other, own=b is None)

    def columns(unit: int, count: int) -> slice:
        """Those that a row is compared with."""
        return slice(unit + 1 if b is None else 0, width(count))

    def oracle(unit: int, part: slice) -> NDArray[np.float64]:
        exact = distances(unit, part)
        return np.where(exact <= threshold, exact, APART)

    def read(result: Any, count: int) -> Read:
        pairs, distance = result
        for unit in data.sample(count):
            part = columns(unit, count)
            found = pairs[:, 0] == unit
            row = np.full(len(other), APART)
            row[pairs[found, 1]] = distance[found]
            exact = distances(unit, part)
            close = np.abs(exact - threshold) < ROUNDING
            yield unit, part, np.where(close, oracle(unit, part), row[part])

    @lru_cache(maxsize=1)
    def form(count: int) -> Any:
        return sacfast.compact(a[:count]), None if b is None else sacfast.compact(b[: width(count)])

    def from_compact(count: int) -> Any:
        return sacfast.pairs_within(*form(count), threshold=threshold)

    def from_floats(count: int) -> Any:
        others = None if b is None else b[: width(count)]
        return sacfast.pairs_within(a[:count], others, threshold=threshold)

    def contender(name: str, call: Callable[[int], Any], number_bytes: int) -> Contender:
        numbers = a.size if b is None else a.size + b.size
        return Contender(
            name,
            "int16",
            call,
            read,
            len(a),
            data.OWN_TOLERANCE,
            power=power,
            work=Work(int16_differences=differences, bytes_in=number_bytes * numbers),
            oracle=oracle,
        )

    return [
        contender("sacfast pairs_within, int16 kept", from_compact, 2),
        contender("sacfast pairs_within, from float32", from_floats, 4),
    ], {"threshold": threshold, "straddling": straddling}


def _threshold(a: NDArray[Any], b: NDArray[Any], *, own: bool) -> tuple[float, float]:
    """The threshold, and the share of pairs whose bound, the rows' quantisation, straddles it."""
    distance = sacfast.pairwise_distance(a, b)
    kept = ~np.eye(*distance.shape, dtype=bool) if own else np.ones(distance.shape, dtype=bool)
    threshold = float(np.quantile(distance[kept], QUANTILE))

    def bound(rows: NDArray[Any]) -> NDArray[np.float64]:
        one = np.float32(32767)
        return np.array([np.abs(np.rint(row * one) / one - row).mean() for row in rows])

    bounds = bound(a)[:, None] + bound(b)[None]
    return threshold, float((np.abs(distance - threshold) <= bounds)[kept].mean())
