"""The detector: scores of suspects against sources, relative to models known to be innocent.

A detector is built once from the outputs of the sources and of the null bank and then scores any
number of suspects. It owns what is common to all methods: which probes can be used, p-values
against the bank, and what the bank can show. The methods differ in two small classes: `_Paper` (the
papers' distance), and `_Inner` for all others, whose algebra is explained in partial.py. What is
compared is a model's packed correlation, of balanced probabilities in "balanced", or, for
verification scores in the "direct" form, the scores themselves.
"""

from __future__ import annotations

import math
import warnings
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from sacfast.errors import ArgumentError, BackendError, DtypeError, NullBankError, ShapeError
from sacfast.kernels import correlation, correlation_distance
from sacfast.kernels._places import one_device
from sacfast.kernels._tensors import array, numpy_of
from sacfast.kernels.balanced import balanced
from sacfast.kernels.fixed import Fixed, device_of, on_host, on_probes
from sacfast.kernels.products import usable_rows
from sacfast.kinds import LADDER
from sacfast.partial import PartialScore
from sacfast.statistics import Reach, conformal_p, reach
from sacfast.statistics.conformal import group_codes

Method = Literal["partial", "balanced", "pearson", "paper"]
Center = Literal["double", "row", "none"]
Form = Literal["outputs", "fri", "direct"]
_Float = NDArray[np.float64]
_Mask = NDArray[np.bool_]
_Models = NDArray[Any] | list[Any]  # a batch (S, N, C), or models (N, C_s); tensors on a GPU

#: A model with a larger share of unusable probes is not comparable.
MAX_DROPPED = 0.2
#: What is made of suspects' outputs before they are compared is held a block at a time.
_BLOCK_BYTES = 64 << 20
#: Frames (sources and bank on one subset of the probes) kept for suspects that drop the same ones.
_FRAMES_KEPT = 4

#: A suspect's score and a null score are the same number come by in two ways, of which one sums in
#: float32; what lies closer than their rounding is a tie, and counts against the suspect.
TIE = 1e-6
#: A GPU adds in another order: where X leaves little, its scores lie up to 5e-6 from the CPU's that
#: they are held against, and a p from a GPU is to be no smaller than the CPU's.
GPU_TIE = 1e-5

#: Verification scores that vary by less than this share of their size vary by rounding only.
_ROUNDING = 1e-7

_TOO_LITTLE_LEFT = "leaves too few probes on which sources and null bank can be compared"
_NOTHING_LEFT = "varies in no way that the null bank does not explain"


@dataclass(frozen=True, eq=False)
class Scores:
    """What a detector says of S suspects against V sources.

    Attributes:
        score: (S, V) float64. In [-1, 1], high = stolen; "paper": the distance, small = stolen.
            NaN where the suspect is not comparable.
        z: (S, V): how many standard deviations (n - 1) of the null bank the score lies on the
            stolen side of the bank's mean; for "paper" too, high = stolen. NaN with fewer than two
            nulls.
        p: (S, V): conformal p-value in [p_floor, 1].
        p_floor: The smallest p-value that this null bank can give.
        dropped: (S,) probes not used for this suspect: rows that are NaN, Inf or constant in the
            suspect, a source or the bank.
        reasons: Why a suspect is not comparable, None where it is.
    """

    score: _Float
    z: _Float
    p: _Float
    p_floor: float
    dropped: NDArray[np.int64]
    reasons: tuple[str | None, ...]


def method_for(asked: Method, kind: str) -> Method:
    """The method for answers of a kind: "partial" where they are about no classes to balance."""
    return "partial" if asked == "balanced" and kind not in LADDER else asked


def sign(method: str) -> float:
    """-1 for the papers' distance (small = stolen), else 1."""
    return -1.0 if method == "paper" else 1.0


def check_method(function: str, method: str, ridge: Any, *, balances: bool = True) -> None:
    """Raises unless the method and the ridge are ones that a detector takes, of such outputs."""
    if method not in get_args(Method):
        raise ArgumentError(
            f"{function}: `method` must be one of {', '.join(get_args(Method))}, got {method!r}"
        )
    if method == "balanced" and not balances:
        raise ArgumentError(
            f"{function}: `method` must be 'partial', 'pearson' or 'paper' where `form` is not "
            f"'outputs' or `center` not 'double', got {method!r}"
        )
    if isinstance(ridge, bool) or not isinstance(ridge, (int, float, np.number)):
        raise DtypeError(f"{function}: `ridge` must be a number, got {type(ridge).__name__}")
    if not (math.isfinite(ridge) and ridge >= 0):
        raise ArgumentError(f"{function}: `ridge` must be a finite number >= 0, got {ridge}")


