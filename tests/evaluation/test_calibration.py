"""Null banks drawn again and again: what holds in a world whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from sacfast.errors import ArgumentError
from sacfast.evaluation.archive import Archive
from sacfast.evaluation.calibration import BANK_SHARE, _split, calibration
from sacfast.evaluation.truth import Model


def worlds(innocents=60, kept=0.9, hidden=0.0):
    """An archive of a source, innocents and copies; half of the innocents, those that are named by
    even numbers, have a share `hidden` of the source in them."""
    rng = np.random.default_rng(3)
    task, own = rng.standard_normal((2, 40, 6))
    outputs = {"s": task + own}
    models = [Model("s", "", "source", "s", "test")]
    for i in range(innocents):
        share = hidden if i % 2 == 0 else 0.0
        noise = rng.standard_normal((40, 6))
        outputs[f"i{i}"] = task + share * own + np.sqrt(1 - share**2) * noise
        models.append(Model(f"i{i}", "", "innocent", f"g{i // 2}", "test"))
    for i in range(20):
        outputs[f"c{i}"] = task + kept * own + 0.3 * rng.standard_normal((40, 6))
        models.append(Model(f"c{i}", "s", "copy", "s", "test"))
    archive = Archive("jpeg", "logits", None, None, "", outputs)
    return archive, models[:1], models[1 : 1 + innocents], models[1 + innocents :]


def calibrated(world, splits=30, seed=0):
    archive, sources, innocents, stolen = world
    steps = []
    found = calibration(
        [archive], sources, innocents, stolen, ("partial",), splits, seed, steps.append
    )
    assert len(steps) == splits
    return found["jpeg", "partial"]


def test_honest_p_values_and_discoveries():
    found = calibrated(worlds())
    p = found["calibration"]
    low, high = p["p_low_interval"]
    assert low <= p["p_low"] <= high
    assert p["p_low"] <= 0.12
    assert p["ks_excess"] < 0.08
    assert sum(p["histogram"]) == pytest.approx(1, abs=1e-4)
    for one in found["fdr"]:
        assert one["obtained"] <= 1.1 * one["asked"]
        assert one["standard_error"] < 0.05
    assert found["fdr"][2]["power"] > 0.9


def test_innocents_that_carry_the_source_are_seen():
    # Half of the innocents resemble the source: copies no longer stand out of the bank.
    found = calibrated(worlds(hidden=0.95))
    honest = calibrated(worlds())
    assert found["fdr"][1]["power"] < honest["fdr"][1]["power"]


def test_the_same_seed_says_the_same_and_another_another():
    world = worlds(innocents=24)
    assert calibrated(world, 3) == calibrated(world, 3)
    assert calibrated(world, 3) != calibrated(world, 3, seed=1)


def test_a_group_is_in_the_bank_or_held_out():
    groups = [f"g{i // 3}" for i in range(30)]
    own = np.array([0] * 5 + [1] * 20)
    for seed in range(20):
        split = _split(groups, own, 2, np.random.default_rng(seed))
        assert sorted([*split.bank, *split.held_out]) == list(range(30))
        assert not {groups[i] for i in split.bank} & {groups[i] for i in split.held_out}
        assert abs(len(split.bank) - BANK_SHARE * 30) <= 3
        assert [len(drawn) for drawn in split.stolen] == [5, min(20, len(split.held_out))]
        assert set(split.stolen[1]) <= set(range(5, 25))


def test_too_few_groups():
    archive, sources, innocents, stolen = worlds(innocents=6)
    with pytest.raises(ArgumentError, match="at least 4 groups of innocent models for splits"):
        calibration([archive], sources, innocents, stolen, ("partial",), 2, 0, print)
