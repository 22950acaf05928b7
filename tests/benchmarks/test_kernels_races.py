"""The race of the kernels: tiny shapes through every rival that is installed."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.kernels import command, data, limits, machine, memory
from benchmarks.kernels import race as racing
from benchmarks.kernels.race import Contender, Missing, Patience, WrongResultError, sizes, timed
from benchmarks.kernels.shapes import LOOPS, SHAPES
from sacfast.kernels._native import core

ROOT = Path(__file__).resolve().parents[2]
HASTE = Patience(call=1e-4, own_call=1e-4, race=0.0, least_rounds=2, probe_repeats=2)
TINY = {
    "correlation": {"S": 6, "N": 9, "C": 5},
    "pairwise": {"A": 7, "B": 4, "N": 9},
    "outputs to distances": {"S": 6, "V": 3, "N": 9, "C": 5},
    "partial scores": {"S": 6, "m": 5, "V": 3, "N": 12, "C": 5},
    "fri": {"S": 4, "N": 9, "R": 5, "E": 8},
    "labels": {"S": 6, "N": 9},
}


@pytest.fixture(autouse=True)
def _threads_as_before():
    before = torch.get_num_threads()
    yield
    machine.set_threads(before)
    command.use_level(None)


@pytest.fixture(scope="module")
def results():
    """A whole run, in small."""
    contests = [lambda loop=loop: LOOPS[loop](**TINY[loop]) for loop in TINY]
    contests.append(lambda: LOOPS["pairwise"](A=7, N=9))  # all pairs
    contests.append(lambda: LOOPS["pairwise"](A=70, B=66, N=5))  # parts of both sides
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(racing, "REST", 0.0)
        return command.raced(contests, [1, 2], HASTE, lambda _: None)


def test_every_loop_is_raced_on_every_number_of_threads(results):
    assert {loop for loop, _ in TINY.items()} == set(LOOPS) == {s.loop for s in SHAPES}
    raced = [(one["loop"], one["threads"]) for one in results["races"]]
    assert raced == [(loop, n) for loop in [*TINY, "pairwise", "pairwise"] for n in (1, 2)]


def test_a_race_tells_of_every_contender_how_long_it_took_and_how_right_it_was(results):
    for one in results["races"]:
        groups = [record["group"] for record in one["contenders"]]
        assert groups[0] == "sacfast"
        assert {"loop", "torch"} < set(groups)
        for record in one["contenders"]:
            if "missing" in record:
                continue
            seconds = record["seconds"]
            assert 0 < seconds["q1"] <= seconds["median"] <= seconds["q3"]
            assert seconds["count"] == 2
            assert 0 < record["part"] <= 1
            assert record["error"] <= record["tolerance"]
            assert (record["group"] in racing.OWN) == ("floor" in record)
    assert json.loads(json.dumps(results)) == results


def test_the_floor_is_the_longer_of_arithmetic_and_memory(results):
    for one in results["races"]:
        for record in one["contenders"]:
            if floor := record.get("floor"):
                longer = "arithmetic" if floor["arithmetic"] >= floor["memory"] else "memory"
                assert floor["limit"] == longer
                assert floor["seconds"] == floor[longer] > 0


def test_a_higher_level_is_never_slower_at_its_limit():
    probes = limits.arithmetic(1, repeats=2)
    levels = core().levels()
    for kind in ("fma", "l1_float32", "l1_int16"):
        rates = [limits.best(probes, kind, level)["rate"] for level in levels]
        assert rates == sorted(rates)
        assert rates[0] > 1e8


def test_a_wrong_result_stops_the_race():
    contest = LOOPS["correlation"](**TINY["correlation"])
    own = contest.contenders[0]

    def wrong(count):
        result = own.call(count).copy()
        result[0, 0] += 1e-5
        return result

    broken = dataclasses.replace(own, call=wrong)
    contest = dataclasses.replace(contest, contenders=[broken])
    with pytest.raises(WrongResultError, match=r"sacfast on correlation .* 1\.0e-05 from"):
        timed(contest, {"sacfast": 6}, HASTE, command.use_level)


def test_nan_is_no_result():
    contest = LOOPS["labels"](**TINY["labels"])
    own = dataclasses.replace(contest.contenders[0], call=lambda n: np.full((n, 36), np.nan))
    contest = dataclasses.replace(contest, contenders=[own])
    with pytest.raises(WrongResultError):
        timed(contest, {"sacfast": 6}, HASTE, command.use_level)


def test_the_patient_get_everything_and_the_slow_a_part():
    contest = LOOPS["fri"](**TINY["fri"])
    assert set(sizes(contest, Patience(9, 9, 0, 2, 2), command.use_level).values()) == {4}
    done = []
    slow = Contender(
        "slow", "torch", lambda n: done.append(n) or sum(range(n * 2000)), None, 999, 0
    )
    contest = dataclasses.replace(contest, contenders=[slow])
    count = sizes(contest, Patience(1e-3, 1e-3, 0, 2, 2), command.use_level)["slow"]
    assert 1 < count < 999
    assert done[-1] <= 999


def test_a_rival_that_is_not_installed_is_missing():
    def build(_):
        raise AssertionError("must not be built")

    missing = data.optional("no_such_module.part", "No Such", "library", build)
    assert missing == Missing("No Such", "library")


def test_without_a_compiler_the_error_says_so(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    limits._library.cache_clear()
    with pytest.raises(limits.LimitsError, match="no compiler 'no-such-compiler'"):
        limits.arithmetic(1, 2)


def test_the_script_runs_by_its_path_from_anywhere(tmp_path):
    script = ROOT / "benchmarks" / "kernels" / "run.py"
    words = [sys.executable, str(script), "--only", "no such loop"]
    run = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "no loop named 'no such loop', there are correlation," in run.stderr


def test_peak_memory_is_what_a_call_takes_beyond_what_was_there(monkeypatch):
    assert 0 <= memory.peaks(((50, 20, 5),))[0]["megabytes"] < 64

    def greedy(outputs, sources, out):
        out[:] = np.ones(30 << 20, np.uint8)[-1]

    monkeypatch.setattr(memory.sacfast, "correlation_distance", greedy, raising=False)
    assert 29 <= memory.measured(5, 20, 5)["megabytes"] <= 40


def test_the_machine_s_facts_name_no_place_and_no_host():
    facts = json.dumps(machine.facts())
    for secret in (str(ROOT), str(Path.home()), machine.platform.node()):
        assert secret not in facts
