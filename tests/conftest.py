"""At which level of the processor the tests run: `--level v3`, otherwise the highest."""

from __future__ import annotations

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
