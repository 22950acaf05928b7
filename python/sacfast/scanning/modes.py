"""A fingerprint in an access mode: as coarse as the mode asks, and ready to be correlated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sacfast.access import Mode, common_mode
from sacfast.detector import Form, not_comparable, usable_probes
from sacfast.errors import ArgumentError, SacfastError
from sacfast.faces import FACE_KINDS, fri
from sacfast.fingerprint import Fingerprint
from sacfast.kernels.canonical import access_mode, canonical_outputs
from sacfast.kinds import settled_kind
from sacfast.store import ModelRecord
from sacfast.text import one_line


def mode_of(model: Fingerprint | ModelRecord) -> Mode:
    """The access mode in which a model answered."""
    kind = model.outputs_kind if isinstance(model, ModelRecord) else model.key.outputs_kind
    return Mode(settled_kind(kind, model.digits), model.digits, model.k)


def compared_in(suspect: Mode, sources: Sequence[Mode], references: int = 0) -> Mode | None:
    """The access mode in which a suspect is compared, or None where it can't be.

    With reference images it is the suspect's own: a source's scores stay scores where the suspect
    says only yes or no (`sacfast.fri`). Else it is the finest that all can be brought to.
    """
    modes = [suspect, *sources]
    return suspect if about_faces(modes, references) else common_mode(modes)


def about_faces(modes: Sequence[Mode], references: int) -> bool:
    """Whether these answers are compared by their scores against reference images."""
    return references > 0 and all(mode.kind in FACE_KINDS for mode in modes)


def outputs_in_mode(fingerprint: Fingerprint, mode: Mode, references: int = 0) -> NDArray[Any]:
    """A model's outputs in an access mode, ready to be correlated.

    Args:
        fingerprint: The model's.
        mode: As coarse as the model's own, or coarser.
        references: How many of the probe set's images are reference images.

    Raises:
        ArgumentError: If the model answers in a coarser form, or one that can't be compared.
    """
    own = mode_of(fingerprint)
    if compared_in(mode, [own], references) != mode:
        raise ArgumentError(f"outputs_in_mode: `fingerprint` must be finer than {mode}, got {own}")
    if about_faces([mode, own], references):
        return fri(fingerprint.outputs, own.kind, references=references)
    k = None if mode.k is None else min(mode.k, fingerprint.outputs.shape[1])
    outputs = access_mode(fingerprint.outputs, own.kind, mode.kind, digits=mode.digits, k=k)
    return np.asarray(canonical_outputs(outputs, mode.kind, digits=mode.digits, k=k))


def fit(
    fingerprint: Fingerprint, mode: Mode, references: int = 0
) -> tuple[NDArray[Any], str | None]:
    """A model's outputs in a mode, and why they can't serve ("it ..."), or None where they can."""
    own = mode_of(fingerprint)
    if compared_in(mode, [own], references) != mode:
        return fingerprint.outputs, f"answers {own}"
    try:
        outputs = outputs_in_mode(fingerprint, mode, references)
    except SacfastError as error:
        return fingerprint.outputs, f"can't be brought to {mode}: {one_line(error.message, 300)}"
    form: Form = "fri" if about_faces([mode], references) else "outputs"
    return outputs, not_comparable(outputs, usable_probes(outputs, form))
