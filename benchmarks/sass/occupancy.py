"""How many blocks of a kernel a multiprocessor holds, by compute capability.

Limits and rules are those of NVIDIA's cuda_occupancy.h, which comes with the CUDA toolkit, and of
the table "Technical Specifications per Compute Capability" of the CUDA C++ Programming Guide.
"""

from __future__ import annotations

import dataclasses

WARP = 32
REGISTERS = 64 * 1024  # of a multiprocessor; in four parts, each with a quarter of the warps
PARTS = 4
REGISTER_STEP = 256  # a warp's registers come in multiples of this
SHARED_STEP = 128
SHARED_RESERVED = 1024  # bytes of every block, beside its own


@dataclasses.dataclass(frozen=True)
class Limits:
    """Of one multiprocessor; `shared` in bytes."""

    threads: int
    blocks: int
    shared: int


LIMITS = {
    "80": Limits(2048, 32, 164 * 1024),
    "86": Limits(1536, 16, 100 * 1024),
    "89": Limits(1536, 24, 100 * 1024),
    "90": Limits(2048, 32, 228 * 1024),
    "100": Limits(2048, 32, 228 * 1024),
    "120": Limits(1536, 24, 100 * 1024),
}


def blocks(architecture: str, threads: int, registers: int, shared: int) -> int:
    """Blocks of `threads` threads that are on a multiprocessor together.

    Raises:
        KeyError: If the architecture is not in the table.
    """
    limits = LIMITS[architecture]
    warps = -(-threads // WARP)
    per_warp = -(-registers * WARP // REGISTER_STEP) * REGISTER_STEP
    by_registers = REGISTERS // PARTS // per_warp * PARTS // warps
    own = -(-(shared + SHARED_RESERVED) // SHARED_STEP) * SHARED_STEP
    return min(limits.threads // WARP // warps, limits.blocks, by_registers, limits.shared // own)


def warps(architecture: str, threads: int, registers: int, shared: int) -> tuple[int, float]:
    """Warps on a multiprocessor together, and the share of those that it has room for."""
    together = blocks(architecture, threads, registers, shared) * -(-threads // WARP)
    return together, together * WARP / LIMITS[architecture].threads
