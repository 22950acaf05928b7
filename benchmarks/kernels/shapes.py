"""The shapes that are raced: what scans ask for, and two where a library may well win."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.kernels import correlations, distances, fused, others, scores
from benchmarks.kernels.race import Contest

LOOPS: dict[str, Callable[..., Contest]] = {
    "correlation": correlations.contest,
    "pairwise": distances.contest,
    "outputs to distances": fused.contest,
    "partial scores": scores.contest,
    "fri": others.fri,
    "labels": others.labels,
}


@dataclass(frozen=True)
class Shape:
    """A loop and its sizes; `quick` ones where a quick run takes fewer models."""

    loop: str
    sizes: dict[str, int]
    quick: dict[str, int] | None = None

    def contest(self, *, quick: bool) -> Contest:
        """Makes the inputs and everybody's buffers."""
        return LOOPS[self.loop](**{**self.sizes, **((self.quick or {}) if quick else {})})


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
    Shape("pairwise", {"A": 10000, "B": 20, "N": 100}, {"A": 2000}),
    Shape("pairwise", {"A": 5000, "B": 5000, "N": 100}, {"A": 1000, "B": 1000}),
    Shape("pairwise", {"A": 5000, "N": 100}, {"A": 1000}),
    Shape("pairwise", {"A": 500, "B": 500, "N": 800}, {"A": 100, "B": 100}),
    Shape("outputs to distances", {"S": 2000, "V": 20, "N": 100, "C": 10}),
    Shape("outputs to distances", {"S": 2000, "V": 20, "N": 100, "C": 100}),
    Shape("outputs to distances", {"S": 200, "V": 20, "N": 800, "C": 7}),
    Shape("partial scores", {"S": 5000, "m": 100, "V": 20, "N": 200, "C": 10}, {"S": 500}),
    Shape("partial scores", {"S": 5000, "m": 100, "V": 20, "N": 200, "C": 100}, {"S": 500}),
    Shape("partial scores", {"S": 5000, "m": 100, "V": 20, "N": 800, "C": 7}, {"S": 500}),
    Shape("fri", {"S": 200, "N": 200, "R": 64, "E": 512}),
    Shape("labels", {"S": 2000, "N": 100}),
)
