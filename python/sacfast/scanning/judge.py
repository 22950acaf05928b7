"""From outputs to verdicts: every suspect against every source, in the suspect's access mode.

Suspects that answer in one form (logits, probabilities to two decimals, labels …) are judged
together. Sources and null bank are first passed through the same access mode, so that all outputs
are equally coarse; where a source is coarser than the suspects, the suspects follow it. A model of
the null bank that is coarser still can't take part in that mode and is left out with a warning.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sacfast.detector import Detector, Method, Scores, not_comparable, usable_probes
from sacfast.errors import NullBankError
from sacfast.fingerprint import Fingerprint
from sacfast.kernels.canonical import LADDER, access_mode, canonical_outputs
from sacfast.statistics import benjamini_hochberg, conformal_p
from sacfast.store import ModelRecord, NullRecord, PairRecord

#: p-values up to here that are no discoveries are still suspicious (METHOD.md section 6).
SUSPICIOUS_P = 0.05

#: Said of a suspect at the smallest p-value that the bank can give, where that is not enough.
AT_THE_FLOOR = "at the floor of the null bank, which is too small to say more"

#: Suspects whose outputs are in memory at once.
_BATCH = 256

Fetch = Callable[[str], Fingerprint]


class Mode(NamedTuple):
    """An access mode: a kind of outputs with its parameters."""

    kind: str
    digits: int | None
    k: int | None

    def __str__(self) -> str:
        if self.kind == "topk":
            return f"top-{self.k}"
        return self.kind if self.digits is None else f"{self.kind} to {self.digits} decimals"


def mode_of(model: Fingerprint | ModelRecord) -> Mode:
    """The access mode in which a model answered."""
    kind = model.outputs_kind if isinstance(model, ModelRecord) else model.key.outputs_kind
    return Mode(kind, model.digits, model.k)


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


@dataclass
class _Judged:
    """Scores of some suspects in one mode, before the whole scan's q-values are known."""

    mode: Mode
    names: list[str]
    scores: list[Scores]
    distance: NDArray[np.float64]
    null: NDArray[np.float64]
    groups: list[str]


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
) -> Judgement:
    """Judges suspects by their outputs.

    Args:
        suspects: The access mode of every suspect, by name.
        sources, null_bank: Fingerprints by name, all on one probe set.
        groups: The group of every member of the null bank.
        fetch: Gives a suspect's fingerprint; called once each, so memory stays flat.
        method, ridge: As in `Detector`.
        fdr: False discovery rate over all comparisons.

    Returns:
        A `Judgement`.

    Raises:
        NullBankError: If a source is not comparable, or fewer than two nulls are left in a mode.
    """
    result = Judgement()
    judged = []
    for mode in sorted(set(suspects.values()), key=str):
        names = [name for name, own in suspects.items() if own == mode]
        common = common_mode(mode, [mode_of(fingerprint) for fingerprint in sources.values()])
        if common is None:
            kinds = ", ".join(sorted({f.key.outputs_kind for f in sources.values()}))
            for name in names:
                result.reasons[name] = f"answers {mode}, which can't be compared with {kinds}"
            continue
        judged.append(
            _judge_mode(common, names, sources, null_bank, groups, fetch, method, ridge, result)
        )
    _conclude(judged, list(sources), fdr, method, result)
    return result


def common_mode(suspect: Mode, sources: Sequence[Mode]) -> Mode | None:
    """The coarsest of the modes, or None where they are not of one ladder."""
    modes = [suspect, *sources]
    if any(mode.kind not in LADDER for mode in modes):
        return suspect if len({mode.kind for mode in modes}) == 1 else None
    return max(modes, key=_coarseness)


def _coarseness(mode: Mode) -> tuple[float, ...]:
    rounded = -math.inf if mode.digits is None else -mode.digits
    return LADDER.index(mode.kind), rounded, -math.inf if mode.k is None else -mode.k


def outputs_in_mode(fingerprint: Fingerprint, mode: Mode) -> NDArray[Any] | None:
    """A model's outputs in an access mode, ready to be correlated; None where they are coarser."""
    own = mode_of(fingerprint)
    if common_mode(own, [mode]) is None or common_mode(mode, [own]) != mode:
        return None
    outputs = access_mode(fingerprint.outputs, own.kind, mode.kind, digits=mode.digits, k=mode.k)
    return np.asarray(canonical_outputs(outputs, mode.kind, digits=mode.digits, k=mode.k))


