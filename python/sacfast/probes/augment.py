"""Augmentations: what is done to the chosen images before they are frozen.

`AUGMENTATIONS` names the kinds of probe sets. Each takes the chosen images and returns the
probes, the parameters that identify the kind, and the library that made the pixels (empty for
our own arithmetic).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from sacfast.errors import ProbeError
from sacfast.probes.jpeg import jpeg_round_trip

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CUTMIX_SIDE = 0.2  # of the image
_CUTMIX_MIN_SIDE = 10  # below, half the box's side rounds to no pixel


@dataclass(frozen=True)
class Settings:
    """What a caller may choose about an augmentation; each kind uses what it needs."""

    quality: int
    device: str
    seed: int


@dataclass(frozen=True)
class Augmented:
    """Probes, uint8 (N, H, W, 3), with what identifies them and who made them."""

    pixels: NDArray[np.uint8]
    parameters: Mapping[str, Any]
    library: str = ""


def normal(images: NDArray[np.uint8], _settings: Settings) -> Augmented:
    """SAC-normal: the images as they are."""
    return Augmented(images, {})


def jpeg(images: NDArray[np.uint8], settings: Settings) -> Augmented:
    """SAC-JC: every image compressed as JPEG and decoded again."""
    pixels, library = jpeg_round_trip(images, quality=settings.quality, device=settings.device)
    return Augmented(pixels, {"quality": settings.quality, "device": settings.device}, library)


def cutmix(images: NDArray[np.uint8], settings: Settings) -> Augmented:
    """SAC-m: into a corner of every image the same corner of another one is pasted.

    One box for the whole set: its side is 0.2 of the image's (rounded down, then halved and
    rounded down on either side of the centre), its centre uniform over the outer sixth of both
    axes, clipped to the image. What is pasted comes from a random permutation of the set, in
    which an image may meet itself and then stays as it is, as in the authors' code.

    Reconstructed: the random stream (the authors draw from NumPy's global generator and from
    torch, we from one seeded generator) and images that are not square (each axis by its own
    side). The authors mix a batch of 100, which is their whole set; we mix the whole set. Their
    file keeps the images transposed; ours are upright.

    Args:
        images: uint8 (N, H, W, 3), both sides at least 10.
        settings: Its seed is used.

    Raises:
        ProbeError: The images are too small to hold a box.

    Source: the released code of SAC (NeurIPS 2022), cut_mix.py.
    """
    count, height, width, _ = images.shape
    if min(height, width) < _CUTMIX_MIN_SIDE:
        raise ProbeError(
            f"build_probes: kind='cutmix' needs images of at least "
            f"{_CUTMIX_MIN_SIDE}x{_CUTMIX_MIN_SIDE}, got {height}x{width}",
            hint="size=224",
        )
    generator = np.random.default_rng([settings.seed, 1])  # stream 0 belongs to the selection
    top, bottom = _interval(generator, height)
    left, right = _interval(generator, width)
    partners = generator.permutation(count)
    mixed = images.copy()
    mixed[:, top:bottom, left:right] = images[partners, top:bottom, left:right]
    return Augmented(mixed, {"box": [top, left, bottom, right], "seed": settings.seed})


def _interval(generator: np.random.Generator, side: int) -> tuple[int, int]:
    """One axis of the CutMix box."""
    positions = np.arange(side)
    outer = positions[(positions <= side / 6) | (positions >= side * 5 / 6)]
    centre = int(generator.choice(outer))
    half = int(side * _CUTMIX_SIDE) // 2
    return max(0, centre - half), min(side, centre + half)


AUGMENTATIONS: Mapping[str, Callable[[NDArray[np.uint8], Settings], Augmented]] = MappingProxyType(
    {"normal": normal, "jpeg": jpeg, "cutmix": cutmix}
)
