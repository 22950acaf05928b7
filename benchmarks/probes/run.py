"""How fast are probes made, by what, and what does pillow-simd gain?

    make test-simd                                builds pillow-simd
    pip install --no-deps --target .venv/pillow-same pillow==12.1.1
                                                  Pillow of the same version
    python benchmarks/probes/run.py [--quick]     measures and prints; without --quick also stores
    python -m benchmarks.probes.table             writes the stored figures into docs/probes.md

These two stand in folders of their own, in .venv unless --simd and --same name others; where one is
missing its rows are left out. Every contestant's bytes are compared before it is timed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks.probes.contestants import CONTESTANTS, Contestant  # noqa: E402
from benchmarks.probes.table import tables  # noqa: E402

RESULT = ROOT / "benchmarks" / "results" / "probes.json"
#: Task: sizes of the images with how many of them.
SHAPES: dict[str, dict[tuple[int, int], int]] = {
    "round trip": {(32, 32): 200, (112, 112): 200, (224, 224): 200},
    "decode": {(32, 32): 200, (112, 112): 200, (224, 224): 200, (375, 500): 50},
    "resize": {(32, 32): 200, (112, 112): 200, (375, 500): 50, (3000, 4000): 1},
    "build": {(375, 500): 100},
    "corruption": {(32, 32): 8, (112, 112): 8, (224, 224): 8},
}


class Worker:
    """A process that answers `worker`'s questions."""

    def __init__(self, cores: int, pil: Path | None) -> None:
        paths = [*([str(pil)] if pil else []), str(ROOT), *(path for path in sys.path if path)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.probes.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(paths),
                "OMP_NUM_THREADS": str(cores),
            },
            preexec_fn=lambda: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores]),
            cwd=ROOT,
            text=True,
        )
        self.versions: dict[str, str] = self._read()

    def ask(self, number: int, side: tuple[int, int], count: int) -> dict[str, Any]:
        """One timed run."""
        question = {"contestant": number, "side": side, "count": count}
        print(json.dumps(question), file=self._process.stdin, flush=True)
        return self._read()

    def end(self) -> None:
        """No more questions."""
        self._process.communicate()

    def _read(self) -> Any:
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a worker ended with code {self._process.wait()}")
        return json.loads(line)


def measured(
    workers: dict[tuple[str, int], Worker],
    task: str,
    side: tuple[int, int],
    count: int,
    rounds: int,
) -> list[dict[str, Any]]:
    """One task at one size: all contestants, in turn, `rounds` times."""
    field = [
        (number, contestant, cores, worker)
        for number, contestant in enumerate(CONTESTANTS)
        if contestant.task == task
        for cores in contestant.cores
        if (worker := workers.get((_environment(contestant), cores))) is not None
    ]
    rows: list[dict[str, Any]] = []
    digest = None
    running = []
    for number, contestant, cores, worker in field:
        row: dict[str, Any] = {
            "task": task, "contestant": contestant.name, "cores": cores, "side": list(side),
            "count": count,
        }  # fmt: skip
        rows.append(row)
        first = worker.ask(number, side, count)
        if "missing" in first:
            row["missing"] = first["missing"]
            continue
        digest = digest or first["digest"]
        row["same_bytes"] = first["digest"] == digest
        if contestant.same and not row["same_bytes"]:
            raise RuntimeError(f"{task}, {side}: {contestant.name} made other bytes")
        row["seconds"] = []
        running.append((number, worker, row))
    for _ in range(rounds):
        for number, worker, row in running:
            row["seconds"].append(worker.ask(number, side, count)["seconds"])
    for _, _, row in running:
        seconds = row.pop("seconds")
        row["images_per_second"] = count / statistics.median(seconds)
        row["quartiles"] = [count / q for q in statistics.quantiles(seconds, n=4)[::-2]]
        row["rounds"] = rounds
    return rows


def _environment(contestant: Contestant) -> str:
    return "pillow" if contestant.pil == "any" else contestant.pil


def facts(workers: dict[tuple[str, int], Worker]) -> dict[str, Any]:
    """The machine and the versions; no name and no path."""
    cpu = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    return {
        "machine": {
            "cpu": cpu[1] if cpu else platform.machine(),
            "cores": len(os.sched_getaffinity(0)),
        },
        "versions": {
            "python": platform.python_version(),
            **{pil: worker.versions for (pil, cores), worker in workers.items() if cores == 1},
        },
        "commit": commit,
    }


def main() -> None:
    """Measures everything."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few rounds, nothing stored")
    parser.add_argument("--simd", type=Path, default=Path(sys.prefix) / "pillow-simd")
    parser.add_argument("--same", type=Path, default=Path(sys.prefix) / "pillow-same")
    parser.add_argument("--result", type=Path, default=None, help=f"default: {RESULT.name}")
    arguments = parser.parse_args()
    available = len(os.sched_getaffinity(0))
    environments: dict[str, Path | None] = {"pillow": None}
    for name, folder in (("pillow-simd", arguments.simd), ("same", arguments.same)):
        if (folder / "PIL").is_dir():
            environments[name] = folder.resolve()
        else:
            print(f"No {folder.name} (see --help): its rows are left out", file=sys.stderr)
    workers = {
        (pil, cores): Worker(cores, place)
        for pil, place in environments.items()
        for cores in (1, 2)
        if cores <= available
    }
    rows = []
    for task in dict.fromkeys(contestant.task for contestant in CONTESTANTS):
        for side, count in SHAPES[task.split()[0] if task.startswith("corr") else task].items():
            rounds = 3 if arguments.quick or task.startswith("corruption") else 11
            print(f"{task}, {side[0]}x{side[1]}", file=sys.stderr)
            rows += measured(workers, task, side, count, rounds)
    result = {**facts(workers), "rows": rows}
    for worker in workers.values():
        worker.end()
    print(tables(result))
    target = arguments.result or (None if arguments.quick else RESULT)
    if target is not None:
        target.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
