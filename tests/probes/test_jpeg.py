"""Decoding of every kind of image, and the JPEG round trip on DALI and on Pillow."""

from __future__ import annotations

import contextlib
import io
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, features

from sacfast.errors import BackendError, MissingExtraError, ProbeError
from sacfast.probes import jpeg
from sacfast.probes.jpeg import decode, fit, jpeg_round_trip, library_versions

Picture = Callable[..., np.ndarray]
Encoded = Callable[..., bytes]


#: A PIL built where a library's headers were missing lacks that format.
CODECS = {"JPEG2000": "jpg_2000", "WEBP": "webp"}


def formats(*names: str) -> list[Any]:
    """Parameters, skipped where this PIL was built without the format."""
    return [
        pytest.param(
            name,
            marks=pytest.mark.skipif(
                not features.check(CODECS.get(name, "jpg")), reason=f"this PIL has no {name}"
            ),
        )
        for name in names
    ]


def png(width: int, height: int, bit_depth: int, colour_type: int, rows: bytes) -> bytes:
    """A PNG written by hand, for what Pillow does not write."""

    def chunk(name: bytes, body: bytes) -> bytes:
        crc = zlib.crc32(name + body).to_bytes(4, "big")
        return len(body).to_bytes(4, "big") + name + body + crc

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    head += bytes([bit_depth, colour_type, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    )


@pytest.mark.parametrize("file_format", formats("PNG", "BMP", "PPM", "TIFF", "JPEG2000", "WEBP"))
def test_lossless_formats_decode_to_the_pixels(
    picture: Picture, encoded: Encoded, file_format: str
) -> None:
    options = {"WEBP": {"lossless": True}}.get(file_format, {})
    image = picture(7, 9)
    np.testing.assert_array_equal(decode(encoded(image, file_format, **options)), image)


def test_jpeg_decodes_as_pillow_decodes_it(picture: Picture, encoded: Encoded) -> None:
    data = encoded(picture(33, 17), "JPEG", quality=90)
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(decode(data), np.asarray(image))


def test_grey_becomes_three_equal_channels(picture: Picture, encoded: Encoded) -> None:
    grey = picture(5, 6)[:, :, 0]
    expected = np.repeat(grey[:, :, None], 3, axis=2)
    np.testing.assert_array_equal(decode(encoded(grey)), expected)


def test_one_bit_images_become_black_and_white(encoded: Encoded) -> None:
    data = encoded(Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1"))
    assert decode(data).tolist() == [[[0, 0, 0], [255, 255, 255]]]


def test_a_palette_is_looked_up(encoded: Encoded) -> None:
    image = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    image.putpalette([10, 20, 30, 200, 100, 50])
    assert decode(encoded(image)).tolist() == [[[10, 20, 30], [200, 100, 50]]]


def test_cmyk_becomes_rgb(encoded: Encoded) -> None:
    inks = np.zeros((8, 16, 4), np.uint8)
    inks[:, 8:, 0] = 255  # cyan beside white
    rgb = decode(encoded(Image.fromarray(inks, "CMYK"), "TIFF"))
    assert rgb[0, 0].tolist() == [255, 255, 255]
    assert rgb[0, 15].tolist() == [0, 255, 255]
    lossy = decode(encoded(Image.fromarray(inks, "CMYK"), "JPEG", quality=100))
    assert np.abs(lossy.astype(int) - rgb).max() <= 3


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_not_clipped(encoded: Encoded, file_format: str) -> None:
    values = np.array([[0, 128, 129, 257, 32896, 65535]], np.uint16)
    rgb = decode(encoded(values, file_format))
    assert rgb[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255]
    assert (rgb == rgb[:, :, :1]).all()


def test_16_bit_pgm_is_scaled() -> None:
    body = np.array([0, 257, 65535], ">u2").tobytes()
    assert decode(b"P5 3 1 65535\n" + body)[0, :, 0].tolist() == [0, 1, 255]


def test_16_bit_rgb_and_rgba_are_scaled() -> None:
    rgb = np.array([0, 32896, 65535], ">u2").tobytes()
    assert decode(png(1, 1, 16, 2, b"\0" + rgb)).tolist() == [[[0, 128, 255]]]
    clear = np.array([0, 32896, 65535, 0], ">u2").tobytes()
    assert decode(png(1, 1, 16, 6, b"\0" + clear)).tolist() == [[[255, 255, 255]]]


def test_32_bit_pixels_are_refused(encoded: Encoded) -> None:
    for values in (np.ones((2, 2), np.float32), np.ones((2, 2), np.int32)):
        with pytest.raises(ProbeError, match="32-bit pixels"):
            decode(encoded(values, "TIFF"))


def test_alpha_is_composited_over_white(encoded: Encoded) -> None:
    rgba = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 0, 0, 51]]], np.uint8)
    expected = [[[10, 20, 30], [255, 255, 255], [204, 204, 204]]]
    assert decode(encoded(rgba)).tolist() == expected
    grey_alpha = np.array([[[100, 255], [100, 0]]], np.uint8)
    rgb = decode(encoded(Image.fromarray(grey_alpha, "LA")))
    assert rgb.tolist() == [[[100] * 3, [255] * 3]]


