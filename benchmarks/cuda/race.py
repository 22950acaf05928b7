"""Contenders on a GPU, and how they are timed: checked first, sized to their patience, in turn."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np
import torch

from benchmarks.cuda import device
from benchmarks.kernels.race import (
    Contender,
    Contest,
    Missing,
    Patience,
    Read,
    checked,
    sized,
    statistics_of,
)
from sacfast.errors import SacfastError
from sacfast.kernels import _gpu

OWN = "sacfast"
CPU_ROUNDS = 3  # it is a yardstick, and slow
#: What the project promises of float32 on a GPU, and of bfloat16.
FLOAT32_TOLERANCE = 1e-5
BFLOAT16_TOLERANCE = 4e-3


@dataclass(frozen=True)
class Runner(Contender):
    """A contender, and where it runs.

    Attributes:
        product: How sacfast multiplies on the GPU; None: no kernel of sacfast's on the GPU.
        cpu: It runs on the CPU, with all its cores, and is no rival.
    """

    product: str | None = None
    cpu: bool = False


@contextmanager
def multiplying(product: str) -> Iterator[None]:
    """sacfast multiplies float32 this way, whatever suits the GPU."""

    def chosen(precision: str, _: int) -> str:
        return product if precision == "float32" else precision

    with mock.patch.object(_gpu, "_product", chosen):
        yield


def rows(result: Any, count: int) -> Read:
    """Reads a result that has one row a unit: the first, the middle, the last."""
    for unit in sorted({0, count // 2, count - 1}):
        yield unit, slice(None), numbers(result[unit])


def numbers(result: Any) -> Any:
    """As NumPy, from wherever it is."""
    return result.cpu().numpy() if isinstance(result, torch.Tensor) else np.asarray(result)


def timed(
    contest: Contest, patience: Patience, cache: device.Cache, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Run a race.

    Args:
        contest: The shape and its contenders.
        patience: How long things may take.
        cache: Is emptied before every call that is timed by events.
        say: Is told what is going on.

    Returns:
        A record a contender, in the contest's order: `device` and `call`, seconds with their
        quartiles; or `missing`, or `failed`, with the reason.
    """
    records: dict[str, dict[str, Any]] = {}
    counts: dict[str, int] = {}
    for one in contest.contenders:
        record: dict[str, Any] = {"name": one.name, "group": one.group}
        records[one.name] = record
        if isinstance(one, Missing):
            record["missing"] = "not installed"
            continue
        say(f"{contest.label}: {one.name}")
        try:
            counts[one.name] = count = _sized(one, patience)
            with _settings(one):
                record["error"] = checked(one, contest, one.call(count), count)
        except (RuntimeError, SacfastError, MemoryError, ImportError) as error:
            record["failed"] = f"{type(error).__name__}: {error}".splitlines()[0]
            counts.pop(one.name, None)
            device.release()
    runners = [one for one in contest.contenders if one.name in counts]
    say(contest.label)
    times = _rounds(runners, counts, patience, cache)
    for one in runners:
        part = (counts[one.name] / one.total) ** one.power
        for clock, seconds in times[one.name].items():
            records[one.name][clock] = statistics_of([value / part for value in seconds])
        records[one.name] |= {"part": part, "tolerance": one.tolerance, "product": one.product}
    return list(records.values())


def _rounds(
    runners: Sequence[Runner], counts: dict[str, int], patience: Patience, cache: device.Cache
) -> dict[str, dict[str, list[float]]]:
    """Seconds of every round by both clocks; of what runs on the CPU, by its clock."""
    times: dict[str, dict[str, list[float]]] = {
        one.name: {"call": []} if one.cpu else {"device": [], "call": []} for one in runners
    }
    start = time.perf_counter()
    for turn in range(patience.most_rounds):
        if turn >= patience.least_rounds and time.perf_counter() - start > patience.race:
            break
        first = turn % max(1, len(runners))  # nobody always follows the same one
        for one in (*runners[first:], *runners[:first]):
            if one.cpu and turn >= CPU_ROUNDS:
                continue
            with _settings(one):
                if not one.cpu:
                    times[one.name]["device"].append(_on_device(one, counts[one.name], cache))
                times[one.name]["call"].append(_as_called(one, counts[one.name]))
    return times


def _on_device(one: Runner, count: int, cache: device.Cache) -> float:
    device.wait()
    cache.empty()
    start = device.event()
    one.call(count)
    end = device.event()
    device.wait()
    return device.seconds(start, end)


def _as_called(one: Runner, count: int) -> float:
    device.wait()
    start = time.perf_counter()
    one.call(count)
    device.wait()
    return time.perf_counter() - start


def _sized(one: Runner, patience: Patience) -> int:
    """How many units fit into its patience."""

    def finished(count: int) -> None:
        with _settings(one):
            one.call(count)
            device.wait()

    seconds = patience.own_call if one.group == OWN or one.cpu else patience.call
    return sized(dataclasses.replace(one, call=finished), seconds)


def _settings(one: Runner) -> AbstractContextManager[None]:
    return multiplying(one.product) if one.product else nullcontext()
