"""The partial score's algebra: inner products in, scores out.

With c(o) the packed correlation of a model's outputs and X the correlations of the null bank below
a row of ones,

    r(c)  = c - X^T (X X^T + ridge diag(X X^T))^-1 X c        what the bank explains is removed
    score = Pearson(r(c(suspect)), r(c(source)))              high = stolen

Nothing of the size of X is touched once a suspect arrives. With A = X X^T + D, D the ridge's
diagonal, x = X c and a = A^-1 x for any correlation c,

    <r, r'> = <c, c'> - x·a' - sum_k D_k a_k a'_k
    sum r   = sum c   - (X 1)·a                      and sum c is the first entry of x

so a suspect costs its inner products with the fixed rows [1; bank; sources] and with itself, and a
few products of the bank's size. Leaving a group g out of X for its own members' null scores takes
no new inverse either: with B = A^-1 and x~ the vector x with its entries in g set to zero,

    a without g = B x~ - B[:, g] B[g, g]^-1 (B x~)[g]

Matrix products are taken by kernels with one fixed order of summation and sums along a row by
NumPy, which adds each row by itself: scores have the same bits for any thread count and any split
of the suspects into batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sacfast.errors import NullBankError
from sacfast.kernels.correlation import correlation
from sacfast.kernels.fixed import Fixed, on_host
from sacfast.kernels.linear import inner_products, spd_inverse
from sacfast.kernels.products import aligned_rows, correlation_products

_Float = NDArray[np.float64]

#: A residual with less than this share of its correlation's own square is rounding, not signal.
_NOTHING_LEFT = 1e-12

#: Sums in float32 err by some 1e-8 of a correlation's square, and a score by that over the share
#: which X leaves. Where less than this is left, and where there are so few pairs that it costs
#: nothing, they are taken in float64.
_SURE = 0.02
_FEW_PAIRS = 2048
_BLOCK = 1 << 24  # correlations held at a time then


class _Residuals(NamedTuple):
    """Residuals of n correlations, in the coordinates that the algebra above needs."""

    x: _Float  # (n, K) inner products with the rows of X
    a: _Float  # (n, K) A^-1 x
    square: _Float  # (n,) <c, c>


class PartialScore:
    """Scores against fixed sources, with everything that X explains removed.

    Args:
        rows: (m + V, P) float32 packed correlations, of the null bank and then of the sources.
        explained: m. X is a row of ones and the first m rows.
        ridge: Relative ridge, >= 0.
        origins: The m + V models' outputs (N, C_k) that `rows` are the correlations of; without
            them only rows can be scored.
        center: Centring of `origins`, and of the suspects.

    Raises:
        NullBankError: If the rows of X are linearly dependent and the ridge does not help.
    """

    def __init__(
        self,
        rows: NDArray[Any],
        explained: int,
        ridge: float,
        *,
        origins: Sequence[NDArray[Any]] = (),
        center: str = "double",
    ) -> None:
        self._rows = aligned_rows(1 + len(rows), rows.shape[1])
        self._rows[0], self._rows[1:] = 1.0, rows
        self._center = center
        self._fixed = Fixed([self._rows, *origins])
        products = inner_products(self._rows, self._rows)
        self._prepare(products, 1 + explained, rows.shape[1], ridge)

    @classmethod
    def of_products(cls, gram: _Float, size: int, pairs: int, ridge: float) -> PartialScore:
        """From inner products that are known already; `score_products` scores suspects with it.

        Args:
            gram: (K + V, K + V) inner products of the rows of X, then of the sources.
            size: K, the rows of X; the first is that of ones.
            pairs: P.
            ridge: Relative ridge, >= 0.
        """
        made = cls.__new__(cls)
        made._prepare(gram, size, pairs, ridge)
        return made

    def _prepare(self, gram: _Float, size: int, pairs: int, ridge: float) -> None:
        self._size, self._pairs = size, pairs
        self.sources = len(gram) - size
        self._gram = np.ascontiguousarray(gram[: self._size, : self._size])
        self._sums = self._gram[0]
        # A correlation that is zero everywhere explains nothing, whatever its weight: any ridge
        # keeps the system solvable.
        squares = np.diag(self._gram)
        self._ridge = np.where(squares > 0, ridge * squares, 1.0)
        try:
            self._inverse = spd_inverse(self._gram + np.diag(self._ridge))
        except ValueError as error:
            raise NullBankError(
                "Detector: `null_bank` must be linearly independent where `ridge` is so small, "
                f"got {self._size - 1} models over {self._pairs} pairs of probes",
                hint="use ridge=0.02, more probes, or leave duplicates out",
            ) from error
        self._cross = np.ascontiguousarray(gram[: self._size, self._size :])
        x = np.ascontiguousarray(self._cross.T)
        self._source = _Residuals(x, self._solve(x), np.diag(gram)[self._size :].copy())

    def _solve(self, x: _Float) -> _Float:
        return inner_products(x, self._inverse)

    @property
    def empty_sources(self) -> list[int]:
        """Sources in which the rows of X leave nothing to compare with."""
        empty: list[int] = np.flatnonzero(np.isnan(self._variance(self._source))).tolist()
        return empty

    def scores(self, outputs: NDArray[Any] | Sequence[NDArray[Any]]) -> _Float:
        """Outputs (S, N, C) or S times (N, C_s) -> (S, V) scores; NaN where nothing is left.

        Of outputs on a GPU the products are taken there; where float64 is called for, they are
        copied to the CPU.
        """
        unsure = np.ones(len(outputs), dtype=bool)
        scores = np.empty((len(outputs), self.sources))
        if self._pairs > _FEW_PAIRS:
            rows, *origins = self._fixed.beside("Detector.scores", outputs)
            found = correlation_products(outputs, rows, origins, center=self._center)
            products, square = map(on_host, found)
            suspects = self._residuals(products, square)
            scores = self._pearson(suspects, self._source, products[:, self._size :])
            share = self._share(suspects)
            unsure = ~(share * np.minimum(share, self._share(self._source).min()) > _SURE**2)
        left = np.flatnonzero(unsure)
        step = max(1, _BLOCK // self._pairs)
        for start in range(0, len(left), step):
            block = left[start : start + step]
            packed = correlation([on_host(outputs[i]) for i in block], center=self._center)
            scores[block] = self.scores_of_rows(np.asarray(packed))
        return scores

    def scores_of_rows(self, packed: NDArray[Any]) -> _Float:
        """The same from what is compared of each suspect, (S, P)."""
        square = (packed.astype(np.float64) ** 2).sum(axis=1)
        return self.score_products(inner_products(packed, self._rows), square)

    def score_products(self, products: _Float, square: _Float) -> _Float:
        """The same from the suspects' inner products (S, K + V) with the rows of X and the sources,
        and (S,) with themselves."""
        suspects = self._residuals(products, square)
        return self._pearson(suspects, self._source, products[:, self._size :])

    def _residuals(self, products: _Float, square: _Float) -> _Residuals:
        x = np.ascontiguousarray(products[:, : self._size])
        return _Residuals(x, self._solve(x), square)

    def left_out(self, codes: NDArray[np.intp], packed: NDArray[Any] | None = None) -> _Float:
        """(m, V) scores of the bank itself, each member with its own group left out of X.

        Args:
            codes: (m,) group number of every member; row i + 1 of X is member i.
            packed: (m, P) the members as they are to be scored, where that is not as they stand
                in X; needs the rows of X, not their products alone.
        """
        members, cross, square = self._gram[1:], self._cross[1:], np.diag(self._gram)[1:]
        if packed is not None:
            products = inner_products(packed, self._rows)
            members = np.ascontiguousarray(products[:, : self._size])
            cross = products[:, self._size :]
            square = (packed.astype(np.float64) ** 2).sum(axis=1)
        solved_sources, solved_members = self._source.a, self._solve(members)
        null = np.empty((len(codes), len(self._source.x)))
        for code in range(int(codes.max()) + 1 if len(codes) else 0):
            group = np.flatnonzero(codes == code)
            rows = group + 1
            left = _Residuals(
                members[group],
                self._without(rows, members[group], solved_members[group]),
                square[group],
            )
            right = _Residuals(
                self._source.x,
                self._without(rows, self._source.x, solved_sources),
                self._source.square,
            )
            null[group] = self._pearson(left, right, cross[group])
        return null

    def _without(self, rows: NDArray[np.intp], x: _Float, solved: _Float) -> _Float:
        """A^-1 x with some rows of X left out, from `solved`, A^-1 x with all of them."""
        inverse_rows = self._inverse[rows]  # A^-1 is symmetric: its columns are these, turned
        reduced = solved - _product(x[:, rows], inverse_rows)
        block = spd_inverse(np.ascontiguousarray(inverse_rows[:, rows]))
        a = reduced - _product(_product(reduced[:, rows], block), inverse_rows)
        a[:, rows] = 0.0
        return a

    def _pearson(self, left: _Residuals, right: _Residuals, cross: _Float) -> _Float:
        """Pearson correlation of residuals; `cross` holds the correlations' inner products."""
        covariance = cross - inner_products(left.x + left.a * self._ridge, right.a)
        covariance -= self._sum(left)[:, None] * self._sum(right)[None, :] / self._pairs
        spread = np.sqrt(self._variance(left)[:, None] * self._variance(right)[None, :])
        clipped: _Float = np.clip(covariance / spread, -1.0, 1.0)
        return clipped

    def _sum(self, side: _Residuals) -> _Float:
        total: _Float = side.x[:, 0] - (side.a * self._sums).sum(axis=1)
        return total

    def _share(self, side: _Residuals) -> _Float:
        """The share of each correlation's own square that X leaves."""
        share: _Float = self._variance(side) / np.where(side.square > 0, side.square, 1.0)
        return share

    def _variance(self, side: _Residuals) -> _Float:
        """P times the variance of each residual; NaN where there is nothing but rounding."""
        square = side.square - ((side.x + side.a * self._ridge) * side.a).sum(axis=1)
        variance = square - self._sum(side) ** 2 / self._pairs
        before = side.square - side.x[:, 0] ** 2 / self._pairs  # with the bank still in it
        nothing = np.minimum(variance, before) <= _NOTHING_LEFT * side.square
        return np.where(nothing, np.nan, variance)


def _product(a: _Float, b: _Float) -> _Float:
    """a @ b with one fixed order of summation."""
    return inner_products(np.ascontiguousarray(a), np.ascontiguousarray(b.T))
