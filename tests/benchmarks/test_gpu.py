"""`make gpu` where there is no GPU: every line of it that can run, over a GPU that is made up.

The kernels are the simulator's, PyTorch computes on the CPU, and events, streams and properties of
the GPU are stand-ins that object where the real ones would. Programs that `benchmarks/gpu.py`
starts are not started but written down.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.machinery
import json
import re
import shutil
import subprocess
import sys
import time
import types
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import gpu
from benchmarks.cuda import command, data, device, limits, race, table
from benchmarks.cuda.race import Runner
from benchmarks.cuda.shapes import LOOPS, SHAPES
from benchmarks.kernels.limits import Work
from benchmarks.kernels.race import Missing, Patience
from sacfast.kernels import _gpu
from tests.cuda.conftest import judged
from tests.cuda.device import installed

ROOT = Path(__file__).resolve().parents[2]
HASTE = Patience(call=1e-4, own_call=1e-4, race=0.0, least_rounds=2, probe_repeats=2)
TINY = {
    "correlation": {"S": 5, "N": 9, "C": 5},
    "pairwise": {"A": 5, "B": 3, "N": 9},
    "outputs to distances": {"S": 5, "V": 3, "N": 9, "C": 5},
    "products": {"S": 5, "K": 4, "N": 9, "C": 5},
    "fri": {"S": 4, "N": 9, "R": 5, "E": 8},
}
SPEEDS = {"copy": 3e12, "fma": 6e13, "tf32": 4e14, "bfloat16": 8e14}


class Clock:
    """What torch.cuda says about time: an event has none before the GPU has reached it."""

    reached = 0
    made = 0

    class Event:
        def __init__(self, *, enable_timing):
            assert enable_timing
            self.at = None

        def record(self):
            Clock.made += 1
            self.number, self.at = Clock.made, time.perf_counter()

        def elapsed_time(self, end):
            assert max(self.number, end.number) <= Clock.reached, "the GPU is not there yet"
            return max(end.at - self.at, 1e-7) * 1e3

    @staticmethod
    def synchronize():
        Clock.reached = Clock.made


class Stream:
    cuda_stream = 4711

    def __init__(self, device):
        assert device == "cpu"  # device.NAME of these tests

    def wait_stream(self, other):
        assert other.cuda_stream


PROPERTIES = types.SimpleNamespace(
    name="A GPU", major=8, minor=0, multi_processor_count=3, total_memory=80 << 30
)


@pytest.fixture(autouse=True)
def _gradients_as_before():
    with torch.set_grad_enabled(torch.is_grad_enabled()):
        yield


@pytest.fixture
def torch_cuda(monkeypatch):
    """A GPU as PyTorch would tell of it; its memory is the CPU's."""
    stand_ins = {
        "is_available": lambda: True,
        "get_device_properties": lambda index: PROPERTIES,
        "Event": Clock.Event,
        "Stream": Stream,
        "stream": lambda one: contextlib.nullcontext(),
        "current_stream": lambda: types.SimpleNamespace(cuda_stream=4711),
        "synchronize": Clock.synchronize,
        "empty_cache": lambda: None,
    }
    for name, stand_in in stand_ins.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    monkeypatch.setattr(device, "NAME", "cpu")
    monkeypatch.setattr(device, "FLUSHED", 1 << 12)
    monkeypatch.setattr(limits, "SIDE", 32)
    monkeypatch.setattr(limits, "COPIED", 1 << 12)


@pytest.fixture
def simulated(torch_cuda):
    """The same, with sacfast's kernels in a simulator."""
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.contextmanager(judged)("plain") as simulator,
        contextlib.contextmanager(installed)(simulator, patch) as one,
    ):
        patch.setattr(device, "upload", lambda values: one.tensor(np.ascontiguousarray(values)))
        patch.setattr(device, "empty", lambda *shape: one.tensor(torch.zeros(shape)))
        yield one


