"""Augmentations: what is done to the chosen images before they are frozen.

`AUGMENTATIONS` names the kinds of probe sets. Each takes the chosen images and returns the
probes, the parameters that identify the kind, and the library that made the pixels (empty for
our own arithmetic). The common corruptions are kinds too, under their own names; `corruptions`
knows the library behind them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from sacfast.errors import ProbeError
from sacfast.probes.corruptions import CORRUPTIONS, corrupted
from sacfast.probes.jpeg import jpeg_round_trip

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: JPEG quality at severity 1 to 5 of the common corruptions; 1 is what SAC-JC uses.
QUALITY_AT = {1: 25, 2: 18, 3: 15, 4: 10, 5: 7}
_CUTMIX_SIDE = 0.2  # of the image
_CUTMIX_MIN_SIDE = 10  # below, half the box's side rounds to no pixel


@dataclass(frozen=True)
class Settings:
    """What a caller may choose about an augmentation; each kind uses what it needs."""

    quality: int = 25
    device: str = "cpu"
    seed: int = 0
    severity: int = 1
    sd: float = 51.0


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
    generator = _generator(settings)
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


def cutmix_paper(images: NDArray[np.uint8], settings: Settings) -> Augmented:
    """CutMix as its own paper defines it: for each image a box anywhere, out of another image.

    For every image lambda is drawn from Beta(1, 1) and a box with the image's proportions and
    the share 1 - lambda of its area, centred uniformly over the image and cut off at its edges
    (so that less than 1 - lambda may be pasted). What is pasted comes from a random permutation
    of the set, at the same place.

    Reconstructed: the random stream; sides are rounded to whole pixels. The authors' own code
    draws one lambda and box a batch, their text one a pair: we follow the text. Labels, which the
    paper mixes too, play no part in a probe set.

    Source: Yun et al., CutMix (ICCV 2019, arXiv 1905.04899), section 3.1, alpha = 1.
    """
    count, height, width, _ = images.shape
    generator = _generator(settings)
    partners = generator.permutation(count)
    half = 0.5 * np.sqrt(generator.beta(1.0, 1.0, count))  # of a side; 1 - lambda is Beta(1, 1) too
    mixed = images.copy()
    for image, partner, own in zip(mixed, partners, half, strict=True):
        rows, columns = (_clipped(generator, own, side) for side in (height, width))
        image[rows, columns] = images[partner, rows, columns]
    return Augmented(mixed, {"seed": settings.seed})


def _clipped(generator: np.random.Generator, half: float, side: int) -> slice:
    """One axis of a box that reaches `half` sides to either side of a uniform centre."""
    centre = generator.uniform(0, side)
    low, high = np.rint([centre - half * side, centre + half * side]).astype(int)
    return slice(max(0, int(low)), min(side, int(high)))


def noise(images: NDArray[np.uint8], settings: Settings) -> Augmented:
    """Gaussian noise on every pixel and channel, rounded and clipped to 0..255.

    Plain noise of standard deviation 51 (51/255 of the range) is what told weight-derived copies
    apart best in our measurements; `gaussian_noise` among the corruptions is the published one,
    of standard deviation 0.08 to 0.38 of the range and rounded down.

    Args:
        images: uint8 (N, H, W, 3).
        settings: Its sd, in 8-bit levels, and its seed are used.

    Source: ours.
    """
    generator = _generator(settings)
    noisy = np.empty_like(images)
    for clean, made in zip(images, noisy, strict=True):
        drawn = generator.normal(0.0, settings.sd, clean.shape)
        made[:] = np.clip(np.rint(clean + drawn), 0, 255)
    return Augmented(noisy, {"sd": settings.sd, "seed": settings.seed})


def transpose(images: NDArray[np.uint8], _settings: Settings) -> Augmented:
    """Every image with height and width swapped; an image H high becomes H wide.

    Source: what the authors of SAC-JC call "flip" in their code.
    """
    return Augmented(np.ascontiguousarray(images.swapaxes(1, 2)), {})


def corruption(name: str, images: NDArray[np.uint8], settings: Settings) -> Augmented:
    """One of the common corruptions, at settings.severity; see `corruptions`."""
    pixels, library = corrupted(images, name, severity=settings.severity, seed=settings.seed)
    return Augmented(pixels, {"severity": settings.severity, "seed": settings.seed}, library)


def _generator(settings: Settings) -> np.random.Generator:
    return np.random.default_rng([settings.seed, 1])  # stream 0 belongs to the selection


AUGMENTATIONS: Mapping[str, Callable[[NDArray[np.uint8], Settings], Augmented]] = MappingProxyType(
    {
        "jpeg": jpeg,
        "normal": normal,
        "cutmix": cutmix,
        "cutmix_paper": cutmix_paper,
        "noise": noise,
        "transpose": transpose,
        **{name: partial(corruption, name) for name in CORRUPTIONS},
    }
)
