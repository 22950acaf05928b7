"""From outputs to verdicts: every suspect against every source, in the suspect's access mode.

Suspects that answer in one form (logits, probabilities to two decimals, labels …) are judged
together. Sources and null bank are first passed through the same access mode, so that all outputs
are equally coarse; where a source is coarser than the suspects, the suspects follow it. A model of
the null bank that is coarser still can't take part in that mode and is left out with a warning.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sacfast.access import Mode
from sacfast.detector import TIE, Detector, Form, Method, method_for, p_values, sign
from sacfast.errors import ModelError, NullBankError, SacfastError
from sacfast.fingerprint import Fingerprint
from sacfast.kernels.canonical import center_of
from sacfast.scanning.casting import left_out
from sacfast.scanning.hygiene import looked_over
from sacfast.scanning.modes import about_faces, compared_in, fit, mode_of, outputs_in_mode
from sacfast.scanning.plan import OWNER_TWINS
from sacfast.statistics import benjamini_hochberg
from sacfast.store import NullRecord, PairRecord
from sacfast.text import one_line

#: p-values up to here that are no discoveries are still suspicious (docs/method.md, The score).
SUSPICIOUS_P = 0.05

#: A q or p that equals its bound but for the last bits has met it.
_ROUNDING = 1 + 1e-9

#: Suspects' outputs are held a batch at a time, in about this many bytes.
_BATCH_BYTES = 128 << 20

Fetch = Callable[[str], Fingerprint]


@dataclass
class Judgement:
    """What judging gives: comparisons, the bank's scores, reasons and warnings.

    Attributes:
        pairs: One a suspect and source, with verdicts, most pressing first.
        nulls: The bank's scores a source and access mode.
        reasons: Why a suspect is not comparable, by name.
        dropped: Probes not used, by suspect.
        warnings: Sentences for people.
        draws: Independent draws in the smallest bank that was used; None if nothing was compared.
    """

    pairs: list[PairRecord] = field(default_factory=list)
    nulls: list[NullRecord] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    draws: int | None = None


@dataclass(frozen=True)
class _Setting:
    """What one scan judges with."""

    sources: Mapping[str, Fingerprint]
    null_bank: Mapping[str, Fingerprint]
    groups: Mapping[str, str]
    fetch: Fetch
    method: Method
    ridge: float
    references: int
    form: Form


@dataclass(frozen=True)
class _Scored:
    """Suspects scored in one mode, before the whole scan's q-values are known."""

    mode: Mode
    names: list[str]
    score: NDArray[np.float64]  # (S, V), like z, p and distance
    z: NDArray[np.float64]
    p: NDArray[np.float64]
    distance: NDArray[np.float64]
    p_floor: float
    null: NDArray[np.float64]  # (m, V)
    groups: list[str]  # (m,), owner twins last


def judge(
    suspects: Mapping[str, Mode],
    sources: Mapping[str, Fingerprint],
    null_bank: Mapping[str, Fingerprint],
    groups: Mapping[str, str],
    fetch: Fetch,
    *,
    method: Method = "partial",
    ridge: float = 0.02,
    fdr: float = 0.05,
    references: int = 0,
    form: Form = "direct",
) -> Judgement:
    """Judges suspects by their outputs.

    Args:
        suspects: The access mode of every suspect, by name.
        sources, null_bank: Fingerprints by name, all on one probe set.
        groups: The group of every member of the null bank; that of owner twins is `OWNER_TWINS`.
        fetch: Gives a suspect's fingerprint; called once each, so memory stays flat.
        method, ridge: As in `Detector`.
        fdr: False discovery rate over all comparisons.
        references: How many of the probe set's images are reference images (`face_probes`).
        form: How scores against them are compared, "direct" or "fri", as in `Detector`.

    Returns:
        A `Judgement`.

    Raises:
        ModelError: If a source can't be compared in its own mode.
        NullBankError: If fewer than two nulls are left in the sources' own mode, or one of them
            gives the very answers of a source.
    """
    bank, told = looked_over(sources, null_bank, groups)
    setting = _Setting(sources, bank, groups, fetch, method, ridge, references, form)
    result = Judgement(warnings=told)
    scored = []
    source_modes = [mode_of(fingerprint) for fingerprint in sources.values()]
    for mode in sorted(set(suspects.values()), key=str):
        names = [name for name, own in suspects.items() if own == mode]
        common = compared_in(mode, source_modes, references)
        if common is None:
            kinds = ", ".join(sorted({source_mode.kind for source_mode in source_modes}))
            reason = f"answers {mode}, which can't be compared with {kinds}"
            result.reasons.update(dict.fromkeys(names, reason))
            continue
        try:
            part = _score(common, names, setting, result)
        except SacfastError as error:
            if common in source_modes:
                raise  # the sources or the bank are at fault, not what the suspects answer
            reason = f"can't be compared as {common}: {one_line(error.message, 300)}"
            result.reasons.update(dict.fromkeys(names, reason))
        else:
            scored += [part] if part.names else []
    _conclude(scored, list(sources), fdr, method, result)
    result.warnings += _about_faces(setting, source_modes, result)
    return result


