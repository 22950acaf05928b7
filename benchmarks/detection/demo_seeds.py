"""Does the demo's false discovery rate hold, and its power, over seeds that nobody has looked at?

Each seed is a whole demo of its own (`sacfast demo --seed N`): other shares of the images, another
source, another null bank, other thefts, all trained anew, then the real commands. Of each we keep
how many copies were found, how many innocent models accused, and the false-discovery proportion:
false accusations over all accusations, 0 where there are none. Benjamini–Hochberg at 0.05 promises
that its mean stays at or below 0.05 (times the share of innocents), so the bar is 0.05 plus two
standard errors of the mean. The innocents' p-values are kept too: P(p <= 0.1) should be 0.1.

A seed that is in the JSON already is not run again, so an interrupted run goes on where it
stopped. One seed takes about two minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import sacfast
from sacfast.demo.making import VERSION, Diary
from sacfast.demo.plan import FULL, is_twin, make_plan
from sacfast.demo.run import found, run_demo

FDR = 0.05
COUNTED = ("fine-tuning", "last layer", "pruning", "probabilities")


def run_seed(seed: int, out: Path) -> dict[str, Any]:
    """One demo from nothing; what it found against the truth."""
    start = time.perf_counter()
    run_demo(out, seed)
    seconds = time.perf_counter() - start
    findings = found(out)
    innocent = [f for f in findings if not f.stolen]
    flagged = [f for f in findings if f.flagged]
    accused = [f for f in innocent if f.flagged]
    accuracy = Diary(out, seed).accuracy
    return {
        "seed": seed,
        "commit": commit(),
        "flagged": len(flagged),
        "falsely_accused": [f.how for f in accused],
        "false_discovery_proportion": len(accused) / max(1, len(flagged)),
        "counted_copies_flagged": sum(f.flagged for f in findings if f.attack in COUNTED),
        "flagged_by_attack": {
            attack: sum(f.flagged for f in findings if f.attack == attack)
            for attack in (*COUNTED, "labels")
        },
        "innocent_p": sorted(f.p for f in innocent if f.p is not None),
        "not_comparable": sum(f.p is None for f in findings),
        "twins_among_null_models": sum(
            is_twin(r) for r in make_plan(seed) if r.name.startswith("null-bank")
        ),
        "accuracy": {
            "source": accuracy["source"],
            "least": min(accuracy.values()),
            "mean": statistics.fmean(accuracy.values()),
        },
        "seconds": round(seconds, 1),
    }


def summarise(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The mean false-discovery proportion beside its bar, and the power."""
    proportions = [run["false_discovery_proportion"] for run in runs]
    mean = statistics.fmean(proportions)
    error = statistics.stdev(proportions) / len(runs) ** 0.5 if len(runs) > 1 else 0.0
    p = [value for run in runs for value in run["innocent_p"]]
    return {
        "seeds": len(runs),
        "mean_false_discovery_proportion": mean,
        "standard_error": error,
        "bar": FDR + 2 * error,
        "met": mean <= FDR + 2 * error,
        "innocent_models": len(p),
        "innocent_share_p_up_to_0.05": sum(value <= 0.05 for value in p) / len(p),
        "innocent_share_p_up_to_0.1": sum(value <= 0.1 for value in p) / len(p),
        "least_counted_copies_flagged": min(run["counted_copies_flagged"] for run in runs),
        "mean_counted_copies_flagged": statistics.fmean(
            run["counted_copies_flagged"] for run in runs
        ),
        "counted_copies": sum(theft.attack in COUNTED for theft in FULL.thefts),
    }


def commit() -> str:
    """The commit that is run, "-dirty" where files differ from it."""
    asked = ["git", "describe", "--always", "--dirty", "--exclude", "*"]
    answer = subprocess.run(
        asked, capture_output=True, text=True, check=False, cwd=Path(__file__).parent
    )
    return answer.stdout.strip() or "unknown"


def facts() -> dict[str, Any]:
    """What the numbers depend on."""
    packages = ("numpy", "torch", "timm", "scikit-learn")
    return {
        "recipes": VERSION,
        "versions": {
            "python": platform.python_version(),
            "sacfast": sacfast.__version__,
            **{package: version(package) for package in packages},
        },
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores",
    }


def write(path: Path, runs: list[dict[str, Any]]) -> None:
    """Write everything that is known so far, whole or not at all."""
    runs = sorted(runs, key=lambda run: run["seed"])
    content = {"facts": facts(), "summary": summarise(runs), "runs": runs}
    unfinished = path.with_suffix(".part")
    unfinished.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    unfinished.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--first", type=int, default=1, help="first seed (0 is the demo's own)")
    parser.add_argument("--count", type=int, default=20, help="how many seeds")
    parser.add_argument("--folder", type=Path, default=Path("demo-seeds"), help="scratch folder")
    results = Path(__file__).parents[1] / "results" / "demo_seeds.json"
    parser.add_argument("--json", type=Path, default=results, help="where the results go")
    arguments = parser.parse_args()

    runs: list[dict[str, Any]] = []
    if arguments.json.exists():
        held = json.loads(arguments.json.read_text(encoding="utf-8"))
        if held["facts"]["recipes"] == VERSION:
            runs = held["runs"]
    known = {run["seed"] for run in runs}
    for seed in range(arguments.first, arguments.first + arguments.count):
        if seed not in known:
            out = arguments.folder / f"seed-{seed}"
            runs.append(run_seed(seed, out))
            write(arguments.json, runs)
            shutil.rmtree(out)
    print(json.dumps(summarise(runs), indent=1))


if __name__ == "__main__":
    main()
