"""What `build_probes` takes: every argument checked, with one wording for all of them."""

from __future__ import annotations

import operator

import numpy as np

from sacfast.errors import ArgumentError, DtypeError
from sacfast.probes.augment import QUALITY_AT, Settings
from sacfast.probes.corruptions import CORRUPTIONS
from sacfast.probes.jpeg import MAX_PIXELS


def settings_of(
    kind: str,
    quality: int | None,
    device: str,
    seed: int,
    severity: int | None,
    sd: float | None,
) -> Settings:
    """What is done to the images; an argument that the kind does not take is an error."""
    takes = {
        "quality": (quality, ("jpeg",)),
        "severity": (severity, ("jpeg", *CORRUPTIONS)),
        "sd": (sd, ("noise",)),
    }
    for name, (value, kinds) in takes.items():
        if value is not None and kind not in kinds:
            which = f"kind={kinds[0]!r}" + (" or a corruption" if len(kinds) > 1 else "")
            raise ArgumentError(
                f"build_probes: `{name}` must go with {which}, got {value!r} for kind={kind!r}"
            )
    if quality is not None and severity is not None:
        raise ArgumentError(
            f"build_probes: `severity` must not be given beside `quality`, got {severity!r} and "
            f"{quality!r}",
            hint="severity 1 to 5 is quality 25, 18, 15, 10, 7",
        )
    severity = 1 if severity is None else whole("severity", severity, 1, 5)
    quality = QUALITY_AT[severity] if quality is None else whole("quality", quality, 1, 100)
    return Settings(quality, device, seed, severity, 51.0 if sd is None else _deviation(sd))


def _deviation(value: object) -> float:
    complaint = f"build_probes: `sd` must be a number above 0 and up to 255, got {value!r}"
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise DtypeError(complaint)
    if not 0 < value <= 255:
        raise ArgumentError(complaint)
    return float(value)


def whole(name: str, value: object, low: int, high: int | None = None) -> int:
    wanted = f"at least {low}" if high is None else f"from {low} to {high}"
    complaint = f"build_probes: `{name}` must be a whole number {wanted}, got {value!r}"
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise DtypeError(complaint)
    whole = operator.index(value)
    if whole < low or (high is not None and whole > high):
        raise ArgumentError(complaint)
    return whole


def one_of(name: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        listed = ", ".join(repr(word) for word in known)
        raise ArgumentError(f"build_probes: `{name}` must be one of {listed}, got {value!r}")


def height_and_width(size: object) -> tuple[int, int]:
    sides = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
    if len(sides) != 2:
        raise ArgumentError(
            f"build_probes: `size` must be a whole number or (height, width), got {size!r}"
        )
    height, width = (whole("size", side, 1) for side in sides)
    if height * width > MAX_PIXELS:
        raise ArgumentError(
            f"build_probes: `size` must be at most {MAX_PIXELS // 1_000_000} megapixels, "
            f"got {height}x{width}"
        )
    return height, width