def test_a_transparent_colour_becomes_white(encoded: Encoded) -> None:
    palette = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    palette.putpalette([10, 20, 30, 200, 100, 50])
    for data in (encoded(palette, transparency=1), encoded(palette, transparency=b"\xff\0")):
        assert decode(data).tolist() == [[[10, 20, 30], [255, 255, 255]]]
    pixels = np.array([[[1, 2, 3], [9, 9, 9]]], np.uint8)
    data = encoded(pixels, transparency=(9, 9, 9))
    assert decode(data).tolist() == [[[1, 2, 3], [255, 255, 255]]]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(picture: Picture, encoded: Encoded, orientation: int) -> None:
    upright = picture(6, 9)
    # EXIF: what must be done to the stored image; so its inverse is stored.
    stored = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: np.rot90(a, -1),
    }[orientation](upright)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(np.ascontiguousarray(stored), "PNG", exif=exif)
    np.testing.assert_array_equal(decode(data), upright)


def test_damaged_exif_is_no_obstacle(picture: Picture, encoded: Encoded) -> None:
    data = encoded(picture(8, 8), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert decode(data).shape == (8, 8, 3)


@pytest.mark.parametrize("file_format", formats("GIF", "TIFF", "WEBP", "PNG", "MPO"))
def test_the_first_frame_of_an_animation_is_used(encoded: Encoded, file_format: str) -> None:
    frames = [Image.new("RGB", (4, 4), (shade, shade, shade)) for shade in (0, 255, 128)]
    data = encoded(frames[0], file_format, save_all=True, append_images=frames[1:])
    assert not decode(data).any()


def test_an_absurdly_large_image_is_refused_from_its_header() -> None:
    # No row is stored: decoding would fail with another reason.
    for width, height in ((8_001, 8_000), (12_000, 12_000), (2_000_000, 1_000_000)):
        with pytest.raises(ProbeError, match="larger than 64 megapixels"):
            decode(png(width, height, 8, 2, b""))
    with pytest.raises(ProbeError, match="can't be decoded"):
        decode(png(8_000, 8_000, 8, 2, b""))


@pytest.mark.parametrize("file_format", formats("PNG", "JPEG", "BMP", "TIFF", "WEBP", "JPEG2000"))
def test_truncated_files_are_refused(picture: Picture, encoded: Encoded, file_format: str) -> None:
    data = encoded(picture(40, 40), file_format)
    for length in (0, 1, 10, len(data) // 2, len(data) * 3 // 4):
        with pytest.raises(ProbeError, match=r"empty|not an image|can't be decoded"):
            decode(data[:length])


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(ProbeError, match="the file is empty"):
        decode(b"")
    with pytest.raises(ProbeError, match="not an image in a format that is read"):
        decode(b"label,score\ncat,1\n")


def test_postscript_is_never_interpreted(encoded: Encoded) -> None:
    eps = encoded(Image.new("RGB", (4, 4)), "EPS")
    with Image.open(io.BytesIO(eps)) as image:  # Pillow itself would take it
        assert image.format == "EPS"
    with pytest.raises(ProbeError, match="not an image in a format that is read"):
        decode(eps)


@pytest.mark.parametrize("file_format", formats("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP", "PPM"))
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_damage_gives_pixels_or_a_reason(file_format: str, data: Any) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (9, 7), (10, 200, 30)).save(buffer, file_format)
    damaged = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ProbeError):  # anything else would end the build
        pixels = decode(bytes(damaged))
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 3
        assert pixels.shape[2] == 3


# Fitting to a size


def test_fit_keeps_what_has_the_size(picture: Picture) -> None:
    image = picture(31, 17)
    np.testing.assert_array_equal(fit(image, (31, 17)), image)


def test_fit_resizes_the_shorter_side_and_crops_the_centre() -> None:
    stripes = np.zeros((64, 256, 3), np.uint8)
    stripes[:, 96:160] = np.arange(64, dtype=np.uint8)[None, :, None] * 4  # the centre square
    wide = fit(stripes, (32, 32))
    centre = fit(np.ascontiguousarray(stripes[:, 96:160]), (32, 32))
    assert wide.shape == (32, 32, 3)
    # Two columns at either edge see the neighbours of the square.
    np.testing.assert_array_equal(wide[:, 2:-2], centre[:, 2:-2])
    assert 0 < wide[16, 4, 0] < wide[16, 16, 0] < wide[16, 28, 0]
    assert fit(stripes.swapaxes(0, 1), (16, 8)).shape == (16, 8, 3)


