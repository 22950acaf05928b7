"""The frozen probe set and its file.

A probe set is what every model is asked: N images, uint8, RGB, all of one size, decoded. It is
identified by a SHA-256 over its pixels and over how they were made (kind, parameters, sources,
labels). What happened on the way (library versions, images that were skipped) is kept beside it
but is no part of that digest: two machines that arrive at the same pixels by the same recipe
hold the same probe set, and fingerprints taken with one are good for the other.

The file is safetensors with one tensor, ``pixels``, and one metadata entry, ``sacfast``::

    {"checksum": SHA-256 of the canonical JSON of the header,
     "header": {"format_version": 1,
                "digest": SHA-256 of the canonical JSON of the identity, a newline, the pixels,
                "identity": {kind, parameters, colour_order, shape, sources, labels},
                "record": {versions, skipped}}}

Canonical JSON is ASCII, without spaces, keys sorted. One entry, because safetensors writes
several in no fixed order, and the same set must give the same bytes. The checksum shows a change
anywhere in the header, the digest a change in the pixels. Both guard against accidents and mixed
up files; whoever rewrites a file on purpose can make new ones, so a claim rests on the digest
that was made public before.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as safetensors_bytes

from sacfast.errors import DtypeError, ProbeError, ShapeError
from sacfast.files import write_whole
from sacfast.kinds import VERIFICATION

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT_VERSION = 1
COLOUR_ORDER = "RGB"


@dataclass(frozen=True, eq=False, repr=False)
class ProbeSet:
    """N frozen images with what is known about them; made by `build_probes` or `open`.

    Two sets are equal if their digests are.

    Args:
        pixels: uint8 (N, H, W, 3), RGB. Kept as a copy that can't be written to.
        kind: What was done to the images: "jpeg", "normal", "cutmix" … (see `build_probes`).
        parameters: How the images were chosen, sized and augmented: JSON values.
        sources: SHA-256 (hex) of each chosen image's bytes, in the order of the pixels.
        labels: The class of each chosen image, or None.
        skipped: The images that were passed over, each as "name: why".
        versions: The libraries that made the pixels.

    Raises:
        DtypeError, ShapeError: `pixels` is no uint8 (N, H, W, 3).
        ProbeError: The other fields don't fit the pixels or are no JSON.
    """

    pixels: NDArray[np.uint8]
    kind: str
    parameters: Mapping[str, Any]
    sources: tuple[str, ...]
    labels: tuple[str, ...] | None = None
    skipped: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    digest: str = field(init=False)
    """SHA-256 (hex) of the identity and the pixels: what models see, and how it was made."""

    def __post_init__(self) -> None:
        pixels = self.pixels
        came = getattr(pixels, "dtype", type(pixels).__name__)
        if came != np.uint8:
            raise DtypeError(f"ProbeSet: `pixels` must be a uint8 array, got {came}")
        if pixels.ndim != 4 or pixels.shape[3] != 3 or pixels.size == 0:
            raise ShapeError(f"ProbeSet: `pixels` must be (N, H, W, 3), got {pixels.shape}")
        for name, values in (("sources", self.sources), ("labels", self.labels)):
            if values is not None and len(values) != len(pixels):
                raise ProbeError(
                    f"ProbeSet: `{name}` must have one entry per image ({len(pixels)}), "
                    f"got {len(values)}"
                )
        references = self.parameters.get("references", 0)
        if not isinstance(references, int) or not 0 <= references < len(pixels):
            raise ProbeError(
                f"ProbeSet: `parameters` must name fewer references than the {len(pixels)} images, "
                f"got {references!r}"
            )
        # A view of immutable bytes: unlike a cleared flag, this can't be set writeable again.
        frozen = np.frombuffer(pixels.tobytes(), np.uint8).reshape(pixels.shape)
        try:
            parameters = json.loads(_canonical(dict(self.parameters)))
        except (TypeError, ValueError) as error:
            raise ProbeError(f"ProbeSet: `parameters` must be JSON values ({error})") from error
        replaced = {
            "pixels": frozen,
            "parameters": MappingProxyType(parameters),
            "sources": tuple(self.sources),
            "labels": None if self.labels is None else tuple(self.labels),
            "skipped": tuple(self.skipped),
            "versions": MappingProxyType(dict(self.versions)),
        }
        for name, value in replaced.items():
            object.__setattr__(self, name, value)
        identity = _canonical(self._identity()).encode() + b"\n"
        digest = hashlib.sha256(identity)
        digest.update(frozen.data)
        object.__setattr__(self, "digest", digest.hexdigest())

    @property
    def references(self) -> int:
        """How many images, the first ones, are reference images of `face_probes`; mostly none."""
        return int(self.parameters.get("references", 0))

    def rows(self, kind: str) -> int:
        """How many rows answers of a kind have: one an image; one a probe where pairs are scored.

        These are about pairs: of a probe with each of the reference images.
        """
        return len(self) - (self.references if kind in VERIFICATION else 0)

    def __len__(self) -> int:
        return len(self.pixels)

    def __eq__(self, other: object) -> bool:
        return self.digest == other.digest if isinstance(other, ProbeSet) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        n, height, width, _ = self.pixels.shape
        return f"<ProbeSet {self.kind}: {n} images {height}x{width}, digest {self.digest[:12]}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return ProbeSet, (
            self.pixels,
            self.kind,
            dict(self.parameters),
            self.sources,
            self.labels,
            self.skipped,
            dict(self.versions),
        )

    def facts(self) -> dict[str, Any]:
        """Everything but the pixels, as JSON values: what a store notes and a report shows."""
        return {"digest": self.digest, **self._identity(), **self._record()}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the file, whole or not at all; the same set gives the same bytes.

        Raises:
            ProbeError: The file can't be written.
        """
        header = {
            "format_version": FORMAT_VERSION,
            "digest": self.digest,
            "identity": self._identity(),
            "record": self._record(),
        }
        entry = {"checksum": _sha256(_canonical(header)), "header": header}
        data = safetensors_bytes({"pixels": self.pixels}, metadata={"sacfast": _canonical(entry)})
        target = Path(path)
        try:
            write_whole(target, data)
        except OSError as error:
            raise ProbeError(f"ProbeSet.save: can't write {target}: {error.strerror}") from error

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> ProbeSet:
        """Reads a file that `save` wrote, and checks every byte of it.

        Raises:
            ProbeError: The file can't be read, is no probe set, is truncated, has a format
                version that this sacfast doesn't know, or was changed after it was saved.
        """
        target = Path(path)
        header, pixels = _read(target)
        try:
            identity, record = header["identity"], header["record"]
            labels = identity["labels"]
            probes = cls(
                pixels=pixels,
                kind=identity["kind"],
                parameters=identity["parameters"],
                sources=tuple(identity["sources"]),
                labels=None if labels is None else tuple(labels),
                skipped=tuple(record["skipped"]),
                versions=record["versions"],
            )
            intact = probes.digest == header["digest"]
        except (ProbeError, ShapeError, KeyError, TypeError, ValueError) as error:
            raise _changed(target, f"its contents don't fit together ({error})") from error
        if not intact:
            raise _changed(target, "its pixels don't match its digest")
        return probes

    def _record(self) -> dict[str, Any]:
        return {"versions": dict(self.versions), "skipped": list(self.skipped)}

    def _identity(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "parameters": dict(self.parameters),
            "colour_order": COLOUR_ORDER,
            "shape": list(self.pixels.shape),
            "sources": list(self.sources),
            "labels": None if self.labels is None else list(self.labels),
        }


