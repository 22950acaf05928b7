"""Two models side by side: the question of one owner about one model."""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sacfast.detector import Detector, Form, Method
from sacfast.errors import ArgumentError, ModelError
from sacfast.fingerprint import Fingerprint
from sacfast.kernels.canonical import center_of
from sacfast.probes import ProbeSet
from sacfast.registry import Entry
from sacfast.scanning.fingerprinting import fingerprint_models
from sacfast.scanning.limits import Limits
from sacfast.scanning.modes import about_faces, compared_in, fit, mode_of
from sacfast.scanning.plan import PathArgument
from sacfast.store import Store

_METHODS: tuple[Method, Method] = ("pearson", "paper")


@dataclass(frozen=True)
class Comparison:
    """How alike two models relate the probes to one another.

    Attributes:
        a, b: The models as they were named.
        mode: The access mode in which they were compared.
        pearson: Correlation of their two packed correlations (double centring); 1 = the same
            structure. Independent models share much of it: only a null bank says how much is
            unusual.
        distance: The papers' distance (no centring); 0 = the same structure.
        dropped: Probes not used.
        reason: Why they could not be compared, None where they could.
    """

    a: str
    b: str
    mode: str
    pearson: float
    distance: float
    dropped: int
    reason: str | None


def compare(
    a: PathArgument,
    b: PathArgument,
    *,
    probes: ProbeSet | PathArgument,
    store: Store | None = None,
    timeout: float = Limits.timeout,
    memory: int = Limits.memory,
    progress: bool | None = None,
) -> Comparison:
    """Compares two models without a null bank; for a verdict with error control use `scan`.

    Args:
        a, b: Paths of models.
        probes: A `ProbeSet`, or the path of one.
        store: Keeps the fingerprints; None: forgotten.
        timeout, memory, progress: As in `scan`.

    Returns:
        A `Comparison`; pearson and distance are NaN where `reason` says why.

    Raises:
        ArgumentError: If a path is missing.
        ModelError: If a model can't be run.
        ProbeError: If the probes can't be read.
    """
    entries = []
    for path in (Path(a), Path(b)):
        if not path.exists():
            raise ArgumentError(f"compare: `a` and `b` must be paths of models, got {path}")
        entries.append(Entry(name=path.name, path=path, group=path.name))
    opened = probes if isinstance(probes, ProbeSet) else ProbeSet.open(probes)
    with nullcontext(store) if store is not None else Store(":memory:") as kept:
        records = fingerprint_models(
            [("source", entries[0]), ("suspect", entries[1])],
            opened,
            kept,
            limits=Limits(timeout=timeout, memory=memory),
            progress=progress,
        )
        for record in records:
            if record.status != "ok":
                raise ModelError(f"compare: {record.name} gave no outputs: {record.reason}")
        first, second = (kept.fingerprint(record.key(opened.digest)) for record in records)
    return _compared(str(a), str(b), first, second, opened.references)


def _compared(
    a: str, b: str, first: Fingerprint, second: Fingerprint, references: int
) -> Comparison:
    mode = compared_in(mode_of(second), [mode_of(first)], references)
    if mode is None:
        reason = f"{mode_of(first)} can't be compared with {mode_of(second)}"
        return Comparison(a, b, str(mode_of(second)), math.nan, math.nan, 0, reason)
    outputs = []
    for name, fingerprint in ((a, first), (b, second)):
        given, unfit = fit(fingerprint, mode, references)
        if unfit is not None:
            return Comparison(a, b, str(mode), math.nan, math.nan, 0, f"{name} {unfit}")
        outputs.append(given)
    faces = about_faces([mode], references)
    center: Any = None if faces else center_of(mode.kind)
    form: Form = "fri" if faces else "outputs"
    pearson, paper = (
        Detector(outputs[:1], [], method=method, center=center, form=form).scores(outputs[1:])
        for method in _METHODS
    )
    return Comparison(
        a,
        b,
        str(mode),
        float(pearson.score[0, 0]),
        float(paper.score[0, 0]),
        int(pearson.dropped[0]),
        pearson.reasons[0],
    )