def test_fit_enlarges() -> None:
    fitted = fit(np.full((1, 1, 3), 7, np.uint8), (5, 4))
    assert fitted.shape == (5, 4, 3)
    assert (fitted == 7).all()


def test_fit_costs_no_more_for_a_very_long_image() -> None:
    # Resized whole, 1 x 100,000 at height 224 would be 224 x 22,400,000.
    assert fit(np.full((1, 100_000, 3), 9, np.uint8), (224, 224)).shape == (224, 224, 3)


# The round trip


def without_dali(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nvidia.dali", None)


@pytest.mark.parametrize(
    ("height", "width"),
    [
        *((1, 1), (1, 2), (2, 1), (7, 5), (8, 8), (15, 17)),
        *((16, 16), (32, 32), (33, 1), (97, 63), (223, 224), (224, 224)),
    ],
)
def test_dali_and_pillow_give_the_same_bytes(
    monkeypatch: pytest.MonkeyPatch, picture: Picture, height: int, width: int
) -> None:
    pytest.importorskip("nvidia.dali", reason="compares DALI with Pillow; DALI is not installed")
    noise = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    images = np.stack([picture(height, width), noise])
    qualities = (
        range(7, 101) if height * width < 2_000 else (7, 10, 15, 18, 25, 50, 75, 90, 95, 100)
    )
    for quality in qualities:
        through_dali, made_by = jpeg_round_trip(images, quality=quality)
        assert made_by.startswith("nvidia-dali ")
        with monkeypatch.context() as patch:
            without_dali(patch)
            through_pillow, made_by = jpeg_round_trip(images, quality=quality)
        assert made_by.startswith("pillow ")
        np.testing.assert_array_equal(through_dali, through_pillow)


def test_batches_and_the_order_of_images_are_kept(
    monkeypatch: pytest.MonkeyPatch, picture: Picture
) -> None:
    images = np.stack([picture(16, 16, seed=seed) for seed in range(7)])
    whole, _ = jpeg_round_trip(images, quality=40)
    monkeypatch.setattr(jpeg, "_BATCH_PIXELS", 3 * 16 * 16)
    in_batches, _ = jpeg_round_trip(images, quality=40)
    np.testing.assert_array_equal(whole, in_batches)
    for image, one in zip(images, whole, strict=True):
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=40)
        with Image.open(buffer) as decoded:
            np.testing.assert_array_equal(one, np.asarray(decoded))


def test_images_too_long_for_jpeg_are_refused() -> None:
    with pytest.raises(ProbeError, match=r"65500 pixels long in JPEG, got 1x70000"):
        jpeg_round_trip(np.zeros((1, 1, 70_000, 3), np.uint8), quality=25)


def test_the_gpu_needs_dali(monkeypatch: pytest.MonkeyPatch) -> None:
    without_dali(monkeypatch)
    with pytest.raises(MissingExtraError, match=r"sacfast\[dali\]"):
        jpeg_round_trip(np.zeros((1, 8, 8, 3), np.uint8), quality=25, device="gpu")


def test_the_gpu_gives_pixels_or_says_that_there_is_none(picture: Picture) -> None:
    pytest.importorskip("nvidia.dali", reason="DALI is not installed")
    images = np.stack([picture(32, 32)])
    if not torch.cuda.is_available():
        with pytest.raises(BackendError, match='device="gpu" needs a CUDA GPU'):
            jpeg_round_trip(images, quality=75, device="gpu")
        return
    on_gpu, made_by = jpeg_round_trip(images, quality=75, device="gpu")
    assert made_by.startswith("nvidia-dali ")
    # Two decoders of one standard: their rounding differs by little.
    on_cpu, _ = jpeg_round_trip(images, quality=75)
    assert np.abs(on_gpu.astype(int) - on_cpu).mean() < 3


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("nvidia/dali/__init__.py", "raise ImportError('libdali.so: cannot open')"),
        ("nvidia/dali/__init__.py", "raise OSError('libdali.so: cannot open')"),
        ("nvidia/dali/__init__.py", "import no_such_dependency"),
        ("nvidia/dali/leftover.txt", ""),  # an empty shell after a half-done uninstall
    ],
)
def test_a_broken_dali_is_an_error_not_a_fallback(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, package: str, source: str
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "nvidia"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    (tmp_path / package).parent.mkdir(parents=True)
    (tmp_path / package).write_text(source)
    try:
        with pytest.raises(BackendError, match="DALI is installed but can't be loaded"):
            jpeg_round_trip(np.zeros((1, 8, 8, 3), np.uint8), quality=25)
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == "nvidia"]:
            del sys.modules[name]  # the fake; the real ones come back with the patch


def test_versions_name_the_decoders() -> None:
    assert set(library_versions()) == {"pillow", "libjpeg"}
