"""An owner's images, listed but not read: a folder, a list of paths, or arrays in memory.

Listing needs the names only, so a folder of a million files costs one walk through it; an image
is read when it is chosen. In a folder every regular file counts, at any depth and whatever its
suffix, apart from what is hidden (a name that begins with a dot); linked folders are noted, not
followed. Files are sorted by their path inside the folder. The first folder on that path is the
image's label, where every image lies in one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sacfast.errors import ArgumentError, DtypeError, ProbeError, ShapeError
from sacfast.probes.jpeg import decode
from sacfast.text import visible

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_FILE_BYTES = 1 << 30


@dataclass(frozen=True)
class Images:
    """Images that can be read one by one.

    Args:
        items: Paths, or uint8 arrays (H, W), (H, W, 1) or (H, W, 3).
        root: The folder that the paths are relative to.
        labels: The class of each, or None.
        unlisted: Folders that were not listed, each as "name: why".
    """

    items: Sequence[Any]
    root: Path | None = None
    labels: tuple[str, ...] | None = None
    unlisted: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.items)

    def name(self, index: int) -> str:
        """What the image at `index` is called in messages."""
        item = self.items[index]
        return f"image {index}" if isinstance(item, np.ndarray) else _printable(item)

    def read(self, index: int) -> tuple[NDArray[np.uint8], str]:
        """The RGB pixels (H, W, 3) of one image, and the SHA-256 (hex) of its bytes.

        Raises:
            ProbeError: The image can't be used; the message is the bare reason.
        """
        item = self.items[index]
        if isinstance(item, np.ndarray):
            pixels = item if item.ndim == 3 else item[:, :, None]
            rgb = np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))
            return rgb, hashlib.sha256(np.ascontiguousarray(item).data).hexdigest()
        data = _file_bytes(Path(item) if self.root is None else self.root / item)
        return decode(data), hashlib.sha256(data).hexdigest()


def list_images(images: object, labels: Sequence[object] | None) -> Images:
    """What `build_probes` takes as `images`, as one type."""
    if isinstance(images, (str, os.PathLike)):
        if labels is not None:
            raise ArgumentError(
                "build_probes: `labels` must be None for a directory: its sub-folders are the "
                "labels"
            )
        return _list_directory(Path(images))
    if isinstance(images, np.ndarray):
        items: Sequence[Any] = list(_list_array(images))
    elif isinstance(images, (list, tuple)):
        items = [_checked_item(item, index) for index, item in enumerate(images)]
    else:
        raise DtypeError(
            "build_probes: `images` must be a directory, a list of paths, a uint8 array or a "
            f"list of uint8 arrays, got {type(images).__name__}"
        )
    if labels is None:
        return Images(items)
    if len(labels) != len(items):
        raise ArgumentError(
            f"build_probes: `labels` must have one entry per image ({len(items)}), "
            f"got {len(labels)}"
        )
    named = tuple("" if label is None else str(label) for label in labels)
    if "" in named:
        raise ArgumentError(
            "build_probes: `labels` must name the class of every image, "
            f"got {labels[named.index('')]!r} for image {named.index('')}"
        )
    return Images(items, labels=named)


def _list_directory(root: Path) -> Images:
    if not root.is_dir():
        what = "is no directory" if root.exists() else "doesn't exist"
        raise ProbeError(
            f"build_probes: `images`: {_printable(root)} {what}",
            hint="for single files pass a list of paths" if root.exists() else None,
        )
    paths: list[str] = []
    unlisted: list[str] = []

    def note(error: OSError) -> None:
        folder = os.path.relpath(error.filename, root)
        unlisted.append(f"{_printable(folder)}: can't be listed ({error.strerror})")

    for folder, below, files in os.walk(root, onerror=note):
        below[:] = [name for name in below if not name.startswith(".")]
        inside = os.path.relpath(folder, root)
        prefix = "" if inside == "." else f"{inside}/"
        unlisted.extend(
            f"{_printable(prefix + name)}: a linked folder, not followed"
            for name in below
            if Path(folder, name).is_symlink()
        )
        paths.extend(prefix + name for name in files if not name.startswith("."))
    paths.sort()
    labels = None
    if paths and all("/" in path for path in paths):
        labels = tuple(_printable(path.split("/", 1)[0]) for path in paths)
    return Images(paths, root, labels, tuple(sorted(unlisted)))


def _list_array(images: NDArray[Any]) -> NDArray[Any]:
    if images.dtype != np.uint8:
        raise _not_uint8(images.dtype)
    shaped = images.ndim == 3 or (images.ndim == 4 and images.shape[3] in (1, 3))
    if not shaped or 0 in images.shape[1:]:
        raise ShapeError(
            "build_probes: `images` must be (M, H, W, 3), (M, H, W, 1) or (M, H, W), "
            f"got {images.shape}"
        )
    if images.ndim == 3 and images.shape[2] in (1, 3):
        raise ShapeError(
            "build_probes: `images` must be (M, H, W, 3), (M, H, W, 1) or (M, H, W), "
            f"got {images.shape}, which looks like one image",
            hint="for one image pass images[None]",
        )
    return images


def _checked_item(item: object, index: int) -> str | NDArray[np.uint8]:
    if isinstance(item, (str, os.PathLike)):
        return os.fsdecode(item)
    if not isinstance(item, np.ndarray):
        raise DtypeError(
            f"build_probes: `images[{index}]` must be a path or a uint8 array, "
            f"got {type(item).__name__}"
        )
    if item.dtype != np.uint8:
        raise _not_uint8(item.dtype)
    if not (item.ndim == 2 or (item.ndim == 3 and item.shape[2] in (1, 3))) or item.size == 0:
        raise ShapeError(
            f"build_probes: `images[{index}]` must be (H, W, 3), (H, W, 1) or (H, W), "
            f"got {item.shape}"
        )
    return item


def _not_uint8(dtype: np.dtype[Any]) -> DtypeError:
    return DtypeError(
        f"build_probes: `images` must be uint8, got {dtype}",
        hint="bring the values to 0..255, round, then images.astype(numpy.uint8)",
    )


def _file_bytes(path: Path) -> bytes:
    try:
        if not path.is_file():  # a pipe would keep us waiting for ever
            raise ProbeError("no regular file" if path.exists() else "doesn't exist")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ProbeError(f"larger than {MAX_FILE_BYTES >> 30} GiB")
        return path.read_bytes()
    except OSError as error:
        raise ProbeError(f"can't be read ({error.strerror})") from error


def _printable(path: str | os.PathLike[str]) -> str:
    """A path as text that any terminal and any JSON can hold."""
    return visible(os.fsencode(path).decode("utf-8", "backslashreplace"))
