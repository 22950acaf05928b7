"""Resizing in whole numbers: the same pixels on every machine, under every imaging library.

The arithmetic is Pillow's for 8-bit images: the filter's weights rounded to 22 fractional bits, one
direction after the other, each rounded to 8 bits. Pillow itself can't be relied on for it: which
direction comes first changed with version 13, and pillow-simd rounds the weights to 15 bits; either
moves values, by some levels. A probe's digest and a network's input must depend on neither, so PIL
only decodes and encodes here, and this module does as Pillow 13 does.

A direction is one product of a sparse matrix, (outputs, inputs), with the pixels as int32: exact,
so no order of summation matters, and every inner loop runs along a line of neighbouring pixels.
That makes it as fast as Pillow or faster (`benchmarks/probes`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BITS = 22  # of a weight's fraction: 255 * 1.5 * 2^22, the largest sum, fits into 31 bits
_BLOCK = 64  # rows or columns at a time: 64 rows of 4000 pixels as int32 are 3 MB


def resized(
    image: NDArray[np.uint8],
    size: tuple[int, int],
    interpolation: str,
    box: tuple[float, float, float, float] | None = None,
) -> NDArray[np.uint8]:
    """One image, or a part of it, at another size.

    Args:
        image: uint8 (H, W, channels).
        size: Height and width wanted.
        interpolation: One of `INTERPOLATIONS`, Pillow's names.
        box: The part that is resized: left, top, right, bottom, in pixels, fractions allowed;
            the whole unless given. At its edges the filter sees the neighbours outside.

    Returns:
        uint8 (height, width, channels).
    """
    height, width = image.shape[:2]
    left, top, right, bottom = box or (0.0, 0.0, float(width), float(height))
    if interpolation == "nearest":
        across = _nearest(left, right, size[1])
        down = _nearest(top, bottom, size[0])
        return image[down[:, None], across]
    vertical, first, last = _weights(height, size[0], interpolation, top, bottom)
    horizontal, begin, end = _weights(width, size[1], interpolation, left, right)
    used = image[first:last, begin:end]
    # Pillow 13's rule: first the direction that leaves less to do.
    if height - size[0] > max(0, 2 * (width - size[1])):
        return _rows(_columns(used, vertical), horizontal)
    return _columns(_rows(used, horizontal), vertical)


def _rows(image: NDArray[np.uint8], weights: Any) -> NDArray[np.uint8]:
    """Every row of the image (H, W, channels) times the weights (width, W)."""
    done = np.empty((len(image), weights.shape[0], image.shape[2]), np.uint8)
    for start in range(0, len(image), _BLOCK):
        rows = image[start : start + _BLOCK]
        # Rows side by side: one line per pixel and channel, so that the product adds whole lines.
        lines = np.ascontiguousarray(rows.reshape(len(rows), -1).T).reshape(rows.shape[1], -1)
        levels = _product(weights, lines).reshape(-1, len(rows)).T
        done[start : start + _BLOCK] = levels.reshape(len(rows), *done.shape[1:])
    return done


def _columns(image: NDArray[np.uint8], weights: Any) -> NDArray[np.uint8]:
    """Every column of the image (H, W, channels) times the weights (height, H)."""
    done = np.empty((weights.shape[0], *image.shape[1:]), np.uint8)
    for start in range(0, image.shape[1], _BLOCK):
        columns = image[:, start : start + _BLOCK]
        levels = _product(weights, columns.reshape(len(columns), -1))
        done[:, start : start + _BLOCK] = levels.reshape(len(done), *columns.shape[1:])
    return done


def _product(weights: Any, lines: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Weights (outputs, inputs) times lines (inputs, any), rounded and clipped to 8 bits."""
    sums = weights @ lines.astype(np.int32)
    sums += 1 << (_BITS - 1)
    sums >>= _BITS
    levels: NDArray[np.uint8] = np.clip(sums, 0, 255, out=sums).astype(np.uint8)
    return levels


@lru_cache(maxsize=64)
def _weights(
    length: int, wanted: int, interpolation: str, start: float, stop: float
) -> tuple[Any, int, int]:
    """The weights of one direction as a sparse int32 matrix, and which inputs it covers.

    Args:
        length: How many inputs there are.
        wanted: How many outputs.
        interpolation: The filter.
        start: Where the first output begins.
        stop: Where the last one ends.

    Returns:
        The matrix (wanted, last - first), first and last.
    """
    from scipy.sparse import csr_array

    function, support = _FILTERS[interpolation]
    # Pillow takes the box as float32.
    begin, scale = float(np.float32(start)), float(np.float32(stop) - np.float32(start)) / wanted
    stretch = max(scale, 1.0)
    reach, shrink = support * stretch, 1.0 / stretch
    values: list[int] = []
    inputs: list[int] = []
    ends = [0]
    for index in range(wanted):
        centre = begin + (index + 0.5) * scale
        first = max(0, int(centre - reach + 0.5))
        last = min(length, int(centre + reach + 0.5))
        exact = [function((at - centre + 0.5) * shrink) for at in range(first, last)]
        total = 0.0
        for weight in exact:  # not sum(), which compensates since Python 3.12
            total += weight
        if total != 0.0:
            exact = [weight / total for weight in exact]
        values += [int(weight * (1 << _BITS) + math.copysign(0.5, weight)) for weight in exact]
        inputs += range(first, last)
        ends.append(len(inputs))
    first, last = min(inputs), max(inputs) + 1
    parts = (np.array(values, np.int32), np.array(inputs, np.int32) - first, np.array(ends))
    return csr_array(parts, shape=(wanted, last - first)), first, last


def _nearest(start: float, stop: float, wanted: int) -> NDArray[np.int64]:
    """Which input each output is, with Pillow's running sum."""
    scale = (stop - start) / wanted
    steps = np.full(wanted, scale)
    steps[0] = start + scale * 0.5
    return np.add.accumulate(steps).astype(np.int64)


def _box(x: float) -> float:
    return 1.0 if -0.5 < x <= 0.5 else 0.0


def _bilinear(x: float) -> float:
    return max(0.0, 1.0 - abs(x))


def _hamming(x: float) -> float:
    x = abs(x)
    if x == 0.0:
        return 1.0
    if x >= 1.0:
        return 0.0
    x *= math.pi
    window = float(np.float32(0.54)) + float(np.float32(0.46)) * math.cos(x)
    return math.sin(x) / x * window


def _bicubic(x: float) -> float:
    x = abs(x)
    if x < 1.0:
        return (1.5 * x - 2.5) * x * x + 1.0
    if x < 2.0:
        return (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5
    return 0.0


def _lanczos(x: float) -> float:
    return _sinc(x) * _sinc(x / 3.0) if -3.0 <= x < 3.0 else 0.0


def _sinc(x: float) -> float:
    x *= math.pi
    return 1.0 if x == 0.0 else math.sin(x) / x


#: The filters with their supports, in inputs where the image is not made smaller.
_FILTERS: dict[str, tuple[Callable[[float], float], float]] = {
    "box": (_box, 0.5),
    "bilinear": (_bilinear, 1.0),
    "hamming": (_hamming, 1.0),
    "bicubic": (_bicubic, 2.0),
    "lanczos": (_lanczos, 3.0),
}
INTERPOLATIONS = ("nearest", *_FILTERS)
