"""Registries of answers: as good as models for everything behind the worker, and fast."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sacfast import ProbeSet, build_probes

PROBES, CLASSES = 60, 8


class World:
    """A directory with a source, a null bank and a registry of answers to one probe set."""

    def __init__(self, root: Path, seed: int = 0) -> None:
        self.root = root
        self.generator = np.random.default_rng(seed)
        self.common = self.generator.standard_normal((PROBES, CLASSES))
        images = self.generator.integers(0, 256, (PROBES, 16, 16, 3), dtype=np.uint8)
        self.probes: ProbeSet = build_probes(images, kind="normal", count=PROBES, select="first")
        self.probes_path = root / "probes.safetensors"
        self.probes.save(self.probes_path)
        self.source = self.logits()
        self.answers("source", self.source)
        for folder in ("bank", "registry"):
            (root / folder).mkdir()

    def logits(self):
        """Answers of a new independent model."""
        return self.common + self.generator.standard_normal((PROBES, CLASSES))

    def copy(self, noise=0.4):
        """Answers of a stolen model."""
        return self.source + noise * self.generator.standard_normal((PROBES, CLASSES))

    def answers(self, name, values, kind="logits", **facts) -> Path:
        folder = self.root / name
        folder.mkdir(parents=True)
        np.save(folder / "outputs.npy", np.asarray(values))
        (folder / "config.json").write_text(json.dumps({"outputs_kind": kind, **facts}))
        return folder

    def bank(self, count=39):
        for i in range(count):
            self.answers(f"bank/null-{i:03d}", self.logits().astype(np.float32))

    def scan_arguments(self, **changes):
        return {
            "registry": self.root / "registry",
            "sources": self.root / "source",
            "probes": self.probes_path,
            "null_bank": self.root / "bank",
            "workers": 1,
            **changes,
        }


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)
