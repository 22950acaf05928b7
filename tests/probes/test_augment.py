"""The augmentations: what each does to pixels, whichever seed it is given."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sacfast.errors import ProbeError
from sacfast.probes.augment import (
    Settings,
    cutmix,
    cutmix_paper,
    jpeg,
    noise,
    normal,
    transpose,
)


def chosen(seed: int) -> Settings:
    return Settings(seed=seed)


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


@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 40), st.integers(1, 30))
@settings(max_examples=80, deadline=None)
def test_the_paper_s_cutmix_pastes_one_box_into_each_image(
    seed: int, height: int, width: int, count: int
) -> None:
    images = constant_images(count, height, width)
    mixed = cutmix_paper(images, chosen(seed)).pixels
    partners = []
    for i, image in enumerate(mixed):
        pasted = (image[..., 0] != i).nonzero()
        others = set(np.unique(image).tolist()) - {i}
        assert len(others) <= 1
        partners += others
        if others:
            rows, columns = (slice(at.min(), at.max() + 1) for at in pasted)
            assert (image[rows, columns] == others.pop()).all()
            assert len(pasted[0]) == (rows.stop - rows.start) * (columns.stop - columns.start)
    assert len(set(partners)) == len(partners)  # out of a permutation


def test_the_paper_s_boxes_have_the_areas_of_beta_1_1() -> None:
    images = constant_images(250, 60, 90)
    pasted = cutmix_paper(images, chosen(3)).pixels[..., 0] != images[..., 0]
    # Before the edges cut it, a box has sides s = sqrt(u), u uniform; its centre c is uniform too,
    # so an edge takes s^2 / 8 of a side on average, and a box covers E[(s - s^2 / 4)^2] = 0.3208.
    # One box's share has a standard deviation of 0.27, the mean of 250 one of 0.017.
    assert abs(pasted.mean() - 0.3208) < 3.5 * 0.017
    rows, columns = pasted.any(axis=2), pasted.any(axis=1)
    for axis in (rows, columns):
        assert axis[:, 0].any()
        assert axis[:, -1].any()
        assert not axis[:, [0, -1]].any(axis=1).all()
    # The same share of height and width, up to rounding, wherever no edge cuts.
    for down, across in zip(rows, columns, strict=True):
        if not (down[[0, -1]].any() or across[[0, -1]].any()):
            assert abs(down.sum() / 60 - across.sum() / 90) <= 1 / 60 + 1 / 90


def test_noise_has_the_spread_that_was_asked_for() -> None:
    grey = np.full((4, 64, 64, 3), 128, np.uint8)
    made = noise(grey, Settings(sd=20.0, seed=1))
    assert made.parameters == {"sd": 20.0, "seed": 1}
    added = made.pixels.astype(float) - 128
    # 49,152 draws: the mean is known to 20/222 = 0.09, the standard deviation to 0.064.
    assert abs(added.mean()) < 0.45
    assert abs(added.std() - 20) < 0.33
    assert len(np.unique(added[0] - added[1])) > 50
    assert abs(np.corrcoef(added[..., 0].ravel(), added[..., 1].ravel())[0, 1]) < 0.04


def test_noise_is_clipped_not_wrapped() -> None:
    for level in (0, 255):
        flat = np.full((1, 50, 50, 3), level, np.uint8)
        pixels = noise(flat, chosen(0)).pixels
        # Half of the draws leave the range; the others lie within five standard deviations, and
        # one that wrapped around would lie at the other end.
        assert 0.45 < (pixels == level).mean() < 0.55
        far = np.abs(pixels.astype(int) - level)
        assert 51 < far.max() < 5 * 51 - 1


def test_transpose_swaps_height_and_width() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 5, 7, 3), dtype=np.uint8)
    turned = transpose(images, chosen(0)).pixels
    assert turned.shape == (3, 7, 5, 3)
    np.testing.assert_array_equal(turned[2, 6, 1], images[2, 1, 6])
    np.testing.assert_array_equal(transpose(turned, chosen(0)).pixels, images)
