"""Two models side by side: the question of one owner about one model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from sacfast.detector import Detector
from sacfast.errors import ArgumentError, ModelError
from sacfast.probes import ProbeSet
from sacfast.registry import Entry
from sacfast.scanning.engine import MEMORY, TIMEOUT
from sacfast.scanning.fingerprinting import fingerprint_models, key_of
from sacfast.scanning.judge import common_mode, mode_of, outputs_in_mode
from sacfast.scanning.plan import PathArgument
from sacfast.store import Store


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
    timeout: float = TIMEOUT,
    memory: int = MEMORY,
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
    kept = store if store is not None else Store(":memory:")
    records = fingerprint_models(
        [("source", entries[0]), ("suspect", entries[1])],
        opened,
        kept,
        timeout=timeout,
        memory=memory,
        progress=progress,
    )
    for record in records:
        if record.status != "ok":
            raise ModelError(f"compare: {record.name} gave no outputs: {record.reason}")
    fingerprints = [kept.fingerprint(key_of(record, opened)) for record in records]
    if store is None:
        kept.close()
    modes = [mode_of(fingerprint) for fingerprint in fingerprints]
    mode = common_mode(modes[0], modes[1:])
    if mode is None:
        reason = f"{modes[0]} can't be compared with {modes[1]}"
        return Comparison(str(a), str(b), str(modes[1]), math.nan, math.nan, 0, reason)
    first, second = (outputs_in_mode(fingerprint, mode) for fingerprint in fingerprints)
    pearson = Detector([first], [], method="pearson").scores([second])
    paper = Detector([first], [], method="paper").scores([second])
    return Comparison(
        str(a),
        str(b),
        str(mode),
        float(pearson.score[0, 0]),
        float(paper.score[0, 0]),
        int(pearson.dropped[0]),
        pearson.reasons[0],
    )
