"""The time that each shape of the benchmarks should take: counted work over published rates.

A launch takes as long as the slowest of what it does, and launches follow one another; each begins
after a pause. Only what a cache keeps between two launches could make a call faster than that.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from benchmarks.sass import gpus, work
from benchmarks.sass.gpus import Gpu
from benchmarks.sass.work import Launch


@dataclasses.dataclass(frozen=True)
class Shape:
    """A call, and what it launches; float32 results with double centring."""

    label: str
    launches: Sequence[Launch]


def shapes() -> list[Shape]:
    """Those of the benchmarks on CPUs."""
    found = [
        Shape(f"correlation ({S}, {N}, {C})", work.correlation(S, N, C))
        for S, N, C in (
            (2000, 100, 10),
            (2000, 100, 100),
            (500, 100, 1000),
            (200, 800, 7),
            (200, 800, 100),
            (1000, 50, 10),
        )
    ]
    found += [
        Shape("distances 10000 × 20, P = 4950", work.pairwise_distance(10000, 20, 4950)),
        Shape("distances 5000 × 5000, P = 4950", work.pairwise_distance(5000, 5000, 4950)),
        Shape("distances all pairs of 5000, P = 4950", work.pairwise_distance(5000, None, 4950)),
        Shape("distances all pairs of 500, P = 319600", work.pairwise_distance(500, None, 319600)),
    ]
    found += [
        Shape(
            f"outputs to distances ({S}, {N}, {C}), 20 sources",
            work.correlation_distance(S, N, C, 20),
        )
        for S, N, C in ((2000, 100, 10), (2000, 100, 100), (200, 800, 7))
    ]
    found += [
        Shape(f"products ({S}, {N}, {C}) with 100 rows", work.correlation_products(S, N, C, 100))
        for S, N, C in ((5000, 200, 10), (5000, 200, 100), (5000, 800, 7))
    ]
    return found


def parts(launch: Launch, gpu: Gpu) -> dict[str, float]:
    """Seconds that each kind of work takes alone, the pauses between launches among them."""
    return {
        "memory": launch.bytes / (gpus.COPY * gpu.memory),
        "float32": launch.float32 / (gpu.float32 / 2),
        "TF32": 3 * launch.products / (gpu.tf32 / 2),
        "float64": launch.float64 / (gpu.float64 / 2),
        "launches": launch.times * gpus.LAUNCH,
    }


def prediction(shape: Shape, gpu: Gpu) -> dict[str, object]:
    """Seconds in all, and those in which each kind of work keeps the others waiting."""
    bound = dict.fromkeys(parts(shape.launches[0], gpu), 0.0)
    for launch in shape.launches:
        taken = parts(launch, gpu)
        bound["launches"] += taken.pop("launches")
        slowest = max(taken, key=taken.__getitem__)
        bound[slowest] += taken[slowest]
    return {
        "gpu": gpu.name,
        "seconds": sum(bound.values()),
        "bound by": {kind: seconds for kind, seconds in bound.items() if seconds > 0},
    }


def predictions() -> list[dict[str, object]]:
    """Of every shape on every GPU, with the counted work."""
    return [
        {
            "shape": shape.label,
            "launches": [dataclasses.asdict(launch) for launch in shape.launches],
            "gpus": [prediction(shape, gpu) for gpu in gpus.GPUS],
        }
        for shape in shapes()
    ]