class Detector:
    """Scores suspects against source models, relative to a null bank of independent models.

    Args:
        sources: Outputs of the V source models: (V, N, C), or a list of (N, C_v).
        null_bank: Outputs of the m independent models on the same probes, likewise. All outputs
            must come in one kind: pass sources and bank through the suspects' access mode first.
        groups: One hashable label a member of the bank (author, family, training regime): models
            of one group are not independent draws. None: each member is its own group.
        method: "partial" [ours], the correlation partialled on the bank; "balanced" [ours], the
            same of balanced probabilities (kernels/balanced.py), for logits and log-probabilities
            of classifiers, against thieves who fine-tune away from the source;
            "pearson" [ours], the Pearson correlation of the two packed correlations, the bank used
            for p alone; "paper", the papers' mean absolute difference (small = stolen).
        ridge: Ridge of "partial" and "balanced", relative to each row's own square; >= 0.
        center: Centring of the outputs (see `correlation`); None: "double", and the papers'
            "none" for method="paper". Not for form="direct".
        form: What the outputs are and what of them is compared. "outputs": a classifier's, or
            embeddings, by their correlation. "fri": verification scores of N probes against R
            reference images (see `sacfast.fri`), by their correlation, as in the paper. "direct"
            [ours]: such scores themselves, double-centred. In the last two a row of equal numbers
            is an answer (a service may say no to every pair), not a probe to drop; and a suspect
            that says only 0 or 1 has its p and z against the null bank saying so too, as often.
        owner_twins: Outputs of models that the owner trained on its own data with other seeds,
            likewise [ours]. What every model learns from that data then counts for nothing either,
            so that a score speaks of theft and not of the same training data. They are members of
            the bank: one group in p, each scored with itself alone left out. A suspect that scores
            no higher than a twin can't be told from one: its p is at least its rank among them.

    Raises:
        ShapeError: If the arrays differ in the number of probes or of reference images, or have
            other dimensions.
        ArgumentError: If an option is not one of those named, or a source can't be compared: more
            than 20 % unusable probes, the same answer to every probe, or nothing in it that the
            null bank does not explain.
        DtypeError: If they hold no floating-point numbers, or an option is of another type.
        NullBankError: If a member of the bank can't be compared, or the bank's correlations are
            linearly dependent where `ridge` is 0.

    With two probes there is one pair, in which nothing can correlate: all methods but "paper" then
    find no suspect comparable.

    Departs from the papers: everything but method="paper" is [ours] (docs/method.md). That the
    leave-group-out scores of the bank are valid nulls is checked empirically, not proved.
    """

    def __init__(
        self,
        sources: Any,
        null_bank: Any,
        *,
        groups: Sequence[Hashable] | None = None,
        method: Method = "partial",
        ridge: float = 0.02,
        center: Center | None = None,
        form: Form = "outputs",
        owner_twins: Any = (),
    ) -> None:
        plain = form == "outputs" and center in (None, "double")
        if form not in get_args(Form):
            raise ArgumentError(
                f"Detector: `form` must be 'outputs', 'fri' or 'direct', got {form!r}"
            )
        if form == "direct" and (method == "paper" or center is not None):
            raise ArgumentError(
                "Detector: `form` must be 'outputs' or 'fri' where `center` is given or `method` "
                "is 'paper', got 'direct', which has neither"
            )
        if center not in (None, "double", "row", "none"):
            raise ArgumentError(
                f"Detector: `center` must be None, 'double', 'row' or 'none', got {center!r}"
            )
        check_method("Detector", method, ridge, balances=plain)
        self.method: Method = method
        self.ridge = float(ridge)
        self.center: Center = center or ("none" if method == "paper" else "double")
        self.form: Form = form
        # Copies: frames for other probes are made from them later.
        self._sources = [o.copy() for o in _models("Detector", "sources", sources)]
        self._bank = [o.copy() for o in _models("Detector", "null_bank", null_bank)]
        self._members = members = len(self._bank)  # those behind are owner twins
        self._bank += [o.copy() for o in _models("Detector", "owner_twins", owner_twins)]
        twins = len(self._bank) - members
        if not self._sources:
            raise ArgumentError("Detector: `sources` must hold at least one model, got none")
        self._probes = len(self._sources[0])
        if self._probes < 2:
            raise ShapeError("Detector: `sources` must have at least 2 probes, got 1")
        codes = group_codes(groups, members, function="Detector")
        first = int(codes.max()) + 1 if members else 0
        self._codes = np.concatenate([codes, np.full(twins, first)])  # groups in p
        self._left_out = np.concatenate([codes, first + np.arange(twins)])  # out of X together
        self._mask = self._usable_by_all()
        self._frames: OrderedDict[bytes, _Paper | _Inner] = OrderedDict()
        self._frame(self._mask)

    def _usable_by_all(self) -> _Mask:
        """Probes that every source and every member of the bank answered usably."""
        usable = np.ones(self._probes, dtype=bool)
        bank, twins = self._bank[: self._members], self._bank[self._members :]
        roles = {"sources": self._sources, "null_bank": bank, "owner_twins": twins}
        for name, models in roles.items():
            for i, outputs in enumerate(models):
                self._check_probes("Detector", f"`{name}[{i}]`", outputs)
                own = usable_probes(outputs, self.form)
                reason = not_comparable(outputs, own)
                if reason:
                    error = ArgumentError if name == "sources" else NullBankError
                    raise error(
                        f"Detector: `{name}[{i}]` must be comparable, got a model that {reason}",
                        hint="leave it out",
                    )
                usable &= own
        if self._probes - usable.sum() > MAX_DROPPED * self._probes:
            raise NullBankError(
                f"Detector: `sources` and `null_bank` together must leave {1 - MAX_DROPPED:.0%} "
                f"of the {self._probes} probes usable, got {usable.sum()}",
                hint="leave out the models with NaN, Inf or constant rows",
            )
        return usable

    def _check_probes(self, function: str, name: str, outputs: NDArray[Any]) -> None:
        if len(outputs) != self._probes:
            raise ShapeError(
                f"{function}: {name} must have the {self._probes} probes of `sources[0]`, "
                f"got {len(outputs)}"
            )
        references = self._sources[0].shape[1]
        if self.form != "outputs" and outputs.shape[1] != references:
            raise ShapeError(
                f"{function}: {name} must have the {references} reference images of `sources[0]`, "
                f"got {outputs.shape[1]}"
            )

    @property
    def nulls(self) -> int:
        """Independent draws in the null bank: its groups, or its members where there are none.

        Owner twins are one more.
        """
        return int(self._codes.max()) + 1 if len(self._codes) else 0

    @property
    def null_scores(self) -> _Float:
        """(m, V) scores of the bank's members, each with its own group left out of X, then of the
        owner twins; +Inf for one that can't be scored, so that it counts against every suspect."""
        null: _Float = self._frame(self._mask).null.copy()
        return null

    def reach(self, pairs: int, fdr: float = 0.05) -> Reach:
        """What this null bank can show at all over `pairs` comparisons at a false discovery rate.

        Args:
            pairs: Suspects × sources of the whole scan, >= 0.
            fdr: The false discovery rate asked for, in (0, 1).

        Returns:
            A `Reach`; ``str()`` of it is a sentence for people.

        Raises:
            ArgumentError: If an argument is out of its range.
        """
        return reach(self.nulls, pairs, fdr)

    def scores(self, outputs: Any) -> Scores:
        """Scores of S suspects against every source.

        A probe on which a suspect's row is NaN, Inf or constant is dropped for the suspect, the
        sources and the bank alike, null scores included. Above 20 % dropped, or where the outputs
        do not vary from probe to probe, the suspect is not comparable: NaN with a reason.

        Outputs on a GPU stay there, where they are checked and multiplied with the sources and the
        bank, of which the device keeps a copy as long as the detector lives; what comes back are a
        few numbers a suspect, which the caller waits for. Only those of suspects for which float64
        is called for are copied to the CPU: at most 64 probes, or hardly anything in the suspect or
        a source that the bank does not explain. Scores lie within 1e-5 of the CPU's; a null score
        up to 1e-5 below counts as reached, so that no p is smaller than the CPU's.

        Args:
            outputs: (S, N, C), or a list of (N, C_s), of the kind of the sources and the bank; in
                CPU memory or, but for method="balanced" and verification scores (`form`), all on
                one GPU.

        Returns:
            `Scores`, NumPy arrays.

        Raises:
            ShapeError: If a suspect has another number of probes than the sources.
            BackendError: If the outputs are in several places, or not where this method runs.
            DeviceMemoryError: If a GPU has too little memory left.
        """
        suspects = _models("Detector.scores", "outputs", outputs, backend="auto")
        device = device_of(suspects[0]) if len(suspects) else None
        if device is not None:
            self._check_gpu(device)
        tie = TIE if device is None else GPU_TIE
        shape = (len(suspects), len(self._sources))
        score, z, p = (np.full(shape, np.nan) for _ in range(3))
        for i, suspect in enumerate(suspects if isinstance(suspects, list) else suspects[:1]):
            self._check_probes("Detector.scores", f"`outputs[{i}]`", suspect)
        own, same = usable_rows(suspects, constants=self.form != "outputs")
        masks = own & self._mask if len(suspects) else np.empty((0, self._probes), dtype=bool)
        dropped = self._probes - masks.sum(axis=1)
        reasons = [
            _reason(usable, self._probes, alike)
            for usable, alike in zip(own.sum(axis=1).tolist(), same.tolist(), strict=True)
        ]
        by_mask: dict[bytes, list[int]] = {}
        for i, (mask, reason) in enumerate(zip(masks, reasons, strict=True)):
            if reason is None:
                by_mask.setdefault(mask.tobytes(), []).append(i)
        signed = sign(self.method)
        for key, members in by_mask.items():
            mask = np.frombuffer(key, dtype=bool)
            try:
                frame = self._frame(mask)
            except (ArgumentError, NullBankError):  # all is well on all probes, but not on these
                for i in members:
                    reasons[i] = _TOO_LITTLE_LEFT
                continue
            score[members] = frame.scores(_taken(suspects, members, mask))
            for some, null in self._nulls_for(frame, suspects, members):
                p[some] = p_values(
                    signed * score[some],
                    signed * null,
                    self._codes.tolist(),
                    twins=len(self._bank) - self._members,
                    tie=tie,
                )
                z[some] = _z(signed * score[some], signed * null)
        for position in np.flatnonzero(np.isnan(score).any(axis=1)).tolist():
            reasons[position] = reasons[position] or _NOTHING_LEFT
        return Scores(score, z, p, 1.0 / (self.nulls + 1), dropped, tuple(reasons))

    def _check_gpu(self, device: int) -> None:
        """Raises if suspects on a GPU can't be compared there."""
        if self.method == "balanced":
            option = 'method="balanced"'
        elif self.form != "outputs":
            option = f'form="{self.form}"'
        else:
            return
        raise BackendError(
            f"Detector.scores: `outputs` must be in CPU memory for {option}, got a tensor on "
            f"cuda:{device}",
            hint="pass outputs.cpu()",
        )

    def null_scores_at(self, yes: float) -> _Float:
        """`null_scores` of the bank when it says only yes or no, yes to this share of the pairs."""
        null: _Float = self._frame(self._mask).null_at(yes).copy()
        return null

    def _nulls_for(
        self, frame: _Paper | _Inner, suspects: _Models, members: list[int]
    ) -> Iterator[tuple[list[int], _Float]]:
        """Suspects with the null scores that they are held against.

        Yes and no say less than scores, so their score is lower: the null must be as coarse. Rates
        of yes within a twentieth of one another share one.
        """
        by_rate: dict[float | None, list[int]] = {}
        for i in members:
            by_rate.setdefault(self._yes(suspects[i]), []).append(i)
        for rate, some in by_rate.items():
            yield some, frame.null if rate is None else frame.null_at(rate)

    def _yes(self, outputs: NDArray[Any]) -> float | None:
        """About the share of yes in decisions; None for what is no decisions."""
        if self.form == "outputs" or not _are_decisions(outputs):
            return None
        known = outputs[np.isfinite(outputs)]
        return math.exp(round(math.log(max(float(known.mean()), 1 / known.size)), 1))

    def _frame(self, mask: _Mask) -> _Paper | _Inner:
        """The sources and the bank on a subset of the probes; the latest few are kept."""
        key = mask.tobytes()
        if key not in self._frames:
            frame = _Paper if self.method == "paper" else _Inner
            sources = [outputs[mask] for outputs in self._sources]
            bank = [outputs[mask] for outputs in self._bank]
            self._frames[key] = frame(sources, bank, self)
            if len(self._frames) > _FRAMES_KEPT:
                del self._frames[next(k for k in self._frames if k != self._mask.tobytes())]
        self._frames.move_to_end(key)
        return self._frames[key]


