"""Invented scans that look like real ones, and pages taken apart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sacfast.fingerprint import Fingerprint, FingerprintKey
from sacfast.report import write_report
from sacfast.store import ModelRecord, NullRecord, PairRecord, ScanRecord, Store

CLASSES = 10
PROBE_DIGEST = hashlib.sha256(b"probes").hexdigest()


@dataclass
class Scanned:
    """A scan in the making; `write` puts it into a store.

    A model answers with logits = what the classes share + its own structure; a copy of the first
    source takes that source's own structure and adds little. `names` are given to the first
    suspects, `failed` are further suspects that could not be compared.
    """

    sources: Sequence[str] = ("mine/resnet",)
    stolen: int = 3
    suspicious: int = 2
    innocent: int = 7
    nulls: int = 30
    probes: int = 60
    names: Sequence[str] = ()
    failed: Sequence[ModelRecord] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    probe_facts: dict[str, Any] = field(default_factory=dict)
    threshold: float = 0.31
    kind: str = "logits"
    keep_outputs: bool = True
    broken_probes: Sequence[int] = ()

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(7)
        labels = self.rng.integers(0, CLASSES, self.probes)
        self.shared = 3.0 * np.eye(CLASSES)[labels] + self.noise(1.0)

    def noise(self, scale: float) -> Any:
        return self.rng.normal(0, scale, (self.probes, CLASSES))

    def write(self, path: Path) -> Path:
        own = {name: self.noise(1.2) for name in self.sources}
        verdicts = {"stolen": self.stolen, "suspicious": self.suspicious}
        verdicts["no evidence"] = self.innocent
        order = [verdict for verdict, count in verdicts.items() for _ in range(count)]
        names = [*self.names, *(f"someone/model-{i:04d}" for i in range(len(order)))]
        suspects = list(zip(names, order, strict=False))
        with Store(path) as store:
            probes = {"kind": "jpeg", "count": self.probes, "parameters": {"quality": 25}}
            store.add_probes(PROBE_DIGEST, probes | self.probe_facts)
            models = [self._model(store, "source", n, self.shared + own[n]) for n in own]
            models += [
                self._model(store, "null", f"null/model-{i:03d}", self.shared + self.noise(1.2))
                for i in range(self.nulls)
            ]
            for name, verdict in suspects:
                theirs = own[self.sources[0]] if verdict == "stolen" else self.noise(1.2)
                outputs = self.shared + theirs + self.noise(0.35)
                models.append(self._model(store, "suspect", name, outputs))
            pairs = [
                self._pair(name, source, verdict if source == self.sources[0] else "no evidence")
                for name, verdict in suspects
                for source in self.sources
            ]
            null = tuple(self.rng.normal(0, 0.07, self.nulls))
            nulls = [NullRecord(source, self.kind, self.threshold, null) for source in self.sources]
            store.add_scan(
                ScanRecord(
                    PROBE_DIGEST,
                    {"registry": "/srv/models/registry", "method": "partial", "fdr": 0.05}
                    | {"reach": "A null bank of 30.", "warnings": []}
                    | self.facts,
                    (*models, *self.failed),
                    (*pairs, *(PairRecord(m.name, "", "not comparable") for m in self.failed)),
                    tuple(nulls if self.nulls else ()),
                )
            )
        return path

    def _model(self, store: Store, role: str, name: str, outputs: Any) -> ModelRecord:
        kind = self.kind if role == "suspect" else "logits"
        digest = hashlib.sha256(f"{role} {name}".encode()).hexdigest()
        if role == "suspect":
            outputs[list(self.broken_probes)] = np.nan
        answers = outputs.argmax(axis=1) if kind == "labels" else outputs.astype(np.float32)
        if self.keep_outputs:
            key = FingerprintKey(digest, PROBE_DIGEST, "", kind)
            store.add_fingerprint(Fingerprint(key, answers))
        return ModelRecord(role, name, name.split("/")[0], "ok", "", digest, "", kind)

    def _pair(self, suspect: str, source: str, verdict: str) -> PairRecord:
        score = {"stolen": 0.62, "suspicious": 0.22}.get(verdict, 0.0) + self.rng.normal(0, 0.03)
        p = {"stolen": 1 / 31, "suspicious": 0.04}.get(verdict, self.rng.uniform(0.1, 1))
        q = 0.012 if verdict == "stolen" else min(1.0, 4 * p)
        return PairRecord(
            suspect, source, verdict, score, score / 0.07, p, q, 0.31 - 0.25 * score, mode=self.kind
        )


class Page(HTMLParser):
    """A page taken apart by the standard library's parser."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.html = path.read_text("utf-8")
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.words: list[str] = []
        self._inside = ""
        self.feed(self.html)
        self.text = " ".join(" ".join(self.words).split())
        self.data: dict[str, Any] = json.loads(self.scripts[0])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag if tag in ("script", "style") else ""

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts.append(data)
        elif not self._inside:
            self.words.append(data)


@pytest.fixture
def store(tmp_path: Path) -> Callable[..., Path]:
    """Writes an invented scan; the keywords are `Scanned`'s."""
    return lambda **scan: Scanned(**scan).write(tmp_path / "fingerprints.db")


@pytest.fixture
def page(tmp_path: Path, store: Callable[..., Path]) -> Callable[..., Page]:
    """Writes an invented scan and its report, and takes the report apart."""
    return lambda **scan: Page(write_report(store(**scan), tmp_path / "report.html"))
