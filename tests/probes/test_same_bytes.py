"""The same bytes whatever stands behind `PIL`: any Pillow, pillow-simd; with DALI and without.

`make test` runs this under Pillow and `make test-simd` under pillow-simd. The digests below cover
the files' bytes too, so the encoder is held to them as well as the decoder, the resizing, the JPEG
round trip, and what networks are given.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pytest
from PIL import Image

from sacfast.models import Preprocessing
from sacfast.probes import build_probes
from sacfast.probes.corruptions import CORRUPTIONS, corrupted

IS_SIMD = ".post" in PIL.__version__
MADE = {
    "jpeg": "cf5ded01e900aab20c5f07b704d79af05089976954f48fd0237f84e88d4f2d5c",
    "jpeg, severity 5": "c41cc9483f5d8335a671dd59f232fa5f79ebcec3a3332b0b996690b066ea45a1",
    "normal": "721fe911ca8fa1a9597ca205c179780011d9028b5cc95d071fc67bfccd21b6f8",
}
INPUTS = {
    "bicubic": "70e17489a660eccf578779e577c3c923a6b7076be6a67fe848c933755d4f2842",
    "bilinear": "30a66302c641eb432cd71bf5fbcba42db721772d39041ed71b7bc501581f2e78",
    "lanczos": "0b849c4181127a9767ce6baab57871c447951395012def289b6072dbb57183ec",
    "nearest": "147dbef042fedf802e54cd126975a22bb364f2ef8c729f9580843f41afdb37c0",
    "grey": "f9f1edb8aeab6bde979d5b1d0067383dabd7edef44ac135c82df1165aae78c23",
}


def picture(height: int, width: int) -> np.ndarray:
    """A gradient with noise, and a band of pure noise."""
    generator = np.random.Generator(np.random.PCG64([height, width]))
    noise = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
    rows, columns = np.arange(height)[:, None, None], np.arange(width)[None, :, None]
    image = (rows * 160 // height + columns * 80 // width + noise // 16).astype(np.uint8)
    image[height // 2 : height * 3 // 4] = noise[height // 2 : height * 3 // 4]
    return image


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """JPEGs of every sampling and colour space, and formats without loss; tall, wide, small."""
    options: list[tuple[str, str, dict[str, Any]]] = [
        ("JPEG", "RGB", {"quality": 75, "subsampling": 0}),
        ("JPEG", "RGB", {"quality": 30, "subsampling": 1}),
        ("JPEG", "RGB", {"quality": 90, "subsampling": 2}),
        ("JPEG", "RGB", {"quality": 60, "progressive": True}),
        ("JPEG", "L", {"quality": 75}),
        ("JPEG", "CMYK", {"quality": 75}),
        ("BMP", "RGB", {}),
        ("PPM", "RGB", {}),
        ("TIFF", "RGBA", {}),
    ]
    shapes = [(64, 64), (97, 63), (300, 113), (75, 400), (224, 224), (31, 50)]
    for number, (file_format, mode, how) in enumerate(options):
        pixels = picture(*shapes[number % len(shapes)])
        image = Image.fromarray(pixels)
        if mode == "L":
            image = Image.fromarray(pixels[:, :, 0])
        if mode in ("CMYK", "RGBA"):  # the green again as the fourth channel
            image = Image.fromarray(np.dstack([pixels, pixels[:, :, 1]]))
            if mode == "CMYK":
                image = Image.frombytes("CMYK", image.size, image.tobytes())
        image.save(tmp_path / f"{number}.{file_format.lower()}", file_format, **how)
    return tmp_path


@pytest.mark.parametrize("dali", [True, False], ids=["with DALI", "without DALI"])
@pytest.mark.parametrize("what", MADE)
def test_probe_sets_have_their_published_digests(
    photos: Path, monkeypatch: pytest.MonkeyPatch, what: str, dali: bool
) -> None:
    if dali:
        pytest.importorskip("nvidia.dali", reason="DALI is not installed")
    else:
        monkeypatch.setitem(sys.modules, "nvidia.dali", None)
    severity = {"severity": 5} if "severity" in what else {}
    probes = build_probes(
        photos, what.split(",")[0], count=9, select="first", size=(96, 112), **severity
    )
    assert probes.skipped == ()
    assert probes.digest == MADE[what]


@pytest.mark.parametrize("what", INPUTS)
def test_networks_are_given_the_published_bytes(what: str) -> None:
    pixels = np.stack([picture(113, 97), picture(113, 97)[::-1, ::-1]])
    grey = what == "grey"
    settings = Preprocessing.from_config(
        {
            "input_size": [1 if grey else 3, 64, 80],
            "interpolation": "bicubic" if grey else what,
            "mean": [0.5],
            "std": [0.25],
        }
    )
    assert hashlib.sha256(settings.apply(pixels).tobytes()).hexdigest() == INPUTS[what]


def corruption_digests() -> dict[str, str]:
    """Floating-point libraries make these: comparable on one machine only."""
    images = np.stack([picture(80, 33), picture(80, 33)[::-1]])
    return {
        name: hashlib.sha256(corrupted(images, name, severity=3, seed=1)[0].tobytes()).hexdigest()
        for name in CORRUPTIONS
    }


@pytest.mark.skipif(not IS_SIMD, reason="compares pillow-simd with Pillow; this PIL is Pillow")
def test_pillow_makes_the_same_corruptions() -> None:
    simd = str(Path(PIL.__file__).parent.parent)
    paths = [path for path in sys.path if path and path != simd]
    code = (
        "import PIL; from tests.probes.test_same_bytes import corruption_digests as digests\n"
        "print(PIL.__version__, digests())"
    )
    plain = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    version, _, theirs = plain.partition(" ")
    assert ".post" not in version
    assert theirs == str(corruption_digests())
