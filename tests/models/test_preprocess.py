"""Preprocessing is timm's own, to the last bit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from timm.data import create_transform

from sacfast.errors import ModelError
from sacfast.models import Preprocessing
from sacfast.probes.probe_set import ProbeSet

CONFIG = {"mean": [0.48, 0.45, 0.41], "std": [0.22, 0.23, 0.24]}


@pytest.mark.parametrize("probe", [(32, 32), (48, 33), (20, 31), (64, 64)])
@pytest.mark.parametrize("size", [(32, 32), (24, 40)])
@pytest.mark.parametrize("crop_pct", [1.0, 0.875, 0.9])
@pytest.mark.parametrize("crop_mode", ["center", "squash"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear", "nearest", "lanczos"])
def test_the_same_as_timm(
    probe: tuple[int, int],
    size: tuple[int, int],
    crop_pct: float,
    crop_mode: str,
    interpolation: str,
    make_probes: Callable[..., ProbeSet],
) -> None:
    pixels = make_probes(2, *probe).pixels
    settings = {"interpolation": interpolation, "crop_pct": crop_pct, "crop_mode": crop_mode}
    ours = Preprocessing.from_config({**CONFIG, **settings, "input_size": [3, *size]})
    theirs = create_transform((3, *size), **CONFIG, **settings)
    expected = np.stack([theirs(Image.fromarray(image)).numpy() for image in pixels])
    np.testing.assert_array_equal(ours.apply(pixels), expected)


def test_one_channel_is_pillow_s_luminance(make_probes: Callable[..., ProbeSet]) -> None:
    pixels = make_probes(3, 40, 40).pixels
    config = {"input_size": [1, 32, 32], "mean": [0.5], "std": [0.5]}
    theirs = create_transform((1, 32, 32), mean=[0.5], std=[0.5], interpolation="bicubic")
    expected = np.stack([theirs(Image.fromarray(image).convert("L")).numpy() for image in pixels])
    np.testing.assert_array_equal(Preprocessing.from_config(config).apply(pixels), expected)


def test_probes_that_fit_are_not_resampled(make_probes: Callable[..., ProbeSet]) -> None:
    pixels = make_probes().pixels
    config = {"input_size": [3, 32, 32], "crop_pct": 1.0, "mean": [0.0] * 3, "std": [1.0] * 3}
    answer = Preprocessing.from_config(config).apply(pixels)
    np.testing.assert_array_equal(np.round(answer * 255).transpose(0, 2, 3, 1), pixels)


def test_where_a_config_is_silent_timm_s_defaults_hold() -> None:
    from timm.data import resolve_data_config

    ours = Preprocessing.from_config({})
    theirs = resolve_data_config({}, pretrained_cfg={"architecture": "x"})
    assert (ours.channels, *ours.input_size) == theirs["input_size"]
    assert (ours.mean, ours.std) == (theirs["mean"], theirs["std"])
    assert ours.interpolation == theirs["interpolation"]
    assert (ours.crop_pct, ours.crop_mode) == (theirs["crop_pct"], theirs["crop_mode"])


def test_the_digest_covers_every_setting() -> None:
    base = {"input_size": [3, 32, 32], **CONFIG}
    changes = [
        {},
        {"input_size": [3, 32, 33]},
        {"mean": [0.1] * 3},
        {"std": [0.1] * 3},
        {"interpolation": "bilinear"},
        {"crop_pct": 0.9},
        {"crop_mode": "squash"},
    ]
    digests = {Preprocessing.from_config({**base, **change}).digest for change in changes}
    assert len(digests) == len(changes)
    assert Preprocessing.from_config({**base, "crop_pct": 0.875}).digest in digests


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"input_size": [3, 0, 32]}, "input_size"),
        ({"input_size": [3, 1025, 32]}, "input_size"),
        ({"input_size": [True, 32, 32]}, "input_size"),
        ({"input_size": [2, 32, 32]}, "channels"),
        ({"input_size": [1, 32, 32]}, "mean must be given"),
        ({"mean": [1, 2]}, "mean must have 3"),
        ({"mean": [1, 2, float("inf")]}, "mean must be numbers"),
        ({"std": [1, 1, 0]}, "std must be numbers"),
        ({"crop_pct": True}, "crop_pct"),
        ({"crop_pct": 1e-9}, "crop_pct"),
        ({"interpolation": ["bicubic"]}, "interpolation"),
        ({"crop_mode": "border"}, "crop_mode"),
    ],
)
def test_wrong_settings_say_which(config: dict[str, object], reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        Preprocessing.from_config(config)