def _read(target: Path) -> tuple[dict[str, Any], NDArray[np.uint8]]:
    """The checked header and the unchecked pixels of a probe-set file."""
    if not target.is_file():
        what = "is no file" if target.exists() else "doesn't exist"
        raise ProbeError(f"ProbeSet.open: {target} {what}")
    try:
        with target.open("rb") as file:
            start = file.read(9)
        if start[8:] != b"{":  # safetensors: the header's length in 8 bytes, then JSON
            raise ProbeError(f"ProbeSet.open: {target} is no safetensors file")
        with safe_open(target, framework="numpy") as opened:
            header = _checked_header(target, opened.metadata() or {})
            if list(opened.keys()) != ["pixels"]:
                raise _changed(target, f"it must hold one tensor, `pixels`, got {opened.keys()}")
            if (dtype := opened.get_slice("pixels").get_dtype()) != "U8":
                raise _changed(target, f"its pixels must be uint8, got {dtype}")
            return header, opened.get_tensor("pixels")
    except OSError as error:
        raise ProbeError(f"ProbeSet.open: can't read {target}: {error.strerror}") from error
    except SafetensorError as error:
        raise ProbeError(f"ProbeSet.open: {target} is truncated or damaged ({error})") from error


def _checked_header(target: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    """The header out of the metadata of a safetensors file that says it is a probe set."""
    if "sacfast" not in metadata:
        raise ProbeError(f"ProbeSet.open: {target} is a safetensors file, but holds no probe set")
    text = metadata["sacfast"]
    try:
        header = json.loads(text)["header"]
        version = header["format_version"]
        expected = {"checksum": _sha256(_canonical(header)), "header": header}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _changed(target, "its header is damaged") from error
    if version != FORMAT_VERSION:
        raise ProbeError(
            f"ProbeSet.open: {target} has format version {version!r}; "
            f"this sacfast reads version {FORMAT_VERSION}",
            hint="open it with the sacfast that made it, or build the probe set again",
        )
    if dict(metadata) != {"sacfast": _canonical(expected)}:
        raise _changed(target, "its header doesn't match its checksum")
    return cast("dict[str, Any]", header)


def _changed(target: Path, why: str) -> ProbeError:
    return ProbeError(f"ProbeSet.open: {target} was changed after it was saved: {why}")


def _canonical(value: object) -> str:
    return json.dumps(
        value, ensure_ascii=True, allow_nan=False, sort_keys=True, separators=(",", ":")
    )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
