"""A fingerprint in an access mode: as coarse as the mode asks, and ready to be correlated."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sacfast.access import Mode, common_mode
from sacfast.detector import not_comparable, usable_probes
from sacfast.errors import ArgumentError
from sacfast.fingerprint import Fingerprint
from sacfast.kernels.canonical import access_mode, canonical_outputs
from sacfast.kinds import settled_kind
from sacfast.store import ModelRecord


def mode_of(model: Fingerprint | ModelRecord) -> Mode:
    """The access mode in which a model answered."""
    kind = model.outputs_kind if isinstance(model, ModelRecord) else model.key.outputs_kind
    return Mode(settled_kind(kind, model.digits), model.digits, model.k)


def outputs_in_mode(fingerprint: Fingerprint, mode: Mode) -> NDArray[Any]:
    """A model's outputs in an access mode, ready to be correlated.

    Raises:
        ArgumentError: If the model answers in a coarser form, or one that can't be compared.
    """
    own = mode_of(fingerprint)
    if common_mode([mode, own]) != mode:
        raise ArgumentError(f"outputs_in_mode: `fingerprint` must be finer than {mode}, got {own}")
    k = None if mode.k is None else min(mode.k, fingerprint.outputs.shape[1])
    outputs = access_mode(fingerprint.outputs, own.kind, mode.kind, digits=mode.digits, k=k)
    return np.asarray(canonical_outputs(outputs, mode.kind, digits=mode.digits, k=k))


def fit(fingerprint: Fingerprint, mode: Mode) -> tuple[NDArray[Any], str | None]:
    """A model's outputs in a mode, and why they can't serve ("it ..."), or None where they can."""
    own = mode_of(fingerprint)
    if common_mode([mode, own]) != mode:
        return fingerprint.outputs, f"answers {own}"
    outputs = outputs_in_mode(fingerprint, mode)
    return outputs, not_comparable(outputs, usable_probes(outputs))
