"""What a model answers, in the form that the correlation takes; and coarser answers of finer ones.

docs/method.md, "Access modes". Services answer in many ways. `canonical_outputs` brings
each into rows whose correlation means something: probabilities become log-probabilities with a
floor for what was rounded away or left out, labels one-hot rows, scores ranks.
`access_mode` makes of a source's or a null model's finer answers what a suspect's coarser service
would have said: only answers of one kind can be compared fairly.

Kinds, finest first:

    logits > logprobs > probs > rounded > topk > labels      what a classifier answers
    embeddings, scores, decisions                            face verification; each by itself

All arithmetic is float64. A row with a value that is no number stays a row of NaN, and so does one
that centring takes out of the range of its type: such a probe is dropped later, and counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sacfast.errors import ArgumentError, ShapeError
from sacfast.kernels import _check
from sacfast.kernels._tensors import DECISIONS, FLOATS, INTEGERS, as_numpy, is_torch, like
from sacfast.kinds import KINDS, LADDER, NEEDS, SETTINGS, settled_kind

_Rows = NDArray[np.float64]

_MOST_DIGITS = 17  # a float64 has no more
_SUM_ROUNDING = 1e-7  # less than this may be left to 1 by the rounding of float32 alone
_ABOVE_ONE = 1e-6  # how far float32 softmax and rounding overshoot a probability of 1


def canonical_outputs(
    outputs: Any, kind: str, *, digits: int | None = None, k: int | None = None
) -> Any:
    """The outputs of one or many models, in the form that `correlation` takes.

    Args:
        outputs: (N, C), (S, N, C) or a list of (N, C_s), floating-point; "labels": integers (N,),
            (S, N) or a list of (N,); "decisions": also integers or bool.
        kind: what they are.
            "logits": returned as they are.
            "logprobs": -inf becomes the floor.
            "probs", in [0, 1] (up to 1 + 1e-6 counts as 1): log-probabilities; 0 becomes the
            floor. With digits they are "rounded".
            "rounded": rounded to `digits` decimals first; then as "probs".
            "topk": in each row the k largest count (of equal ones the earlier class); the others,
            whatever stands there, share equally what is left to 1, at least half a unit of the last
            decimal or 1e-7 each and at most half of what the k-th has, so that which classes are
            named still shows. Then as "probs".
            "labels": one-hot over the distinct labels of the model (in a batch, with columns of
            zeros up to the widest model); a negative label is no answer, a row of NaN.
            "scores": the rank in the model's whole matrix, scaled into (0, 1), the mean rank for
            equal ones: no order-preserving warp changes it.
            "decisions": 0.0 or 1.0.
            "embeddings": centred per dimension over the probes. Correlate with center="none": the
            means over dimensions that "row" and "double" take out change under a rotation.
        digits: "rounded" (needed) and "topk": decimal places that the service rounds to, at most
            17; applied first.
        k: "topk": how many classes the service names.

    Returns:
        The same form (labels gain an axis), float32, or float64 where float64 came in; torch
        tensors where tensors came in. The floor is the logarithm of half the smallest positive
        probability: 0.5 · 10^-digits where digits are given, else half of the smallest positive
        one that this model gives anywhere.

    Raises:
        ArgumentError: If the kind is unknown, does not take these digits or k, or can't have these
            values.
        ShapeError: If `outputs` has another shape, or a model no answers or fewer than 2 classes.
        DtypeError: If `outputs` is no array of a type that the kind has, or digits or k no integer.
        BackendError: If its memory is not the CPU's.

    Source: ours.
    """
    name = "canonical_outputs"
    _check.choice(name, "kind", kind, KINDS)
    kind, digits, k = _settings(name, "kind", kind, digits, k)

    def form(answers: NDArray[Any]) -> NDArray[Any]:
        if kind == "labels":
            return _one_hot(answers)
        rows = answers.astype(np.float64)
        if kind == "embeddings":
            return _where_answered(rows, kind, lambda known: _centred(known, answers.dtype))
        return rows if kind == "logits" else _where_answered(rows, kind, canonical)

    def canonical(rows: _Rows) -> _Rows:
        if kind == "decisions":
            return _decisions(rows, name)
        if kind == "logprobs":
            return _floored(rows)
        if kind == "scores":
            return _ranks(rows)
        p = _answered(rows, name, kind, digits, k)
        return _log(p if k is None else _rest_shared(p, k, digits), digits)

    return _for_each(name, outputs, kind, form)


def center_of(kind: str) -> str | None:
    """The centring that a kind asks for after `canonical_outputs`; None: whatever is the default.

    Embeddings are centred already, and what "row" and "double" take out besides is no property of
    the model: a rotation changes it.
    """
    return "none" if kind == "embeddings" else None


def access_mode(
    outputs: Any, kind: str, as_kind: str, *, digits: int | None = None, k: int | None = None
) -> Any:
    """What a service that answers in `as_kind` would have said: finer answers made coarser.

    Args:
        outputs: answers of `kind`, as `canonical_outputs` takes them.
        kind: what they are.
        as_kind: the coarser kind to make of them, or the same.
        digits: as_kind "rounded" (needed) or "topk": decimal places to round to; "probs" with
            digits is "rounded".
        k: as_kind "topk": how many classes are named; the others become 0.

    Returns:
        NumPy arrays in the form of `outputs`, of kind `as_kind`, ready for `canonical_outputs` with
        the same digits and k: softmax, logarithm, rounding, the k largest, or the largest (of equal
        ones the first class). A row that holds no answer gets NaN, or the label -1.

    Raises:
        ArgumentError: If `as_kind` is finer than `kind`, not comparable with it, or does not take
            these digits or k; or if `kind` can't have these values.
        ShapeError: If `outputs` has another shape, or a model no answers or fewer than 2 classes.
        DtypeError: If `outputs` is no array of a type that the kind has, or digits or k no integer.
        BackendError: If its memory is not the CPU's.

    Source: ours; docs/method.md, "Access modes".
    """
    name = "access_mode"
    _check.choice(name, "kind", kind, KINDS)
    _check.choice(name, "as_kind", as_kind, KINDS)
    as_kind, digits, k = _settings(name, "as_kind", as_kind, digits, k)
    coarser = LADDER[LADDER.index(kind) :] if kind in LADDER else (kind,)
    if as_kind not in coarser:
        raise ArgumentError(
            f'access_mode: `as_kind` must be one of {_check.listed(coarser)} for kind="{kind}", '
            f"got {as_kind!r}",
            hint="answers can be made coarser, never finer",
        )

    def coarsen(answers: NDArray[Any]) -> NDArray[Any]:
        if kind == as_kind and kind not in ("probs", "rounded", "topk"):
            return answers
        rows = answers.astype(np.float64)
        if as_kind == "labels":
            return _where_answered(rows, kind, first_largest, -1.0)[:, 0].astype(np.int64)
        return _where_answered(rows, kind, coarse)

    def first_largest(rows: _Rows) -> _Rows:
        known = np.where(np.isnan(rows), -np.inf, rows)
        return np.asarray(np.argmax(known, axis=1)[:, None], dtype=np.float64)

    def coarse(rows: _Rows) -> _Rows:
        if kind == "logits":
            rows = _log_softmax(rows)
        if as_kind == "logprobs":
            return rows
        p = np.exp(np.minimum(rows, 0.0)) if kind in ("logits", "logprobs") else rows
        return _answered(p, name, as_kind, digits, k)

    return _for_each(name, outputs, kind, coarsen, to_numpy=True)


# ---- one model at a time: rows (N, C), float64 ---------------------------------------------------


def _where_answered(
    rows: _Rows, kind: str, form: Callable[[_Rows], _Rows], void_value: float = np.nan
) -> _Rows:
    """Apply `form` to the rows that hold an answer; the others become `void_value`.

    A log-probability may be -inf. Of a top-k answer, the classes left out may be NaN.
    """
    if kind == "topk":
        void = np.isinf(rows).any(axis=1) | np.isnan(rows).all(axis=1)
    elif kind == "logprobs":
        void = np.isnan(rows).any(axis=1) | np.isposinf(rows).any(axis=1)
    else:
        void = ~np.isfinite(rows).all(axis=1)
    if void.all():
        return np.full_like(rows, void_value)
    answered = form(rows[~void])
    result = np.full((len(rows), answered.shape[1]), void_value)
    result[~void] = answered
    return result


def _answered(rows: _Rows, function: str, kind: str, digits: int | None, k: int | None) -> _Rows:
    """Probabilities as a service gives them: rounded; of "topk" all but the k largest 0."""
    known: _Rows = np.where(np.isnan(rows), 0.0, rows)
    if known.min() < 0 or known.max() > 1 + _ABOVE_ONE:
        raise ArgumentError(
            f"{function}: `outputs` must be probabilities in [0, 1], got values from "
            f"{float(known.min())!r} to {float(known.max())!r}",
            hint='logits have kind="logits", log-probabilities kind="logprobs"',
        )
    known = np.minimum(known, 1.0)
    if digits is not None:
        known = np.round(known, digits)
    if kind != "topk" or k is None:
        return known
    if k > known.shape[1]:
        raise ArgumentError(
            f"{function}: `k` must be at most the number of classes, {known.shape[1]}, got {k}"
        )
    left_out = np.argsort(-known, axis=1, kind="stable")[:, k:]
    np.put_along_axis(known, left_out, 0.0, axis=1)
    return known


def _rest_shared(p: _Rows, k: int, digits: int | None) -> _Rows:
    """Of "topk": what is left to 1 shared among the classes that are not named."""
    unnamed = p.shape[1] - k
    if not unnamed:
        return p
    left_out = np.argsort(-p, axis=1, kind="stable")[:, k:]
    least = _SUM_ROUNDING if digits is None else 0.5 * 10.0**-digits
    share = np.maximum((1 - p.sum(axis=1, keepdims=True)) / unnamed, least)
    last = -np.partition(-p, k - 1, axis=1)[:, k - 1 : k]
    shared: _Rows = p.copy()
    np.put_along_axis(shared, left_out, np.minimum(share, last / 2), axis=1)
    return shared


def _log(p: _Rows, digits: int | None) -> _Rows:
    smallest = p[p > 0].min(initial=1.0) if digits is None else 10.0**-digits
    floor = np.log(smallest) + np.log(0.5)  # half of the smallest float64 would be 0
    return np.where(p > 0, np.log(np.where(p > 0, p, 1.0)), floor)


def _floored(rows: _Rows) -> _Rows:
    lost = np.isneginf(rows)
    return np.where(lost, rows[~lost].min(initial=0.0) + np.log(0.5), rows)


def _log_softmax(rows: _Rows) -> _Rows:
    shifted = rows - rows.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def _centred(rows: _Rows, dtype: np.dtype[Any]) -> _Rows:
    limit = np.finfo(np.float64 if dtype == np.float64 else np.float32).max  # of what is returned
    centred = np.asarray(rows - rows.mean(axis=0))
    centred[~(np.abs(centred) <= limit).all(axis=1)] = np.nan
    return centred


def _ranks(rows: _Rows) -> _Rows:
    _, place, count = np.unique(rows, return_inverse=True, return_counts=True)
    middle = np.cumsum(count) - count / 2  # mean rank of equal ones, less one half
    return np.asarray(middle[place].reshape(rows.shape) / rows.size)


def _decisions(rows: _Rows, function: str) -> _Rows:
    wrong = rows[(rows != 0) & (rows != 1)]
    if wrong.size:
        raise ArgumentError(f"{function}: `outputs` must be 0 or 1, got {float(wrong[0])!r}")
    return rows


def _one_hot(labels: NDArray[Any]) -> NDArray[np.float32]:
    """(..., N) integers -> (..., N, C), C the most that a model has; a negative one is no answer.

    Each model counts its own classes, or memory would grow with the square of S. The columns of
    zeros behind those of a narrow model change no correlation that is doubly centred.
    """
    models = labels.reshape(-1, labels.shape[-1])
    classes = [np.unique(one[one >= 0]) for one in models]
    widest = max((len(own) for own in classes), default=0)
    rows = np.zeros((*models.shape, max(widest, 1)), dtype=np.float32)
    for s, own in enumerate(classes):
        rows[s, :, : len(own)] = models[s][:, None] == own
    rows[models < 0] = np.nan
    return rows.reshape(*labels.shape, rows.shape[-1])


# ---- all models ----------------------------------------------------------------------------------


@np.errstate(over="ignore", invalid="ignore")  # ends in -inf or NaN, which the forms speak of
def _for_each(
    function: str,
    outputs: Any,
    kind: str,
    form: Callable[[NDArray[Any]], NDArray[Any]],
    *,
    to_numpy: bool = False,
) -> Any:
    """Apply `form` to every model's answers, in whatever form they came."""
    dtypes = {"labels": INTEGERS, "decisions": DECISIONS}.get(kind, FLOATS)
    letters = "N" if kind == "labels" else "N, C"
    axes = 1 if kind == "labels" else 2

    def read(argument: str, value: Any, most: int) -> NDArray[Any]:
        answers = as_numpy(function, argument, value, dtypes)
        if not axes <= answers.ndim <= most or 0 in answers.shape[-axes:]:
            wanted = f"({letters})" if most == axes else f"({letters}) or (S, {letters})"
            raise ShapeError(
                f"{function}: `{argument}` must be {wanted} and not empty, got {answers.shape}"
            )
        if axes == 2 and kind in LADDER and answers.shape[-1] < 2:
            raise ShapeError(
                f"{function}: `{argument}` must have at least 2 classes, got {answers.shape}"
            )
        return answers

    def write(rows: NDArray[Any], value: Any, answers: NDArray[Any]) -> Any:
        if rows.dtype == np.float64 and answers.dtype != np.float64:
            rows = rows.astype(np.float32)
        return rows if to_numpy else like(rows, is_torch=is_torch(value))

    if isinstance(outputs, (list, tuple)):
        results = []
        for s, value in enumerate(outputs):
            answers = read(f"outputs[{s}]", value, axes)
            results.append(write(form(answers), value, answers))
        return results
    answers = read("outputs", outputs, axes + 1)
    if answers.ndim == axes or kind == "labels":  # labels know both forms
        return write(form(answers), outputs, answers)
    rows = [form(one) for one in answers]
    return write(np.stack(rows) if rows else answers.astype(np.float64), outputs, answers)


def _settings(
    function: str, argument: str, kind: str, digits: int | None, k: int | None
) -> tuple[str, int | None, int | None]:
    """Return the kind, given as `argument`, with digits and k, checked: what it takes and needs."""
    kind = settled_kind(kind, digits)
    given = {"digits": digits, "k": k}
    for name, value in given.items():
        if value is not None and kind not in SETTINGS[name]:
            raise ArgumentError(
                f"{function}: `{name}` must go with {argument} {_check.listed(SETTINGS[name])}, "
                f'got {argument}="{kind}"'
            )
        if value is None and NEEDS.get(kind) == name:
            raise ArgumentError(
                f'{function}: `{name}` must be given for {argument}="{kind}", got None'
            )
    if digits is not None:
        digits = _check.integer(function, "digits", digits, 0)
        if digits > _MOST_DIGITS:
            raise ArgumentError(
                f"{function}: `digits` must be at most {_MOST_DIGITS}, got {digits}"
            )
    if k is not None:
        k = _check.integer(function, "k", k, 1)
    return kind, digits, k
