"""Is the null bank what it must be: models that are independent of the sources and of one another?

A bank's mistakes are quiet ones. A stolen copy in it hides other copies, because what it shares
with the source counts as explained. A model that stands in it twice explains its twin, whose null
score then looks more innocent than any suspect's can. So the bank is looked over once a scan, in
the sources' own access mode:

    the same answers as a source           an error
    the same answers as another member     left out
    nearly those of another group's member left out: no draw of its own
    far closer to a source than the rest   a warning: it may be a copy
    an owner twin that is nearly a source  a warning: it is a copy, not another seed

To find copies that hide one another, the members nearest to a source are scored against the rest,
as suspects are. Measured on networks for CIFAR-10 with a bank of 128, twins of the sources among
them: no innocent is named, every copy by fine-tuning, a new head, int8 or pruning of 20 % is;
heavily pruned and most extracted ones are not. With 15 to 40 members no innocent is named either.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sacfast.access import Mode, common_mode
from sacfast.detector import Detector
from sacfast.errors import NullBankError, SacfastError
from sacfast.fingerprint import Fingerprint
from sacfast.kernels.canonical import center_of
from sacfast.scanning.casting import TELLING, left_out
from sacfast.scanning.modes import fit, mode_of
from sacfast.scanning.plan import OWNER_TWINS
from sacfast.text import one_line

#: Kinds fine enough that nearly equal numbers mean one model.
_FINE = (*TELLING, "probs", "scores")

#: Pearson correlation from which two members answer as one model does: the same weights to 6 bits
#: have 0.999, independent networks of one task at most 0.9, a fine-tuned one and its origin 0.98.
_SAME = 0.99

#: A member stands out with a score above the first, and so many robust standard deviations above
#: the rest. A small rest explains little, and honest twins of a source score higher for it: the
#: second, divided by the size of the rest, is added to the first.
_OUT_SCORE, _OUT_SMALL, _OUT_Z = 0.5, 2.5, 4.0

#: The share of the bank that is scored against the rest, which must be so large at least.
_NEAREST, _FEWEST = 0.1, 8

#: As many probes tell as well as all.
_PROBES = 300

_TOLD_SINGLY = 3


class _Known(NamedTuple):
    """Models that can be compared, by name, in one mode and on some of the probes."""

    names: list[str]
    outputs: list[NDArray[Any]]


def looked_over(
    sources: Mapping[str, Fingerprint],
    null_bank: Mapping[str, Fingerprint],
    groups: Mapping[str, str],
) -> tuple[dict[str, Fingerprint], list[str]]:
    """The members of a null bank that can serve, owner twins last, and warnings about the bank.

    Args:
        sources, null_bank: Fingerprints by name, all on one probe set.
        groups: The group of every member; that of owner twins is `OWNER_TWINS`.

    Raises:
        NullBankError: If a member gives the very answers of a source.
    """
    bank, same = _without_same_answers(sources, null_bank)
    twins = {name: bank.pop(name) for name in list(bank) if groups[name] == OWNER_TWINS}
    bank_and_twins = {**bank, **twins}
    mode = common_mode(mode_of(fingerprint) for fingerprint in sources.values())
    warnings = []
    if mode is not None and len({mode_of(fingerprint) for fingerprint in sources.values()}) > 1:
        warnings.append(
            f"the sources answer in several forms, so all is compared as {mode}, the coarsest; "
            "scan them one by one to use each one's own"
        )
    if mode is None or len(bank) < 2:
        return bank_and_twins, left_out(same) + warnings
    try:
        nearly, copies = _compared(mode, sources, bank, groups)
        copies += _no_twins(mode, sources, twins)
    except SacfastError as error:
        told = f"the null bank was not looked over for copies: {one_line(error.message, 300)}"
        return bank_and_twins, [*left_out(same), *warnings, told]
    for name in nearly:
        del bank_and_twins[name]
    return bank_and_twins, left_out(same | nearly) + warnings + copies


def _without_same_answers(
    sources: Mapping[str, Fingerprint], null_bank: Mapping[str, Fingerprint]
) -> tuple[dict[str, Fingerprint], dict[str, str]]:
    """The bank without those that answer as another does to the bit, and who they are."""
    seen = {_answers(fingerprint): name for name, fingerprint in sources.items()}
    bank: dict[str, Fingerprint] = {}
    same: dict[str, str] = {}
    for name, fingerprint in null_bank.items():
        first = seen.setdefault(_answers(fingerprint), name)
        if first == name or mode_of(fingerprint).kind not in _FINE:
            bank[name] = fingerprint
        elif first in sources:
            raise NullBankError(
                "scan: `null_bank` must hold independent models only, got "
                f"{name}, which gives the very answers of source {first}",
                hint="keep sources and their copies out of the null bank",
            )
        else:
            same[name] = f"gives the very answers of {first}"
    return bank, same


def _answers(fingerprint: Fingerprint) -> str:
    head = f"{fingerprint.key.outputs_kind} {fingerprint.outputs.shape}\0"
    return hashlib.sha256(head.encode() + fingerprint.outputs.tobytes()).hexdigest()


def _compared(
    mode: Mode,
    sources: Mapping[str, Fingerprint],
    bank: Mapping[str, Fingerprint],
    groups: Mapping[str, str],
) -> tuple[dict[str, str], list[str]]:
    """Members that are nearly another, with the reason, and warnings about likely copies."""
    center: Any = center_of(mode.kind)
    owners, members = _known(mode, sources), _known(mode, bank)
    if len(owners.names) < len(sources) or len(members.names) < 2:
        return {}, []  # the scan itself will say so
    everyone = [*owners.outputs, *members.outputs]
    near = Detector(everyone, [], method="pearson", center=center).scores(members.outputs).score
    to_sources, to_members = near[:, : len(owners.names)], near[:, len(owners.names) :]
    nearly: dict[str, str] = {}
    if mode.kind in _FINE:
        for j, name in enumerate(members.names):
            twin = next((i for i in range(j) if _is_twin(i, j, members, to_members, groups)), None)
            if twin is not None and members.names[twin] not in nearly:
                nearly[name] = f"answers nearly as {members.names[twin]}: not a draw of its own"
    kept = [i for i, name in enumerate(members.names) if name not in nearly]
    names = [members.names[i] for i in kept]
    outputs = [members.outputs[i] for i in kept]
    copies = [
        told
        for v, owner in enumerate(owners.names)
        for told in _standing_out(
            owner,
            owners.outputs[v],
            _Known(names, outputs),
            to_sources[kept, v],
            [groups[name] for name in names],
            center,
        )
    ]
    if len(copies) > _TOLD_SINGLY:
        more = f"{len(copies) - _TOLD_SINGLY} more null models look like copies of a source"
        copies = [*copies[:_TOLD_SINGLY], more]
    return nearly, copies


def _no_twins(
    mode: Mode, sources: Mapping[str, Fingerprint], twins: Mapping[str, Fingerprint]
) -> list[str]:
    """Warnings about owner twins that answer as a source does: no other seed comes so near."""
    owners, members = _known(mode, sources), _known(mode, twins)
    if mode.kind not in _FINE or not (owners.names and members.names):
        return []
    center: Any = center_of(mode.kind)
    detector = Detector(owners.outputs, [], method="pearson", center=center)
    near = detector.scores(members.outputs).score
    return [
        f"owner twin {name} answers nearly as source {owner}: with a copy for a twin no other copy "
        "can be told from it. Train twins anew, from another seed"
        for name, row in zip(members.names, near, strict=True)
        for owner, score in zip(owners.names, row, strict=True)
        if score >= _SAME
    ]


def _is_twin(
    i: int, j: int, members: _Known, near: NDArray[np.float64], groups: Mapping[str, str]
) -> bool:
    """Whether two members of different groups answer as one model does."""
    return bool(
        near[j, i] >= _SAME and groups[members.names[i]] != groups[members.names[j]]
    )  # one group's members are left out of the bank together, and count as one draw already


def _standing_out(
    owner: str,
    source: NDArray[Any],
    members: _Known,
    near: NDArray[np.float64],
    groups: Sequence[str],
    center: Any,
) -> list[str]:
    """Warnings about the members nearest to a source, if they are far nearer than the rest."""
    order = np.argsort(-near, kind="stable").tolist()
    nearest, rest = order[: (n := math.ceil(_NEAREST * len(order)))], order[n:]
    if len(rest) < _FEWEST:
        return []
    detector = Detector(
        [source],
        [members.outputs[i] for i in rest],
        groups=[groups[i] for i in rest],
        center=center,
    )
    null = detector.null_scores[:, 0]
    null = null[np.isfinite(null)]
    if not null.size:  # two probes, in which nothing can be scored
        return []
    middle = float(np.median(null))
    spread = 1.4826 * float(np.median(np.abs(null - middle)))  # a normal distribution's sd
    scores = detector.scores([members.outputs[i] for i in nearest]).score[:, 0]
    limit = max(_OUT_SCORE + _OUT_SMALL / len(rest), middle + _OUT_Z * spread)
    return [
        f"null model {members.names[i]} looks like a copy of source {owner}: score {score:.2f}, "
        f"where the rest of the bank has {middle:.2f} ± {spread:.2f}. If it is one, take it out of "
        "the null bank, in which it hides other copies; an honest twin of the source may stay"
        for i, score in zip(nearest, scores.tolist(), strict=True)
        if score > limit
    ]


def _known(mode: Mode, models: Mapping[str, Fingerprint]) -> _Known:
    """The models that can be compared in a mode, on at most `_PROBES` probes."""
    known = _Known([], [])
    for name, fingerprint in models.items():
        outputs, unfit = fit(fingerprint, mode)
        if unfit is None:
            step = math.ceil(len(outputs) / _PROBES)
            known.names.append(name)
            known.outputs.append(outputs[::step])
    return known
