"""The corruptions: all fourteen run, follow the seed, and leave the world's randomness alone."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from importlib import metadata
from typing import Any

import imagecorruptions
import numpy as np
import PIL
import pytest

from sacfast.errors import BackendError, MissingExtraError, ProbeError
from sacfast.probes import build_probes
from sacfast.probes.augment import AUGMENTATIONS
from sacfast.probes.corruptions import CORRUPTIONS, corrupted

#: No randomness: the same whatever the seed.
CERTAIN = ("defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression")


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Six smooth pictures of 32x40 pixels."""
    generator = np.random.default_rng(0)
    corners = generator.uniform(30, 220, (6, 2, 2, 3))
    down, across = np.linspace(0, 1, 32)[:, None, None], np.linspace(0, 1, 40)[None, :, None]
    left = corners[:, None, 0, None, 0] * (1 - down) + corners[:, None, 1, None, 0] * down
    right = corners[:, None, 0, None, 1] * (1 - down) + corners[:, None, 1, None, 1] * down
    waves = 25 * np.sin(8 * (down + 2 * across))
    return (left * (1 - across) + right * across + waves).clip(0, 255).astype(np.uint8)


def test_the_fourteen_are_kinds_of_probe_sets() -> None:
    assert len(CORRUPTIONS) == len(set(CORRUPTIONS)) == 14
    assert set(CORRUPTIONS) < set(AUGMENTATIONS)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_same_seed_gives_the_same_bytes(images: np.ndarray, name: str) -> None:
    made = [corrupted(images, name, severity=3, seed=seed)[0] for seed in (5, 5, 6)]
    assert made[0].shape == images.shape
    assert made[0].dtype == np.uint8
    np.testing.assert_array_equal(made[0], made[1])
    assert (made[0] != images).any(axis=(1, 2, 3)).all()
    assert bool((made[0] != made[2]).any()) == (name not in CERTAIN)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_every_severity_is_another(images: np.ndarray, name: str) -> None:
    made = [corrupted(images, name, severity=s, seed=0)[0] for s in range(1, 6)]
    changes = [np.abs(pixels.astype(int) - images).mean() for pixels in made]
    assert len({pixels.tobytes() for pixels in made}) == 5
    assert changes[4] > changes[0]


@pytest.mark.parametrize("name", ["gaussian_noise", "impulse_noise", "glass_blur", "fog"])
def test_each_image_gets_randomness_of_its_own(images: np.ndarray, name: str) -> None:
    same = np.repeat(images[:1], 3, axis=0)
    made, _ = corrupted(same, name, severity=3, seed=0)
    assert len({pixels.tobytes() for pixels in made}) == 3
    alone, _ = corrupted(same[:2], name, severity=3, seed=0)
    np.testing.assert_array_equal(alone, made[:2])


def test_another_process_gives_the_same_bytes(images: np.ndarray, tmp_path: Any) -> None:
    np.save(tmp_path / "images.npy", images)
    code = (
        "import sys, hashlib, numpy as np; from sacfast.probes.corruptions import *\n"
        "images = np.load(sys.argv[1])\n"
        "np.random.seed(9)\n"
        "for name in CORRUPTIONS:\n"
        "    made = corrupted(images, name, severity=2, seed=4)[0]\n"
        "    print(hashlib.sha256(made.tobytes()).hexdigest())\n"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "images.npy")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    here = [
        hashlib.sha256(corrupted(images, name, severity=2, seed=4)[0].tobytes()).hexdigest()
        for name in CORRUPTIONS
    ]
    assert printed == here


def test_nobody_else_s_randomness_changes(images: np.ndarray) -> None:
    np.random.seed(1)  # noqa: NPY002
    expected = np.random.random(3)  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    for name in CORRUPTIONS:
        corrupted(images[:1], name, severity=1, seed=0)
    np.testing.assert_array_equal(np.random.random(3), expected)  # noqa: NPY002


@pytest.mark.parametrize("severity", range(1, 6))
def test_the_library_s_jpeg_is_ours_at_that_quality(images: np.ndarray, severity: int) -> None:
    theirs = build_probes(images, "jpeg_compression", severity=severity, count=6, select="first")
    quality = {1: 25, 2: 18, 3: 15, 4: 10, 5: 7}[severity]
    ours = build_probes(images, "jpeg", quality=quality, count=6, select="first")
    np.testing.assert_array_equal(theirs.pixels, ours.pixels)
    assert dict(theirs.parameters) == {"select": "first", "severity": severity, "seed": 0}


@pytest.mark.skipif(".post" in PIL.__version__, reason="the oracle is Pillow; this is pillow-simd")
@pytest.mark.parametrize("severity", range(1, 6))
def test_pixelation_is_the_library_s(severity: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2, 50, 70, 3), dtype=np.uint8)
    ours, _ = corrupted(noise, "pixelate", severity=severity, seed=0)
    for image, made in zip(noise, ours, strict=True):
        theirs = imagecorruptions.corrupt(image, severity=severity, corruption_name="pixelate")
        np.testing.assert_array_equal(made, theirs)


def test_severity_1_unless_given(images: np.ndarray) -> None:
    plain = build_probes(images, "fog", count=6)
    assert plain == build_probes(images, "fog", count=6, severity=1)
    assert plain != build_probes(images, "fog", count=6, severity=2)
    assert "imagecorruptions-imaug" in plain.versions["augmentation"]
    assert "scikit-image" in plain.versions["augmentation"]


def test_small_images_are_refused() -> None:
    with pytest.raises(ProbeError, match="kind='fog' needs images of at least 32x32, got 31x40"):
        corrupted(np.zeros((1, 31, 40, 3), np.uint8), "fog", severity=1, seed=0)


def test_a_missing_library_names_its_extra(
    images: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(package: str) -> str:
        raise metadata.PackageNotFoundError(package)

    monkeypatch.setattr(metadata, "version", version)
    with pytest.raises(MissingExtraError) as caught:
        build_probes(images, "snow", count=6)
    assert "build_probes(kind='snow') needs the package" in str(caught.value)
    assert caught.value.hint == "pip install 'sacfast[corruptions]'"


def test_a_library_that_cannot_be_loaded_says_why(
    images: np.ndarray, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "imagecorruptions.py").write_text(
        "raise ImportError('libGL.so.1: cannot open shared object file')"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "imagecorruptions", raising=False)
    with pytest.raises(BackendError, match="can't be loaded \\(libGL") as caught:
        build_probes(images, "snow", count=6)
    assert caught.value.hint is not None
    assert "opencv-python-headless" in caught.value.hint
