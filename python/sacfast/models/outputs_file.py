"""Answers that were collected elsewhere: a black-box service, another framework, another machine.

A file `outputs.safetensors` (one tensor "outputs") or `outputs.npy` in a model's folder, or any
`NAME.safetensors` / `NAME.npy` that lies in a registry by itself. What the numbers are is said
by `outputs_kind`, in the safetensors file's metadata or in the folder's config.json, beside

    digits        probabilities were rounded to that many decimals: of the kind rounded, then
    k             only the k largest probabilities are given: of the kind topk
    probe_digest  the probe set that was asked; another one is an error

Without `outputs_kind`, whole numbers in one axis are labels and everything else is logits,
unless it lies between 0 and 1: that is asked about, not guessed. Probabilities that all lie on a
grid of decimals are rounded, whether they say so or not. numpy files are read without unpickling,
and only if their header and their size agree.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sacfast.errors import ModelError, RefusedModelError
from sacfast.kinds import KINDS, settled_kind
from sacfast.models._files import SafeFile, short
from sacfast.models._safetensors import read_header
from sacfast.models.answers import check_settings, checked_answers, decimals, guess_kind
from sacfast.models.formats import refusal

if TYPE_CHECKING:
    from sacfast.probes.probe_set import ProbeSet

MAX_BYTES = 1 << 30

_DTYPES = {
    "BOOL": "?",
    "U8": "u1",
    "I8": "i1",
    "U16": "<u2",
    "I16": "<i2",
    "U32": "<u4",
    "I32": "<i4",
    "U64": "<u8",
    "I64": "<i8",
    "F16": "<f2",
    "BF16": "<u2",  # the upper half of a float32
    "F32": "<f4",
    "F64": "<f8",
}


class OutputsFile:
    """A model that is known by its answers only."""

    preprocessing_digest = ""
    framework = ""

    def __init__(self, path: Path, root: Path, config: Mapping[str, Any]) -> None:
        file = SafeFile.check(path, root)
        if file.size > MAX_BYTES:
            raise ModelError(f"{file.name} has {file.size} bytes, more than {MAX_BYTES}")
        self._answers, metadata = (
            _read_npy(file) if path.suffix.lower() == ".npy" else _read_tensor(file)
        )
        if self._answers.ndim == 0:
            raise ModelError("the file holds one number, not answers to probes")
        settings = {**config, **metadata}
        self.outputs_kind = _kind(settings, self._answers)
        self.digits = _whole(settings, "digits")
        self.k = _whole(settings, "k")
        self._probe_digest = settings.get("probe_digest")
        if self._probe_digest is not None and not isinstance(self._probe_digest, str):
            raise ModelError("probe_digest must be text")
        checked_answers(self._answers, self.outputs_kind, self._answers.shape[0])
        if self.outputs_kind in ("probs", "rounded", "topk") and self.digits is None:
            self.digits = decimals(self._answers)
        self.outputs_kind = settled_kind(self.outputs_kind, self.digits)
        check_settings(self.outputs_kind, self.digits, self.k, self._answers.shape[-1])
        self.weights_digest = self._weights_digest()
        self.digest = self._digest()

    def outputs(self, probes: ProbeSet) -> NDArray[Any]:
        """The answers, after a look whether they belong to these probes."""
        if self._probe_digest is not None and self._probe_digest != probes.digest:
            raise ModelError(
                f"the answers belong to the probe set {self._probe_digest[:12]!r}, "
                f"not to {probes.digest[:12]!r}"
            )
        return checked_answers(self._answers, self.outputs_kind, probes.rows(self.outputs_kind))

    def _digest(self) -> str:
        head = {
            "format": "outputs",
            "kind": self.outputs_kind,
            "digits": self.digits,
            "k": self.k,
            "probe_digest": self._probe_digest,
            "answers": self.weights_digest,
        }
        return hashlib.sha256(json.dumps(head, sort_keys=True).encode()).hexdigest()

    def _weights_digest(self) -> str:
        """Of the numbers alone: their type, their shape, and they themselves in C order."""
        head = f"{self._answers.dtype.str} {self._answers.shape}\0"
        digest = hashlib.sha256(head.encode("ascii"))
        digest.update(np.ascontiguousarray(self._answers).data)
        return digest.hexdigest()


def _read_tensor(file: SafeFile) -> tuple[NDArray[Any], Mapping[str, Any]]:
    header = read_header(file)
    tensor = header.tensors.get("outputs")
    if tensor is None:
        raise ModelError(f'{file.name} holds no tensor "outputs"')
    if tensor.dtype not in _DTYPES:
        raise ModelError(f"answers of the type {tensor.dtype} are not read")
    with file.open() as handle:
        handle.seek(tensor.offset)
        data = handle.read(tensor.nbytes)
    if len(data) != tensor.nbytes:
        raise file.changed()
    values = _array(data, np.dtype(_DTYPES[tensor.dtype])).reshape(tensor.shape)
    if tensor.dtype == "BF16":
        values = (values.astype(np.uint32) << 16).view(np.float32)
    return values, header.metadata


def _read_npy(file: SafeFile) -> tuple[NDArray[Any], Mapping[str, Any]]:
    with file.open() as handle:
        magic = handle.read(6)
        if magic != b"\x93NUMPY":
            if magic.startswith((b"PK\x03\x04", b"\x80")):
                raise RefusedModelError("it is no numpy file: " + refusal(file.path.name))
            raise ModelError(f"{file.name} is not a numpy file")
        handle.seek(0)
        try:
            npy: Any = np.lib.format
            version = npy.read_magic(handle)
            read = {
                (1, 0): npy.read_array_header_1_0,
                (2, 0): npy.read_array_header_2_0,
            }.get(version)
            if read is None:
                raise ValueError(f"format version {version[0]}.{version[1]}")
            shape, fortran, dtype = read(handle)
        except Exception as error:  # it is parsed as Python text, which fails in many ways
            raise ModelError(f"{file.name} has a broken header: {short(error)}") from error
        if dtype.hasobject:
            raise RefusedModelError(
                f"{file.name} holds Python objects, which are pickled and can run code; save plain "
                "numbers: numpy.save('outputs.npy', numpy.asarray(outputs, 'float32'))"
            )
        if dtype.kind not in "fiub":
            raise ModelError(f"answers must be real numbers, not {dtype}")
        count = 1
        for side in shape:
            count *= side
        if any(side < 0 for side in shape) or count * dtype.itemsize != file.size - handle.tell():
            raise ModelError(
                f"{file.name} promises {count * dtype.itemsize} bytes of numbers, "
                f"{file.size - handle.tell()} are there"
            )
        values = _array(handle.read(), dtype)
    return values.reshape(shape, order="F" if fortran else "C"), {}


def _array(data: bytes, dtype: np.dtype[Any]) -> NDArray[Any]:
    if not data:
        raise ModelError("the file holds no answers")
    return np.frombuffer(data, dtype)


def _kind(settings: Mapping[str, Any], answers: NDArray[Any]) -> str:
    kind = settings.get("outputs_kind")
    if kind is None:
        return guess_kind(answers)
    if kind not in KINDS:
        raise ModelError(f"outputs_kind must be one of {', '.join(KINDS)}, got {str(kind)[:40]!r}")
    return str(kind)


def _whole(settings: Mapping[str, Any], name: str) -> int | None:
    value = settings.get(name)
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ModelError(f"`{name}` must be a whole number, got {str(value)[:40]!r}")
    return value
