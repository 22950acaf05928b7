"""Contenders, and how they are timed: checked first, sized to their patience, then in turn.

A contender works on the first `count` of its units (models, rows, pairs of models), so that one
which would take minutes can be timed on a part. `timed` finds that count, warming up on the way,
compares the result with the oracle, and then lets all contenders run once a round.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.kernels.limits import Work

#: Values of one unit, and the columns of the oracle's row that they stand for.
Read = Iterator[tuple[int, slice, NDArray[Any]]]
#: Seconds before every call: idle threads of the library before it spin for a while.
REST = 0.005
#: Row of a unit, and columns of it.
Oracle = Callable[[int, slice], NDArray[np.float64]]
#: Chooses the level of sacfast's compiled loops; None for the best.
Use = Callable[[str | None], None]
OWN = ("sacfast", "int16")
Group = Literal["sacfast", "int16", "loop", "torch", "library", "limit"]


@dataclass(frozen=True)
class Contender:
    """One way to compute what a shape asks for.

    Attributes:
        name: As it stands in the tables.
        group: Whose it is. "int16" is sacfast's too, but answers another question; "loop" is the
            authors' way; a "limit" is not a rival, but the time that a necessary part of the work
            takes in a library.
        call: Does the first `count` units and returns the result.
        read: Yields values out of that result, for the oracle; None for a limit.
        total: Units of the whole shape.
        tolerance: How far a value may lie from the oracle's, by the number formats used.
        power: The share of the work in `count` units is (count / total) ** power.
        level: Of sacfast's compiled loops; None for the one that it chooses.
        work: Where it differs from the shape's.
        oracle: Likewise.
        most: Units that its memory allows in one call; None for any number.
    """

    name: str
    group: Group
    call: Callable[[int], Any]
    read: Callable[[Any, int], Read] | None
    total: int
    tolerance: float
    power: int = 1
    level: str | None = None
    work: Work | None = None
    oracle: Oracle | None = None
    most: int | None = None


@dataclass(frozen=True)
class Missing:
    """A rival that is not installed."""

    name: str
    group: Group


@dataclass(frozen=True)
class Contest:
    """A shape with its contenders, ready to run."""

    loop: str
    label: str
    shape: dict[str, int]
    work: Work
    oracle: Oracle
    contenders: Sequence[Contender | Missing]
    notes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Patience:
    """How long a race may take, in seconds."""

    call: float  # of a rival, before it gets a part of the work
    own_call: float  # of sacfast
    race: float  # all rounds together
    least_rounds: int
    probe_repeats: int  # of every measurement of a limit
    most_rounds: int = 51


class WrongResultError(RuntimeError):
    """A contender computed something else."""


def checked(contender: Contender, contest: Contest, result: Any, count: int) -> float:
    """The largest distance from the oracle among the values read.

    Raises:
        WrongResultError: If it is beyond the tolerance, or no number.
    """
    worst = 0.0
    seen = False
    for unit, columns, values in contender.read(result, count) if contender.read else ():
        expected = (contender.oracle or contest.oracle)(unit, columns)
        if expected.shape != values.shape:
            raise WrongResultError(
                f"{contender.name} on {contest.label}: {values.shape} for {expected.shape}"
            )
        difference = np.abs(np.asarray(values, dtype=np.float64) - expected)
        worst = max(worst, float(difference.max(initial=0.0)))
        seen = True
        if not worst <= contender.tolerance or np.isnan(difference).any():
            raise WrongResultError(
                f"{contender.name} on {contest.label}: {worst:.1e} from the oracle, "
                f"at most {contender.tolerance:.1e} is rounding"
            )
    if contender.read and not seen:
        raise WrongResultError(f"{contender.name} on {contest.label}: nothing to check")
    return worst


def _seconds(contender: Contender, count: int) -> float:
    start = time.perf_counter()
    contender.call(count)
    return time.perf_counter() - start


def sized(contender: Contender, patience: float) -> int:
    """How many units fit into one call of about `patience` seconds; at least one."""
    most = min(contender.total, contender.most or contender.total)
    count = 1
    contender.call(count)  # warms up
    for _ in range(5):
        fit = (patience / max(_seconds(contender, count), 1e-7)) ** (1 / contender.power)
        if count == most or 0.5 < fit < 1.5:
            break
        count = min(most, max(1, int(count * min(fit, 32.0))))
    return count


def present(contest: Contest) -> list[Contender]:
    """The contenders that are installed."""
    return [one for one in contest.contenders if isinstance(one, Contender)]


def sizes(contest: Contest, patience: Patience, use: Use) -> dict[str, int]:
    """How many units every contender gets, by its name."""
    counts = {}
    for one in present(contest):
        use(one.level)
        counts[one.name] = sized(one, patience.own_call if one.group in OWN else patience.call)
    return counts


def timed(
    contest: Contest, counts: dict[str, int], patience: Patience, use: Use
) -> list[dict[str, Any]]:
    """Run a race.

    Args:
        contest: The shape and its contenders.
        counts: Units for every contender, from `sizes`.
        patience: How long things may take.
        use: See `Use`.

    Returns:
        A record a contender, in the contest's order.

    Raises:
        WrongResultError: If a contender computed something else than the oracle.
    """
    runners = present(contest)
    errors: dict[str, float] = {}
    for one in runners:  # the call warms up, with this number of threads
        use(one.level)
        errors[one.name] = checked(one, contest, one.call(counts[one.name]), counts[one.name])
    seconds: dict[str, list[float]] = {one.name: [] for one in runners}
    start = time.perf_counter()
    for turn in range(patience.most_rounds):
        if turn >= patience.least_rounds and time.perf_counter() - start > patience.race:
            break
        first = turn % len(runners)  # nobody always follows the same one
        for one in (*runners[first:], *runners[:first]):
            use(one.level)
            time.sleep(REST)
            seconds[one.name].append(_seconds(one, counts[one.name]))
    use(None)
    records: list[dict[str, Any]] = []
    for entrant in contest.contenders:
        record: dict[str, Any] = {"name": entrant.name, "group": entrant.group}
        if isinstance(entrant, Missing):
            records.append({**record, "missing": "not installed"})
            continue
        part = (counts[entrant.name] / entrant.total) ** entrant.power
        records.append(
            {
                **record,
                "level": entrant.level,
                "seconds": statistics_of([one / part for one in seconds[entrant.name]]),
                "part": part,
                "error": errors[entrant.name],
                "tolerance": entrant.tolerance,
            }
        )
    return records


def statistics_of(values: list[float]) -> dict[str, float]:
    """Median, quartiles and count."""
    if len(values) == 1:
        return {"median": values[0], "q1": values[0], "q3": values[0], "count": 1}
    q1, median, q3 = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": median, "q1": q1, "q3": q3, "count": len(values)}
