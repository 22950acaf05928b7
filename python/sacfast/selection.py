"""Probes chosen by what models answer: out of many candidates those that tell models apart.

A probe set says little where every model is sure of itself. SAC (NeurIPS 2022) therefore takes
images that the owner's model gets wrong, alone (SAC-source) or together with surrogates of it
(SAC-w): an innocent model has no reason to get them wrong in the same way. "misclassified" does
that and needs labels. "informative" is ours and needs none: it takes the images about whose class
a null bank of independent models disagrees most.

This module works on answers that are there already; `scanning.selecting` gets them from models.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from sacfast.errors import ArgumentError, NullBankError, ProbeError
from sacfast.fingerprint import Fingerprint
from sacfast.kernels.canonical import access_mode
from sacfast.kinds import LADDER
from sacfast.probes import ProbeSet

How = Literal["misclassified", "informative"]

_Labels = NDArray[np.int64]
_Places = NDArray[np.intp]


def select_probes(
    candidates: ProbeSet,
    how: How,
    *,
    count: int = 200,
    source: Fingerprint | None = None,
    surrogates: Sequence[Fingerprint] = (),
    null_bank: Sequence[Fingerprint] = (),
    classes: Sequence[str] | None = None,
) -> ProbeSet:
    """The candidates that tell most, by what models answered on all of them.

    Args:
        candidates: A probe set to choose from, some times as large as `count` and of the kind that
            is wanted: the chosen images are not changed any more.
        how: "misclassified": the first candidates, in their order, that the source and every
            surrogate get wrong (SAC-source without surrogates, SAC-w with them). "informative"
            [ours]: those about whose class the most pairs of models of the null bank disagree, of
            equal ones the earlier; one on which all agree is never chosen.
        count: How many probes, at least 2.
        source: "misclassified": what the owner's model answered on the candidates.
        surrogates: "misclassified": what its surrogates answered, e.g. models that the owner
            extracted from it.
        null_bank: "informative": what the independent models answered; two or more.
        classes: "misclassified": the labels of the candidates in the order of the models'
            outputs. None: labels that are whole numbers are the numbers of the outputs; other
            labels, if there are as many as outputs, are those of the outputs in sorted order.

    Returns:
        The chosen probes, in the order of the candidates. The parameters gain an entry
        "selection": the candidates' digest, `how`, and the digests of the models; for
        "misclassified" also how many candidates the source got right.

    Raises:
        ArgumentError: An argument is missing, or does not go with `how`; or answers are of another
            probe set, of a form that names no class, or about another number of classes.
        ProbeError: The candidates hold reference images, have no labels or labels that are not the
            models' classes, or fewer than `count` of them qualify; the message says how many do.
        NullBankError: The null bank has fewer than two models.

    Source: SAC (arXiv 2210.15427) for "misclassified", whose labels the authors take from their
    data loader: the rules for `classes` are ours.
    """
    given = {
        "source": source is not None,
        "surrogates": bool(surrogates),
        "null_bank": bool(null_bank),
        "classes": classes is not None,
    }
    check_selection(how, count, given)
    if candidates.references:
        raise ProbeError(
            "select_probes: `candidates` must hold probes alone, got a set that begins with "
            f"{candidates.references} reference images"
        )
    if source is not None:
        qualified, record = _misclassified(candidates, source, surrogates, classes)
        by = "the source and every surrogate get" if surrogates else "the source gets"
        which = f"that {by} wrong"
    else:
        qualified, record = _informative(candidates, null_bank)
        which = "about which two models of the null bank disagree"
    if len(qualified) < count:
        raise ProbeError(
            f"select_probes: `count` is {count}, but of {len(candidates)} candidates there are "
            f"{len(qualified)} {which}",
            hint="more candidates, or harder ones: another kind, a higher severity",
        )
    chosen = np.sort(qualified[:count]).tolist()
    labels = candidates.labels
    return ProbeSet(
        pixels=candidates.pixels[chosen],
        kind=candidates.kind,
        parameters={
            **candidates.parameters,
            "selection": {"candidates": candidates.digest, "how": how, **record},
        },
        sources=tuple(candidates.sources[i] for i in chosen),
        labels=None if labels is None else tuple(labels[i] for i in chosen),
        versions=candidates.versions,
    )


def check_selection(how: str, count: object, given: dict[str, bool]) -> None:
    """Raises unless `count` is one and the arguments that are given go with `how`."""
    if how not in get_args(How):
        raise ArgumentError(
            f"select_probes: `how` must be 'misclassified' or 'informative', got {how!r}"
        )
    if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 2:
        raise ArgumentError(
            f"select_probes: `count` must be a whole number of at least 2, got {count!r}"
        )
    needed = "source" if how == "misclassified" else "null_bank"
    if not given[needed]:
        error = ArgumentError if needed == "source" else NullBankError
        raise error(f"select_probes: `{needed}` must be given for how={how!r}, got none")
    allowed = ("source", "surrogates", "classes") if needed == "source" else ("null_bank",)
    for name, is_given in given.items():
        if is_given and name not in allowed:
            raise ArgumentError(f"select_probes: `{name}` must not be given for how={how!r}")


def disagreement(votes: _Labels) -> NDArray[np.float64]:
    """How much models disagree about each probe: the share of pairs that name different classes.

    Args:
        votes: (m, N) the classes that m models name; negative for no answer.

    Returns:
        (N,) in [0, 1], over the pairs that both answered; 0 where fewer than two did.
    """
    shares = np.zeros(votes.shape[1])
    for i, own in enumerate(votes.T):
        _, named = np.unique(own[own >= 0], return_counts=True)
        pairs = named.sum() * (named.sum() - 1)
        if pairs:
            shares[i] = 1 - (named * (named - 1)).sum() / pairs
    return shares


def predicted(fingerprint: Fingerprint, candidates: ProbeSet, name: str = "`outputs`") -> _Labels:
    """The class that a model names for every candidate; negative where it gives no answer.

    Raises:
        ArgumentError: The fingerprint is of other probes, or of a form that names no class.
    """
    key = fingerprint.key
    if key.probe_digest != candidates.digest or len(fingerprint.outputs) != len(candidates):
        raise ArgumentError(
            f"select_probes: {name} must be answers on the {len(candidates)} candidates (digest "
            f"{candidates.digest[:12]}), got {len(fingerprint.outputs)} on "
            f"{key.probe_digest[:12] or 'unknown probes'}"
        )
    if key.outputs_kind not in LADDER:
        raise ArgumentError(
            f"select_probes: {name} must name classes ({', '.join(LADDER)}), got {key.outputs_kind}"
        )
    labels = access_mode(fingerprint.outputs, key.outputs_kind, "labels")
    return np.asarray(labels, dtype=np.int64)


def outputs_of(fingerprint: Fingerprint) -> int | None:
    """How many classes a model tells apart; None where it gives labels only."""
    return None if fingerprint.outputs.ndim == 1 else int(fingerprint.outputs.shape[1])


def _misclassified(
    candidates: ProbeSet,
    source: Fingerprint,
    surrogates: Sequence[Fingerprint],
    classes: Sequence[str] | None,
) -> tuple[_Places, dict[str, Any]]:
    """The candidates that all of the models get wrong, and what identifies the choice."""
    names = ["`source`", *(f"`surrogates[{i}]`" for i in range(len(surrogates)))]
    models = dict(zip(names, (source, *surrogates), strict=True))
    answers = [predicted(one, candidates, name) for name, one in models.items()]
    truth = _truth(candidates, classes, _common_outputs(models))
    wrong = np.all([(own != truth) & (own >= 0) for own in answers], axis=0)
    return np.flatnonzero(wrong), {
        "source": source.key.model_digest,
        "right": int((answers[0] == truth).sum()),
        "surrogates": [one.key.model_digest for one in surrogates],
    }


def _informative(
    candidates: ProbeSet, null_bank: Sequence[Fingerprint]
) -> tuple[_Places, dict[str, Any]]:
    """The candidates that the bank disagrees about, the most disputed first, and by whom."""
    if len(null_bank) < 2:
        raise NullBankError(
            f"select_probes: `null_bank` must hold at least 2 models, got {len(null_bank)}"
        )
    models = {f"`null_bank[{i}]`": one for i, one in enumerate(null_bank)}
    _common_outputs(models)
    votes = [predicted(one, candidates, name) for name, one in models.items()]
    disputed = disagreement(np.stack(votes))
    order = np.argsort(-disputed, kind="stable")
    record = {"null_bank": [one.key.model_digest for one in null_bank]}
    return order[disputed[order] > 0], record


def _common_outputs(models: dict[str, Fingerprint]) -> int | None:
    """The number of outputs that all models have; None where all give labels."""
    by_number: dict[int, str] = {}
    for name, one in models.items():
        number = outputs_of(one)
        if number is not None:
            by_number.setdefault(number, name)
    if len(by_number) > 1:
        told = " and ".join(f"{name} with {number}" for number, name in by_number.items())
        raise ArgumentError(f"select_probes: models must tell the same classes apart, got {told}")
    return next(iter(by_number), None)


def _truth(candidates: ProbeSet, classes: Sequence[str] | None, outputs: int | None) -> _Labels:
    """The number of each candidate's class among the models' outputs."""
    labels = candidates.labels
    if labels is None:
        raise ProbeError(
            "select_probes: how='misclassified' needs the class of every candidate, and these "
            "candidates have no labels",
            hint="build them from one sub-folder per class, or with labels=[...]",
        )
    numbers = _numbers(sorted(set(labels)), classes, outputs)
    truth = np.array([numbers[name] for name in labels], dtype=np.int64)
    if outputs is not None and max(numbers.values()) >= outputs:
        raise ProbeError(
            f"select_probes: the candidates' classes must be among the models' {outputs} outputs, "
            f"counted from 0, got class number {max(numbers.values())}",
            hint="classes=[...] with the names in the order of the outputs",
        )
    return truth


def _numbers(
    found: list[str], classes: Sequence[str] | None, outputs: int | None
) -> dict[str, int]:
    """The number of each class that was found among the candidates, by its name."""
    if classes is not None:
        absent = [name for name in found if name not in classes]
        if absent or len(set(classes)) < len(classes):
            what = f"none for {absent[0]!r}" if absent else "one name twice"
            raise ArgumentError(
                "select_probes: `classes` must hold one name for each output, every label of the "
                f"candidates among them, got {len(classes)} with {what}"
            )
        return {name: number for number, name in enumerate(classes)}
    if all(name.isascii() and name.isdigit() for name in found):
        return {name: int(name) for name in found}
    if len(found) == outputs:
        return {name: number for number, name in enumerate(found)}
    told = "give labels only" if outputs is None else f"have {outputs} outputs"
    raise ProbeError(
        f"select_probes: the candidates have {len(found)} classes ({found[0]!r} …) and the models "
        f"{told}, so which class is which can't be told",
        hint="classes=[...] with the names in the order of the outputs",
    )
