"""The static report: reads what cuobjdump prints, finds what is wrong, counts what launchers do.

`samples/` has parts of what CUDA 13's cuobjdump printed for kernels of csrc/cuda.
"""

from __future__ import annotations

import json
import re
import shutil
import stat
import sys
from collections import Counter
from pathlib import Path

import pytest

from benchmarks import sass_report
from benchmarks.sass import gpus, machine_code, occupancy, predicted, table, tools, work

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = Path(__file__).parent / "samples"
KERNELS = {
    ("correlation", "correlate<Tf32x3Product, 64>"),
    ("pairwise_distance", "finish<8, 3>"),
    ("pairwise_distance", "sum_tiles<8, 3, 4>"),
}


def sample(name):
    return (SAMPLES / f"{name}.txt").read_text(encoding="utf-8")


def by_name(pairs):
    return {machine_code.name_of(symbol): value for symbol, value in pairs.items()}


# ---- reading -------------------------------------------------------------------------------------


def test_kernels_and_what_they_take():
    found = machine_code.kernels(sample("resources"))
    assert {(one.source, one.name) for one in found} == KERNELS
    taken = {(one.name, one.architecture): one.resources for one in found}
    assert len(found) == len(taken) == 6
    wide = "correlate<Tf32x3Product, 64>"
    assert taken[wide, "80"] == machine_code.Resources(126, 0, 18432, 0)
    # From 9.0 on the tool counts a kilobyte of the system's, where there is any other.
    assert taken[wide, "90"] == machine_code.Resources(121, 0, 18432, 0)
    assert taken["finish<8, 3>", "90"] == machine_code.Resources(64, 0, 0, 0)
    assert all(one.resources.clean for one in found)


def test_threads_of_a_block():
    assert by_name(machine_code.threads(sample("attributes"))) == {
        "finish<8, 3>": 256,
        "correlate<Tf32x3Product, 64>": 256,
    }


def test_counted_instructions():
    code = by_name(machine_code.instructions(sample("code").splitlines()))
    assert machine_code.counted(code["correlate<Tf32x3Product, 64>"]) == {
        "instructions": 19,  # without 4 of padding and 3 that never run
        "FFMA": 2,
        "FADD": 1,
        "HMMA": 3,
        "float64": 0,
        "global loads": 4,
        "wide global loads": 2,
        "shared loads": 2,
        "wide shared loads": 0,
        "local loads": 0,
        "local stores": 0,
    }
    assert machine_code.counted(code["finish<8, 3>"])["float64"] == 3
    sums = machine_code.counted(code["sum_tiles<8, 3, 4>"])
    assert (sums["shared loads"], sums["wide shared loads"], sums["FADD"]) == (3, 3, 8)


def test_local_memory_is_counted():
    spilled = Counter({"LDL": 2, "LDL.64": 1, "STL.128": 4, "LDG.E.128.CONSTANT": 1})
    counts = machine_code.counted(spilled)
    assert (counts["local loads"], counts["local stores"]) == (3, 4)
    assert counts["wide global loads"] == counts["global loads"] == 1


def test_without_a_library_that_knows_names(monkeypatch):
    monkeypatch.setattr(machine_code, "_demangle", lambda: None)
    machine_code.demangled.cache_clear()
    symbol = "_ZN7sacfast4cuda53_GLOBAL__N__458324bb_20_pairwise_distance_cu_96ee34a96finishEv"
    assert machine_code.name_of(symbol) == symbol
    assert machine_code.source_of(symbol) == "pairwise_distance"
    machine_code.demangled.cache_clear()


# ---- occupancy -----------------------------------------------------------------------------------

# Threads, registers and shared bytes of a block: what NVIDIA's cuda_occupancy.h of CUDA 13.0 says
# for 8.0, 8.6, 8.9, 9.0, 10.0, 12.0.
KNOWN = {
    (128, 163, 20480): (3, 3, 3, 3, 3, 3),
    (128, 166, 24320): (3, 3, 3, 3, 3, 3),
    (256, 128, 40960): (2, 2, 2, 2, 2, 2),
    (256, 32, 0): (8, 6, 6, 8, 8, 6),
    (64, 40, 1000): (24, 16, 24, 24, 24, 24),
    (96, 255, 0): (2, 2, 2, 2, 2, 2),
    (1024, 64, 49152): (1, 1, 1, 1, 1, 1),
    (32, 24, 0): (32, 16, 24, 32, 32, 24),
    (160, 48, 8000): (8, 8, 8, 8, 8, 8),
    (256, 63, 0): (4, 4, 4, 4, 4, 4),
}


@pytest.mark.parametrize("block", KNOWN)
def test_blocks_of_a_multiprocessor(block):
    assert tuple(occupancy.blocks(name, *block) for name in occupancy.LIMITS) == KNOWN[block]


def test_warps_of_a_multiprocessor():
    assert occupancy.warps("86", 256, 128, 40960) == (16, 16 / 48)
    assert occupancy.warps("90", 96, 32, 0) == (63, 63 / 64)


# ---- the script ----------------------------------------------------------------------------------


