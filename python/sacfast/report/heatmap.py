"""Correlation matrices side by side: a source, its likeliest copies and one independent model.

All maps of a source show the same probes in the same order. The order comes from clustering the
source's own correlation (average linkage), so that probes which the source finds alike lie
together; a copy shows the source's pattern, down to what the classes alone do not explain. Probes
that any of the models answered unusably are left out for all of them, and of more than `MAX_PROBES`
every k-th is shown; both are said on the page.

A map travels as its packed strict upper triangle in hundredths, one byte a pair: 200 probes take
27 kB.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sacfast.detector import usable_probes
from sacfast.fingerprint import Fingerprint
from sacfast.kernels import correlation
from sacfast.kernels.canonical import canonical_outputs, center_of
from sacfast.report.summary import number
from sacfast.store import VERDICTS, ModelRecord, PairRecord, ScanRecord, Store
from sacfast.text import visible

MAX_PROBES = 200
MAX_SOURCES = 12
TOP_SUSPECTS = 3


def heat_maps(scan: ScanRecord, store: Store) -> list[dict[str, Any]]:
    """The maps of every source that has outputs in the store, that of the most pressing suspect
    first, like the facets of the scores figure."""
    sources = {model.name: model for model in scan.role("source")}
    accused: dict[str, list[PairRecord]] = {}
    # Of equally accused suspects, those first that answer as the source does: their maps compare.
    for pair in sorted(
        scan.pairs,
        key=lambda pair: (
            VERDICTS.index(pair.verdict),
            pair.source in sources and pair.mode != sources[pair.source].outputs_kind,
        ),
    ):
        if pair.source in sources and number(pair.score) is not None:
            accused.setdefault(pair.source, []).append(pair)
    order = [*accused, *(name for name in sources if name not in accused)][:MAX_SOURCES]
    shown = (_source_maps(scan, store, sources[name], accused.get(name, [])) for name in order)
    return [maps for maps in shown if maps]


def _source_maps(
    scan: ScanRecord, store: Store, source: ModelRecord, accused: list[PairRecord]
) -> dict[str, Any] | None:
    """One source's panels, or None where the store does not hold its outputs."""
    outputs = _outputs(scan, store, source)
    if outputs is None:
        return None
    panels: list[tuple[dict[str, Any], Fingerprint]] = [(_panel(source, "source"), outputs)]
    suspects = {model.name: model for model in scan.role("suspect")}
    for pair in accused:
        model = suspects.get(pair.suspect)
        found = _outputs(scan, store, model) if model else None
        if model and found and len(found.outputs) == len(outputs.outputs):
            panel = _panel(model, "suspect") | {
                "verdict": pair.verdict,
                "score": number(pair.score),
            }
            panels.append((panel, found))
        if len(panels) > TOP_SUSPECTS:
            break
    panels += list(_independent(scan, store, outputs))
    rows = [
        canonical_outputs(f.outputs, f.key.outputs_kind, digits=f.digits, k=f.k) for _, f in panels
    ]
    usable = np.logical_and.reduce([usable_probes(row) for row in rows])
    probes = np.flatnonzero(usable)
    if len(probes) < 2:
        return None
    chosen = np.unique(np.linspace(0, len(probes) - 1, min(len(probes), MAX_PROBES)).astype(int))

    def triangle(i: int, order: NDArray[np.intp]) -> NDArray[Any]:
        return _pairs(_correlation(rows[i][probes], panels[i][1]), len(probes), order)

    order = chosen[_clustered(triangle(0, chosen), len(chosen))]
    return {
        "source": visible(source.name),
        "probes": probes[order].tolist(),
        "of": len(usable),
        "dropped": int(len(usable) - usable.sum()),
        "panels": [
            panel | {"map": _hundredths(triangle(i, order))} for i, (panel, _) in enumerate(panels)
        ],
    }


def _panel(model: ModelRecord, role: str) -> dict[str, Any]:
    return {"name": visible(model.name), "role": role}


def _independent(
    scan: ScanRecord, store: Store, source: Fingerprint
) -> Iterator[tuple[dict[str, Any], Fingerprint]]:
    """The first member of the null bank that answers in the source's own kind, if any."""
    for model in scan.role("null"):
        if model.status == "ok" and model.outputs_kind == source.key.outputs_kind:
            found = _outputs(scan, store, model)
            if found is not None and len(found.outputs) == len(source.outputs):
                yield _panel(model, "independent"), found
                return


def _outputs(scan: ScanRecord, store: Store, model: ModelRecord) -> Fingerprint | None:
    key = model.key(scan.probe_digest)
    return store.fingerprint(key) if store.has_fingerprint(key) else None


def _correlation(outputs: NDArray[Any], fingerprint: Fingerprint) -> NDArray[np.float32]:
    center = center_of(fingerprint.key.outputs_kind) or "double"
    packed: NDArray[np.float32] = correlation(outputs, center=center)
    return packed


def _pairs(packed: NDArray[Any], n: int, order: NDArray[np.intp]) -> NDArray[Any]:
    """The packed triangle of the probes in `order`, out of the packed triangle of all n."""
    rows, columns = np.triu_indices(len(order), 1)
    a, b = order[rows], order[columns]
    low, high = np.minimum(a, b), np.maximum(a, b)
    chosen: NDArray[Any] = packed[low * (2 * n - low - 1) // 2 + high - low - 1]
    return chosen


def _clustered(packed: NDArray[Any], n: int) -> NDArray[np.intp]:
    """The leaves of the average-linkage tree on 1 - correlation, likest neighbours together."""
    if n < 3:
        return np.arange(n)
    from scipy.cluster.hierarchy import leaves_list, linkage

    apart = np.clip(1.0 - packed.astype(np.float64), 0.0, 2.0)
    order: NDArray[np.intp] = leaves_list(linkage(apart, "average", optimal_ordering=True))
    return order


def _hundredths(packed: NDArray[Any]) -> str:
    return base64.b64encode(np.rint(packed * 100).clip(-100, 100).astype(np.int8)).decode("ascii")
