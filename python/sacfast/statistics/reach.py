"""What a null bank can show at all, said before a suspect is queried."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sacfast.errors import ArgumentError, DtypeError


@dataclass(frozen=True)
class Reach:
    """How far a null bank reaches in a scan; ``str()`` says it in plain words.

    Attributes:
        nulls: Independent draws in the bank: its groups, or its members where there are none.
        pairs: Comparisons in the scan, suspects × sources (M).
        fdr: The false discovery rate asked for.
        p_floor: The smallest p-value that the bank can give, 1 / (nulls + 1).
        min_hits: The fewest hits that can be called stolen together. Fewer, however clear, stay
            above the FDR: with k hits at the floor, q = p_floor * M / k.
    """

    nulls: int
    pairs: int
    fdr: float
    p_floor: float
    min_hits: int

    @property
    def possible(self) -> bool:
        """Whether any outcome of the scan could be called stolen."""
        return self.min_hits <= self.pairs

    def nulls_needed(self, hits: int) -> int:
        """The fewest nulls with which `hits` hits can be called stolen: M / (a k) - 1."""
        if hits < 1:
            raise ArgumentError(f"Reach.nulls_needed: `hits` must be >= 1, got {hits}")
        return max(0, math.ceil(_steady(self.pairs / (self.fdr * hits)) - 1))

    def __str__(self) -> str:
        comparisons = f"{self.pairs} comparison{'s' * (self.pairs != 1)}"
        head = (
            f"{self.nulls} independent null models give p-values down to {self.p_floor:.2g}; "
            f"over {comparisons} at FDR {self.fdr:g}"
        )
        if not self.pairs:
            return f"{head} there is nothing to show."
        if not self.possible:
            return (
                f"{head} nothing can be called stolen, only suspicious: "
                f"{self.nulls_needed(1)} nulls would let a single copy be called."
            )
        if self.min_hits == 1:
            return f"{head} a single copy can be called stolen."
        return (
            f"{head} copies can be called stolen only if at least {self.min_hits} stand out "
            f"together; {self.nulls_needed(1)} nulls would let a single one be called."
        )


def reach(nulls: int, pairs: int, fdr: float = 0.05) -> Reach:
    """What `nulls` independent draws can show over `pairs` comparisons.

    Args:
        nulls: Groups of the null bank, or its members where there are no groups; >= 0.
        pairs: Comparisons in the scan, suspects × sources; >= 0.
        fdr: The false discovery rate asked for, in (0, 1).

    Returns:
        A `Reach`.

    Raises:
        ArgumentError: If an argument is out of its range.
        DtypeError: If `nulls` or `pairs` is no integer.

    Source: [ours], docs/method.md, The score.
    """
    counts: dict[str, object] = {"nulls": nulls, "pairs": pairs}
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise DtypeError(f"reach: `{name}` must be an integer, got {type(value).__name__}")
    if nulls < 0 or pairs < 0:
        raise ArgumentError(f"reach: `nulls` and `pairs` must be >= 0, got {nulls} and {pairs}")
    if not 0 < fdr < 1:
        raise ArgumentError(f"reach: `fdr` must lie in (0, 1), got {fdr}")
    p_floor = 1.0 / (nulls + 1)
    min_hits = max(1, math.ceil(_steady(pairs / ((nulls + 1) * fdr))))
    return Reach(nulls=nulls, pairs=pairs, fdr=fdr, p_floor=p_floor, min_hits=min_hits)


def _steady(x: float) -> float:
    """`x` without the last bits' noise, so that 20 / (0.05 * 8) is 50 and rounds up to 50."""
    return round(x, 9)
