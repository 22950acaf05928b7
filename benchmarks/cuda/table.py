"""A run on a GPU as Markdown: `python -m benchmarks.cuda.table` writes it into docs/gpu.md.

It comes from benchmarks/results/gpu.json and goes between the marks `<!-- gpu -->` and
`<!-- /gpu -->`. Ratios are computed here and nowhere else.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.kernels.figures import between_marks, markdown
from benchmarks.kernels.table import digits, duration, percent, times

ROOT = Path(__file__).resolve().parents[2]
MARKS = ("<!-- gpu -->\n", "<!-- /gpu -->\n")
RIVALS = ("loop", "torch", "library")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, default=ROOT, help="of the tree to write into")
    root = parser.parse_args(arguments).root
    results = json.loads((root / "benchmarks/results/gpu.json").read_text(encoding="utf-8"))
    path = root / "docs" / "gpu.md"
    written = f"\n{tables(results)}\n"
    text = between_marks(path.read_text(encoding="utf-8"), written, MARKS)
    path.write_text(text, encoding="utf-8")


def tables(results: dict[str, Any]) -> str:
    """The machine, the checks, every contender of every shape, and the limits."""
    parts = [about(results), checks(results), summary(results)]
    parts += [_race(one) for one in results["races"]]
    parts.append(_limits(results["limits"]))
    return "\n".join(part for part in parts if part)


def about(results: dict[str, Any]) -> str:
    """What ran where, in two sentences."""
    gpu, versions = results["gpu"], results["versions"]
    return (
        f"{gpu['name']}, compute capability {gpu['compute_capability']}, "
        f"{gpu['multiprocessors']} multiprocessors, {gpu['memory_gb']} GB, driver {gpu['driver']}; "
        f"CPU: {results['cpu']['cpu']}, {results['cpu']['cores']} cores. "
        f"sacfast {versions['sacfast']} built with CUDA {versions['toolkit']}, PyTorch "
        f"{versions['torch']} (CUDA {gpu['torch_cuda']}); "
        f"commit {(results['commit'] or 'unknown')[:10]}, {results['mode']} run.\n"
    )


def checks(results: dict[str, Any]) -> str:
    """What was tested before; nothing where the races were run alone."""
    done = results.get("checks", {})
    rows = [
        [name, "passed" if one["passed"] else "**failed**", one["told"]]
        if one["ran"]
        else [name, "not run", one["told"]]
        for name, one in done.items()
    ]
    return markdown(["check", "result", ""], rows) if rows else ""


def rivals(one: dict[str, Any]) -> list[dict[str, Any]]:
    """The rivals that ran, fastest first."""
    ran = [r for r in one["contenders"] if r["group"] in RIVALS and "device" in r]
    return sorted(ran, key=_device)


def _device(record: dict[str, Any]) -> float:
    return float(record["device"]["median"])


def _call(record: dict[str, Any]) -> float:
    return float(record["call"]["median"])


def _own(one: dict[str, Any]) -> dict[str, Any] | None:
    """sacfast as it runs by itself; None where it failed."""
    return next(
        (r for r in one["contenders"] if r["name"] == "sacfast" and "device" in r),
        None,
    )


def summary(results: dict[str, Any]) -> str:
    """How many shapes a rival is faster on, by name."""
    lost = []
    for one in results["races"]:
        own, others = _own(one), rivals(one)
        if own is None:
            lost.append(f"{one['label']} (sacfast failed)")
        elif others and _device(others[0]) < _device(own):
            lost.append(f"{one['label']} ({others[0]['name']})")
    words = f"Of {len(results['races'])} shapes a rival is faster on {len(lost)}"
    return words + (f": {'; '.join(lost)}.\n" if lost else ".\n")


def _race(one: dict[str, Any]) -> str:
    loop = next((r for r in one["contenders"] if r["group"] == "loop" and "device" in r), None)
    best, cpu = rivals(one)[:1], [r for r in one["contenders"] if r["group"] == "cpu"]
    header = ["", "on the GPU", "as called", "× loop", "× best rival", "× CPU", "of the limit"]
    rows = []
    for record in one["contenders"]:
        if "call" not in record:
            told = record.get("missing") or f"failed: {record['failed']}"
            rows.append([record["name"], told.replace("|", "\\|"), *[""] * len(header[1:])])
            continue
        part = "" if record["part"] == 1 else f" (timed on {100 * record['part']:.2g} %)"
        mine, floor = record["group"] == "sacfast", record.get("floor")
        on_device = _device(record) if "device" in record else None
        cells = [record["name"] + part, duration(on_device) if on_device else ""]
        cells.append(duration(_call(record)))
        cells.append(times(_device(loop) / on_device) if loop and on_device else "")
        cells.append(times(_device(best[0]) / on_device) if mine and best and on_device else "")
        ran_on_cpu = mine and cpu and "call" in cpu[0]
        cells.append(times(_call(cpu[0]) / _call(record)) if ran_on_cpu else "")
        share = f"{percent(floor['seconds'] / on_device)} {floor['limit']}" if floor else ""
        rows.append([*cells, share, f"{record['error']:.0e}"])
    return f"### {one['label']}\n\n{markdown([*header, 'error'], rows)}"


def _limits(measured: dict[str, float]) -> str:
    names = {
        "copy": ("copy, read and written", 1e9, "GB/s"),
        "fma": ("matrix product, float32", 1e12, "TFLOP/s"),
        "tf32": ("matrix product, TF32", 1e12, "TFLOP/s"),
        "bfloat16": ("matrix product, bfloat16", 1e12, "TFLOP/s"),
    }
    rows = [
        [what, f"{digits(measured[name] / unit)} {called}"]
        for name, (what, unit, called) in names.items()
    ]
    return f"### Limits\n\n{markdown(['by PyTorch, in the same run', 'rate'], rows)}"


if __name__ == "__main__":
    main()
