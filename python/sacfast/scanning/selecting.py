"""Runs models on candidates, and lets their answers choose the probe set.

The models run as in a scan: once each, in worker processes with limits. One that fails costs a
warning, unless it is the owner's own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from sacfast.errors import ArgumentError, ModelError, NullBankError
from sacfast.fingerprint import Fingerprint
from sacfast.probes import ProbeSet
from sacfast.registry import Entry, list_models
from sacfast.scanning.casting import left_out
from sacfast.scanning.fingerprinting import fingerprint_models
from sacfast.scanning.limits import DEFAULT_LIMITS, Limits
from sacfast.scanning.plan import PathArgument
from sacfast.selection import How, check_selection, outputs_of, predicted, select_probes
from sacfast.store import ModelRecord, Store


@dataclass(frozen=True)
class Selection:
    """A probe set that models have chosen.

    Attributes:
        probes: The chosen probes.
        warnings: Sentences for people: models that took no part, and what looks wrong.
    """

    probes: ProbeSet
    warnings: tuple[str, ...]


def run_selection(
    candidates: ProbeSet | PathArgument,
    how: How,
    *,
    count: int = 200,
    source: PathArgument | None = None,
    surrogates: PathArgument | None = None,
    null_bank: PathArgument | None = None,
    classes: Sequence[str] | None = None,
    store: Store | None = None,
    limits: Limits = DEFAULT_LIMITS,
    progress: bool | None = None,
) -> Selection:
    """Runs models on the candidates and chooses by what they answer.

    Args:
        candidates: A `ProbeSet`, or the path of one.
        how, count, classes: As in `select_probes`.
        source: The owner's model.
        surrogates, null_bank: Directories of models. One that can't be run, names no classes, or
            tells another number of them apart than the others, is left out with a warning.
        store: Keeps what the models answer; None: forgotten.
        limits: What the workers may take.
        progress: Draw a progress bar; None: where standard error is a terminal.

    Returns:
        The chosen probes, and warnings.

    Raises:
        ArgumentError, ProbeError, NullBankError: As in `select_probes`; or a path is missing.
        ModelError: The source can't be used, or there are surrogates and none can.
    """
    given = {"source": source, "surrogates": surrogates, "null_bank": null_bank, "classes": classes}
    check_selection(how, count, {name: value is not None for name, value in given.items()})
    opened = candidates if isinstance(candidates, ProbeSet) else ProbeSet.open(candidates)
    models = [] if source is None else [("source", _entry(Path(source)))]
    for role, folder in (("surrogate", surrogates), ("null", null_bank)):
        models += [] if folder is None else [(role, entry) for entry in list_models(Path(folder))]
    with nullcontext(store) if store is not None else Store(":memory:") as kept:
        records = fingerprint_models(models, opened, kept, limits=limits, progress=progress)
        answers, reasons = _answers(records, kept, opened)
    for name, reason in reasons["source"].items():
        raise ModelError(f"select_probes: source {name} can't be used: {reason}")
    if surrogates is not None and not answers["surrogate"]:
        raise ModelError(
            "select_probes: `surrogates` must hold a model that can be used, got none in "
            f"{surrogates}{_first(reasons['surrogate'])}"
        )
    if null_bank is not None and len(answers["null"]) < 2:
        raise NullBankError(
            "select_probes: `null_bank` must hold at least 2 models that can be used, got "
            f"{len(answers['null'])} in {null_bank}{_first(reasons['null'])}"
        )
    probes = select_probes(
        opened,
        how,
        count=count,
        source=next(iter(answers["source"].values()), None),
        surrogates=list(answers["surrogate"].values()),
        null_bank=list(answers["null"].values()),
        classes=classes,
    )
    warnings = [f"surrogate {name} left out: {why}" for name, why in reasons["surrogate"].items()]
    warnings += left_out(reasons["null"])
    warnings += [_suspicious(own, probes, len(opened)) for own in answers["source"].values()]
    return Selection(probes, tuple(filter(None, warnings)))


def read_classes(path: PathArgument) -> list[str]:
    """The names of the classes in a file, one a line, in the order of the models' outputs.

    Raises:
        ArgumentError: The file can't be read.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ArgumentError(
            f"select_probes: `classes` must be a text file with one name a line, got {path} "
            f"({error})"
        ) from error
    return [line.strip() for line in lines if line.strip()]


def _answers(
    records: Sequence[ModelRecord], store: Store, candidates: ProbeSet
) -> tuple[dict[str, dict[str, Fingerprint]], dict[str, dict[str, str]]]:
    """By role and name, what models answered, and why the others take no part."""
    answers: dict[str, dict[str, Fingerprint]] = {"source": {}, "surrogate": {}, "null": {}}
    reasons: dict[str, dict[str, str]] = {role: {} for role in answers}
    numbers: Counter[int] = Counter()
    for record in records:
        if record.status != "ok":
            reasons[record.role][record.name] = record.reason
            continue
        fingerprint = store.fingerprint(record.key(candidates.digest))
        try:
            predicted(fingerprint, candidates)
        except ArgumentError:
            reasons[record.role][record.name] = f"it answers {record.outputs_kind}, not classes"
            continue
        answers[record.role][record.name] = fingerprint
        classes = outputs_of(fingerprint)
        if classes is not None:
            numbers[classes] += len(records) if record.role == "source" else 1
    usual = numbers.most_common(1)[0][0] if numbers else None  # the source's, where there is one
    for role, own in answers.items():
        for name in [name for name, one in own.items() if outputs_of(one) not in (None, usual)]:
            reasons[role][name] = f"it tells {outputs_of(own.pop(name))} classes apart, not {usual}"
    return answers, reasons


def _first(reasons: dict[str, str]) -> str:
    """The first of the reasons why models could not be used, to be added to an error."""
    return next((f" ({name}: {reason})" for name, reason in reasons.items()), "")


def _suspicious(source: Fingerprint, probes: ProbeSet, candidates: int) -> str:
    """A warning where the source seems to know nothing: the classes may be in another order."""
    right = probes.parameters["selection"]["right"]
    classes = outputs_of(source) or 2
    if right >= min(0.5, 2 / classes) * candidates:
        return ""
    return (
        f"the source is right about {right} of {candidates} candidates only: are `classes` in the "
        "order of its outputs?"
    )


def _entry(path: Path) -> Entry:
    if not path.exists():
        raise ArgumentError(f"select_probes: `source` must be the path of a model, got {path}")
    return Entry(name=path.name, path=path, group=path.name)
