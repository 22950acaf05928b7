"""What a model's answers must look like, whoever gave them.

Answers are one row per probe: (N, C) numbers, or (N,) whole numbers for labels. A few rows may
be NaN (the detector drops and counts them); a model none of whose rows can be used, or with fewer
than two classes, says nothing and is an error. These rules hold where a file of answers is read,
where a network has answered, and once more where the answers reach the process that compares them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sacfast.errors import ModelError
from sacfast.kinds import KINDS, NEEDS, SETTINGS

MAX_CLASSES = 100_000

_TELLING = 5  # so many numbers on a grid are there by design
_OFF_GRID = 1e-3  # of a grid's step: float32 comes as near as this at 4 decimals
MAX_DIGITS = 17

_PROBABILITIES = ("probs", "rounded", "topk")
_MEANT = {
    "digits": "the decimals that its probabilities are rounded to",
    "k": "the number of classes that are given",
}


def guess_kind(answers: NDArray[Any]) -> str:
    """The kind of answers that came without one: labels or logits; never a guess at more."""
    if answers.ndim == 1 and answers.dtype.kind in "iu":
        return "labels"
    finite = answers[np.isfinite(answers)] if answers.dtype.kind == "f" else answers
    if finite.size and finite.min() >= 0 and finite.max() <= 1:
        raise ModelError(
            "the answers lie between 0 and 1, so they may be probabilities, scores or decisions; "
            f"say which by outputs_kind, one of {', '.join(KINDS)}"
        )
    return "logits"


def decimals(answers: NDArray[Any]) -> int | None:
    """To how many decimals, at most 4, a service rounds its probabilities; None if to none.

    Every number must lie on the grid, as near as its type can come. Those that round to 0 or 1 say
    nothing, because a confident model's do so by themselves; any other lies on a grid by chance
    once in 500 times.
    """
    known = answers[np.isfinite(answers)].astype(np.float64)
    for digits in range(1, 5):
        scaled = known * 10**digits
        near = np.round(scaled)
        telling = (near > 0) & (near < 10**digits)
        if telling.sum() >= _TELLING and (np.abs(scaled - near) < _OFF_GRID).all():
            return digits
    return None


def checked_answers(answers: NDArray[Any], kind: str, rows: int) -> NDArray[Any]:
    """Answers as float32 (N, C), or int64 (N,) for labels; ModelError says what is wrong."""
    wanted = 1 if kind == "labels" else 2
    if answers.ndim != wanted:
        raise ModelError(
            f"the answers are {kind} and must have {wanted} {'axis' if wanted == 1 else 'axes'}, "
            f"not the shape {answers.shape}"
        )
    if len(answers) != rows:
        raise ModelError(f"there are answers to {len(answers)} probes, the probe set has {rows}")
    if kind == "labels":
        if answers.dtype.kind not in "iu":
            raise ModelError(f"labels must be whole numbers, not {answers.dtype}")
        answers = answers.astype(np.int64)
        named = len(np.unique(answers[answers >= 0]))
        if named < 2:
            raise ModelError(f"a model must name at least 2 classes, this one names {named}")
        return answers
    if not 2 <= answers.shape[1] <= MAX_CLASSES:
        raise ModelError(
            f"a model must give 2 to {MAX_CLASSES} numbers per probe, this one gives "
            f"{answers.shape[1]}"
        )
    if answers.dtype.kind not in "fiub":
        raise ModelError(f"answers must be real numbers, not {answers.dtype}")
    with np.errstate(over="ignore"):
        answers = answers.astype(np.float32)
    if not _usable(answers, kind).any():
        raise ModelError("every answer holds NaN or Inf")
    known = answers[~np.isnan(answers)]
    if kind in _PROBABILITIES and (known.min() < 0 or known.max() > 1):
        raise ModelError(
            f"the answers are {kind} and must lie between 0 and 1, they reach from "
            f"{known.min():.4g} to {known.max():.4g}"
        )
    if kind == "decisions" and not np.isin(known, (0, 1)).all():
        raise ModelError("the answers are decisions and must be 0 or 1")
    return answers


def check_settings(
    kind: str, digits: int | None, k: int | None, classes: int = MAX_CLASSES
) -> None:
    """ModelError unless `digits` and `k` are what answers of `kind` with `classes` can have."""
    for name, value, low, high in (("digits", digits, 0, MAX_DIGITS), ("k", k, 1, classes)):
        if value is None:
            continue
        if kind not in SETTINGS[name]:
            raise ModelError(f"`{name}` goes with {' and '.join(SETTINGS[name])}, not {kind}")
        if not low <= value <= high:
            raise ModelError(
                f"`{name}` must be a whole number from {low} to {high}, got {str(value)[:40]}"
            )
    needed = NEEDS.get(kind)
    if needed is not None and {"digits": digits, "k": k}[needed] is None:
        raise ModelError(f"outputs_kind {kind} needs `{needed}`, {_MEANT[needed]}")


def _usable(answers: NDArray[np.float32], kind: str) -> NDArray[np.bool_]:
    """Which rows say something: a class left out of a top-k, or at log 0, is no fault."""
    finite = np.isfinite(answers)
    if kind == "topk":
        return np.asarray(finite.any(axis=1))
    if kind == "logprobs":
        return np.asarray((finite | np.isneginf(answers)).all(axis=1) & finite.any(axis=1))
    return np.asarray(finite.all(axis=1))
