"""What this installation can do, found out without changing anything."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib import import_module, metadata
from typing import Any

from sacfast import __version__
from sacfast.kernels import build_info


@dataclass(frozen=True)
class Finding:
    """One line of a check-up.

    Attributes:
        what: The part that was looked at.
        state: "ok", "absent" (an optional part is not there) or "broken".
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
        _pillow(),
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
    detail = f"built by {info['compiler']} for {info['processor']}, {info['threads']} threads"
    return Finding("CPU kernels", "ok", detail)


def _cuda(info: dict[str, Any]) -> Finding:
    cuda = info["cuda"]
    if not cuda["built"]:
        return Finding("CUDA module", "absent", str(cuda["reason"]))
    if not cuda["loaded"]:
        return Finding("CUDA module", "broken", str(cuda["reason"]))
    devices = ", ".join(device["name"] for device in cuda["devices"]) or "no device"
    kernels = "" if cuda["kernels"] else "; device query only, all arithmetic runs on the CPU"
    return Finding("CUDA module", "ok", f"toolkit {cuda['toolkit']}, {devices}{kernels}")


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


def _pillow() -> Finding:
    import PIL
    from PIL import features

    variant = "pillow-simd" if ".post" in PIL.__version__ else "Pillow"
    jpeg = features.version("libjpeg_turbo")
    library = f"libjpeg-turbo {jpeg}" if jpeg else "libjpeg without turbo"
    return Finding("PIL", "ok", f"{variant} {PIL.__version__} with {library}")
