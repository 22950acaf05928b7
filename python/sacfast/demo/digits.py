"""Handwritten digits, as images: who holds which of them.

The 1,797 digits that come with scikit-learn are enlarged from 8×8 to 16×16 pixels and dealt out
at random: 750 to the owner, who trains the source on them, 750 to the thief, and the 297 that
nobody trains on become the images that probes are made from. Independent models are trained on
the owner's or the thief's share.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from sacfast.errors import MissingExtraError

__all__ = ["SHARE", "SIDE", "Digits", "Owner", "load_digits", "write_images"]

SIDE = 16
SHARE = 750
Owner = Literal["owner", "thief", "probes"]


@dataclass(frozen=True)
class Digits:
    """The digits and how one seed deals them out.

    Attributes:
        pixels: uint8 (M, 16, 16, 3), RGB with three equal channels.
        labels: int64 (M,), 0 to 9.
        shares: For the owner, the thief and the probes: their images' indices, disjoint.
    """

    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    shares: dict[Owner, npt.NDArray[np.int64]]

    def of(self, owner: Owner) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        """The pixels and labels of one share."""
        return self.pixels[self.shares[owner]], self.labels[self.shares[owner]]


def load_digits(seed: int) -> Digits:
    """Read the digits and deal them out.

    Args:
        seed: Decides who gets which image.

    Raises:
        MissingExtraError: scikit-learn, which brings the digits, is not installed.
    """
    try:
        from sklearn import datasets
    except ModuleNotFoundError as error:
        raise MissingExtraError("sacfast demo", "scikit-learn", "demo") from error
    from PIL import Image

    read = datasets.load_digits()
    grey = np.rint(read.images * (255 / 16)).astype(np.uint8)
    large = [Image.fromarray(g).resize((SIDE, SIDE), Image.Resampling.BILINEAR) for g in grey]
    pixels = np.repeat(np.stack([np.asarray(image) for image in large])[..., None], 3, axis=3)
    order = np.random.default_rng(seed).permutation(len(pixels))
    owner, thief, probes = np.split(order, [SHARE, 2 * SHARE])
    return Digits(
        pixels=pixels,
        labels=np.asarray(read.target, dtype=np.int64),
        shares={"owner": owner, "thief": thief, "probes": probes},
    )


def write_images(digits: Digits, folder: Path) -> int:
    """Write the probes' share as PNG files, one sub-folder a class; returns how many."""
    from PIL import Image

    pixels, labels = digits.of("probes")
    for number, (image, label) in enumerate(zip(pixels, labels, strict=True)):
        path = folder / str(label) / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return len(pixels)
