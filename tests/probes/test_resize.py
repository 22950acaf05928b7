"""Resizing is Pillow's arithmetic in Pillow 13's order, whatever PIL is installed."""

from __future__ import annotations

import math

import numpy as np
import PIL
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sacfast.probes import resize
from sacfast.probes.resize import INTERPOLATIONS, resized

# Pillow itself is the oracle; pillow-simd rounds the weights to 15 bits.
needs_pillow = pytest.mark.skipif(
    ".post" in PIL.__version__, reason="the oracle is Pillow, and this PIL is pillow-simd"
)


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Half of it black and white, where the filters overshoot most."""
    generator = np.random.default_rng([height, width, seed])
    image = generator.integers(0, 256, (height, width, channels), dtype=np.uint8)
    image[: height // 2] = (image[: height // 2] > 127) * np.uint8(255)
    return image


def through_pillow(
    image: np.ndarray,
    size: tuple[int, int],
    interpolation: str,
    box: tuple[float, float, float, float] | None = None,
) -> np.ndarray:
    """One direction at a time, which every version of Pillow does alike."""
    height, width = image.shape[:2]
    left, top, right, bottom = box or (0.0, 0.0, float(width), float(height))
    resample = Image.Resampling[interpolation.upper()]
    pillow = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
    rows_first = not (height > size[0] and height - size[0] > 2 * (width - size[1]))
    if rows_first:
        pillow = pillow.resize((size[1], height), resample, (left, 0, right, height))
        pillow = pillow.resize((size[1], size[0]), resample, (0, top, size[1], bottom))
    else:
        pillow = pillow.resize((width, size[0]), resample, (0, top, width, bottom))
        pillow = pillow.resize((size[1], size[0]), resample, (left, 0, right, size[0]))
    return np.asarray(pillow).reshape(*size, image.shape[2])


@needs_pillow
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize(
    ("before", "after"),
    [
        *(((1, 1), (3, 5)), ((3, 5), (1, 1)), ((1, 300), (7, 64)), ((300, 1), (64, 7))),
        *(((32, 32), (32, 32)), ((32, 32), (36, 36)), ((32, 32), (36, 32)), ((32, 32), (32, 36))),
        # Around the blocks of 64; columns first, and just not (97 - 33 against 2 * (97 - 65)).
        *(((63, 65), (65, 63)), ((64, 129), (64, 64)), ((98, 97), (33, 65)), ((97, 97), (33, 65))),
        *(((500, 375), (224, 224)), ((375, 500), (235, 313)), ((97, 63), (224, 17))),
    ],
)
def test_the_bytes_are_pillow_s(
    before: tuple[int, int], after: tuple[int, int], interpolation: str
) -> None:
    for channels in (1, 3):
        image = noise(*before, channels)
        expected = through_pillow(image, after, interpolation)
        np.testing.assert_array_equal(resized(image, after, interpolation), expected)


@needs_pillow
@given(data=st.data())
def test_any_part_at_any_size_is_pillow_s(data: st.DataObject) -> None:
    height, width, tall, wide = (data.draw(st.integers(1, 90)) for _ in range(4))
    inside = st.floats(0, 1, width=32)
    left, right = sorted(width * data.draw(inside) for _ in range(2))
    top, bottom = sorted(height * data.draw(inside) for _ in range(2))
    box = None if min(right - left, bottom - top) < 1e-3 else (left, top, right, bottom)
    interpolation = data.draw(st.sampled_from(INTERPOLATIONS))
    image = noise(height, width, seed=data.draw(st.integers(0, 9)))
    expected = through_pillow(image, (tall, wide), interpolation, box)
    np.testing.assert_array_equal(resized(image, (tall, wide), interpolation, box), expected)


@pytest.mark.parametrize("interpolation", [name for name in INTERPOLATIONS if name != "nearest"])
def test_close_to_exact_arithmetic(interpolation: str) -> None:
    """float64 without rounding on the way.

    Each of two roundings to 8 bits is off by at most 1/2, and the second direction passes the
    first's error on times the sum of its weights' magnitudes, at most 1.6; 22 bits of weight add
    less than 0.01. Clipping of the first direction is avoided by grey levels from 100 to 150.
    """
    image = noise(90, 70)
    image = 100 + image % np.uint8(51)
    got = resized(image, (41, 83), interpolation)
    function, support = resize._FILTERS[interpolation]

    def direction(length: int, wanted: int) -> np.ndarray:
        scale = length / wanted
        stretch = max(1.0, scale)
        centres = (np.arange(wanted) + 0.5) * scale
        weights = np.array(
            [
                [
                    function((at + 0.5 - centre) / stretch)
                    if math.floor(centre - support * stretch + 0.5)
                    <= at
                    < math.floor(centre + support * stretch + 0.5)
                    else 0.0
                    for at in range(length)
                ]
                for centre in centres
            ]
        )
        return weights / weights.sum(1, keepdims=True)

    exact = np.einsum("hH,wW,HWc->hwc", direction(90, 41), direction(70, 83), image.astype(float))
    assert np.abs(got - exact).max() <= 0.5 + 1.6 * 0.5 + 0.01


def test_a_flat_image_stays_flat() -> None:
    for level in (0, 1, 127, 254, 255):
        image = np.full((40, 30, 3), level, np.uint8)
        for interpolation in INTERPOLATIONS:
            assert (resized(image, (33, 71), interpolation) == level).all()


def test_views_and_read_only_images_are_taken() -> None:
    image = noise(60, 80)
    image.flags.writeable = False
    turned = image[::-1, ::2].swapaxes(0, 1)
    plain = resized(np.ascontiguousarray(turned), (20, 20), "bicubic")
    np.testing.assert_array_equal(resized(turned, (20, 20), "bicubic"), plain)
