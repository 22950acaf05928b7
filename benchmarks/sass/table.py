"""The report as tables of docs/cuda.md, between the marks of each section."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.kernels.figures import between_marks, markdown
from benchmarks.kernels.table import digits, duration
from benchmarks.sass import occupancy

CODE = ("<!-- sass -->\n", "<!-- /sass -->\n")
PREDICTED = ("<!-- predicted -->\n", "<!-- /predicted -->\n")


def write(report: dict[str, Any], document: Path) -> None:
    """Puts both tables into the document.

    Raises:
        ValueError: If a pair of marks is not there.
    """
    text = document.read_text(encoding="utf-8")
    text = between_marks(text, code(report["kernels"]), CODE)
    text = between_marks(text, predicted(report["predicted"]), PREDICTED)
    document.write_text(text, encoding="utf-8")


def code(records: list[dict[str, Any]]) -> str:
    """A row a kernel; from the least to the most where architectures differ."""
    architectures = list(dict.fromkeys(record["architecture"] for record in records))
    kernels = dict.fromkeys((record["source"], record["kernel"]) for record in records)
    header: dict[str, Callable[[dict[str, Any]], float | None]] = {
        "threads": lambda r: r["threads"],
        "registers": lambda r: r["registers"],
        "shared KB": lambda r: r["shared"] / 1024,
        "blocks": lambda r: r["blocks"],
        "warps": lambda r: r["warps"],
        "wide global loads": lambda r: _percent(r, "global loads"),
        "wide shared loads": lambda r: _percent(r, "shared loads"),
        "FFMA": lambda r: r["FFMA"],
        "FADD": lambda r: r["FADD"],
        "HMMA": lambda r: r["HMMA"],
        "stack": lambda r: r["stack"],
    }
    rows = []
    for source, kernel in sorted(kernels):
        own = [r for r in records if (r["source"], r["kernel"]) == (source, kernel)]
        name = f"{source}: `{kernel}`" if source else f"`{kernel}`"
        rows.append([name, *(_range([of(r) for r in own]) for of in header.values())])
    room = {name: occupancy.LIMITS[name].threads // occupancy.WARP for name in architectures}
    words = (
        f"Compiled for sm_{', sm_'.join(architectures)}; a range goes from the least to the most "
        "of them. Blocks and warps are those that a multiprocessor holds together; of warps it has "
        f"room for {' or '.join(str(most) for most in sorted(set(room.values())))}. Wide loads "
        "take 16 bytes a lane, in percent. Instructions are counted where they stand in the code, "
        "not as often as they run."
    )
    return f"\n{textwrap.fill(words, 100)}\n\n{markdown(['kernel', *header], rows)}\n"


def _range(values: list[float | None]) -> str:
    words = [digits(value) for value in sorted(v for v in values if v is not None)]
    return "–".join(dict.fromkeys((words[0], words[-1]))) if words else ""


def _percent(record: dict[str, Any], kind: str) -> float | None:
    every: int = record[kind]
    return 100 * record[f"wide {kind}"] / every if every else None


def predicted(predictions: list[dict[str, Any]]) -> str:
    """A row a shape: the time on each GPU, and what most of it is spent on."""
    rows = []
    for shape in predictions:
        row = [shape["shape"]]
        for one in shape["gpus"]:
            bound = max(one["bound by"], key=one["bound by"].__getitem__)
            row.append(f"{duration(one['seconds'])} ({bound})")
        rows.append(row)
    names = [f"{one['gpu']}, predicted" for one in predictions[0]["gpus"]]
    return f"\n{markdown(['**not measured**', *names], rows)}\n"


def stored(report: dict[str, Any]) -> str:
    return json.dumps(report, indent=1, ensure_ascii=False) + "\n"
