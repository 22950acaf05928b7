"""The shapes that are raced on a GPU: what scans ask for, and two where a library may well win."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.cuda import correlations, distances, fused, others
from benchmarks.kernels.race import Contest

LOOPS: dict[str, Callable[..., Contest]] = {
    "correlation": correlations.contest,
    "pairwise": distances.contest,
    "outputs to distances": fused.contest,
    "products": others.products,
    "fri": others.fri,
}


@dataclass(frozen=True)
class Shape:
    """A loop and its sizes."""

    loop: str
    sizes: dict[str, int]

    def contest(self) -> Contest:
        """Makes the inputs and everybody's buffers."""
        return LOOPS[self.loop](**self.sizes)


SHAPES = (
    Shape("correlation", {"S": 2000, "N": 100, "C": 10}),
    Shape("correlation", {"S": 2000, "N": 100, "C": 100}),
    Shape("correlation", {"S": 500, "N": 100, "C": 1000}),
    Shape("correlation", {"S": 200, "N": 800, "C": 7}),
    Shape("correlation", {"S": 200, "N": 800, "C": 100}),
    Shape("correlation", {"S": 1000, "N": 50, "C": 10}),
    # Few probes of many classes: nearly all is reading. One model of many probes: one BLAS call.
    Shape("correlation", {"S": 2000, "N": 20, "C": 1000}),
    Shape("correlation", {"S": 1, "N": 2000, "C": 10}),
    Shape("pairwise", {"A": 10000, "B": 20, "N": 100}),
    Shape("pairwise", {"A": 5000, "B": 5000, "N": 100}),
    Shape("pairwise", {"A": 5000, "N": 100}),
    Shape("pairwise", {"A": 500, "B": 500, "N": 800}),
    Shape("outputs to distances", {"S": 2000, "V": 20, "N": 100, "C": 10}),
    Shape("outputs to distances", {"S": 2000, "V": 20, "N": 100, "C": 100}),
    Shape("outputs to distances", {"S": 200, "V": 20, "N": 800, "C": 7}),
    Shape("products", {"S": 5000, "K": 121, "N": 200, "C": 10}),
    Shape("products", {"S": 5000, "K": 121, "N": 200, "C": 100}),
    Shape("products", {"S": 5000, "K": 121, "N": 800, "C": 7}),
    Shape("fri", {"S": 200, "N": 200, "R": 64, "E": 512}),
)
