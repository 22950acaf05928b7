"""The augmentations, CutMix above all: one corner box, pasted from a permutation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sacfast.errors import ProbeError
from sacfast.probes.augment import Settings, cutmix, jpeg, normal


def chosen(seed: int) -> Settings:
    return Settings(quality=25, device="cpu", seed=seed)


def constant_images(count: int, height: int, width: int) -> np.ndarray:
    """Image i is everywhere i, so that a pasted pixel shows where it came from."""
    shades = np.arange(count, dtype=np.uint8)[:, None, None, None]
    return np.broadcast_to(shades, (count, height, width, 3)).copy()


@given(st.integers(0, 2**32), st.integers(10, 80), st.integers(10, 80), st.integers(1, 30))
@settings(max_examples=80, deadline=None)
def test_cutmix_pastes_one_corner_box_from_a_permutation(
    seed: int, height: int, width: int, count: int
) -> None:
    images = constant_images(count, height, width)
    mixed = cutmix(images, chosen(seed))
    top, left, bottom, right = mixed.parameters["box"]
    for low, high, side in ((top, bottom, height), (left, right, width)):
        half = int(0.2 * side) // 2
        # Clipped at an end of the axis, the centre is found from the other edge.
        centre = high - half if low == 0 else low + half
        assert 0 <= low < high <= side
        assert high - low == 2 * half or low == 0 or high == side
        assert centre <= side / 6 or centre >= side * 5 / 6
    box = mixed.pixels[:, top:bottom, left:right]
    assert (box == box[:, :1, :1, :1]).all()
    assert sorted(box[:, 0, 0, 0].tolist()) == list(range(count))
    outside = mixed.pixels.copy()
    outside[:, top:bottom, left:right] = images[:, top:bottom, left:right]
    np.testing.assert_array_equal(outside, images)


def test_cutmix_reaches_all_four_corners_and_follows_the_seed() -> None:
    images = constant_images(8, 30, 30)
    boxes = [tuple(cutmix(images, chosen(seed)).parameters["box"]) for seed in range(40)]
    assert {(top < 15, left < 15) for top, left, _, _ in boxes} == {
        (True, True),
        (True, False),
        (False, True),
        (False, False),
    }
    once, again = cutmix(images, chosen(3)), cutmix(images, chosen(3))
    np.testing.assert_array_equal(once.pixels, again.pixels)
    assert (once.pixels != cutmix(images, chosen(4)).pixels).any()


@pytest.mark.parametrize("shape", [(9, 40), (40, 9), (1, 1)])
def test_cutmix_refuses_images_without_room_for_a_box(shape: tuple[int, int]) -> None:
    with pytest.raises(ProbeError, match="at least 10x10"):
        cutmix(constant_images(2, *shape), chosen(0))


def test_normal_changes_nothing() -> None:
    images = constant_images(3, 5, 6)
    np.testing.assert_array_equal(normal(images, chosen(0)).pixels, images)


def test_jpeg_compresses() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    made = jpeg(images, chosen(0))
    assert made.parameters == {"quality": 25, "device": "cpu"}
    assert made.pixels.shape == images.shape
    assert (made.pixels != images).any()