class _Paper:
    """The papers' distance to each source."""

    def __init__(self, sources: list[Any], bank: list[Any], detector: Detector) -> None:
        self._center = detector.center
        self._sources = Fixed([np.asarray(correlation(sources, center=self._center))])
        self._bank = bank
        self.null = self.scores(bank)

    def null_at(self, yes: float) -> _Float:
        return self.scores(_decided(self._bank, yes))

    def scores(self, outputs: _Models) -> _Float:
        (sources,) = self._sources.beside("Detector.scores", outputs)
        distance = correlation_distance(outputs, sources, center=self._center)
        return on_host(distance).astype(np.float64)


class _Inner:
    """The partial score; "pearson" is the same with X = [1] and no ridge: the mean is removed."""

    def __init__(self, sources: list[Any], bank: list[Any], detector: Detector) -> None:
        self._center, self._direct = detector.center, detector.form == "direct"
        self._method: Method = detector.method
        self._leaves_out = self._method != "pearson"
        self._bank, self._left_out = bank, detector._left_out
        explained = bank if self._leaves_out else []
        ridge = detector.ridge if self._leaves_out else 0.0
        if self._direct:
            rows = np.stack([_flattened(scores) for scores in [*explained, *sources]])
            self._partial = PartialScore(rows, len(explained), ridge)
        else:
            models = compared([*explained, *sources], self._method)
            rows = np.asarray(correlation(models, center=self._center))
            self._partial = PartialScore(
                rows, len(explained), ridge, origins=models, center=self._center
            )
        null = self._partial.left_out(self._left_out) if self._leaves_out else self.scores(bank)
        empty = self._partial.empty_sources
        if empty and rows.shape[1] > 1:
            raise ArgumentError(
                f"Detector: `sources[{empty[0]}]` must relate the probes in some way that the null "
                "bank does not, got one that leaves nothing to compare with"
            )
        self.null = counting(null)

    def null_at(self, yes: float) -> _Float:
        if not self._bank:
            return self.null
        decided = _decided(self._bank, yes)
        if not self._leaves_out:
            return counting(self.scores(decided))
        if self._direct:
            packed = np.stack([_flattened(scores) for scores in decided])
        else:
            packed = packed_correlations(decided, self._method, self._center)
        return counting(self._partial.left_out(self._left_out, packed))

    def scores(self, outputs: _Models) -> _Float:
        if not self._direct and self._method != "balanced":
            return self._partial.scores(outputs)  # keeps nothing but the scores
        found = [np.empty((0, self._partial.sources))]
        for block in _blocks(outputs):
            if self._direct:
                rows = np.stack([_flattened(scores) for scores in block])
                found.append(self._partial.scores_of_rows(rows))
            else:
                found.append(self._partial.scores(compared(block, self._method)))
        return np.concatenate(found)