def cuvs(asked):
    """A cuVS that computes with PyTorch."""

    def pairwise_distance(X, Y, out, metric, resources):
        asked.append((metric, resources))
        out.copy_(torch.cdist(X, Y, p=1.0))

    made = {}
    for name in ("cuvs", "cuvs.distance", "cuvs.common"):
        made[name] = types.ModuleType(name)
        made[name].__spec__ = importlib.machinery.ModuleSpec(name, None)
    made["cuvs.distance"].pairwise_distance = pairwise_distance
    made["cuvs.common"].Resources = lambda stream: ("resources", stream)
    return made


# ---- the races ----------------------------------------------------------------------------------


def test_every_loop_is_raced_by_everybody(simulated, monkeypatch):
    assert set(TINY) == set(LOOPS) == {shape.loop for shape in SHAPES}
    asked = []
    for name, module in cuvs(asked).items():
        monkeypatch.setitem(sys.modules, name, module)
    contests = [lambda loop=loop: LOOPS[loop](**TINY[loop]) for loop in TINY]
    contests.append(lambda: LOOPS["pairwise"](A=5, N=9))  # all pairs
    contests.append(lambda: LOOPS["pairwise"](A=70, B=66, N=4))  # parts of both sides
    results = command.raced(contests, HASTE, lambda _: None)
    assert json.loads(json.dumps(results)) == results
    assert command.failures(results) == []
    assert [one["loop"] for one in results["races"]] == [*TINY, "pairwise", "pairwise"]
    for one in results["races"]:
        names = [record["name"] for record in one["contenders"]]
        groups = {record["group"] for record in one["contenders"]}
        assert names[0] == "sacfast"
        assert {"sacfast", "loop", "torch", "cpu"} <= groups
        for record in one["contenders"]:
            assert "failed" not in record, record
            assert "missing" not in record, record
            assert record["error"] <= record["tolerance"]
            assert 0 < record["part"] <= 1
            assert 0 < record["call"]["q1"] <= record["call"]["median"]
            assert ("device" in record) == (record["group"] != "cpu")
            assert ("floor" in record) == (record["group"] == "sacfast")
    assert "sacfast, bfloat16" in [r["name"] for r in results["races"][0]["contenders"]]
    assert set(asked) == {("l1", ("resources", 4711))}


def test_each_way_of_multiplying_runs_as_it_is_called(simulated, monkeypatch):
    assert data.products() == ["tf32x3", "fma"]  # of compute capability 8.0
    seen = []
    module = _gpu.cuda()
    ran = module.correlation

    def launched(models, center, kernel, product, place, out):
        seen.append(product)
        return ran(models, center, kernel, product, place, out)

    monkeypatch.setattr(module, "correlation", launched)
    contest = LOOPS["correlation"](**TINY["correlation"])
    for one in contest.contenders[:4]:
        with race.multiplying(one.product):
            one.call(2)
    assert seen == ["tf32x3", "fma", "bfloat16", "tf32x3"]
    contest.contenders[0].call(2)
    assert seen[-1] == "tf32x3"  # as before


def a_contest(*contenders):
    contest = LOOPS["fri"](**TINY["fri"])
    return dataclasses.replace(contest, contenders=list(contenders) or contest.contenders)


def test_what_is_wrong_or_fails_is_told_and_does_not_stop_the_others(simulated):
    good = a_contest().contenders[0]

    def wrong(count):
        result = good.call(count).clone()
        result[0, 0] += 1e-3
        return result

    def full(count):
        raise torch.OutOfMemoryError("no memory\nat all")

    broken = dataclasses.replace(good, name="broken", call=wrong)
    greedy = dataclasses.replace(good, name="greedy", group="torch", call=full)
    contest = a_contest(broken, greedy, Missing("No Such", "library"), good)
    records = race.timed(contest, HASTE, device.Cache(), lambda _: None)
    assert [("failed" in r, "missing" in r, "device" in r) for r in records] == [
        (True, False, False),
        (True, False, False),
        (False, True, False),
        (False, False, True),
    ]
    assert "1.0e-03 from the oracle" in records[0]["failed"]
    assert records[1]["failed"] == "OutOfMemoryError: no memory"
    told = {"races": [{"label": "FRI", "contenders": records}]}
    assert command.failures(told) == [f"FRI: broken: {records[0]['failed']}"]


