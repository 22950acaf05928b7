"""What this installation can do, found out without changing anything."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from sacfast import __version__
from sacfast.kernels import build_info

_LEVELS = {
    "v4": "AVX-512 (x86-64-v4 with VNNI)",
    "v3": "AVX2 (x86-64-v3)",
    "baseline": "128-bit vectors (baseline)",
}
_PIL_CURE = (
    "pip uninstall -y pillow pillow-simd && pip install pillow; "
    "pillow-simd goes into a folder of its own (docs/probes.md)"
)


@dataclass(frozen=True)
class Finding:
    """One line of a check-up.

    Attributes:
        what: The part that was looked at.
        state: "ok", "absent" (an optional part is not there), "warning" (it works, but not as it
            should) or "broken".
        detail: Version and facts, or what to do.
    """

    what: str
    state: str
    detail: str


def check_up() -> list[Finding]:
    """Looks at every part that sacfast uses and says which are there and working."""
    info = build_info()
    return [
        Finding("sacfast", "ok", f"{__version__} on Python {platform.python_version()}"),
        _core(info),
        _cuda(info),
        Finding(
            "processor", "ok", f"{len(os.sched_getaffinity(0))} usable cores, {platform.machine()}"
        ),
        _package("torch", "torch", "runs models"),
        _package("timm", "timm", "builds models from their config.json"),
        _pil(),
        _package("nvidia.dali", "nvidia-dali-cuda130", "makes JPEG probes", extra="dali"),
        _package("pyarrow", "pyarrow", "writes .parquet", extra="parquet"),
        _package("sklearn", "scikit-learn", "brings the demo's digits", extra="demo"),
        _package(
            "imagecorruptions",
            "imagecorruptions-imaug",
            "makes corrupted probes",
            extra="corruptions",
        ),
    ]


def _core(info: dict[str, Any]) -> Finding:
    level = _LEVELS[info["level"]]
    detail = (
        f"built by {info['compiler']} for {info['processor']}, {level}, {info['threads']} threads"
    )
    return Finding("CPU kernels", "ok", detail)


def _cuda(info: dict[str, Any]) -> Finding:
    cuda = info["cuda"]
    if not cuda["built"]:
        return Finding("CUDA module", "absent", str(cuda["reason"]))
    if not cuda["loaded"]:
        return Finding("CUDA module", "broken", str(cuda["reason"]))
    devices = ", ".join(
        f"{device['name']} ({'.'.join(map(str, device['compute_capability']))}, "
        f"float32 by {device['product']})"
        for device in cuda["devices"]
    )
    found = devices or f"no GPU here: {cuda['reason']}"
    built = f"toolkit {cuda['toolkit']}, built for {cuda['architectures']}"
    least = min(int(number) for number in re.findall(r"\d+", cuda["architectures"]))
    capabilities = [device["compute_capability"] for device in cuda["devices"]]
    if any(10 * major + minor < least for major, minor in capabilities):
        found += f"; the kernels need compute capability {least // 10}.{least % 10}"
        return Finding("CUDA module", "warning", f"{built}; {found}")
    return Finding("CUDA module", "ok", f"{built}; {found}")


def _package(module: str, package: str, purpose: str, *, extra: str | None = None) -> Finding:
    try:
        version = metadata.version(package)
    except metadata.PackageNotFoundError:
        how = f"pip install 'sacfast[{extra}]'" if extra else f"pip install {package}"
        return Finding(package, "absent" if extra else "broken", f"{purpose}; {how}")
    try:
        import_module(module)
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        return Finding(package, "broken", f"{version} does not import: {error}")
    return Finding(package, "ok", f"{version}, {purpose}")


def _pil() -> Finding:
    """Which PIL is loaded: Pillow and pillow-simd both install themselves as `PIL`."""
    try:
        import PIL
        from PIL import Image, features
    except (ImportError, OSError, AttributeError) as error:
        return Finding("PIL", "broken", f"doesn't import ({error}); {_PIL_CURE}")
    lacking = [
        name
        for codec, name in (("jpg_2000", "JPEG 2000"), ("libtiff", "packed TIFF"), ("webp", "WebP"))
        if not features.check(codec)
    ]
    folder = Path(Image.__file__).parent.parent
    return _judged_pil(PIL.__version__, folder, features.version("libjpeg_turbo"), lacking)


def _judged_pil(version: str, folder: Path, turbo: str | None, lacking: list[str]) -> Finding:
    """What is to be said of the PIL in `folder`.

    Args:
        version: What PIL says of itself.
        folder: Where the package PIL lies; what pip installed there is looked up.
        turbo: The version of libjpeg-turbo in it; None: another JPEG library.
        lacking: Formats that it was built without.
    """
    name = "pillow-simd" if ".post" in version else "pillow"
    detail = f"{name} {version} with " + (f"libjpeg-turbo {turbo}" if turbo else "another libjpeg")
    claims = {
        found.name.lower().replace("_", "-"): found.version
        for found in metadata.distributions(path=[str(folder)])
        if found.name.lower().replace("_", "-") in ("pillow", "pillow-simd")
    }
    if claims and claims != {name: version}:
        installed = " and ".join(f"{claim} {claims[claim]}" for claim in sorted(claims))
        detail += f", but pip installed {installed} in its place; {_PIL_CURE}"
        return Finding("PIL", "warning", detail)
    if not turbo:
        return Finding("PIL", "warning", f"{detail}: JPEG probes may come out as other bytes")
    if lacking:
        detail += f"; images in {', '.join(lacking)} can't be read and are skipped"
    return Finding("PIL", "ok", detail)
