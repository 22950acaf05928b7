"""Outputs for the tests of the kernels, and control over the number of threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(2412)


@pytest.fixture
def set_threads() -> Iterator[Callable[[int], None]]:
    """Sets PyTorch's thread count, which the kernels follow, for one test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)
