"""Everything that needs an imaging library, decoding and the JPEG round trip; fitting to a size.

The only module that decodes images, and the only one that knows NVIDIA DALI; both libraries are
imported where they are used. The round trip
(encode as JPEG, decode again) is SAC-JC's augmentation. On the CPU DALI's
`jpeg_compression_distortion`, Pillow and pillow-simd give the same bytes (all are libjpeg-turbo
with 4:2:0 chroma), so DALI is used where it is installed and PIL where it is not, and the probe set
is the same. DALI's GPU operator computes another rounding: it is used only on request. Resizing is
`resize.resized`, because there the libraries differ.

What decoding does with images that are not plain 8-bit RGB:

    grey, palette, CMYK, YCbCr    converted to RGB, colour profiles ignored
    16 bits a channel             scaled to 8 (65535 becomes 255)
    32-bit integers and floats    refused: they have no defined white
    alpha                         composited over white
    EXIF orientation              applied
    several frames                the first
    over 64 megapixels            refused from the header, before anything is decoded
"""

from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sacfast.errors import BackendError, MissingExtraError, ProbeError
from sacfast.probes.resize import resized

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image as PillowImage

MAX_PIXELS = 64_000_000
# Formats with a decoder inside Pillow; JPEG's also opens MPO, JPEG with several frames. EPS, for
# one, would start Ghostscript on the file.
FORMATS = ("BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
# What Pillow's decoders are known to raise on damaged files.
_DECODE_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
)
_MAX_JPEG_SIDE = 65_500  # libjpeg's JPEG_MAX_DIMENSION
_BATCH_PIXELS = 16_000_000  # per DALI run: 48 MB in, 48 MB out


def decode(data: bytes) -> NDArray[np.uint8]:
    """One image file's bytes as RGB pixels.

    Args:
        data: The bytes of an image file in one of `FORMATS`.

    Returns:
        uint8 (H, W, 3).

    Raises:
        ProbeError: The bytes can't be used; the message is the bare reason.
    """
    from PIL import Image, UnidentifiedImageError

    if not data:
        raise ProbeError("the file is empty")
    too_large = ProbeError(f"larger than {MAX_PIXELS // 1_000_000} megapixels")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise too_large
                return _as_rgb(image)
        except UnidentifiedImageError as error:
            raise ProbeError("not an image in a format that is read") from error
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise too_large from error
        except ProbeError:
            raise
        except _DECODE_ERRORS as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ProbeError(f"can't be decoded ({reason})") from error


