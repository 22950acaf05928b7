"""From probe pixels to a network's input, exactly as timm's evaluation transform does it.

A checkpoint says how its inputs are prepared (`pretrained_cfg`: input size, mean, std,
interpolation, crop). Where it is silent timm's defaults hold. The steps: to luminance for a
network with one channel; resize so that the shorter side fits (or, with crop_mode "squash",
both sides); cut the centre; scale to 0..1; subtract the mean, divide by the standard deviation.
A probe that has the wanted size already is not resampled. Resampling is Pillow's arithmetic, in
whole numbers and done here, so the same probes give the same inputs on every machine.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sacfast.errors import ModelError
from sacfast.probes.resize import INTERPOLATIONS, resized

MAX_SIDE = 1024
_CROP_MODES = ("center", "squash")
_DEFAULT_MEAN = (0.485, 0.456, 0.406)
_DEFAULT_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Preprocessing:
    """How probes become a network's input.

    Attributes:
        channels: 3 (RGB) or 1 (luminance).
        input_size: Height and width of the input, in pixels.
        mean: Subtracted per channel, of values in 0..1.
        std: Divided by per channel, of values in 0..1.
        interpolation: Pillow's name of the resampling filter.
        crop_pct: Share of the resized image's side that is kept.
        crop_mode: "center" (keep the aspect ratio) or "squash" (give it up).
    """

    channels: int = 3
    input_size: tuple[int, int] = (224, 224)
    mean: tuple[float, ...] = _DEFAULT_MEAN
    std: tuple[float, ...] = _DEFAULT_STD
    interpolation: str = "bicubic"
    crop_pct: float = 0.875
    crop_mode: str = "center"

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Preprocessing:
        """Read timm's `pretrained_cfg`; ModelError says which setting is wrong."""
        channels, size = 3, (224, 224)
        if (given := config.get("input_size")) is not None:
            if not _whole(given, 3) or not all(1 <= side <= MAX_SIDE for side in given[1:]):
                raise ModelError(
                    f"input_size must be [channels, height, width] of 1 to {MAX_SIDE} pixels, "
                    f"got {_text(given)}"
                )
            channels, size = given[0], (given[1], given[2])
        if channels not in (1, 3):
            raise ModelError(f"input_size must have 1 or 3 channels, got {channels}")
        crop_pct = config.get("crop_pct")
        if crop_pct is None:
            crop_pct = cls.crop_pct
        if not _number(crop_pct) or not 0.25 <= crop_pct <= 1.5:
            raise ModelError(f"crop_pct must be between 0.25 and 1.5, got {_text(crop_pct)}")
        return cls(
            channels,
            size,
            _per_channel(config, "mean", _DEFAULT_MEAN, channels),
            _per_channel(config, "std", _DEFAULT_STD, channels),
            _choice(config, "interpolation", INTERPOLATIONS, cls.interpolation),
            float(crop_pct),
            _choice(config, "crop_mode", _CROP_MODES, cls.crop_mode),
        )

    @property
    def digest(self) -> str:
        """SHA-256 over the settings as canonical JSON."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def apply(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Prepare probes.

        Args:
            pixels: uint8 (N, H, W, 3), RGB.

        Returns:
            float32 (N, channels, height, width).
        """
        if self.channels == 1:
            pixels = _luminance(pixels)
        height, width = self._resized(pixels.shape[1], pixels.shape[2])
        if (height, width) != pixels.shape[1:3]:
            pixels = _resize(pixels, height, width, self.interpolation)
        pixels = _crop(pixels, *self.input_size)
        values = pixels.astype(np.float32) / np.float32(255)
        values = (values - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return np.ascontiguousarray(values.transpose(0, 3, 1, 2))

    def _resized(self, height: int, width: int) -> tuple[int, int]:
        """The size that an image is resized to before the centre is cut out (timm's rules)."""
        target = [math.floor(side / self.crop_pct) for side in self.input_size]
        if self.crop_mode == "squash":
            return target[0], target[1]
        if target[0] != target[1]:
            ratio = min(height / target[0], width / target[1])
            return round(height / ratio), round(width / ratio)
        longer = int(target[0] * max(height, width) / min(height, width))
        return (target[0], longer) if height <= width else (longer, target[0])


def _luminance(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Rec. 601 luma in the fixed-point arithmetic of Pillow's convert("L")."""
    weights = np.array((19595, 38470, 7471), np.uint32)
    luma = (pixels.astype(np.uint32) @ weights + 0x8000) >> 16
    return luma.astype(np.uint8)[..., None]


def _resize(
    pixels: NDArray[np.uint8], height: int, width: int, interpolation: str
) -> NDArray[np.uint8]:
    result = np.empty((len(pixels), height, width, pixels.shape[3]), np.uint8)
    for source, target in zip(pixels, result, strict=True):
        target[...] = resized(source, (height, width), interpolation)
    return result


def _crop(pixels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Cut out the centre; black is added around an image that is too small."""
    lack = [
        max(0, want - have) for want, have in zip((height, width), pixels.shape[1:3], strict=True)
    ]
    if any(lack):
        around = [(side // 2, (side + 1) // 2) for side in lack]
        pixels = np.pad(pixels, ((0, 0), *around, (0, 0)))
    top = round((pixels.shape[1] - height) / 2)
    left = round((pixels.shape[2] - width) / 2)
    return pixels[:, top : top + height, left : left + width]


def _per_channel(
    config: Mapping[str, Any], name: str, default: tuple[float, ...], channels: int
) -> tuple[float, ...]:
    given = config.get(name)
    if given is None:
        if channels != len(default):
            raise ModelError(f"{name} must be given for a network with {channels} channel")
        return default
    values = given if isinstance(given, list) else [given]
    lowest = 1e-6 if name == "std" else -1e3
    if not all(_number(value) and lowest <= value <= 1e3 for value in values):
        raise ModelError(f"{name} must be numbers from {lowest:g} to 1000, got {_text(given)}")
    if len(values) not in (1, channels):
        raise ModelError(f"{name} must have {channels} numbers, got {_text(given)}")
    return tuple(float(value) for value in values) * (channels // len(values))


def _choice(config: Mapping[str, Any], name: str, choices: tuple[str, ...], default: str) -> str:
    value = config.get(name)
    if value is None or value == "":
        return default
    if value not in choices:
        raise ModelError(f"{name} must be one of {', '.join(choices)}, got {_text(value)}")
    return str(value)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _whole(value: Any, count: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) == count
        and all(isinstance(item, int) and not isinstance(item, bool) for item in value)
    )


def _text(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