def compared(outputs: Sequence[NDArray[Any]], method: Method) -> list[NDArray[Any]]:
    """The outputs whose correlations a method compares."""
    if method == "balanced":
        return [balanced(one.astype(np.float64)) for one in outputs]
    return list(outputs)


def packed_correlations(
    outputs: Sequence[NDArray[Any]], method: Method, center: Center
) -> NDArray[np.float32]:
    """(S, P) packed correlations as a method compares them, of usable outputs (N, C_s)."""
    return np.asarray(correlation(compared(outputs, method), center=center))


def counting(null: _Float) -> _Float:
    """Null scores, where a member that can't be scored counts against every suspect."""
    counted: _Float = np.where(np.isnan(null), np.inf, null)
    return counted


def _are_decisions(outputs: NDArray[Any]) -> bool:
    return bool(np.isin(outputs[np.isfinite(outputs)], (0, 1)).all())


def _decided(bank: list[NDArray[Any]], yes: float) -> list[NDArray[Any]]:
    """Scores as decisions: 1.0 for the highest, a share `yes` of all, of equal ones the first.

    What is decisions already stays as it is.
    """
    decided = []
    for scores in bank:
        if _are_decisions(scores):
            decided.append(scores)
            continue
        flat = np.zeros(scores.size, dtype=np.float32)
        count = min(max(1, round(yes * scores.size)), scores.size)
        flat[np.argsort(-scores, axis=None, kind="stable")[:count]] = 1.0
        decided.append(flat.reshape(scores.shape))
    return decided


