"""What contests share: outputs of made-up models, samples to check, rivals that may be missing."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.kernels.race import Contender, Group, Missing
from sacfast.kernels import reference
from sacfast.kernels._native import core

#: What the project promises of its float32 results.
OWN_TOLERANCE = 5e-7
LEVEL_NAMES = {"baseline": "SSE2", "v3": "AVX2", "v4": "AVX-512"}
FAMILIES = 20


def outputs(models: int, probes: int, classes: int, seed: int = 0) -> NDArray[np.float32]:
    """(S, N, C): what all models of a task share, what a family shares, and each model's own."""
    rng = np.random.default_rng(seed)
    made = rng.standard_normal((models, probes, classes), dtype=np.float32)
    task = np.random.default_rng(7).standard_normal((probes, classes), dtype=np.float32)
    family = rng.standard_normal((FAMILIES, probes, classes), dtype=np.float32)
    for s, model in enumerate(made):
        model += task
        model += family[s % FAMILIES]
    return made


def upper(probes: int) -> NDArray[np.intp]:
    """(P,) where the entries of a strict upper triangle lie in a flat (N, N)."""
    rows, columns = np.triu_indices(probes, 1)
    return rows * probes + columns


def sample(count: int) -> list[int]:
    """A few of `count` units: the first, the middle, the last."""
    return sorted({0, count // 2, count - 1})


def rows(result: Any, count: int) -> Iterator[tuple[int, slice, NDArray[Any]]]:
    """Reads a result that has one row a unit."""
    for unit in sample(count):
        yield unit, slice(None), np.asarray(result[unit])


def packed_oracle(models: NDArray[Any], center: str) -> Callable[[int, slice], NDArray[np.float64]]:
    """The oracle's packed correlations."""

    @cache
    def row(unit: int) -> NDArray[np.float64]:
        return reference.correlation([models[unit]], center=center)[0]

    return lambda unit, columns: row(unit)[columns]


def product_tolerance(length: int) -> float:
    """Of an inner product of unit vectors in float32, in any order of summation.

    Rounding errors of at most 2^-24 each add up like a random walk; eight standard deviations, and
    as much again for the normalisation.
    """
    return (8 * length**0.5 + 8) * 2.0**-24


def mean_tolerance(pairs: int) -> float:
    """Of a mean of P absolute differences up to 2, summed in float32 in any order."""
    return 2 * (4 * pairs**0.5 + 8) * 2.0**-24


def lower_levels() -> list[str]:
    """The levels of sacfast's compiled loops below the best that runs here."""
    return list(core().levels()[:-1])


def optional(
    module: str, name: str, group: Group, build: Callable[[Any], Contender]
) -> Contender | Missing:
    """A contender that needs a library, or the word that it is missing."""
    if importlib.util.find_spec(module.split(".")[0]) is None:
        return Missing(name, group)
    return build(importlib.import_module(module))
