"""An outputs archive: what many models answered on one probe set, in one safetensors file.

One tensor a model, named as the truth file names it: (N, C) float16 or float32, or (N,) integers
for labels. The metadata says `outputs_kind`, and where they matter `digits`, `k` and
`probe_digest`; the file's name is the probe set's. Such files are small, so that every figure about
hundreds of models can be made again without their weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sacfast.errors import ArgumentError, SacfastError
from sacfast.kernels.canonical import access_mode, canonical_outputs, center_of
from sacfast.kinds import KINDS, settled_kind
from sacfast.text import one_line


@dataclass(frozen=True, eq=False)
class Archive:
    """The answers of many models on one probe set.

    Attributes:
        name: The probe set's name.
        kind: `outputs_kind` of all of them.
        digits, k: As in `canonical_outputs`.
        probe_digest: Digest of the probe set, "" where the file does not say.
        outputs: Answers by model.
    """

    name: str
    kind: str
    digits: int | None
    k: int | None
    probe_digest: str
    outputs: Mapping[str, NDArray[Any]]

    @property
    def probes(self) -> int:
        """N."""
        return len(next(iter(self.outputs.values())))

    @property
    def center(self) -> Any:
        """The centring that this kind asks for."""
        return center_of(self.kind)

    def form(self, models: Sequence[str]) -> list[NDArray[Any]]:
        """The answers of some models in the form that is correlated."""
        return [self._form(name) for name in models]

    def _form(self, name: str) -> NDArray[Any]:
        answers = self.outputs[name]
        k = None if self.k is None else min(self.k, answers.shape[-1])
        try:
            return np.asarray(canonical_outputs(answers, self.kind, digits=self.digits, k=k))
        except SacfastError as error:
            raise ArgumentError(
                f"evaluate: `what` must hold {self.kind} of every model, got {self.name} with "
                f"{one_line(name, 100)}: {error.message}"
            ) from error


def read_archive(path: Path) -> Archive:
    """Reads and checks an outputs archive.

    Raises:
        ArgumentError: If it is no such file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = dict(file.metadata() or {})
            outputs = {name: file.get_tensor(name) for name in sorted(file.keys())}
    except (OSError, SafetensorError, TypeError, AttributeError) as error:
        raise _wrong(path, f"which can't be read: {error}") from error
    kind = metadata.get("outputs_kind")
    if kind not in KINDS:
        raise _wrong(path, f"outputs_kind {kind!r}, which must be one of {', '.join(KINDS)}")
    if not outputs:
        raise _wrong(path, "no models")
    lengths = {len(answers) for answers in outputs.values() if answers.ndim}
    if len(lengths) != 1 or 0 in lengths:
        raise _wrong(path, f"models with {sorted(lengths)} probes, which must be one number")
    return Archive(
        path.stem,
        kind,
        _whole(path, metadata, "digits"),
        _whole(path, metadata, "k"),
        metadata.get("probe_digest", ""),
        outputs,
    )


def read_archives(paths: Sequence[Path]) -> list[Archive]:
    """Several archives, each on a probe set of its own.

    Raises:
        ArgumentError: If one can't be read, or two are of one probe set.
    """
    archives = [read_archive(path) for path in paths]
    for name in ("name", "probe_digest"):
        known = [value for value in (getattr(archive, name) for archive in archives) if value]
        if len(set(known)) < len(known):
            raise ArgumentError(
                f"evaluate: `what` must be of different probe sets, got the same {name} twice"
            )
    return archives


def shortened(archive: Archive, count: int) -> Archive:
    """The answers to the first `count` probes, or to all where there are fewer."""
    outputs = {name: answers[:count] for name, answers in archive.outputs.items()}
    return replace(archive, outputs=outputs)


def coarsened(archive: Archive, access: str) -> Archive:
    """What services with a coarser access mode would have said.

    Args:
        archive: Finer answers.
        access: "KIND" or "KIND:NUMBER", e.g. "labels", "topk:3", "rounded:2": the number is the k
            of topk and the decimals of the others.

    Raises:
        ArgumentError: If there is no such mode, or these answers are coarser.
    """
    kind, _, number = access.partition(":")
    if kind not in KINDS or (number and not (number.isascii() and number.isdigit())):
        raise ArgumentError(
            f"evaluate: `access` must be KIND or KIND:NUMBER with one of {', '.join(KINDS)}, "
            f"got {access!r}"
        )
    k, digits = None, None
    if number and kind == "topk":
        k = int(number)
    elif number:
        digits = int(number)
    outputs = {}
    for name, answers in archive.outputs.items():
        named = None if k is None else min(k, answers.shape[-1])
        try:
            said = access_mode(answers, archive.kind, kind, digits=digits, k=named)
        except SacfastError as error:
            message = f"evaluate: `access` can't be {access!r}: {error.message}"
            raise ArgumentError(message) from error
        outputs[name] = np.asarray(said)
    settled = settled_kind(kind, digits)
    return Archive(archive.name, settled, digits, k, archive.probe_digest, outputs)


def _whole(path: Path, metadata: Mapping[str, str], name: str) -> int | None:
    text = metadata.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise _wrong(path, f"{name} {text!r}, which must be a whole number")
    return int(text)


def _wrong(path: Path, got: str) -> ArgumentError:
    return ArgumentError(
        f"evaluate: `what` must be a scan's results or outputs archives, got {path.name} with {got}"
    )