@pytest.fixture
def tool(tmp_path):
    """A cuobjdump that prints the samples."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("resources", "attributes", "code"):
        shutil.copy(SAMPLES / f"{name}.txt", folder)
    script = folder / "cuobjdump"
    script.write_text(
        f"#!{sys.executable}\n"
        "import pathlib, sys\n"
        "printed = {'-res-usage': 'resources', '-elf': 'attributes', '-sass': 'code'}\n"
        "if sys.argv[1] == '--version':\n"
        "    print('Cuda compilation tools, release 13.0, V13.0.88')\n"
        "else:\n"
        "    name = printed[sys.argv[1]] + '.txt'\n"
        "    print((pathlib.Path(__file__).parent / name).read_text(encoding='utf-8'))\n",
        encoding="utf-8",
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return script


@pytest.fixture
def module(tmp_path):
    path = tmp_path / "_cuda.so"
    path.write_bytes(b"")
    return path


def run(tool, module, *more):
    return sass_report.main(["--cuobjdump", str(tool), "--module", str(module), *map(str, more)])


def test_check_passes(tool, module, capsys):
    assert run(tool, module, "--check") == 0
    assert capsys.readouterr().out.startswith("3 kernels, 2 architectures: no spill")


@pytest.mark.parametrize("planted", ["STACK:8 ", "LOCAL:8 "])
def test_check_names_the_kernel_and_the_architecture(tool, module, capsys, planted):
    resources = tool.parent / "resources.txt"
    head, last = resources.read_text(encoding="utf-8").rsplit("REG:165", 1)
    last = last.replace(planted.replace("8", "0"), planted, 1)
    resources.write_text(f"{head}REG:165{last}", encoding="utf-8")
    assert run(tool, module, "--check") == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("pairwise_distance: sum_tiles<8, 3, 4> for sm_90: ")


def test_what_is_missing_is_named(tool, module, tmp_path, capsys, monkeypatch):
    assert run(tmp_path / "none", module) == 2
    assert "can't be run" in capsys.readouterr().err
    assert run(tool, tmp_path / "none.so") == 2
    assert "there is no file" in capsys.readouterr().err
    (tool.parent / "resources.txt").write_text("", encoding="utf-8")
    assert run(tool, module, "--check") == 2
    assert "no kernel in _cuda.so" in capsys.readouterr().err
    monkeypatch.setattr(tools, "_candidates", lambda: iter(()))
    assert sass_report.main(["--module", str(module)]) == 2
    assert "NVIDIA's cuobjdump is needed" in capsys.readouterr().err
    monkeypatch.setattr(tools.importlib.util, "find_spec", lambda name: None)
    assert sass_report.main(["--cuobjdump", str(tool)]) == 2
    assert "built without CUDA" in capsys.readouterr().err


def test_a_tool_that_fails_says_why(tool, module, capsys):
    (tool.parent / "code.txt").unlink()
    assert run(tool, module) == 2
    assert "cuobjdump -sass failed" in capsys.readouterr().err


def test_the_whole_report(tool, module, tmp_path):
    (tmp_path / "benchmarks" / "results").mkdir(parents=True)
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "cuda.md", tmp_path / "docs")
    assert run(tool, module, "--root", tmp_path) == 0
    text = (tmp_path / "benchmarks" / "results" / "sass.json").read_text(encoding="utf-8")
    assert str(tmp_path) not in text
    report = json.loads(text)
    assert report["cuobjdump"] == "13.0"
    sums = [one for one in report["kernels"] if one["kernel"] == "sum_tiles<8, 3, 4>"]
    assert [one["architecture"] for one in sums] == ["80", "90"]
    # The sample says nothing of its launch bounds: the largest block there may be, and too large.
    assert sums[0]["threads"] == 1024
    assert sums[0]["blocks"] == 0
    document = (tmp_path / "docs" / "cuda.md").read_text(encoding="utf-8")
    (row,) = re.findall(r"\| correlation: `correlate<Tf32x3Product, 64>` \|.*", document)
    assert row.split(" | ")[1:6] == ["256", "121–126", "18", "2", "16"]


def test_the_document_is_what_the_results_say(tmp_path):
    report = json.loads((ROOT / "benchmarks/results/sass.json").read_text(encoding="utf-8"))
    document = tmp_path / "cuda.md"
    shutil.copy(ROOT / "docs" / "cuda.md", document)
    table.write(report, document)
    assert document.read_text(encoding="utf-8") == (ROOT / "docs/cuda.md").read_text(
        encoding="utf-8"
    )


def test_the_predictions_are_those_of_the_results():
    report = json.loads((ROOT / "benchmarks/results/sass.json").read_text(encoding="utf-8"))
    assert report["predicted"] == json.loads(json.dumps(predicted.predictions()))


# ---- predictions ---------------------------------------------------------------------------------


def test_a_launch_takes_as_long_as_its_slowest_part():
    gpu = gpus.Gpu("G", "made up", float32=2e12, tf32=12e12, float64=1e12, memory=1e12 / gpus.COPY)
    busy = work.Launch("busy", bytes=1e9, float32=3e9, float64=1e6, products=1e9, times=2)
    light = work.Launch("light", bytes=4e9)
    found = predicted.prediction(predicted.Shape("both", [busy, light]), gpu)
    assert found["bound by"] == pytest.approx(
        {"memory": 4e-3, "float32": 3e-3, "launches": 3 * gpus.LAUNCH}
    )
    assert found["seconds"] == pytest.approx(7e-3 + 3 * gpus.LAUNCH)


def test_three_tf32_products_for_one():
    gpu = gpus.Gpu("G", "made up", float32=2e12, tf32=12e12, float64=1e12, memory=1e12)
    found = predicted.parts(work.Launch("products", bytes=0, products=1e9), gpu)
    assert found["TF32"] == pytest.approx(3 * 2e9 / 12e12)
