"""Races sacfast's kernels with their rivals; says how near to the machine's limits they come.

`--quick` (under three minutes) answers whether anything is far off; `--full` makes the figures that
the documents show, in about a quarter of an hour, and wants the machine for itself. Rivals:
`pip install '.[rivals]'`. What is measured and how: `benchmarks/kernels/__init__.py`.
"""

from __future__ import annotations

import argparse
import gc
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from benchmarks.kernels import limits, machine, memory, table
from benchmarks.kernels.race import OWN, Contest, Patience, present, sizes, timed
from benchmarks.kernels.shapes import SHAPES, Shape
from sacfast.kernels._native import core

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "kernels.json"
QUICK = Patience(call=0.015, own_call=0.15, race=0.3, least_rounds=3, probe_repeats=5)
FULL = Patience(call=0.4, own_call=4.0, race=8.0, least_rounds=7, probe_repeats=20)

WIDTH = 150  # of the tables


def use_level(name: str | None) -> None:
    """Chooses the level of sacfast's loops; None for the best that runs here."""
    core().use_level(name or core().levels()[-1])


def raced(
    contests: Sequence[Callable[[], Contest]],
    threads: Sequence[int],
    patience: Patience,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Run all races.

    Args:
        contests: Each makes one; they are made one at a time, for they hold much memory.
        threads: Numbers of threads to run with.
        patience: How long things may take.
        say: Is told what is going on.

    Returns:
        `limits`, the arithmetic rates by number of threads, and `races`.
    """
    rates = {}
    for count in threads:
        machine.set_threads(count)
        rates[count] = limits.arithmetic(count, patience.probe_repeats)
    races: list[dict[str, Any]] = []
    works = []
    for make in contests:
        contest = make()
        own = {one.name: one for one in present(contest)}
        machine.set_threads(threads[0])
        say(f"{contest.label}, sizes")
        counts = sizes(contest, patience, use_level)
        for count in threads:
            say(f"{contest.label}, {count} thread{'s' * (count > 1)}")
            machine.set_threads(count)
            records = timed(contest, counts, patience, use_level)
            for record in records:
                if record["group"] in OWN:
                    work = own[record["name"]].work or contest.work
                    works.append((record, work, count))
            races.append(
                {
                    "loop": contest.loop,
                    "label": contest.label,
                    "shape": contest.shape,
                    "threads": count,
                    **contest.notes,
                    "contenders": records,
                }
            )
        del contest, own
        gc.collect()
    for count in threads:  # a processor may have been slower at first than it was later
        later = limits.arithmetic(count, patience.probe_repeats)
        for rate, again in zip(rates[count], later, strict=True):
            rate["rate"] = max(rate["rate"], again["rate"])
    for record, work, count in works:
        level = record["level"] or core().levels()[-1]
        record["floor"] = limits.floor(work, rates[count], count, level, patience.probe_repeats)
    return {"limits": {str(count): rates[count] for count in threads}, "races": races}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="small and rough (the default)")
    size.add_argument("--full", action="store_true", help="every shape whole, many rounds")
    parser.add_argument("--only", default="", metavar="LOOP", help="races of one loop")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument(
        "--out", type=Path, help=f"JSON file; a full run of all loops writes {RESULTS.name}"
    )
    chosen = parser.parse_args(arguments)
    shapes: list[Shape] = [shape for shape in SHAPES if chosen.only in shape.loop]
    if not shapes:
        loops = dict.fromkeys(shape.loop for shape in SHAPES)
        parser.error(f"no loop named {chosen.only!r}, there are {', '.join(loops)}")
    console = Console()
    if console.width < WIDTH:
        console = Console(width=WIDTH)
    torch.set_grad_enabled(False)
    results: dict[str, Any] = {
        "benchmark": "kernels",
        "mode": "full" if chosen.full else "quick",
        **machine.facts(),
    }
    with console.status("limits") as status:
        results |= raced(
            [partial(shape.contest, quick=not chosen.full) for shape in shapes],
            chosen.threads,
            FULL if chosen.full else QUICK,
            status.update,
        )
        status.update("memory")
        results["peak_memory"] = memory.peaks()
    table.show(results, console)
    out = chosen.out or (RESULTS if chosen.full and not chosen.only else None)
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