def test_a_library_that_does_not_load_has_failed(simulated, monkeypatch):
    broken = types.ModuleType("cuvs")
    broken.__spec__ = importlib.machinery.ModuleSpec("cuvs", None)
    monkeypatch.setitem(sys.modules, "cuvs", broken)
    contest = LOOPS["pairwise"](**TINY["pairwise"])
    one = next(one for one in contest.contenders if one.name == "cuVS")
    contest = dataclasses.replace(contest, contenders=[one])
    (record,) = race.timed(contest, HASTE, device.Cache(), lambda _: None)
    assert record["failed"].startswith("ModuleNotFoundError: No module named 'cuvs.common'")


def test_a_library_that_is_not_there_is_missing(simulated):
    contest = LOOPS["pairwise"](**TINY["pairwise"])
    assert Missing("cuVS", "library") in contest.contenders


def test_the_cache_is_emptied_before_every_call_that_events_time(simulated):
    done = []

    class Cache(device.Cache):
        def empty(self):
            done.append("empty")
            super().empty()

    call = a_contest().contenders[0].call
    one = dataclasses.replace(
        a_contest().contenders[0], call=lambda count: done.append("call") or call(count)
    )
    on_cpu = Runner("cpu", "cpu", lambda count: done.append("cpu"), None, 4, 0.0, cpu=True)
    race._rounds([one, on_cpu], {one.name: 4, "cpu": 4}, HASTE, Cache())
    first = ["empty", "call", "call", "cpu"]
    assert done == [*first, "cpu", "empty", "call", "call"]  # nobody always follows the same one
    done.clear()
    longer = dataclasses.replace(HASTE, least_rounds=7)
    race._rounds([one, on_cpu], {one.name: 4, "cpu": 4}, longer, Cache())
    assert (done.count("empty"), done.count("cpu")) == (7, race.CPU_ROUNDS)


def test_the_floor_is_the_longest_of_bytes_and_operations():
    def seconds(product, **work):
        return limits.floor(Work(**work), product, SPEEDS)

    assert seconds("fma", bytes_in=2, bytes_out=1) == {
        "seconds": 1e-12,
        "limit": "memory",
        "memory": 1e-12,
        "arithmetic": 0.0,
    }
    assert seconds("fma", flops=6e13)["seconds"] == pytest.approx(1)
    assert seconds("tf32x3", flops=4e14)["seconds"] == pytest.approx(3)
    assert seconds("bfloat16", flops=8e14)["seconds"] == pytest.approx(1)
    # 3e13 additions a second, two for each difference
    assert seconds("fma", differences=1.5e13)["seconds"] == pytest.approx(1)
    assert seconds("fma", differences=1.5e13)["limit"] == "arithmetic"


def test_limits_leave_the_precision_of_products_as_it_was(torch_cuda, monkeypatch):
    modes = []
    real = torch.mm

    def mm(a, b, out):
        modes.append((a.dtype, torch.get_float32_matmul_precision()))
        return real(a, b, out=out)

    monkeypatch.setattr(torch, "mm", mm)
    before = torch.get_float32_matmul_precision()
    measured = limits.rates(1)
    assert torch.get_float32_matmul_precision() == before
    assert {mode for dtype, mode in modes[:2]} == {"highest"}
    assert {mode for dtype, mode in modes[2:4]} == {"high"}
    assert modes[-1][0] == torch.bfloat16
    assert set(measured) == set(SPEEDS)
    assert all(rate > 0 for rate in measured.values())
    slower = {name: rate / 2 for name, rate in measured.items()}
    assert limits.best(slower, measured) == limits.best(measured, slower) == measured


def test_arrays_go_to_the_device(torch_cuda):
    values = np.arange(6.0, dtype=np.float32).reshape(2, 3).T
    assert device.upload(values).tolist() == values.tolist()
    assert device.empty(2, 3).tolist() == [[0.0] * 3] * 2
    assert device.stream_address() == 4711
    with device.stream():
        device.event()
    assert Clock.reached == Clock.made  # it is waited for


