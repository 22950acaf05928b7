"""A scan from end to end.

plan          who is compared, what the bank can show      plan.py, opens no model
fingerprint   every model once, in worker processes         fingerprinting.py, engine.py
judge         outputs to scores, p, q and verdicts          judge.py
keep          the scan's rows into the store, all at once   store.py
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from platform import python_version

from sacfast.detector import Method
from sacfast.errors import ModelError, NullBankError
from sacfast.fingerprint import Fingerprint
from sacfast.probes import ProbeSet
from sacfast.registry import Entry
from sacfast.scanning.engine import MEMORY, TIMEOUT
from sacfast.scanning.fingerprinting import fingerprint_models
from sacfast.scanning.judge import Judgement, judge, mode_of
from sacfast.scanning.plan import PathArgument, Plan, plan_scan
from sacfast.scanning.results import Scan, check_out
from sacfast.statistics import reach
from sacfast.store import VERDICTS, ModelRecord, PairRecord, ScanRecord, Store


def scan(
    registry: PathArgument,
    *,
    sources: PathArgument | Sequence[PathArgument],
    probes: ProbeSet | PathArgument,
    null_bank: PathArgument | Sequence[PathArgument],
    store: Store | PathArgument | None = None,
    out: PathArgument | None = None,
    groups: bool = True,
    fdr: float = 0.05,
    method: Method = "partial",
    ridge: float = 0.02,
    workers: int | None = None,
    timeout: float = TIMEOUT,
    memory: int = MEMORY,
    progress: bool | None = None,
) -> Scan:
    """Says which models of a registry are stolen copies of the sources, with error control.

    Args:
        registry: A directory of models: one folder a model (`config.json` +
            `model.safetensors`), or files of answers collected elsewhere.
        sources: The owner's model or models: paths, or names in the registry.
        probes: A `ProbeSet`, or the path of one.
        null_bank: A directory (or several) of models trained without the sources.
        store: A `Store` or the path of one; what it knows is not computed again. None: kept in
            memory and forgotten.
        out: Also write the rows here; .jsonl, .csv or .parquet.
        groups: Count null models of one parent folder (ORG/MODEL) as one draw.
        fdr: False discovery rate over all comparisons of this scan, in (0, 1).
        method, ridge: As in `Detector`; the papers' distance is reported beside it always.
        workers: Worker processes; None: one a core.
        timeout: Wall seconds that one model may take.
        memory: Bytes that one model may use beyond what the framework takes.
        progress: Draw a progress bar; None: where standard error is a terminal.

    Returns:
        A `Scan`. A suspect that can't be opened, crashes, hangs or answers nonsense is one row
        with a reason.

    Raises:
        ArgumentError: If an option or path can't be used.
        ModelError: If a source can't be run: without it there is nothing to compare with.
        NullBankError: If fewer than two usable null models are left, or the bank holds a source.
        ProbeError, StoreError: If the probes or the store can't be read.

    Example:
        >>> found = sacfast.scan("registry", sources="mine/resnet", probes="probes.safetensors",
        ...                      null_bank="independent")          # doctest: +SKIP
        >>> found.flagged                                          # doctest: +SKIP
        ['org/suspect-7']
    """
    if out is not None:
        check_out(Path(out))
    plan = plan_scan(
        registry,
        sources=sources,
        null_bank=null_bank,
        groups=groups,
        fdr=fdr,
        method=method,
        ridge=ridge,
    )
    opened = probes if isinstance(probes, ProbeSet) else ProbeSet.open(probes)
    holder = (
        nullcontext(store)
        if isinstance(store, Store)
        else Store(":memory:" if store is None else Path(store))
    )
    with holder as kept:
        found = run_plan(
            plan,
            opened,
            kept,
            workers=workers,
            timeout=timeout,
            memory=memory,
            progress=progress,
        )
    if out is not None:
        found.save(out)
    return found


def run_plan(
    plan: Plan,
    probes: ProbeSet,
    store: Store,
    *,
    workers: int | None = None,
    timeout: float = TIMEOUT,
    memory: int = MEMORY,
    progress: bool | None = None,
) -> Scan:
    """Carries out a plan; arguments, result and errors as in `scan`."""
    began = time.monotonic()
    models: list[tuple[str, Entry]] = [
        *(("source", entry) for entry in plan.sources),
        *(("null", entry) for entry in plan.null_bank),
        *(("suspect", entry) for entry in plan.suspects),
    ]
    records = fingerprint_models(
        models, probes, store, workers=workers, timeout=timeout, memory=memory, progress=progress
    )
    cast = _cast(records, plan)
    by_name = {record.name: record for record in cast.suspects}

    def outputs_of(record: ModelRecord) -> Fingerprint:
        return store.fingerprint(record.key(probes.digest))

    judged = judge(
        {record.name: mode_of(record) for record in cast.suspects},
        {record.name: outputs_of(record) for record in cast.sources},
        {record.name: outputs_of(record) for record in cast.null_bank},
        cast.groups,
        lambda name: outputs_of(by_name[name]),
        method=plan.method,
        ridge=plan.ridge,
        fdr=plan.fdr,
    )
    draws = len(set(cast.groups.values())) if judged.draws is None else judged.draws
    can_show = reach(draws, len(judged.pairs), plan.fdr)
    compared = {pair.suspect for pair in judged.pairs}
    not_compared = [
        PairRecord(record.name, "", "not comparable")
        for record in cast.records
        if record.role == "suspect"
        and record.name not in compared
        and record.status != "null model"
    ]
    number = store.add_scan(
        ScanRecord(
            probe_digest=probes.digest,
            facts={
                "registry": plan.registry,
                "method": plan.method,
                "ridge": plan.ridge,
                "fdr": plan.fdr,
                "grouped": plan.grouped,
                "reach": str(can_show),
                "p_floor": can_show.p_floor,
                "warnings": [*cast.warnings, *judged.warnings],
                "versions": versions(),
                "seconds": round(time.monotonic() - began, 3),
            },
            models=(*_annotated(cast.records, judged), *plan.left_out),
            pairs=_ranked([*judged.pairs, *not_compared]),
            nulls=tuple(judged.nulls),
        )
    )
    return Scan(store.scan(number))


@dataclass(frozen=True)
class _Casting:
    """Who plays which role once it is known which models gave outputs."""

    records: list[ModelRecord]
    sources: list[ModelRecord]
    null_bank: list[ModelRecord]
    suspects: list[ModelRecord]
    groups: dict[str, str]
    warnings: list[str]


def _cast(records: list[ModelRecord], plan: Plan) -> _Casting:
    """Settles the roles: a source must have run, a null model that did not is left out, and a
    file that is byte for byte a source or a null model is recognised."""
    warnings: list[str] = []
    sources: dict[str, ModelRecord] = {}
    for record in records:
        if record.role == "source":
            if record.status != "ok":
                raise ModelError(f"scan: source {record.name} gave no outputs: {record.reason}")
            sources.setdefault(record.model_digest, record)
    nulls: dict[str, ModelRecord] = {}
    for record in (record for record in records if record.role == "null"):
        if record.status != "ok":
            warnings.append(f"null model {record.name} left out: {record.reason}")
        elif record.model_digest in sources:
            raise NullBankError(
                "scan: `null_bank` must hold independent models only, got "
                f"{record.name}, byte-identical to source {sources[record.model_digest].name}"
            )
        elif record.model_digest in nulls:
            twin = nulls[record.model_digest].name
            warnings.append(f"null model {record.name} left out: byte-identical to {twin}")
        else:
            nulls[record.model_digest] = record
    suspects, noted = [], []
    for record in records:
        if record.role == "suspect" and record.status == "ok":
            if record.model_digest in nulls:
                reason = f"byte-identical to null model {nulls[record.model_digest].name}"
                record = replace(record, status="null model", reason=reason)
            elif record.model_digest in sources:
                reason = f"byte-identical to source {sources[record.model_digest].name}"
                record = replace(record, reason=reason)
            if record.status == "ok":
                suspects.append(record)
        noted.append(record)
    group_of = dict(zip((e.name for e in plan.null_bank), plan.null_groups(), strict=True))
    groups = {record.name: group_of[record.name] for record in nulls.values()}
    return _Casting(noted, list(sources.values()), list(nulls.values()), suspects, groups, warnings)


def _annotated(records: list[ModelRecord], judged: Judgement) -> list[ModelRecord]:
    """The records with what judging found out about the suspects."""
    return [
        replace(
            record,
            reason=record.reason or judged.reasons.get(record.name, ""),
            dropped=judged.dropped.get(record.name, 0),
        )
        if record.role == "suspect"
        else record
        for record in records
    ]


def _ranked(pairs: list[PairRecord]) -> tuple[PairRecord, ...]:
    """Most pressing first: by verdict, then by q, p and z."""

    def rank(pair: PairRecord) -> tuple[float, ...]:
        numbers = (pair.q, pair.p, -pair.z)
        return (VERDICTS.index(pair.verdict), *(math.inf if n != n else n for n in numbers))

    return tuple(sorted(pairs, key=rank))


def versions() -> dict[str, str]:
    """The versions of everything that shapes a result, without importing any of it."""
    found = {"python": python_version()}
    for package in ("sacfast", "numpy", "scipy", "pillow", "torch", "timm", "safetensors"):
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found
