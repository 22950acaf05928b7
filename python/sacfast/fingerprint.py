"""A fingerprint: what one model answers on one probe set, with its identity.

The raw outputs are the one record of truth about a model; correlations, scores and verdicts can all
be made again from them. A fingerprint is keyed by what went into it (the model's content, the
probes, the preprocessing, the kind of outputs), never by the model's name: the same key is never
computed twice, and two names of one file share one fingerprint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sacfast.errors import ShapeError


class FingerprintKey(NamedTuple):
    """What identifies a fingerprint; digests are SHA-256 in hex."""

    model_digest: str
    probe_digest: str
    preprocessing_digest: str
    outputs_kind: str


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """The outputs of one model on one probe set.

    Attributes:
        key: What it was made from.
        outputs: (N, C) float32 or float64, or (N,) integers where the kind is labels.
        digits: Decimals to which a service rounds its probabilities, or None.
        k: How many classes a top-k service names, or None.
        seconds: Wall time that the model took, loading included.
    """

    key: FingerprintKey
    outputs: NDArray[Any]
    digits: int | None = None
    k: int | None = None
    seconds: float = 0.0

    def __post_init__(self) -> None:
        dimensions = 1 if self.key.outputs_kind == "labels" else 2
        if self.outputs.ndim != dimensions:
            raise ShapeError(
                f"Fingerprint: `outputs` of kind {self.key.outputs_kind} must have {dimensions} "
                f"dimension(s), got shape {self.outputs.shape}"
            )
        frozen = np.array(self.outputs, order="C")
        frozen.flags.writeable = False
        object.__setattr__(self, "outputs", frozen)

    def __repr__(self) -> str:
        shape = "×".join(str(n) for n in self.outputs.shape)
        return (
            f"<Fingerprint {self.key.outputs_kind} {shape} of model "
            f"{self.key.model_digest[:12]} on probes {self.key.probe_digest[:12]}>"
        )