def _flattened(scores: NDArray[Any]) -> NDArray[np.float32]:
    """(N, R) scores as one row of N·R: double-centred, of length 1; zeros where all are equal."""
    _, power = np.frexp(np.abs(scores).max(initial=0.0))
    scores = np.ldexp(scores.astype(np.float64), -power)  # exact, and squares stay finite
    centred = scores - scores.mean(axis=0)
    centred -= centred.mean(axis=1, keepdims=True)
    length = float(np.sqrt((centred**2).sum()))
    row = np.zeros(scores.size, dtype=np.float32)
    if length > _ROUNDING * float(np.abs(scores).max(initial=0.0)) * math.sqrt(scores.size):
        row[:] = (centred / length).ravel()
    return row


def p_values(
    score: _Float,
    null: _Float,
    groups: Sequence[Hashable] | None,
    *,
    twins: int = 0,
    tie: float = TIE,
) -> _Float:
    """Conformal p-values (S, V), high scores extreme, where a null score within `tie` is a tie.

    The last `twins` members of the null are owner twins, one group. Being one, they hardly raise a
    p over a large bank, and every honest model that learnt the owner's data would be called stolen.
    So where a suspect scores no higher than k of them, p is also at least (1 + k) / (1 + twins).
    """
    p = conformal_p(score - tie, null, groups)
    if not twins:
        return p
    reached = (null[len(null) - twins :] >= (score - tie)[:, None]).sum(axis=1)
    raised: _Float = np.where(reached > 0, np.maximum(p, (1 + reached) / (1 + twins)), p)
    return raised


