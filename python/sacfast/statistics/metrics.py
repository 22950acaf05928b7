"""Measures of a detector where the truth is known: AUC, ROC, TPR at a fixed FPR, F1, intervals.

In all of them a high score means stolen; pass the negated distance for the papers' score.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sacfast.errors import ArgumentError


def finite_1d(function: str, name: str, values: ArrayLike) -> NDArray[np.float64]:
    """The values as an array; ArgumentError unless they are finite numbers in one axis."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not array.size or not np.isfinite(array).all():
        raise ArgumentError(
            f"{function}: `{name}` must be a non-empty list of finite scores, "
            f"got shape {array.shape}"
        )
    return array


def auc(stolen: ArrayLike, independent: ArrayLike) -> float:
    """P(stolen > independent) + ½ P(tie), the area under the ROC curve.

    Args:
        stolen: Scores of stolen models, (n,), high = stolen.
        independent: Scores of independent models, (m,).

    Returns:
        A number in [0, 1]; 0.5 is chance.

    Raises:
        ArgumentError: If either is empty or holds NaN or Inf.

    Source: docs/method.md, Measures.
    """
    positive = finite_1d("auc", "stolen", stolen)
    negative = np.sort(finite_1d("auc", "independent", independent))
    below = np.searchsorted(negative, positive, side="left")
    up_to = np.searchsorted(negative, positive, side="right")
    return float((below + up_to).sum() / (2.0 * positive.size * negative.size))


def roc_curve(
    stolen: ArrayLike, independent: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The ROC curve: what each threshold gives, from "accuse nobody" to "accuse all".

    Args:
        stolen: Scores of stolen models, (n,), high = stolen.
        independent: Scores of independent models, (m,).

    Returns:
        (fpr, tpr), both rising from 0 to 1: one point for each distinct score, equal scores
        accused together.

    Raises:
        ArgumentError: If either is empty or holds NaN or Inf.
    """
    positive = np.sort(finite_1d("roc_curve", "stolen", stolen))
    negative = np.sort(finite_1d("roc_curve", "independent", independent))
    thresholds = np.unique(np.concatenate([positive, negative]))[::-1]
    above = [len(x) - np.searchsorted(x, thresholds, side="left") for x in (negative, positive)]
    fpr, tpr = (np.concatenate([[0], n]) / n[-1] for n in above)
    return fpr, tpr


def f1(hits: float, false_alarms: float, misses: float) -> float:
    """F1 with stolen as the positive class, 2 hits / (2 hits + false alarms + misses).

    Args:
        hits: Stolen models accused, >= 0; any of the three may be a mean over sources.
        false_alarms: Independent models accused.
        misses: Stolen models not accused.

    Returns:
        A number in [0, 1]; 0 where there is no stolen model and nobody is accused.

    Raises:
        ArgumentError: If a count is negative or no number.
    """
    if not min(hits, false_alarms, misses) >= 0:
        raise ArgumentError(
            "f1: `hits`, `false_alarms` and `misses` must be >= 0, "
            f"got {hits}, {false_alarms} and {misses}"
        )
    total = 2.0 * hits + false_alarms + misses
    return 2.0 * hits / total if total else 0.0


def threshold_at_fpr(independent: ArrayLike, fpr: float) -> float:
    """The score that a model must exceed for at most a share `fpr` of the independent to do so.

    Args:
        independent: Scores of independent models, (m,), high = stolen.
        fpr: The false positive rate allowed, in [0, 1).

    Raises:
        ArgumentError: If an argument is out of its range.
    """
    return _threshold("threshold_at_fpr", independent, fpr)


def _threshold(function: str, independent: ArrayLike, fpr: float) -> float:
    if not 0 <= fpr < 1:
        raise ArgumentError(f"{function}: `fpr` must lie in [0, 1), got {fpr}")
    negative = np.sort(finite_1d(function, "independent", independent))[::-1]
    return float(negative[int(np.floor(fpr * negative.size + 1e-9))])


def tpr_at_fpr(
    stolen: ArrayLike, independent: ArrayLike, fpr: float
) -> tuple[float, tuple[float, float]]:
    """The share of stolen models above the lowest threshold whose FPR is at most `fpr`.

    Args:
        stolen: Scores of stolen models, (n,), high = stolen.
        independent: Scores of independent models, (m,).
        fpr: The false positive rate allowed, in [0, 1).

    Returns:
        The TPR and its 95 % Clopper–Pearson interval (of the stolen models' sampling alone: the
        threshold is taken as given).

    Raises:
        ArgumentError: If an argument is out of its range.

    Source: docs/method.md, Measures.
    """
    positive = finite_1d("tpr_at_fpr", "stolen", stolen)
    hits = int((positive > _threshold("tpr_at_fpr", independent, fpr)).sum())
    return hits / positive.size, clopper_pearson(hits, positive.size)


def clopper_pearson(hits: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """The exact confidence interval of a proportion.

    Args:
        hits: Successes, 0..trials.
        trials: Trials, >= 1.
        level: Coverage, in (0, 1).

    Returns:
        (lower, upper), both in [0, 1].

    Raises:
        ArgumentError: If an argument is out of its range.
    """
    if not 0 <= hits <= trials or trials < 1:
        raise ArgumentError(
            f"clopper_pearson: `hits` must lie in 0..`trials` and `trials` be >= 1, "
            f"got {hits} of {trials}"
        )
    if not 0 < level < 1:
        raise ArgumentError(f"clopper_pearson: `level` must lie in (0, 1), got {level}")
    from scipy.stats import beta

    tail = (1.0 - level) / 2.0
    lower = float(beta.ppf(tail, hits, trials - hits + 1)) if hits else 0.0
    upper = float(beta.ppf(1.0 - tail, hits + 1, trials - hits)) if hits < trials else 1.0
    return lower, upper
