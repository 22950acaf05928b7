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
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from platform import python_version
from typing import Any

from sacfast.detector import Form, Method, method_for
from sacfast.fingerprint import Fingerprint
from sacfast.probes import ProbeSet
from sacfast.progress import progress_bar
from sacfast.registry import Entry
from sacfast.scanning.casting import Cast, cast_models
from sacfast.scanning.fingerprinting import fingerprint_models
from sacfast.scanning.judge import Judgement, judge
from sacfast.scanning.limits import DEFAULT_LIMITS, Limits
from sacfast.scanning.modes import mode_of
from sacfast.scanning.plan import PathArgument, Plan, plan_scan
from sacfast.scanning.results import Scan, check_out
from sacfast.statistics import reach
from sacfast.store import VERDICTS, ModelRecord, PairRecord, ScanRecord, Store

#: Fewer probes than this are warned of (docs/probes.md, How many).
FEW_PROBES = 50


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
    form: Form = "direct",
    owner_twins: PathArgument | Sequence[PathArgument] = (),
    workers: int | None = Limits.workers,
    timeout: float = Limits.timeout,
    memory: int = Limits.memory,
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
        form: How verification models are compared, on a set of `face_probes`: by their scores
            against its reference images ("direct") or by the correlation of these ("fri").
        owner_twins: Directories of models that the owner trained on the sources' own data with
            other seeds, as in `Detector`.
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
        form=form,
        owner_twins=owner_twins,
    )
    opened = probes if isinstance(probes, ProbeSet) else ProbeSet.open(probes)
    holder = (
        nullcontext(store)
        if isinstance(store, Store)
        else Store(":memory:" if store is None else Path(store))
    )
    with holder as kept:
        limits = Limits(workers, timeout, memory)
        found = run_plan(plan, opened, kept, limits=limits, progress=progress)
    if out is not None:
        found.save(out)
    return found


def run_plan(
    plan: Plan,
    probes: ProbeSet,
    store: Store,
    *,
    limits: Limits = DEFAULT_LIMITS,
    progress: bool | None = None,
) -> Scan:
    """Carries out a plan; arguments, result and errors as in `scan`."""
    began = time.monotonic()
    models: list[tuple[str, Entry]] = [
        *(("source", entry) for entry in plan.sources),
        *(("null", entry) for entry in plan.null_bank),
        *(("suspect", entry) for entry in plan.suspects),
    ]
    records = fingerprint_models(models, probes, store, limits=limits, progress=progress)
    cast = cast_models(records, plan)
    by_name = {record.name: record for record in cast.suspects}

    def outputs_of(record: ModelRecord) -> Fingerprint:
        return store.fingerprint(record.key(probes.digest))

    with progress_bar("Comparing", len(by_name), progress) as advance:

        def fetch(name: str) -> Fingerprint:
            advance(name)
            return outputs_of(by_name[name])

        judged = judge(
            {record.name: mode_of(record) for record in cast.suspects},
            {record.name: outputs_of(record) for record in cast.sources},
            {record.name: outputs_of(record) for record in cast.null_bank},
            cast.groups,
            fetch,
            method=plan.method,
            ridge=plan.ridge,
            fdr=plan.fdr,
            references=probes.references,
            form=plan.form,
        )
    number = store.add_scan(
        ScanRecord(
            probe_digest=probes.digest,
            facts=_facts(plan, probes, cast, judged)
            | {"seconds": round(time.monotonic() - began, 3)},
            models=_models(records, plan, cast, judged),
            pairs=_pairs(plan, cast, judged),
            nulls=tuple(judged.nulls),
        )
    )
    return Scan(store.scan(number))


def _facts(plan: Plan, probes: ProbeSet, cast: Cast, judged: Judgement) -> dict[str, Any]:
    draws = len(set(cast.groups.values())) if judged.draws is None else judged.draws
    tested = sum(not math.isnan(pair.p) for pair in judged.pairs)
    can_show = reach(draws, tested, plan.fdr)
    return {
        "registry": plan.registry,
        "method": method_for(plan.method, mode_of(cast.sources[0]).kind),
        "ridge": plan.ridge,
        "fdr": plan.fdr,
        "grouped": plan.grouped,
        "reach": str(can_show),
        "p_floor": can_show.p_floor,
        "warnings": [*_few(probes), *cast.warnings, *judged.warnings],
        "versions": _versions(),
    }


def _few(probes: ProbeSet) -> list[str]:
    """A warning where there are too few probes for a verdict to be worth much."""
    asked = len(probes) - probes.references
    if asked >= FEW_PROBES:
        return []
    return [
        f"{asked} probes are few: below {FEW_PROBES} a copy that was extracted or pruned can pass "
        "for innocent (100 to 200 suffice)"
    ]


def _models(
    records: list[ModelRecord], plan: Plan, cast: Cast, judged: Judgement
) -> tuple[ModelRecord, ...]:
    """Every model of the scan, with what casting and judging found out about the suspects."""
    suspects = [
        replace(
            record,
            reason="; ".join(filter(None, [record.reason, judged.reasons.get(judged_as)])),
            dropped=judged.dropped.get(judged_as, 0),
        )
        for record, judged_as in (*((own, own.name) for own in cast.suspects), *cast.twins)
    ]
    known = [record for record in records if record.role != "suspect"]
    return (*known, *suspects, *cast.others, *plan.left_out)


def _pairs(plan: Plan, cast: Cast, judged: Judgement) -> tuple[PairRecord, ...]:
    """One comparison a suspect and source, and one row for each suspect that was not compared."""
    copies = {record.name: record.copy_of for record in cast.suspects if record.copy_of}
    compared: dict[str, list[PairRecord]] = {}
    for pair in judged.pairs:
        if copies.get(pair.suspect) == pair.source and pair.verdict != "stolen":
            pair = replace(pair, verdict="suspicious")
        compared.setdefault(pair.suspect, []).append(pair)
    pairs = [pair for own in compared.values() for pair in own]
    for record in cast.suspects:
        if record.name not in compared:
            compared[record.name] = [PairRecord(record.name, "", "not comparable")]
            pairs += compared[record.name]
    for twin, judged_as in cast.twins:
        pairs += [replace(pair, suspect=twin.name) for pair in compared[judged_as]]
    for record in (*cast.others, *plan.left_out):
        known = record.status in ("source", "null model")
        verdict = "left out" if known else "not comparable"
        pairs.append(PairRecord(record.name, "", verdict))
    return _ranked(pairs)


def _ranked(pairs: list[PairRecord]) -> tuple[PairRecord, ...]:
    """Most pressing first: by verdict, then by q, p and z."""

    def rank(pair: PairRecord) -> tuple[float, ...]:
        numbers = (pair.q, pair.p, -pair.z)
        return (VERDICTS.index(pair.verdict), *(math.inf if n != n else n for n in numbers))

    return tuple(sorted(pairs, key=rank))


def _versions() -> dict[str, str]:
    """The versions of everything that shapes a result, without importing any of it."""
    found = {"python": python_version()}
    for package in ("sacfast", "numpy", "scipy", "torch", "timm", "safetensors"):
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found