def usable_probes(outputs: NDArray[Any], form: Form = "outputs") -> _Mask:
    """(N, C) raw outputs -> (N,): False where a row is NaN, Inf or constant (max == min).

    Verification scores (the other forms) may be constant in a row: no to every pair is an answer.
    """
    mask: _Mask = usable_rows([outputs], constants=form != "outputs")[0][0]
    return mask


def not_comparable(outputs: NDArray[Any], usable: _Mask) -> str | None:
    """Why a model's outputs can't be compared ("answers ..."), or None where they can."""
    kept = outputs[usable]
    return _reason(len(kept), len(usable), bool((kept == kept[:1]).all()))


def _reason(usable: int, probes: int, same: bool) -> str | None:
    unusable = probes - usable
    if unusable > MAX_DROPPED * probes:
        return f"answers NaN, Inf or one constant on {unusable} of {probes} probes"
    if usable > 1 and same:
        return "answers the same on every probe"
    return None


def _models(function: str, name: str, outputs: Any, *, backend: str | None = None) -> _Models:
    """A batch (S, N, C) or a list of (N, C_s): float32 or float64, or tensors as they are."""
    many = isinstance(outputs, (list, tuple))
    named = [(f"{name}[{i}]", one) for i, one in enumerate(outputs)] if many else [(name, outputs)]
    given = [array(function, argument, one, backend=backend) for argument, one in named]
    if not many and len(given[0].shape) != 3:
        raise ShapeError(
            f"{function}: `{name}` must be (S, N, C) or a list of (N, C), got {given[0].shape}",
            hint="for one model pass outputs[None]",
        )
    shapes = [one.shape if many else one.shape[1:] for one in given if many or one.shape[0]]
    for i, shape in enumerate(shapes):
        if len(shape) != 2 or 0 in shape:
            raise ShapeError(
                f"{function}: `{name}[{i}]` must be (N, C) with N, C >= 1, got {shape}"
            )
    on_gpu = bool(given) and one_device(function, given) is not None
    models = [one.owner if on_gpu else numpy_of(one) for one in given]
    return models if many else models[0]


def _taken(models: _Models, members: list[int], mask: _Mask) -> _Models:
    """Some models on some probes; of a batch of which nothing is left out, the batch."""
    if not mask.all():
        kept = np.flatnonzero(mask)
        return [on_probes("Detector.scores", models[i], kept) for i in members]
    return models if len(members) == len(models) else [models[i] for i in members]


def _blocks(outputs: _Models) -> Iterator[list[NDArray[Any]]]:
    """Splits models so that what is made of a block, at twice the precision, stays small."""
    block: list[NDArray[Any]] = []
    for one in outputs:
        block.append(one)
        if len(block) * one.size * 8 >= _BLOCK_BYTES:
            yield block
            block = []
    if block:
        yield block


def _z(score: _Float, null: _Float) -> _Float:
    """Standard scores against the null bank; NaN where it has no finite spread."""
    if len(null) < 2:
        return np.full_like(score, np.nan)
    known = np.where(np.isfinite(null), null, np.nan)
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # a column without two known scores
        z: _Float = (score - np.nanmean(known, axis=0)) / np.nanstd(known, axis=0, ddof=1)
    return z