def _about_faces(setting: _Setting, sources: list[Mode], result: Judgement) -> list[str]:
    """What is to be said of verdicts about verification models."""
    if not about_faces(sources, setting.references):
        return []
    told = []
    if any(mode.kind == "decisions" for mode in sources):
        told.append(
            "a source answers decisions, which costs about half of the power: give its scores or "
            "embeddings, also where suspects say only yes or no"
        )
    flagged = any(pair.verdict in ("stolen", "suspicious") for pair in result.pairs)
    if flagged and OWNER_TWINS not in setting.groups.values():
        told.append(
            "without owner twins a verdict on a face model means related, by training data or by "
            "theft: honest models trained on the owner's people look alike too (`owner_twins`)"
        )
    return told


def _score(mode: Mode, names: list[str], setting: _Setting, result: Judgement) -> _Scored:
    """Scores some suspects in one mode; reasons and warnings go into the result."""
    sources = []
    for name, fingerprint in setting.sources.items():
        outputs, unfit = fit(fingerprint, mode, setting.references)
        if unfit is not None:
            raise ModelError(f"scan: source {name} can't be compared as {mode}: it {unfit}")
        sources.append(outputs)
    bank: list[NDArray[Any]] = []
    twins: list[NDArray[Any]] = []  # the last of the null bank
    groups: list[str] = []
    unfit_nulls: dict[str, str] = {}
    for name, fingerprint in setting.null_bank.items():
        outputs, unfit = fit(fingerprint, mode, setting.references)
        if unfit is not None:
            unfit_nulls[name] = f"it {unfit}"
            continue
        groups.append(setting.groups[name])
        (twins if groups[-1] == OWNER_TWINS else bank).append(outputs)
    result.warnings += left_out(unfit_nulls, f" for {mode}")
    if len(bank) < 2:
        reasons = [f"{name}: {reason}" for name, reason in unfit_nulls.items()]
        raise NullBankError(
            f"scan: `null_bank` must hold at least 2 models that can be compared as {mode}, "
            f"got {len(bank)}",
            hint=one_line(reasons[0], 300) if reasons else None,
        )
    faces = about_faces([mode], setting.references)
    center: Any = None if faces else center_of(mode.kind)
    known: dict[str, Any] = {"groups": groups[: len(bank)], "owner_twins": twins}
    paper = Detector(
        sources,
        bank,
        method="paper",
        center=center,
        form="fri" if faces else "outputs",
        **known,
    )
    detector = paper
    if setting.method != "paper":
        detector = Detector(
            sources,
            bank,
            method=method_for(setting.method, mode.kind),
            ridge=setting.ridge,
            center=center,
            form=setting.form if faces else "outputs",
            **known,
        )
    batches, distances = [], []
    yes: list[float] = []  # shares of yes, of those who decide
    compared: list[str] = []
    for batch in _batches(names, mode, setting, result):
        scores = detector.scores(list(batch.values()))
        for name, dropped, reason in zip(batch, scores.dropped, scores.reasons, strict=True):
            result.dropped[name] = int(dropped)
            if reason is not None:
                result.reasons[name] = reason
        compared += batch
        if faces and mode.kind == "decisions":
            yes += [float(np.nanmean(outputs)) for outputs in batch.values()]
        batches.append(scores)
        by_paper = scores if paper is detector else paper.scores(list(batch.values()))
        distances.append(by_paper.score)
    result.draws = min(detector.nulls, detector.nulls if result.draws is None else result.draws)
    empty = np.empty((0, len(sources)))
    return _Scored(
        mode,
        compared,
        score=np.concatenate([empty, *(scores.score for scores in batches)]),
        z=np.concatenate([empty, *(scores.z for scores in batches)]),
        p=np.concatenate([empty, *(scores.p for scores in batches)]),
        distance=np.concatenate([empty, *distances]),
        p_floor=1 / (detector.nulls + 1),
        null=detector.null_scores_at(float(np.median(yes))) if yes else detector.null_scores,
        groups=groups,
    )