def _judge_mode(
    mode: Mode,
    names: list[str],
    sources: Mapping[str, Fingerprint],
    null_bank: Mapping[str, Fingerprint],
    groups: Mapping[str, str],
    fetch: Fetch,
    method: Method,
    ridge: float,
    result: Judgement,
) -> _Judged:
    source_outputs = []
    for name, fingerprint in sources.items():
        outputs = outputs_in_mode(fingerprint, mode)
        reason = "answers in a coarser form" if outputs is None else _unfit(outputs)
        if outputs is None or reason:
            raise NullBankError(f"scan: source {name} can't be compared as {mode}: it {reason}")
        source_outputs.append(outputs)
    bank, bank_groups = [], []
    for name, fingerprint in null_bank.items():
        outputs = outputs_in_mode(fingerprint, mode)
        reason = "answers in a coarser form" if outputs is None else _unfit(outputs)
        if outputs is None or reason:
            result.warnings.append(f"null model {name} left out for {mode}: it {reason}")
            continue
        bank.append(outputs)
        bank_groups.append(groups[name])
    if len(bank) < 2:
        raise NullBankError(
            f"scan: `null_bank` must hold at least 2 models that can be compared as {mode}, "
            f"got {len(bank)}"
        )
    center: Any = "none" if mode.kind == "embeddings" else None
    detector = Detector(
        source_outputs, bank, groups=bank_groups, method=method, ridge=ridge, center=center
    )
    paper = Detector(source_outputs, bank, groups=bank_groups, method="paper", center=center)
    judged = _Judged(mode, [], [], np.empty((0, len(sources))), detector.null_scores, bank_groups)
    distances = []
    for batch in _batches(names):
        outputs_of = {}
        for name in batch:
            outputs = outputs_in_mode(fetch(name), mode)
            if outputs is None:
                raise NullBankError(f"scan: suspect {name} can't be compared as {mode}")
            outputs_of[name] = outputs
        scores = detector.scores(list(outputs_of.values()))
        distances.append(paper.scores(list(outputs_of.values())).score)
        judged.names.extend(batch)
        judged.scores.append(scores)
        for i, name in enumerate(batch):
            result.dropped[name] = int(scores.dropped[i])
            if scores.reasons[i] is not None:
                result.reasons[name] = str(scores.reasons[i])
    judged.distance = np.concatenate(distances)
    result.draws = min(detector.nulls, detector.nulls if result.draws is None else result.draws)
    return judged


def _unfit(outputs: NDArray[Any]) -> str | None:
    return not_comparable(outputs, usable_probes(outputs))


def _batches(names: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(names), _BATCH):
        yield names[start : start + _BATCH]


def _conclude(
    judged: list[_Judged], sources: list[str], fdr: float, method: Method, result: Judgement
) -> None:
    """q over every comparison of the scan, then verdicts, then the scores that they asked for."""
    if not judged:
        return
    p = np.concatenate([scores.p for mode in judged for scores in mode.scores])
    q = benjamini_hochberg(p)
    score = np.concatenate([scores.score for mode in judged for scores in mode.scores])
    z = np.concatenate([scores.z for mode in judged for scores in mode.scores])
    floor = np.concatenate(
        [np.full(len(scores.p), scores.p_floor) for mode in judged for scores in mode.scores]
    )
    distance = np.concatenate([mode.distance for mode in judged])
    names = [name for mode in judged for name in mode.names]
    for i, name in enumerate(names):
        for v, source in enumerate(sources):
            verdict = _verdict(p[i, v], q[i, v], floor[i], fdr)
            if verdict == "suspicious" and _at_floor(p[i, v], floor[i]):
                result.reasons[name] = AT_THE_FLOOR
            result.pairs.append(
                PairRecord(
                    name,
                    source,
                    verdict,
                    float(score[i, v]),
                    float(z[i, v]),
                    float(p[i, v]),
                    float(q[i, v]),
                    float(distance[i, v]),
                )
            )
    called = p[q <= fdr]
    p_called = float(called.max()) if called.size else np.nan
    sign = -1.0 if method == "paper" else 1.0
    for mode in judged:
        for v, source in enumerate(sources):
            null = mode.null[:, v]
            threshold = sign * _threshold(sign * null, mode.groups, p_called)
            result.nulls.append(
                NullRecord(source, str(mode.mode), threshold, tuple(map(float, null)))
            )


def _verdict(p: float, q: float, p_floor: float, fdr: float) -> str:
    if np.isnan(p):
        return "not comparable"
    if q <= fdr:
        return "stolen"
    return "suspicious" if p <= SUSPICIOUS_P or _at_floor(p, p_floor) else "no evidence"


def _at_floor(p: float, p_floor: float) -> bool:
    return p <= p_floor * (1 + 1e-9)


def _threshold(null: NDArray[np.float64], groups: list[str], p_called: float) -> float:
    """The lowest null score above which a score would have been called stolen; NaN for none."""
    steps = np.sort(null)
    p = conformal_p(np.nextafter(steps, np.inf)[:, None], null[:, None], groups)[:, 0]
    reached = steps[p <= p_called + 1e-12]
    return float(reached[0]) if reached.size else float("nan")
