"""A scan with few probes says so; with one it can't be."""

from __future__ import annotations

import numpy as np
import pytest

from sacfast import ProbeSet, scan
from sacfast.errors import SacfastError
from sacfast.scanning.scan import FEW_PROBES


def few(world, count):
    """The world's models, asked with the first `count` of its probes only."""
    whole = world.probes
    probes = ProbeSet(whole.pixels[:count], "normal", {}, whole.sources[:count])
    world.answers("short", world.source[:count])
    for i in range(5):
        world.answers(f"bank/null-{i}", world.logits()[:count].astype(np.float32))
    world.answers("registry/copy", world.copy()[:count].astype(np.float32))
    arguments = world.scan_arguments(probes=probes, sources=world.root / "short")
    return scan(arguments.pop("registry"), **arguments)


@pytest.mark.parametrize("count", [12, FEW_PROBES - 1])
def test_few_probes_are_warned_of(world, count):
    [warning] = few(world, count).record.facts["warnings"]
    assert warning.startswith(f"{count} probes are few: below {FEW_PROBES} ")
    assert "100 to 200 suffice" in warning


def test_enough_are_not(world):
    assert few(world, FEW_PROBES).record.facts["warnings"] == []


def test_one_probe_is_an_error(world):
    with pytest.raises(SacfastError, match="at least 2 probes, got 1"):
        few(world, 1)