def _batches(
    names: list[str], mode: Mode, setting: _Setting, result: Judgement
) -> Iterator[dict[str, NDArray[Any]]]:
    """Suspects' outputs in a mode, as many at once as fit into `_BATCH_BYTES`."""
    batch: dict[str, NDArray[Any]] = {}
    for name in names:
        try:
            batch[name] = outputs_in_mode(setting.fetch(name), mode, setting.references)
        except SacfastError as error:
            result.reasons[name] = f"can't be compared as {mode}: {one_line(error.message, 300)}"
        if sum(outputs.nbytes for outputs in batch.values()) > _BATCH_BYTES:
            yield batch
            batch = {}
    if batch:
        yield batch


def _conclude(
    scored: list[_Scored], sources: list[str], fdr: float, method: Method, result: Judgement
) -> None:
    """q over every comparison of the scan, then verdicts, then the scores that they asked for."""
    if not scored:
        return
    p = np.concatenate([part.p for part in scored])
    all_q = benjamini_hochberg(p)
    called = p[all_q <= fdr * _ROUNDING]
    p_called = float(called.max()) if called.size else math.nan
    signed = sign(method)
    start = 0
    for part in scored:
        mode = str(part.mode)
        q = all_q[start : start + len(part.names)]
        start += len(part.names)
        for (i, name), (v, source) in product(enumerate(part.names), enumerate(sources)):
            verdict = _verdict(part.p[i, v], q[i, v], part.p_floor, fdr)
            at_floor = verdict == "suspicious" and _at_floor(part.p[i, v], part.p_floor)
            numbers = {
                "score": float(part.score[i, v]),
                "z": float(part.z[i, v]),
                "p": float(part.p[i, v]),
                "q": float(q[i, v]),
                "distance": float(part.distance[i, v]),
            }
            result.pairs.append(
                PairRecord(name, source, verdict, **numbers, mode=mode, at_floor=at_floor)
            )
        for v, source in enumerate(sources):
            null = part.null[:, v]
            threshold = signed * _threshold(signed * null, part.groups, p_called)
            result.nulls.append(NullRecord(source, mode, threshold, tuple(map(float, null))))


def _verdict(p: float, q: float, p_floor: float, fdr: float) -> str:
    if math.isnan(p):
        return "not comparable"
    if q <= fdr * _ROUNDING:
        return "stolen"
    return "suspicious" if p <= SUSPICIOUS_P or _at_floor(p, p_floor) else "no evidence"


def _at_floor(p: float, p_floor: float) -> bool:
    return bool(p <= p_floor * _ROUNDING)  # a plain bool: SQLite keeps NumPy's as bytes


def _threshold(null: NDArray[np.float64], groups: list[str], p_called: float) -> float:
    """The lowest null score above which a score would have been called stolen; NaN for none."""
    steps = np.sort(null)
    twins = groups.count(OWNER_TWINS)
    p = p_values(steps[:, None] + 2 * TIE, null[:, None], groups, twins=twins)[:, 0]
    reached = steps[(p <= p_called) & np.isfinite(steps)]
    return float(reached[0]) if reached.size else math.nan
