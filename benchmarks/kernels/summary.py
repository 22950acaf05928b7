"""Ratios and shares out of a run's JSON: the one place where they are computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.kernels.race import OWN

RIVALS = ("loop", "torch", "library")
COMPARED = ("sacfast", *RIVALS)


@dataclass(frozen=True)
class Standing:
    """One contender of one race."""

    name: str
    group: str
    seconds: float
    spread: float  # half the distance of the quartiles, relative
    part: float
    error: float
    over_loop: float  # how many times as fast as the loop
    over_best: float | None  # sacfast: as the fastest rival
    share: float | None  # sacfast: of its limit
    limit: str | None  # which one that is
    alone: bool  # as good as any contender of the race


def race(results: dict[str, Any], label: str, threads: int) -> dict[str, Any]:
    """A race of a run."""
    return next(
        one for one in results["races"] if one["label"] == label and one["threads"] == threads
    )


def ran(one: dict[str, Any]) -> list[dict[str, Any]]:
    """The contenders that were there."""
    return [record for record in one["contenders"] if "seconds" in record]


def best_rival(one: dict[str, Any]) -> dict[str, Any]:
    """The fastest rival."""
    rivals = [record for record in ran(one) if record["group"] in RIVALS]
    return min(rivals, key=_median)


def _median(record: dict[str, Any]) -> float:
    return float(record["seconds"]["median"])


def own(one: dict[str, Any]) -> dict[str, Any]:
    """sacfast as it runs by itself."""
    return next(record for record in one["contenders"] if record["name"] == "sacfast")


def standings(one: dict[str, Any]) -> list[Standing]:
    """Every contender of a race that was there, in its order."""
    loop = next(_median(record) for record in ran(one) if record["group"] == "loop")
    best = _median(best_rival(one))
    fastest = min(_median(record) for record in ran(one) if record["group"] in COMPARED)
    found = []
    for record in ran(one):
        seconds = _median(record)
        ours = record["group"] in OWN
        floor = record.get("floor")
        found.append(
            Standing(
                record["name"],
                record["group"],
                seconds,
                (record["seconds"]["q3"] - record["seconds"]["q1"]) / 2 / seconds,
                record["part"],
                record["error"],
                loop / seconds,
                best / seconds if ours else None,
                floor["seconds"] / seconds if floor else None,
                floor["limit"] if floor else None,
                record["group"] in COMPARED and seconds <= fastest,
            )
        )
    return found


def speedup(results: dict[str, Any], label: str, name: str) -> float | None:
    """How many times as fast a contender is with the most threads as with one."""
    counts = sorted({one["threads"] for one in results["races"] if one["label"] == label})
    if len(counts) < 2:
        return None
    few, many = (
        next(
            (_median(r) for r in ran(race(results, label, count)) if r["name"] == name),
            None,
        )
        for count in (counts[0], counts[-1])
    )
    return few / many if few and many else None


def labels(results: dict[str, Any]) -> list[str]:
    """Every shape, in order."""
    return list(dict.fromkeys(one["label"] for one in results["races"]))
