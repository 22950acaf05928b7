"""What benchmarks/sass counts is what the launchers do: launches, and bytes of scratch memory."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.sass import work
from tests.cuda import calls


def counted(launches):
    return sum(launch.times for launch in launches)


def launched(simulator, call, *arguments):
    before = simulator.launches
    call(simulator, *arguments)
    return simulator.launches - before


def outputs(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def test_correlation(plain, rng):
    wanted = counted(work.correlation(3, 40, 5))
    assert launched(plain, calls.correlation, outputs(rng, 3, 40, 5)) == wanted


def test_correlation_distance(plain, rng):
    rows = outputs(rng, 2, work.pairs(40))
    wanted = counted(work.correlation_distance(3, 40, 5, 2))
    assert launched(plain, calls.correlation_distance, outputs(rng, 3, 40, 5), rows) == wanted


@pytest.mark.parametrize(("N", "C"), [(70, 3), (40, 30)])
def test_correlation_products(plain, rng, N, C):
    """One shape goes class by class, the other pair by pair."""
    launches = work.correlation_products(9, N, C, 8)
    assert any(one.kernel == "multiply" for one in launches) == (C == 3)
    given = outputs(rng, 9, N, C), outputs(rng, 8, work.pairs(N)), outputs(rng, 7, N, C)
    assert launched(plain, calls.correlation_products, *given) == counted(launches)


@pytest.mark.parametrize(
    ("A", "B", "P"),
    [(300, 20, 4950), (20, 300, 4950), (70, 90, 600), (200, None, 1000), (2000, 1500, 5000)],
)
def test_pairwise_distance_asks_for_its_sums(plain, A, B, P):
    sums, _ = work.pairwise_distance(A, B, P)
    read = 4 * P * (A + (B or 0))
    zero = plain.upload(np.zeros(1, np.float32))
    rows = [
        plain.cuda.TensorRef(zero.address, (count, P), (0, 4), "float32", 0)
        for count in (A, B)
        if count
    ]
    _, most = plain.cuda.pairwise_distance_scratch(*rows, *[None] * (2 - len(rows)))
    totals = 32768  # of one tile, in float64
    assert most == sums.bytes - read + totals