def fit(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resizes so that the shorter side fits, then crops the centre; an image of `size` is kept.

    Args:
        pixels: uint8 (H, W, 3).
        size: Height and width wanted.

    Returns:
        uint8 (height, width, 3), bicubic with antialiasing. The crop is taken in the same step,
        so that a very long image costs no more than a square one.
    """
    height, width = pixels.shape[:2]
    if (height, width) == size:
        return pixels
    wanted, ratio = size[1] / size[0], width / height
    wide = wanted * height if ratio > wanted else float(width)
    high = width / wanted if ratio < wanted else float(height)
    left, top = (width - wide) * 0.5, (height - high) * 0.5
    return resized(pixels, size, "bicubic", (left, top, left + wide, top + high))


def save_png(pixels: NDArray[np.uint8], path: Path) -> None:
    """Writes one image (H, W, 3) without loss.

    Raises:
        ProbeError: If it can't be written.
    """
    from PIL import Image

    try:
        Image.fromarray(pixels).save(path, format="PNG")
    except OSError as error:
        raise ProbeError(f"export_probes: {path} can't be written: {error}") from error


def jpeg_round_trip(
    pixels: NDArray[np.uint8], *, quality: int, device: str = "cpu"
) -> tuple[NDArray[np.uint8], str]:
    """Encodes every image as JPEG and decodes it again.

    Args:
        pixels: uint8 (N, H, W, 3), RGB.
        quality: JPEG quality, 1 to 100.
        device: "cpu", or "gpu" for DALI's GPU operator (whose bytes differ from the CPU's).

    Returns:
        uint8 (N, H, W, 3), and the name and version of the library that made them.

    Raises:
        ProbeError: The images are too long for JPEG.
        BackendError: DALI is installed but can't be loaded, or there is no GPU for it.
        MissingExtraError: device="gpu" without DALI.
    """
    height, width = pixels.shape[1:3]
    if max(height, width) > _MAX_JPEG_SIDE:
        raise ProbeError(
            f"jpeg_round_trip: an image may be {_MAX_JPEG_SIDE} pixels long in JPEG, "
            f"got {height}x{width}",
            hint="size=224",
        )
    dali = _import_dali()
    if dali is not None:
        return _through_dali(dali, pixels, quality, device), f"nvidia-dali {dali.__version__}"
    if device == "gpu":
        raise MissingExtraError('build_probes(device="gpu")', "nvidia.dali", "dali")
    import PIL
    from PIL import Image

    Image.preinit()  # loads the formats, which two threads must not do at once
    with ThreadPoolExecutor(_threads()) as threads:
        made = list(threads.map(lambda image: _through_pil(image, quality), pixels))
    return np.stack(made), f"pillow {PIL.__version__}"


def library_versions() -> dict[str, str]:
    """The libraries that decode, with their versions."""
    import PIL
    from PIL import features

    libjpeg = str(features.version_feature("libjpeg_turbo") or features.version_codec("jpg"))
    return {"pillow": PIL.__version__, "libjpeg": libjpeg}


def _as_rgb(image: PillowImage) -> NDArray[np.uint8]:
    from PIL import Image, ImageOps

    upright = ImageOps.exif_transpose(image)
    # 16-bit PGM comes as mode "I" scaled to 65535, and so did 16-bit PNG in older Pillows.
    if upright.mode.startswith("I;16") or (upright.mode == "I" and image.format in ("PNG", "PPM")):
        values = np.asarray(upright).astype(np.uint32)
        grey = ((values + 128) // 257).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if upright.mode in ("I", "F"):
        raise ProbeError(f"32-bit pixels (mode {upright.mode}) have no defined 8-bit range")
    if upright.mode.endswith(("A", "a")) or "transparency" in upright.info:
        layer = upright.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        upright = Image.alpha_composite(white, layer)
    return np.array(upright.convert("RGB"))


def _through_pil(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer, formats=("JPEG",)) as image:
        return np.asarray(image)


def _threads() -> int:
    return min(4, len(os.sched_getaffinity(0)))


def _import_dali() -> Any:
    """The package nvidia.dali, or None where it is not installed.

    Raises:
        BackendError: It is installed, but importing it fails.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import nvidia.dali
            import nvidia.dali.fn
            import nvidia.dali.pipeline
    except ModuleNotFoundError as error:
        if error.name in ("nvidia", "nvidia.dali"):
            return None
        raise _broken_dali(error) from error
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        raise _broken_dali(error) from error
    return nvidia.dali


def _broken_dali(error: Exception) -> BackendError:
    return BackendError(
        f"build_probes: NVIDIA DALI is installed but can't be loaded ({error})",
        hint="reinstall it, or uninstall it: without it Pillow makes the same CPU bytes",
    )


def _through_dali(
    dali: Any, pixels: NDArray[np.uint8], quality: int, device: str
) -> NDArray[np.uint8]:
    batch = max(1, min(len(pixels), _BATCH_PIXELS // (pixels.shape[1] * pixels.shape[2])))
    try:
        pipeline = dali.pipeline.Pipeline(
            batch_size=batch,
            num_threads=_threads(),
            device_id=0 if device == "gpu" else None,
            prefetch_queue_depth=1,
        )
        with pipeline:
            images = dali.fn.external_source(name="images", layout="HWC")
            if device == "gpu":
                images = images.gpu()
            pipeline.set_outputs(dali.fn.jpeg_compression_distortion(images, quality=quality))
        pipeline.build()
        return np.concatenate(
            [
                _run_dali(pipeline, list(pixels[first : first + batch]), device)
                for first in range(0, len(pixels), batch)
            ]
        )
    except RuntimeError as error:
        what = 'device="gpu" needs a CUDA GPU' if device == "gpu" else "NVIDIA DALI failed"
        first_line = str(error).strip().splitlines()[0]
        raise BackendError(f"build_probes: {what} ({first_line})") from error


def _run_dali(pipeline: Any, batch: list[NDArray[np.uint8]], device: str) -> NDArray[np.uint8]:
    pipeline.feed_input("images", batch)
    (answer,) = pipeline.run()
    on_cpu = answer.as_cpu() if device == "gpu" else answer
    return np.stack([np.array(on_cpu.at(index)) for index in range(len(batch))])
