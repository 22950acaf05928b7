"""Probe sets and small models for the tests of this room."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sacfast.probes.probe_set import ProbeSet
from tests.hostile import SIZE, TINY, config_of, weights_of


@pytest.fixture(scope="session")
def make_probes() -> Callable[..., ProbeSet]:
    def make(count: int = 6, height: int = SIZE, width: int = SIZE, seed: int = 0) -> ProbeSet:
        pixels = np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), np.uint8)
        return ProbeSet(pixels, "normal", {}, tuple(f"{i:064x}" for i in range(count)))

    return make


@pytest.fixture(scope="session")
def tiny_weights() -> bytes:
    return weights_of(TINY["architecture"], TINY["model_args"], 0)


@pytest.fixture
def checkpoint(tmp_path: Path, tiny_weights: bytes) -> Callable[..., Path]:
    """Writes a folder with a tiny network; keywords change its config."""

    def write(name: str = "model", weights: bytes = tiny_weights, **changes: Any) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps(config_of(**{**TINY, **changes})))
        (folder / "model.safetensors").write_bytes(weights)
        return folder

    return write
