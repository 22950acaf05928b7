"""The benchmark of probes: its contestants run, and the page shows what was stored."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.probes import run, table
from benchmarks.probes.contestants import CONTESTANTS, photos


def test_every_task_has_shapes_and_a_title_or_is_a_corruption() -> None:
    tasks = {contestant.task for contestant in CONTESTANTS}
    named = {task for task in tasks if not task.startswith("corruption ")}
    assert named == set(table.TITLES) == set(run.SHAPES) - {"corruption"}
    assert len(tasks - named) == 14


@pytest.mark.parametrize(
    "contestant",
    [contestant for contestant in CONTESTANTS if contestant.pil in ("pillow", "any")],
    ids=lambda contestant: f"{contestant.task}, {contestant.name}",
)
def test_every_contestant_makes_pixels(contestant) -> None:
    try:
        made = contestant.prepare(photos((40, 48), 2), 1)()
    except ImportError as error:
        pytest.skip(f"not installed: {error}")
    assert made.dtype == np.uint8
    wanted = (224, 224) if contestant.task in ("resize", "build") else (40, 48)
    assert made.shape == (2, *wanted, 3)


def test_what_is_measured_and_how_it_is_shown() -> None:
    workers = {("pillow", 1): run.Worker(1, None)}
    try:
        rows = run.measured(workers, "decode", (16, 16), 3, rounds=3)
        facts = run.facts(workers)
    finally:
        workers["pillow", 1].end()
    ours = next(row for row in rows if row["contestant"] == "sacfast with Pillow")
    assert ours["same_bytes"] is True
    assert ours["images_per_second"] > 0
    assert ours["quartiles"][0] <= ours["images_per_second"] <= ours["quartiles"][1]
    assert all(row["cores"] == 1 for row in rows)
    shown = table.tables({**facts, "rows": rows})
    assert f"| sacfast with Pillow | {table._cell(ours)} |" in shown
    assert str(Path.home()) not in json.dumps(facts)


def test_other_bytes_and_missing_libraries_are_shown() -> None:
    row = {"task": "resize", "contestant": "x", "cores": 1, "side": [32, 32]}
    other = table._task("t", [{**row, "same_bytes": False, "images_per_second": 12_345.6}])
    assert "| x, other bytes | 12,300 |" in other
    assert "| x | not installed |" in table._task("t", [{**row, "missing": "no module"}])


def test_the_page_shows_the_stored_figures() -> None:
    page = table.PAGE.read_text(encoding="utf-8")
    assert table.tables(json.loads(table.RESULT.read_text(encoding="utf-8"))) in page


def test_it_starts_by_its_path() -> None:
    shown = subprocess.run(
        [sys.executable, run.__file__, "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert "what does pillow-simd gain?" in shown
