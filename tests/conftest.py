"""What the tests run on: a level of the processor (`--level v3`, otherwise the highest), a GPU.

A test marked `gpu` needs one, and says why where it is skipped; SACFAST_REQUIRE_CUDA=1 turns that
skip into a failure.
"""

from __future__ import annotations

import functools
import os

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--level", help="the level that the kernels run at, see csrc/cpu/level.h [the highest]"
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("level"):
        from sacfast import _core

        _core.use_level(config.getoption("level"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test that runs at every level by itself runs once with the others of its level."""
    level = config.getoption("level")
    if not level:
        return
    kept, others = [], []
    for item in items:
        callspec = getattr(item, "callspec", None)
        own = callspec.params.get("level", level) if callspec else level
        (kept if own == level else others).append(item)
    config.hook.pytest_deselected(items=others)
    items[:] = kept


@functools.cache
def why_no_gpu() -> str | None:
    """Why no test can run on a GPU here; None: it can."""
    import torch

    from sacfast.errors import BackendError
    from sacfast.kernels import _native

    if not torch.cuda.is_available():
        return "PyTorch finds no CUDA GPU"
    try:
        _native.devices()
    except BackendError as error:
        return str(error)
    return None


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") is None:
        return
    reason = why_no_gpu()
    if reason is not None and os.environ.get("SACFAST_REQUIRE_CUDA") == "1":
        pytest.fail(f"SACFAST_REQUIRE_CUDA=1, but {reason}", pytrace=False)
    if reason is not None:
        pytest.skip(reason)
