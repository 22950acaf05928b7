"""Writes the stored figures into docs/probes.md, between its markers.

python -m benchmarks.probes.table
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "benchmarks" / "results" / "probes.json"
PAGE = ROOT / "docs" / "probes.md"
BEGIN, END = "<!-- figures: benchmarks/probes -->", "<!-- end of figures -->"
TITLES = {
    "round trip": 'JPEG at quality 25 and back (`kind="jpeg"`)',
    "decode": "Decoding JPEG files, one core",
    "resize": "Resizing to 224x224, bicubic, one core",
    "build": "The whole of `build_probes(size=224)` on JPEG photos",
}
Row = dict[str, Any]


def tables(result: dict[str, Any]) -> str:
    """All tables as Markdown."""
    rows: list[Row] = result["rows"]
    parts = [_task(title, [r for r in rows if r["task"] == task]) for task, title in TITLES.items()]
    parts.append(_corruptions([r for r in rows if r["task"].startswith("corruption ")]))
    machine, versions = result["machine"], result["versions"]
    used = [f"Python {versions['python']}"]
    for name, key in (("Pillow", "pillow"), ("pillow-simd", "pillow-simd"), ("Pillow", "same")):
        if key in versions:
            turbo = versions[key]["libjpeg-turbo"]
            used.append(f"{name} {versions[key]['PIL']} (libjpeg-turbo {turbo})")
    for name in ("torchvision", "nvidia-dali-cuda130", "imagecorruptions-imaug"):
        used.append(f"{name} {versions['pillow'][name]}")
    about = f"Images per second, medians. {machine['cpu']}, {machine['cores']} cores; "
    return about + ", ".join(used) + ".\n\n" + "\n\n".join(parts)


def _task(title: str, rows: list[Row]) -> str:
    columns = list(dict.fromkeys((tuple(row["side"]), row["cores"]) for row in rows))
    several = len({cores for _, cores in columns}) > 1
    heads = [
        f"{side[0]}x{side[1]}" + (f", {cores} core{'s'[: cores - 1]}" if several else "")
        for side, cores in columns
    ]
    lines = [f"| {title} | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for name in dict.fromkeys(row["contestant"] for row in rows):
        mine = {
            (tuple(row["side"]), row["cores"]): row for row in rows if row["contestant"] == name
        }
        other = any(row.get("same_bytes") is False for row in mine.values())
        cells = [_cell(mine.get(column)) for column in columns]
        lines.append(f"| {name}{', other bytes' if other else ''} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _corruptions(rows: list[Row]) -> str:
    sides = list(dict.fromkeys(tuple(row["side"]) for row in rows))
    heads = " | ".join(f"{side[0]}x{side[1]}" for side in sides)
    lines = [f"| Corruptions at severity 1, one core | {heads} |", "|---" * (len(sides) + 1) + "|"]
    for name in dict.fromkeys(row["contestant"] for row in rows):
        mine = {tuple(row["side"]): row for row in rows if row["contestant"] == name}
        cells = [_cell(mine.get(side)) for side in sides]
        lines.append(f"| `{name}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(row: Row | None) -> str:
    if row is None:
        return ""
    if "missing" in row:
        return "not installed"
    rate = row["images_per_second"]
    digits = 1 if rate < 10 else 0
    return f"{float(f'{rate:.3g}'):,.{digits}f}"


def main() -> None:
    """Puts the tables into the page."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    written = tables(json.loads(RESULT.read_text(encoding="utf-8")))
    PAGE.write_text(f"{before}{BEGIN}\n\n{written}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
