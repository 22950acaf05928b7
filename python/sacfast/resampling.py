"""The same models scored under many null banks, for the price of little more than one.

How well p-values are calibrated is seen by drawing the null bank again and again: a part of the
innocent models becomes the bank, the others are suspects, and nothing about them may have been
used. A `Detector` built anew for each draw would take the same inner products every time. Here
every correlation is made once and, where the score removes what the bank explains, so is every
inner product; a draw is then algebra on a matrix of the number of models.

Scores equal those of a `Detector` with that bank (up to rounding, as long as no model has unusable
probes: here a probe that any model answered unusably is left out for all of them).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sacfast.detector import (
    MAX_DROPPED,
    Center,
    Method,
    check_method,
    counting,
    not_comparable,
    packed_correlations,
    usable_probes,
)
from sacfast.errors import ArgumentError, NullBankError
from sacfast.kernels import correlation_distance
from sacfast.partial import PartialScore
from sacfast.statistics.conformal import group_codes

_Float = NDArray[np.float64]

#: Pairs of probes that are taken to float64 at a time.
_COLUMNS = 1 << 14


class Draw(NamedTuple):
    """What one null bank says.

    Attributes:
        score: (S, V) scores of the suspects, as in `Scores`; NaN where nothing is left to compare.
        null: (m, V) scores of the bank's members, each with its own group left out, as in
            `Detector.null_scores`.
    """

    score: _Float
    null: _Float


class Resampling:
    """Models and sources of which any may be the null bank and any the suspects.

    Args:
        sources: Outputs of the V sources, a list of (N, C_v), in the form of `Detector`.
        models: Outputs of all other models, likewise.
        method, ridge, center: As in `Detector`.

    Raises:
        ArgumentError: If a model can't be compared, or an option is not one of those named.
        NullBankError: If all together leave too few probes usable.
    """

    def __init__(
        self,
        sources: Sequence[NDArray[Any]],
        models: Sequence[NDArray[Any]],
        *,
        method: Method = "partial",
        ridge: float = 0.02,
        center: Center | None = None,
    ) -> None:
        check_method("Resampling", method, ridge, balances=center in (None, "double"))
        self.method: Method = method
        self._ridge = float(ridge)
        self._sources = len(sources)
        center = center or ("none" if method == "paper" else "double")
        usable = _usable([*sources, *models])
        packed_sources = packed_correlations([one[usable] for one in sources], method, center)
        kept = [one[usable] for one in models]
        self._fixed: _Float | None = None
        if method == "paper":
            distance = correlation_distance(kept, packed_sources, center=center)
            self._fixed = np.asarray(distance, dtype=np.float64)
            return
        packed = packed_correlations(kept, method, center)
        self._pairs = packed.shape[1]
        if method == "pearson":
            self._fixed = PartialScore(packed_sources, 0, 0.0).scores_of_rows(packed)
            return
        rows = np.concatenate([np.ones_like(packed[:1]), packed_sources, packed])
        self._products = _gram(rows)

    def draw(
        self,
        suspects: Sequence[int],
        bank: Sequence[int],
        groups: Sequence[Hashable] | None = None,
    ) -> Draw:
        """Scores of some models as suspects, with some others as the null bank.

        Args:
            suspects: Positions in `models`.
            bank: Positions in `models`.
            groups: One label a member of this bank, or None.

        Raises:
            NullBankError: If the bank's correlations are linearly dependent where `ridge` is 0.
        """
        left, right = np.asarray(suspects, dtype=np.intp), np.asarray(bank, dtype=np.intp)
        if self._fixed is not None:
            return Draw(self._fixed[left], counting(self._fixed[right]))
        first = 1 + self._sources
        rows = np.concatenate([[0], first + right, np.arange(1, first)])
        gram = self._products[np.ix_(rows, rows)]
        partial = PartialScore.of_products(gram, 1 + len(right), self._pairs, self._ridge)
        products = self._products[np.ix_(first + left, rows)]
        square = self._products[first + left, first + left]
        null = partial.left_out(group_codes(groups, len(right), function="Resampling.draw"))
        return Draw(partial.score_products(products, square), counting(null))


def _gram(rows: NDArray[np.float32]) -> _Float:
    """Inner products of all rows in float64, by a BLAS: ten times as fast as the kernel whose bits
    never change, which here would change nothing but the last of them."""
    gram = np.zeros((len(rows), len(rows)))
    for start in range(0, rows.shape[1], _COLUMNS):
        block = rows[:, start : start + _COLUMNS].astype(np.float64)
        gram += block @ block.T
    return gram


def _usable(models: Sequence[NDArray[Any]]) -> NDArray[np.bool_]:
    usable = np.ones(len(models[0]), dtype=bool)
    for i, outputs in enumerate(models):
        own = usable_probes(outputs)
        reason = not_comparable(outputs, own)
        if reason:
            raise ArgumentError(f"Resampling: model {i} must be comparable, got one that {reason}")
        usable &= own
    if len(usable) - usable.sum() > MAX_DROPPED * len(usable):
        raise NullBankError(
            f"Resampling: the models together must leave {1 - MAX_DROPPED:.0%} of the "
            f"{len(usable)} probes usable, got {usable.sum()}",
            hint="leave out the models with NaN, Inf or constant rows",
        )
    return usable
