"""The fourteen common corruptions, through the library that keeps the published functions alive.

Hendrycks and Dietterich's corruptions (ICLR 2019) are what SAC-JC compares its probes by. The
package that its authors used, `imagecorruptions`, rests since 2020: with NumPy 2 its fog fails,
with today's scikit-image its glass blur, and with Python 3.12 its import. `imagecorruptions-imaug`
is the maintained continuation under the same module name and with the same constants; the extra
`corruptions` brings it. (`corrupt-tta` on the index is a rewrite: its motion blur and elastic
transform have other kernels and constants, so its images are not the published ones.)

Most of the functions draw from NumPy's global generator. It is seeded for every image and put back
afterwards, so a probe set depends on its seed alone and nobody else's randomness on its having been
made; two threads must not do this at once. Pixelation alone is done here, with the published
shares: the library leaves it to PIL, whose resizing depends on its version (see `resize`).

The constants were chosen for images of 224 pixels and are used as they are: on 32x32 a blur of the
same radius reaches across a third of the image.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

from sacfast.errors import BackendError, MissingExtraError, ProbeError
from sacfast.probes.resize import resized

if TYPE_CHECKING:
    from numpy.typing import NDArray

CORRUPTIONS = (
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "defocus_blur",
    "glass_blur",
    "motion_blur",
    "zoom_blur",
    "snow",
    "fog",
    "brightness",
    "contrast",
    "elastic_transform",
    "pixelate",
    "jpeg_compression",
)
#: These take a seed of their own instead of NumPy's global generator.
_OWN_SEED = ("impulse_noise", "glass_blur")
_SMALLEST = 32  # pixels on a side; the library refuses less
_PACKAGES = (
    "imagecorruptions-imaug",
    "opencv-python",
    "opencv-python-headless",
    "scikit-image",
    "numba",
)
_PIXELATED = (0.6, 0.5, 0.4, 0.3, 0.25)  # share of a side that is left, by severity


def corrupted(
    images: NDArray[np.uint8], name: str, *, severity: int, seed: int
) -> tuple[NDArray[np.uint8], str]:
    """Every image under one corruption.

    Args:
        images: uint8 (N, H, W, 3), both sides at least 32.
        name: One of `CORRUPTIONS`.
        severity: 1 to 5.
        seed: Image i is corrupted with randomness drawn from (seed, i), so the same images in the
            same order give the same bytes.

    Returns:
        uint8 (N, H, W, 3), and the libraries that made them.

    Raises:
        ProbeError: The images are too small.
        MissingExtraError: The library is not installed.
        BackendError: It is installed, but can't be loaded.

    Source: Hendrycks and Dietterich (arXiv 1903.12261), as SAC-JC uses them in its Fig. 2.
    """
    height, width = images.shape[1:3]
    if min(height, width) < _SMALLEST:
        raise ProbeError(
            f"build_probes: kind={name!r} needs images of at least {_SMALLEST}x{_SMALLEST}, "
            f"got {height}x{width}",
            hint="size=224",
        )
    library = _import_library(name)
    made = np.empty_like(images)
    for i, image in enumerate(images):
        if name == "pixelate":
            made[i] = _pixelated(image, _PIXELATED[severity - 1])
            continue
        # Stream 0 belongs to the selection.
        own_seed = int(np.random.SeedSequence([seed, 1, i]).generate_state(1)[0])
        own = {"seed": own_seed} if name in _OWN_SEED else {}
        with _global_generator(own_seed):
            made[i] = library.corrupt(image, severity=severity, corruption_name=name, **own)
    return made, _versions()


def _pixelated(image: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    small = resized(image, (int(height * share), int(width * share)), "box")
    return resized(small, (height, width), "nearest")


@contextmanager
def _global_generator(seed: int) -> Iterator[None]:
    """Seeds NumPy's global generator for a while."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


def _import_library(name: str) -> Any:
    try:
        metadata.version(_PACKAGES[0])  # the old package has the same module name
    except metadata.PackageNotFoundError as error:
        raise MissingExtraError(
            f"build_probes(kind={name!r})", _PACKAGES[0], "corruptions"
        ) from error
    try:
        import imagecorruptions
    except (ImportError, OSError, AttributeError) as error:
        raise BackendError(
            f"build_probes: {_PACKAGES[0]} is installed but can't be loaded ({error})",
            hint="pip uninstall -y opencv-python && pip install opencv-python-headless"
            if "libGL" in str(error)
            else None,
        ) from error
    return imagecorruptions


def _versions() -> str:
    found = []
    for package in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):  # OpenCV comes as one or the other
            found.append(f"{package} {metadata.version(package)}")
    return ", ".join(found)