def test_facts_tell_the_gpu_and_nothing_of_the_place(simulated, monkeypatch):
    def smi(words, **kwargs):
        assert words[0] == "nvidia-smi"
        return subprocess.CompletedProcess(words, 0, stdout="580.65.06\n")

    real = subprocess.run
    monkeypatch.setattr(
        device.subprocess,
        "run",
        lambda words, **more: (smi if words[0] == "nvidia-smi" else real)(words, **more),
    )
    facts = command.facts()
    assert facts["gpu"] == {
        "name": "A GPU",
        "compute_capability": "8.0",
        "multiprocessors": 3,
        "memory_gb": 80,
        "driver": "580.65.06",
        "torch_cuda": torch.version.cuda,
    }
    assert facts["versions"]["toolkit"]
    assert str(ROOT) not in json.dumps(facts)
    assert str(Path.home()) not in json.dumps(facts)


def test_a_driver_that_does_not_tell_its_version(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert device._driver() == "unknown"


def test_the_command_ends_with_2_without_a_gpu(capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert command.main(["--quick"]) == 2
    assert "finds no CUDA device" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        command.main(["--only", "no such loop"])
    assert "no loop named 'no such loop', there are correlation," in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [False, True], ids=["right", "wrong"])
def test_the_command_writes_and_shows_a_run(simulated, tmp_path, capsys, monkeypatch, wrong):
    shape = dataclasses.replace(SHAPES[-1], sizes=TINY["fri"])
    monkeypatch.setattr(command, "SHAPES", [shape])
    monkeypatch.setattr(command, "QUICK", HASTE)
    if wrong:
        monkeypatch.setattr(data, "FLOAT32_TOLERANCE", 0.0)
    out = tmp_path / "new" / "run.json"
    assert command.main(["--quick", "--out", str(out)]) == int(wrong)
    printed = capsys.readouterr()
    assert "### FRI (4, 9, 8), 5 references" in printed.out
    assert ("FAILED FRI" in printed.err) == wrong
    written = json.loads(out.read_text())
    assert (written["benchmark"], written["mode"]) == ("gpu", "quick")


# ---- the table ----------------------------------------------------------------------------------


def record(name, group, on_device, call, **more):
    def seconds(median):
        return {"median": median, "q1": median, "q3": median, "count": 3}

    kept = {"name": name, "group": group, "call": seconds(call), "error": 1e-7, "part": 1.0}
    if on_device:
        kept["device"] = seconds(on_device)
    return {**kept, "tolerance": 1e-5, "product": None, **more}


def a_run(own):
    floor = {"seconds": 1e-3, "limit": "memory", "memory": 1e-3, "arithmetic": 0.0}
    contenders = [
        record("sacfast", "sacfast", own, own + 1e-3, floor=floor),
        record("authors' loop", "loop", 0.1, 0.1, part=0.25),
        record("torch", "torch", 0.01, 0.01),
        {"name": "cuVS", "group": "library", "missing": "not installed"},
        {"name": "bad", "group": "torch", "failed": "OutOfMemoryError: a|b"},
        record("sacfast on the CPU", "cpu", None, 0.3),
    ]
    return {
        "gpu": {
            "name": "A GPU",
            "compute_capability": "9.0",
            "multiprocessors": 132,
            "memory_gb": 80,
            "driver": "580.65",
            "torch_cuda": "13.0",
        },
        "cpu": {"cpu": "A CPU", "cores": 16},
        "versions": {"sacfast": "0.1.0", "toolkit": "13.0", "torch": "2.9"},
        "commit": "0123456789abcdef",
        "mode": "full",
        "limits": SPEEDS,
        "races": [{"label": "a shape", "contenders": contenders}],
        "checks": {
            "tests": {"ran": True, "passed": True, "told": "5 passed"},
            "memcheck": {"ran": True, "passed": False, "told": "ERROR SUMMARY: 1 error"},
            "racecheck": {"ran": False, "told": "was not found"},
        },
    }


def test_the_table_says_what_was_measured():
    written = table.tables(a_run(own=2e-3))
    row = "| sacfast | 2 ms | 3 ms | 50× | 5× | 100× | 50 % memory | 1e-07 |"
    assert row in written
    assert "| authors' loop (timed on 25 %) | 100 ms | 100 ms | 1× |  |  |  | 1e-07 |" in written
    assert "| cuVS | not installed |" in written
    assert "| bad | failed: OutOfMemoryError: a\\|b |" in written
    assert "| sacfast on the CPU |  | 300 ms |  |  |  |  | 1e-07 |" in written
    assert "Of 1 shapes a rival is faster on 0.\n" in written
    assert "| tests | passed | 5 passed |" in written
    assert "| memcheck | **failed** | ERROR SUMMARY: 1 error |" in written
    assert "| racecheck | not run | was not found |" in written
    assert "| copy, read and written | 3000 GB/s |" in written
    assert "| matrix product, TF32 | 400 TFLOP/s |" in written


def test_lost_and_failed_shapes_are_named():
    slow = a_run(own=5e-2)
    assert "faster on 1: a shape (torch).\n" in table.tables(slow)
    failed = a_run(own=5e-2)
    del failed["checks"]
    own = failed["races"][0]["contenders"][0]
    for clock in ("device", "call"):
        del own[clock]
    own["failed"] = "WrongResultError: far off"
    assert "faster on 1: a shape (sacfast failed).\n" in table.tables(failed)
    assert "| check |" not in table.tables(failed)


def test_the_table_goes_into_the_document(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "benchmarks" / "results").mkdir(parents=True)
    shutil.copy(ROOT / "docs" / "gpu.md", tmp_path / "docs")
    kept = tmp_path / "benchmarks" / "results" / "gpu.json"
    kept.write_text(json.dumps(a_run(own=2e-3)))
    table.main(["--root", str(tmp_path)])
    once = (tmp_path / "docs" / "gpu.md").read_text()
    assert "### a shape" in once
    table.main(["--root", str(tmp_path)])
    assert (tmp_path / "docs" / "gpu.md").read_text() == once


def test_the_document_shows_what_is_stored():
    stored, document = ROOT / "benchmarks/results/gpu.json", (ROOT / "docs/gpu.md").read_text()
    between = document.split(table.MARKS[0])[1].split(table.MARKS[1])[0]
    if stored.exists():
        assert between == f"\n{table.tables(json.loads(stored.read_text()))}\n"
    else:
        assert "Nobody has measured yet" in between


# ---- the whole: benchmarks/gpu.py ---------------------------------------------------------------


class Driver:
    """libcuda, as far as it is asked."""

    def __init__(self, status=0, devices=1):
        self.status, self.devices = status, devices

    def cuInit(self, flags):
        return self.status

    def cuGetErrorName(self, status, name):
        name._obj.value = b"CUDA_ERROR_NO_DEVICE"
        return 0

    def cuDeviceGetCount(self, count):
        count._obj.value = self.devices
        return 0


@pytest.mark.parametrize(
    ("driver", "reason"),
    [
        (OSError("no such file"), "there is no NVIDIA driver (libcuda.so.1 was not found)"),
        (Driver(status=100), "the NVIDIA driver does not start: CUDA_ERROR_NO_DEVICE (100)"),
        (Driver(devices=0), "the NVIDIA driver reports no device"),
        (Driver(), None),
    ],
    ids=["no driver", "no start", "no device", "a device"],
)
def test_whether_there_is_a_gpu_is_asked_of_the_driver(monkeypatch, driver, reason):
    def load(name):
        assert name == "libcuda.so.1"
        if isinstance(driver, Exception):
            raise driver
        return driver

    monkeypatch.setattr(gpu.ctypes, "CDLL", load)
    assert gpu.trouble() == reason


def test_without_a_gpu_nothing_is_started(monkeypatch, capsys):
    monkeypatch.setattr(gpu, "trouble", lambda: "the NVIDIA driver reports no device")
    monkeypatch.setattr(gpu.subprocess, "run", None)
    assert gpu.main([]) == 2
    told = "benchmarks/gpu.py: no GPU here: the NVIDIA driver reports no device\n"
    assert capsys.readouterr().err == told


class Programs:
    """Writes down what would be started, and answers as the test wants."""

    def __init__(self):
        self.started = []
        self.answers = {}  # a word of the command: (status or exception, output)

    def run(self, words, *, cwd, env, stdout, stderr, timeout, check):
        assert cwd == ROOT
        assert not check
        self.started.append((words, env))
        for word, (status, output) in self.answers.items():
            if word in words:
                stdout.write(output)
                if isinstance(status, Exception):
                    raise status
                if "--out" in words:
                    Path(words[words.index("--out") + 1]).write_text('{"races": []}')
                return subprocess.CompletedProcess(words, status)
        return subprocess.CompletedProcess(words, 0)

    def having(self, word):
        return [(words, env) for words, env in self.started if word in words]


@pytest.fixture
def programs(monkeypatch, tmp_path):
    made = Programs()
    made.answers["benchmarks.cuda.command"] = (0, "the table\n")
    monkeypatch.setattr(gpu.subprocess, "run", made.run)
    monkeypatch.setattr(gpu, "trouble", lambda: None)
    monkeypatch.setattr(gpu, "LOGS", tmp_path / "logs")
    monkeypatch.setattr(gpu, "RESULTS", tmp_path / "gpu.json")
    monkeypatch.setattr(gpu, "sanitizer", lambda: "compute-sanitizer")
    return made


def test_one_command_builds_tests_and_measures(programs, tmp_path, capsys):
    programs.answers["not long"] = (0, "....\n5 passed in 3s\n")
    programs.answers["--tool"] = (0, "== 5 passed\n========= ERROR SUMMARY: 0 errors\n")
    assert gpu.main(["--venv", str(tmp_path / "venv")]) == 0
    python = str(tmp_path / "venv" / "bin" / "python")
    words, env = programs.started[0]
    assert words[:3] == ["make", "install", f"VENV={tmp_path / 'venv'}"]
    assert env["SACFAST_CUDA"] == "ON"
    assert programs.started[1][0][:2] == [python, "-c"]
    words, env = programs.started[2]
    assert words[:3] == [python, "-m", "pytest"]
    assert env["SACFAST_REQUIRE_CUDA"] == "1"
    tools = [words[words.index("--tool") + 1] for words, _ in programs.having("--tool")]
    assert tools == ["memcheck", "racecheck", "synccheck", "initcheck"]
    for words, env in programs.having("--tool"):
        assert ("kns=sacfast" in words) == ("initcheck" not in words)
        assert words[-5:] == ["tests/cuda/test_on_gpu.py", "-m", "gpu", "-k", gpu.CHECKED]
        assert env["SACFAST_REQUIRE_CUDA"] == env["PYTORCH_NO_CUDA_MEMORY_CACHING"] == "1"
    assert programs.started[-1][0] == [python, "-m", "benchmarks.cuda.table"]
    stored = json.loads((tmp_path / "gpu.json").read_text())
    assert stored["checks"]["tests"] == {"ran": True, "passed": True, "told": "5 passed in 3s"}
    assert stored["checks"]["initcheck"]["told"] == "ERROR SUMMARY: 0 errors"
    printed = capsys.readouterr().out
    assert "the table" in printed
    assert "tests      passed   5 passed in 3s" in printed


def test_an_old_installation_without_the_module_is_replaced(programs, tmp_path):
    programs.answers["-c"] = (1, "")
    assert gpu.main(["--venv", str(tmp_path / "venv")]) == 1  # still without
    words, env = programs.having("--force-reinstall")[0]
    assert words[-1] == "."
    assert env["SACFAST_CUDA"] == "ON"
    assert len(programs.started) == 4
    assert programs.having("not long") == []


def test_a_build_that_fails_ends_it(programs, capsys):
    programs.answers["install"] = (2, "make: error\n")
    assert gpu.main([]) == 1
    assert len(programs.started) == 1
    assert "The build failed: see build/gpu/build.log" in capsys.readouterr().err


def test_failures_do_not_keep_the_race_from_running(programs, tmp_path, capsys):
    programs.answers["not long"] = (1, "1 failed, 4 passed\nand more\n")
    late = subprocess.TimeoutExpired("compute-sanitizer", 1)
    programs.answers["racecheck"] = (late, "")
    programs.answers["--tool"] = (gpu.OBJECTED, "")
    assert gpu.main(["--installed"]) == 1
    assert programs.having("make") == []
    assert programs.having("benchmarks.cuda.command")[0][0][0] == sys.executable
    checks = json.loads((tmp_path / "gpu.json").read_text())["checks"]
    assert [one["passed"] for one in checks.values()] == [False] * 5
    assert checks["racecheck"]["told"] == "not finished in time"
    assert checks["memcheck"]["told"] == "no output"
    assert "tests      FAILED   1 failed, 4 passed" in capsys.readouterr().out


def test_a_sanitizer_that_is_missing_is_told(programs, monkeypatch, capsys):
    monkeypatch.setattr(gpu, "sanitizer", lambda: None)
    assert gpu.main(["--installed", "--steps", "sanitizer"]) == 0
    assert programs.started == []
    assert "memcheck   not run  compute-sanitizer was not found" in capsys.readouterr().out


def test_a_quick_race_is_not_kept(programs, tmp_path):
    assert gpu.main(["--installed", "--steps", "race", "--quick"]) == 0
    assert not (tmp_path / "gpu.json").exists()
    assert [words[-1] for words, _ in programs.started] == ["--quick"]


def test_a_race_that_fails(programs, tmp_path):
    programs.answers["benchmarks.cuda.command"] = (1, "FAILED something\n")
    assert gpu.main(["--installed", "--steps", "race"]) == 1
    assert (tmp_path / "gpu.json").exists()  # with what failed in it
    (tmp_path / "gpu.json").unlink()
    programs.answers = {}  # it dies before it has written anything
    assert gpu.main(["--installed", "--steps", "race"]) == 1
    assert not (tmp_path / "gpu.json").exists()


def test_the_sanitizer_sees_every_function_and_no_graph():
    words = [sys.executable, "-m", "pytest", "--collect-only", "-q", gpu.ON_GPU]
    words += ["-m", "gpu", "-k", gpu.CHECKED]
    run = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    for name in ("correlation", "correlation_distance", "correlation_products", "fri_features"):
        assert re.search(rf"\[(real-)?{name}-", run.stdout), name
    assert "captured_graph" not in run.stdout
    assert "simulated" not in run.stdout


def test_the_sanitizer_is_looked_for_where_toolkits_are(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    program = tmp_path / "bin" / "compute-sanitizer"
    program.parent.mkdir()
    program.write_text("")
    program.chmod(0o755)
    assert gpu.sanitizer() == str(program)


def test_logs_hold_what_programs_say(monkeypatch, tmp_path):
    monkeypatch.setattr(gpu, "LOGS", tmp_path)
    script = "import os, sys; print(os.environ['A']); print('== done ==', file=sys.stderr)"
    assert gpu.logged("one", [sys.executable, "-c", script], A="5") == 0
    assert (tmp_path / "one.log").read_text() == "5\n== done ==\n"
    assert gpu.told("one", "done") == "done"
    assert gpu.told("one", "no such line") == "done"
    slow = [sys.executable, "-c", "import time; time.sleep(60)"]
    assert gpu.logged("two", slow, 1) == -1


def test_the_script_needs_nothing_but_python(tmp_path):
    """Without site packages, from anywhere; here it finds no GPU, or it would start a build."""
    words = [sys.executable, "-I", "-S", str(ROOT / "benchmarks" / "gpu.py"), "--help"]
    run = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "compute-sanitizer" in run.stdout
