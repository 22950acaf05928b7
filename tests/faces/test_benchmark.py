"""The committed figures come out of the committed scores, and the example runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.detection.faces_figures import Zoo, measured

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def zoo():
    folder = ROOT / "benchmarks/detection"
    return Zoo(folder / "faces_outputs.safetensors", folder / "faces_models.csv")


@pytest.mark.parametrize("access", ["scores", "decisions", "decisions at FAR 1 %"])
def test_the_figures_are_made_again(zoo, access):
    stored = json.loads((ROOT / "benchmarks/results/faces.json").read_text(encoding="utf-8"))
    [row] = [
        row
        for row in stored["table"]
        if (row["part"], row["access"], row["form"]) == ("test", access, "direct")
        and row["owner_twins"] == 3
    ]
    found = measured(zoo, "test", access)
    assert {name: row[name] for name in found} == json.loads(json.dumps(found))
    assert row["met"]


def test_no_author_or_thief_is_in_two_parts(zoo):
    parts = {}
    for model in zoo.models.values():
        if model["group"] != "owner":
            parts.setdefault(model["group"], set()).add(model["part"])
    assert len(parts) == 20
    assert all(len(own) == 1 for own in parts.values())


def test_the_example_runs_and_ranks_copies_above_strangers(tmp_path):
    # Drawn people: a common face, a smooth pattern of one's own, and every photograph differs.
    generator = np.random.default_rng(3)
    common = generator.uniform(60, 190, (8, 8, 3))
    for person in range(51):
        folder = tmp_path / f"person {person:02d}"
        folder.mkdir()
        own = (common + generator.normal(0, 40, common.shape)).clip(0, 255)
        for i in range(8):
            coarse = (own + generator.normal(0, 25, own.shape)).clip(0, 255).astype(np.uint8)
            photo = Image.fromarray(coarse).resize((36, 36), Image.Resampling.BICUBIC)
            photo.save(folder / f"{i}.png")
    run = subprocess.run(
        [sys.executable, ROOT / "examples/faces.py", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    scores = {line[:34].strip(): float(line[42:].split()[0]) for line in run.stdout.splitlines()}
    assert len(scores) == 8
    others = [score for name, score in scores.items() if "other people" in name]
    assert max(others) < min(score for name, score in scores.items() if "stolen" in name)
