"""The kernels of csrc/cuda as the simulator runs them (tests/hostsim), for every test here.

`simulated` runs a test in both modes and demands that the judge has nothing to object to;
`checked` is for tests that mean the judge.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from tests.hostsim.simulator import Simulator, load


def judged(mode: str) -> Iterator[Simulator]:
    simulator = load(mode)
    simulator.machine((8, 0, 3))
    simulator.configure()
    simulator.reset()
    yield simulator
    found = simulator.findings()
    simulator.reset()
    assert not found, "\n".join(found)


@pytest.fixture(params=["plain", "check"])
def simulated(request: pytest.FixtureRequest) -> Iterator[Simulator]:
    yield from judged(request.param)


@pytest.fixture
def plain() -> Iterator[Simulator]:
    yield from judged("plain")


@pytest.fixture
def checked() -> Iterator[Simulator]:
    yield from judged("check")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(2412)
