"""The header of a safetensors file, checked before anything else reads the file.

The file is a length (8 bytes, little endian), a JSON object of that length that says where each
tensor lies, and the tensors' bytes. Everything the header promises is compared with the file:
the length, each tensor's bytes against its type and shape, and that the tensors fill the rest
of the file without gap or overlap. So a bad file gives a reason in plain words, and the library
that then loads it only ever sees files that hold together.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from sacfast.errors import ModelError, RefusedModelError
from sacfast.models._files import SafeFile, strict_json
from sacfast.models.formats import refusal

MAX_HEADER_BYTES = 16 << 20
MAX_TENSORS = 100_000

_ITEM_BYTES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2"), 1),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 2),
    **dict.fromkeys(("I32", "U32", "F32"), 4),
    **dict.fromkeys(("I64", "U64", "F64"), 8),
}
_FOREIGN_STARTS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


@dataclass(frozen=True)
class Tensor:
    """Where one tensor lies: its type, shape, and first byte, counted from the file's start."""

    dtype: str
    shape: tuple[int, ...]
    offset: int
    nbytes: int


@dataclass(frozen=True)
class Header:
    """A file's tensors in the order in which they lie in it, and its metadata."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]


def read_header(file: SafeFile) -> Header:
    """Read and check a file's header; ModelError says what is wrong with it."""
    with file.open() as handle:
        start = handle.read(8)
        try:
            length = int.from_bytes(start, "little")
            if len(start) < 8:
                raise ModelError(f"{file.name} ends early: it has {file.size} bytes")
            if length > MAX_HEADER_BYTES:
                raise ModelError(f"{file.name} claims a header of {length} bytes")
            if length > file.size - 8:
                raise ModelError(
                    f"{file.name} ends early: its header should have {length} bytes, "
                    f"{file.size - 8} are there"
                )
            raw = strict_json(handle.read(length), f"the header of {file.name}")
        except ModelError:
            if start.startswith(_FOREIGN_STARTS):
                raise RefusedModelError(
                    "it is no safetensors file: " + refusal(file.path.name)
                ) from None
            raise
    metadata = raw.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise ModelError(f"{file.name} has metadata that is not text")
    if not raw:
        raise ModelError(f"{file.name} holds no tensors")
    if len(raw) > MAX_TENSORS:
        raise ModelError(f"{file.name} claims {len(raw)} tensors")
    tensors = {name: _tensor(file.name, name, entry, 8 + length) for name, entry in raw.items()}
    tensors = dict(sorted(tensors.items(), key=lambda item: (item[1].offset, item[1].nbytes)))
    _check_layout(file, tensors, 8 + length)
    return Header(tensors, metadata)


def _tensor(file: str, name: str, entry: Any, start: int) -> Tensor:
    wrong = f"{file} has a broken header: tensor {name[:80]!r}"
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ModelError(f"{wrong} must have dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _ITEM_BYTES:
        raise ModelError(f"{wrong} has the type {str(dtype)[:20]!r}, which is not read")
    if not _naturals(shape) or len(shape) > 8:
        raise ModelError(f"{wrong} has a shape that is not a list of sizes")
    if not _naturals(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise ModelError(f"{wrong} has offsets that are not a range")
    if prod(shape) * _ITEM_BYTES[dtype] != offsets[1] - offsets[0]:
        raise ModelError(
            f"{wrong} has {offsets[1] - offsets[0]} bytes, its shape needs "
            f"{prod(shape) * _ITEM_BYTES[dtype]}"
        )
    return Tensor(dtype, tuple(shape), start + offsets[0], offsets[1] - offsets[0])


def _check_layout(file: SafeFile, tensors: dict[str, Tensor], start: int) -> None:
    position = start
    for name, tensor in tensors.items():
        if tensor.offset != position:
            what = "overlaps another" if tensor.offset < position else "leaves a gap"
            raise ModelError(f"{file.name} has a broken header: tensor {name[:80]!r} {what}")
        position += tensor.nbytes
    if position > file.size:
        raise ModelError(
            f"{file.name} ends early: its tensors need {position} bytes, {file.size} are there"
        )
    if position < file.size:
        raise ModelError(f"{file.name} has {file.size - position} bytes after its last tensor")


def _naturals(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(item, int) and not isinstance(item, bool) and 0 <= item < 1 << 62
        for item in value
    )
