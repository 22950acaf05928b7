"""The plot and the tables of the kernels' benchmark are what its JSON says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console

from benchmarks.kernels import figures, summary, table

ROOT = Path(__file__).resolve().parents[2]


def record(name, group, median, **more):
    seconds = {"median": median, "q1": 0.9 * median, "q3": 1.1 * median, "count": 5}
    tail = {"part": 1.0, "error": 1e-8, "tolerance": 1e-6, "level": None}
    return {"name": name, "group": group, "seconds": seconds, **tail, **more}


def race(label, threads, own):
    floor = {"seconds": 0.001, "limit": "memory", "arithmetic": 0.0005, "memory": 0.001}
    contenders = [
        record("sacfast", "sacfast", own / threads, floor=floor),
        record("authors' loop", "loop", 0.1, part=0.25),
        record("torch", "torch", 0.02),
        record("faiss", "library", 0.01),
        record("products", "limit", 0.0001),
        {"name": "NumKong", "group": "library", "missing": "not installed"},
    ]
    return {"loop": "correlation", "label": label, "threads": threads, "contenders": contenders}


@pytest.fixture
def results():
    fast, slow = "correlation (2000, 100, 10)", "correlation (1, 2, 3)"
    races = [race(label, n, own) for label, own in ((fast, 0.002), (slow, 0.05)) for n in (1, 2)]
    rate = {"kind": "fma", "level": "v3", "sequence": "vfmadd 32 B", "rate": 1.3e11}
    return {
        "mode": "full",
        "machine": {"cpu": "A Processor", "cores": 2, "level": "v4"},
        "versions": {"torch": "2.9", "numpy": "2.3"},
        "commit": "0123456789abcdef",
        "limits": {"1": [rate], "2": [rate]},
        "races": races,
        "peak_memory": [{"S": 2000, "N": 100, "C": 10, "V": 20, "megabytes": 1.5}],
    }


def test_ratios_and_shares(results):
    own, loop, *_ = summary.standings(summary.race(results, "correlation (2000, 100, 10)", 1))
    assert own.over_loop == pytest.approx(50)
    assert own.over_best == pytest.approx(5)
    assert own.share == pytest.approx(0.5)
    assert (own.limit, own.alone) == ("memory", True)
    assert (loop.over_loop, loop.over_best, loop.share) == (1, None, None)
    assert summary.speedup(results, "correlation (1, 2, 3)", "sacfast") == pytest.approx(2)


def test_the_readme_s_part_has_the_headlines_and_the_losses(results):
    text = figures.short_table(results)
    assert "| correlation (2000, 100, 10) | 2 ms | 50× | 5× (faiss) | 50 % |" in text
    assert "Of 2 shapes a rival is faster on 1: correlation (1, 2, 3) (faiss)." in text
    assert "| correlation (1, 2, 3)" not in text


def test_the_long_table_has_every_contender(results):
    text = figures.long_table(results)
    assert "| sacfast | **2 ms** | 50× | 5× | 50 % memory | 1 ms | 2× | 1e-08 |" in text
    assert "| authors' loop (timed on 25 %) | 100 ms | 1× |" in text
    assert "| NumKong | not installed |" in text
    assert "| (2000, 100, 10), 20 sources | 1.5 MB |" in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in lines)


def test_what_16_bits_cannot_tell_is_told(results):
    for one in results["races"]:
        one |= {"threshold": 0.25, "straddling": 0.0006}
    text = figures.long_table(results)
    assert "is 0.250; 0.06 % of the pairs" in text


def test_the_plot_names_every_shape(results):
    pytest.importorskip("matplotlib")
    drawn = figures.plot(results)
    ElementTree.fromstring(drawn)
    assert drawn == figures.plot(results)
    for text in ("correlation (1, 2, 3)", "machine's limit", "best other library"):
        assert f">{text}<" in drawn


def test_the_table_on_the_screen(results, capsys):
    table.show(results, Console(width=150))
    shown = capsys.readouterr().out
    for text in ("not installed", "50 % memory", "25 %", "1.5 MB", "vfmadd 32 B", "*2 ms"):
        assert text in shown


def test_three_digits():
    shown = [table.duration(s) for s in (12.34, 1.0, 0.1234, 2e-3, 1.5e-6, 2e-8)]
    assert shown == ["12.3 s", "1 s", "123 ms", "2 ms", "1.5 µs", "0.02 µs"]


def test_only_what_stands_between_the_marks_is_replaced():
    text = "before\n<!-- kernels -->\nold\n<!-- /kernels -->\nafter\n"
    new = figures.between_marks(text, "new\n")
    assert new == "before\n<!-- kernels -->\nnew\n<!-- /kernels -->\nafter\n"
    with pytest.raises(ValueError, match="once each"):
        figures.between_marks("no marks", "new")


def test_the_documents_say_what_the_committed_json_says(tmp_path):
    pytest.importorskip("matplotlib")
    written = ("README.md", "docs/benchmarks.md", "docs/figures/kernels.svg")
    for name in (*written, "benchmarks/results/kernels.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    figures.main(["--root", str(tmp_path)])
    for name in written[:2]:
        assert (tmp_path / name).read_text("utf-8") == (ROOT / name).read_text("utf-8"), name
    results = json.loads((tmp_path / "benchmarks/results/kernels.json").read_text("utf-8"))
    drawn = (ROOT / written[2]).read_text("utf-8")
    assert all(f">{label}<" in drawn for label in summary.labels(results))
    assert str(ROOT) not in json.dumps(results)
