"""The kernels of csrc/cuda as the simulator runs them (tests/hostsim), for every test here.

`simulated` runs a test in both modes and demands that the judge has nothing to object to;
`checked` is for tests that mean the judge.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HOSTSIM = Path(__file__).resolve().parent.parent / "hostsim"


def hostsim(name: str) -> Any:
    """A module of tests/hostsim, loaded once under its own name."""
    full = f"hostsim_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, HOSTSIM / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[full] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[full])
    return sys.modules[full]


def judged(mode: str) -> Iterator[Any]:
    simulator = hostsim("simulator").load(mode)
    simulator.machine((8, 0, 3))
    simulator.configure()
    simulator.reset()
    yield simulator
    found = simulator.findings()
    simulator.reset()
    assert not found, "\n".join(found)


@pytest.fixture(params=["plain", "check"])
def simulated(request: pytest.FixtureRequest) -> Iterator[Any]:
    yield from judged(request.param)


@pytest.fixture
def plain() -> Iterator[Any]:
    yield from judged("plain")


@pytest.fixture
def checked() -> Iterator[Any]:
    yield from judged("check")
