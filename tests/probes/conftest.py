"""Images for the tests of the probes, made here and nowhere else."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def picture() -> Callable[..., np.ndarray]:
    """Makes one uint8 image (H, W, 3): a gradient with noise, another one for each seed."""

    def make(height: int = 32, width: int = 32, seed: int = 0) -> np.ndarray:
        generator = np.random.default_rng(seed)
        rows = np.linspace(0, 200, height)[:, None, None]
        columns = np.linspace(0, 40, width)[None, :, None]
        return (rows + columns + generator.uniform(0, 15, (height, width, 3))).astype(np.uint8)

    return make


@pytest.fixture
def encoded() -> Callable[..., bytes]:
    """Encodes a Pillow image or an array with Pillow."""

    def encode(image: Any, file_format: str = "PNG", **options: Any) -> bytes:
        if isinstance(image, np.ndarray):
            image = Image.fromarray(image)
        buffer = io.BytesIO()
        image.save(buffer, file_format, **options)
        return buffer.getvalue()

    return encode


@pytest.fixture
def folder(tmp_path: Path, picture: Any, encoded: Any) -> Path:
    """Twelve different 32x32 PNGs in three classes: cat 6, dog 4, owl 2."""
    seed = 0
    for label, members in (("cat", 6), ("dog", 4), ("owl", 2)):
        (tmp_path / "images" / label).mkdir(parents=True)
        for number in range(members):
            path = tmp_path / "images" / label / f"{number}.png"
            path.write_bytes(encoded(picture(seed=seed)))
            seed += 1
    return tmp_path / "images"
