"""Runs every model once on a probe set and keeps what it answered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from sacfast.fingerprint import Fingerprint, FingerprintKey
from sacfast.probes import ProbeSet
from sacfast.progress import progress_bar
from sacfast.registry import Entry
from sacfast.scanning.engine import Result, run_models
from sacfast.scanning.limits import DEFAULT_LIMITS, Limits
from sacfast.store import ModelRecord, Store


def fingerprint_models(
    models: Sequence[tuple[str, Entry]],
    probes: ProbeSet,
    store: Store,
    *,
    limits: Limits = DEFAULT_LIMITS,
    progress: bool | None = None,
) -> list[ModelRecord]:
    """Fingerprints models into a store; a model that the store knows is not run again.

    Each fingerprint is committed the moment it exists: an interrupted call loses only the models
    in flight, and the next one goes on from there.

    Args:
        models: (role, entry) of each; the role is only noted in the records.
        probes: The probe set.
        store: Where the fingerprints go.
        limits: What the workers may take.
        progress: Draw a progress bar; None: where standard error is a terminal.

    Returns:
        One record a model, in the order given. A model that can't be run is a record with the
        status "failed" or "refused" and a reason; it raises nothing.
    """
    store.add_probes(probes.digest, probes.facts())

    def known(model_digest: str, preprocessing_digest: str, outputs_kind: str) -> bool:
        key = FingerprintKey(model_digest, probes.digest, preprocessing_digest, outputs_kind)
        return store.has_fingerprint(key)

    results: dict[int, Result] = {}
    with TemporaryDirectory(prefix="sacfast-") as folder:
        frozen = Path(folder) / "probes.safetensors"
        probes.save(frozen)
        runs = run_models(
            [entry for _, entry in models],
            frozen,
            known=known,
            workers=limits.workers,
            timeout=limits.timeout,
            memory=limits.memory,
        )
        with progress_bar("Fingerprinting", len(models), progress) as advance:
            for position, result in runs:
                if result.outputs is not None:
                    key = FingerprintKey(
                        result.digest,
                        probes.digest,
                        result.preprocessing_digest,
                        result.outputs_kind,
                    )
                    store.add_fingerprint(
                        Fingerprint(key, result.outputs, result.digits, result.k, result.seconds)
                    )
                results[position] = result
                advance(models[position][1].name)
    return [_record(role, entry, results[i]) for i, (role, entry) in enumerate(models)]


def _record(role: str, entry: Entry, result: Result) -> ModelRecord:
    return ModelRecord(
        role=role,
        name=entry.name,
        group=entry.group,
        status="ok" if result.status in ("ok", "known") else result.status,
        reason=result.reason,
        model_digest=result.digest,
        preprocessing_digest=result.preprocessing_digest,
        outputs_kind=result.outputs_kind,
        digits=result.digits,
        k=result.k,
        weights_digest=result.weights_digest,
    )
