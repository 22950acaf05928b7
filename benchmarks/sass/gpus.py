"""What three GPUs can do at most, from NVIDIA's data sheets; nothing of it was measured here.

Rates are dense, a multiply-add counting as two operations. The data sheets' memory bandwidth is
what the pins carry; a copy is taken to get nine tenths of it. Tensor cores reach the published rate
of TF32 through instructions that the kernels do not use (they use mma.sync, which all architectures
have), so that where TF32 bounds a kernel it will take longer than predicted on H100 and B200.
"""

from __future__ import annotations

import dataclasses

#: Share of the memory's bandwidth that a copy gets: an assumption.
COPY = 0.9
#: Seconds from the end of a kernel to the start of the next on the same stream: an assumption.
LAUNCH = 3e-6


@dataclasses.dataclass(frozen=True)
class Gpu:
    """Operations and bytes a second."""

    name: str
    source: str
    float32: float
    tf32: float
    float64: float
    memory: float


GPUS = (
    Gpu("A100", "A100 80GB SXM data sheet", 19.5e12, 156e12, 9.7e12, 2.039e12),
    Gpu("H100", "H100 SXM data sheet", 67e12, 494.7e12, 34e12, 3.35e12),
    Gpu("B200", "HGX B200 data sheet, per GPU", 75e12, 1.1e15, 37e12, 7.7e12),
)
