"""Races sacfast on a GPU with PyTorch there, and says how near to the GPU's limits it comes.

    python -m benchmarks.cuda.command --quick               roughly, in a terminal
    python -m benchmarks.cuda.command --only fri --out fri.json

The last step of `make gpu`, which builds and tests first; run it in the repository's root, by a
Python that has sacfast. What is measured and how:
`benchmarks/cuda/__init__.py`. Every shape is run, the losing ones too. Ends with 1 if one of
sacfast's results was wrong or failed, with 2 without a GPU.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.cuda import device, limits, table
from benchmarks.cuda.race import OWN, timed
from benchmarks.cuda.shapes import SHAPES
from benchmarks.kernels import machine
from benchmarks.kernels.race import Contest, Patience
from sacfast.kernels import build_info

QUICK = Patience(call=0.02, own_call=0.1, race=0.2, least_rounds=3, probe_repeats=5)
FULL = Patience(call=0.2, own_call=2.0, race=3.0, least_rounds=11, probe_repeats=20)
PACKAGES = ("torch", "numpy", "cuvs-cu12", "cuvs-cu13")


def facts() -> dict[str, Any]:
    """What ran where; nothing that names the machine or a place on it."""
    built = build_info()
    return {
        "gpu": device.facts(),
        "cpu": machine.processor(),
        "versions": {
            "sacfast": built["version"],
            "python": platform.python_version(),
            "toolkit": built["cuda"]["toolkit"],
            "architectures": built["cuda"]["architectures"],
            **{name: machine.version(name) for name in PACKAGES},
        },
        "commit": machine.commit("benchmarks/cuda"),
    }


def raced(
    contests: Sequence[Callable[[], Contest]], patience: Patience, say: Callable[[str], None]
) -> dict[str, Any]:
    """Run all races.

    Args:
        contests: Each makes one; they are made one at a time, for they hold much memory.
        patience: How long things may take.
        say: Is told what is going on.

    Returns:
        `limits`, bytes and operations a second, and `races`.
    """
    say("limits")
    with device.stream():
        measured = limits.rates(patience.probe_repeats)
        cache = device.Cache()
        races: list[dict[str, Any]] = []
        works = []
        for make in contests:
            contest = make()
            records = timed(contest, patience, cache, say)
            by_name = {record["name"]: record for record in records}
            works += [(by_name[one.name], contest.work) for one in contest.contenders]
            races.append(
                {
                    "loop": contest.loop,
                    "label": contest.label,
                    "shape": contest.shape,
                    **contest.notes,
                    "contenders": records,
                }
            )
            del contest
            gc.collect()
            device.release()
        measured = limits.best(measured, limits.rates(patience.probe_repeats))
    for record, work in works:
        if record["group"] == OWN and "device" in record:
            record["floor"] = limits.floor(work, record["product"], measured)
    return {"limits": measured, "races": races}


def failures(results: dict[str, Any]) -> list[str]:
    """What of sacfast's was wrong or did not run."""
    return [
        f"{one['label']}: {record['name']}: {record['failed']}"
        for one in results["races"]
        for record in one["contenders"]
        if record["group"] in (OWN, "cpu") and "failed" in record
    ]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cuda.command",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="few rounds, and rough")
    parser.add_argument("--only", default="", metavar="LOOP", help="races of one loop")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    chosen = parser.parse_args(arguments)
    shapes = [shape for shape in SHAPES if chosen.only in shape.loop]
    if not shapes:
        loops = dict.fromkeys(shape.loop for shape in SHAPES)
        parser.error(f"no loop named {chosen.only!r}, there are {', '.join(loops)}")
    try:
        device.require()
    except device.NoGpuError as error:
        print(f"benchmarks.cuda: {error}", file=sys.stderr)
        return 2
    torch.set_grad_enabled(False)
    results: dict[str, Any] = {
        "benchmark": "gpu",
        "mode": "quick" if chosen.quick else "full",
        **facts(),
        **raced(
            [shape.contest for shape in shapes],
            QUICK if chosen.quick else FULL,
            lambda what: print(f"  {what}", file=sys.stderr, flush=True),
        ),
    }
    if chosen.out:
        chosen.out.parent.mkdir(parents=True, exist_ok=True)
        chosen.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(table.tables(results))
    wrong = failures(results)
    for one in wrong:
        print(f"FAILED {one}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
