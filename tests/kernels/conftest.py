"""Outputs for the tests of the kernels; control over the number of threads and the level."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from sacfast import _core


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(2412)


@pytest.fixture
def set_threads() -> Iterator[Callable[[int], None]]:
    """Sets PyTorch's thread count, which the kernels follow, for one test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture(params=_core.levels())
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs a test once for each level of the processor that this machine has."""
    before = _core.level()
    _core.use_level(request.param)
    yield request.param
    _core.use_level(before)
