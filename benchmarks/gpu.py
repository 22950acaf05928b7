"""Is sacfast right on this GPU, and how fast? One command builds, tests and measures.

    make gpu                                      everything; should take half an hour
    python benchmarks/gpu.py --installed          with the sacfast that this Python imports
    python benchmarks/gpu.py --installed --steps race --quick

1. build      installs into .venv with SACFAST_CUDA=ON (NVIDIA's compiler is fetched where there is
              none)
2. tests      the test suite; tests that need a GPU fail instead of being skipped
3. sanitizer  NVIDIA's compute-sanitizer over the tests that run on the GPU: memcheck, racecheck,
              synccheck, initcheck; "not run" where the tool is missing
4. race       times every kernel against PyTorch on the GPU and against the GPU's limits

Logs go to build/gpu/, results of a full race to benchmarks/results/gpu.json and docs/gpu.md. A step
that fails does not keep the next from running, but for the build. Ends with 0 where all went well,
1 where something failed, 2 without a GPU, at once. This script needs nothing but Python.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "gpu.json"
LOGS = ROOT / "build" / "gpu"
ON_GPU = "tests/cuda/test_on_gpu.py"
STEPS = ("tests", "sanitizer", "race")
TOOLS = ("memcheck", "racecheck", "synccheck", "initcheck")
OBJECTED = 86  # the sanitizer's exit status for its own findings
#: Under the sanitizer every tensor is an allocation of its own, so that its bounds are known: a
#: graph can't allocate like that, and an allocation waits for the GPU.
CHECKED = "not simulated and not graph and not waits and not stream and not two_to_the_31"
PATIENCE = 1800  # seconds for a tool of the sanitizer
BUILT = "import sys; from sacfast import build_info as b; sys.exit('kernels' not in b()['cuda'])"


def trouble() -> str | None:
    """Why there is no GPU here, in the driver's words; None where there is one."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "there is no NVIDIA driver (libcuda.so.1 was not found)"
    if status := driver.cuInit(0):
        name = ctypes.c_char_p()
        driver.cuGetErrorName(status, ctypes.byref(name))
        told = (name.value or b"an unknown error").decode()
        return f"the NVIDIA driver does not start: {told} ({status})"
    count = ctypes.c_int()
    if driver.cuDeviceGetCount(ctypes.byref(count)) or count.value == 0:
        return "the NVIDIA driver reports no device"
    return None


def logged(
    name: str, command: Sequence[str | Path], patience: int | None = None, **env: str
) -> int:
    """Runs a command with its output in a log; returns its status, -1 after its time."""
    LOGS.mkdir(parents=True, exist_ok=True)
    print(f"== {name}: build/gpu/{name}.log", flush=True)
    with (LOGS / f"{name}.log").open("w", encoding="utf-8") as log:
        try:
            return subprocess.run(
                [str(word) for word in command],
                cwd=ROOT,
                env={**os.environ, **env},
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=patience,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            return -1


def told(name: str, pattern: str) -> str:
    """The last line of a log that matches; the last line where none does."""
    lines = (LOGS / f"{name}.log").read_text(encoding="utf-8", errors="replace").splitlines()
    found = [line for line in lines if re.search(pattern, line)] or lines[-1:]
    return found[-1].strip("= ") if found else "no output"


def build(venv: Path) -> bool:
    """Installs with the CUDA module; False where that fails."""
    python = venv / "bin" / "python"
    make = ["make", "install", f"VENV={venv}", f"PYTHON={sys.executable}"]
    if logged("build", make, SACFAST_CUDA="ON"):
        return False
    if logged("built", [python, "-c", BUILT]) == 0:
        return True
    # It was installed before, without.
    again = [python, "-m", "pip", "install", "--no-deps", "--force-reinstall", "."]
    if logged("build", again, SACFAST_CUDA="ON"):
        return False
    return logged("built", [python, "-c", BUILT]) == 0


def tests(python: Path) -> dict[str, dict[str, Any]]:
    """The suite, on the GPU."""
    command = [python, "-m", "pytest", "-q", "-m", "not long", "-p", "no:cacheprovider"]
    status = logged("tests", command, SACFAST_REQUIRE_CUDA="1")
    last = told("tests", r"\b(passed|failed|error)\b")
    return {"tests": {"ran": True, "passed": status == 0, "told": last}}


def sanitizer() -> str | None:
    """Where compute-sanitizer is."""
    folders = [os.environ.get("PATH", "")]
    homes = (os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), "/usr/local/cuda")
    folders += [str(Path(home) / "bin") for home in homes if home]
    return shutil.which("compute-sanitizer", path=os.pathsep.join(folders))


def sanitized(python: Path) -> dict[str, dict[str, Any]]:
    """Each tool of the sanitizer over the tests that run on the GPU."""
    program = sanitizer()
    if program is None:
        missing = "compute-sanitizer was not found on PATH or below CUDA_HOME"
        return {tool: {"ran": False, "told": missing} for tool in TOOLS}
    done: dict[str, dict[str, Any]] = {}
    for tool in TOOLS:
        command: list[str | Path] = [program, "--tool", tool, "--error-exitcode", str(OBJECTED)]
        # Tests run out of memory on purpose.
        command += ["--report-api-errors", "no"]
        if tool != "initcheck":  # which has to see what other kernels write
            command += ["--kernel-regex", "kns=sacfast"]
        command += [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", ON_GPU]
        command += ["-m", "gpu", "-k", CHECKED]
        env = {"SACFAST_REQUIRE_CUDA": "1", "PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}
        status = logged(tool, command, PATIENCE, **env)
        last = "not finished in time" if status == -1 else told(tool, "ERROR SUMMARY|RACECHECK")
        done[tool] = {"ran": True, "passed": status == 0, "told": last}
    return done


def race(python: Path, quick: bool, checks: dict[str, dict[str, Any]]) -> bool:
    """Times everything; a full race is kept, with what was checked before. False: it failed."""
    kept = LOGS / "race.json"
    kept.unlink(missing_ok=True)
    command = [python, "-m", "benchmarks.cuda.command", "--out", kept, *["--quick"] * quick]
    status = logged("race", command)
    print((LOGS / "race.log").read_text(encoding="utf-8"), flush=True)
    if not kept.exists():
        return False
    results = {**json.loads(kept.read_text(encoding="utf-8")), "checks": checks}
    kept.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if not quick:
        shutil.copy(kept, RESULTS)
        status = logged("table", [python, "-m", "benchmarks.cuda.table"]) or status
    return status == 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="benchmarks/gpu.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--installed", action="store_true", help="build nothing")
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv", help="to install into [.venv]")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS, help="[all]")
    parser.add_argument("--quick", action="store_true", help="a rough race, not kept")
    chosen = parser.parse_args(arguments)
    if reason := trouble():
        print(f"benchmarks/gpu.py: no GPU here: {reason}", file=sys.stderr)
        return 2
    python = Path(sys.executable)
    if not chosen.installed:
        if not build(chosen.venv.absolute()):
            print("The build failed: see build/gpu/build.log and built.log", file=sys.stderr)
            return 1
        python = chosen.venv.absolute() / "bin" / "python"
    checks: dict[str, dict[str, Any]] = {}
    if "tests" in chosen.steps:
        checks |= tests(python)
    if "sanitizer" in chosen.steps:
        checks |= sanitized(python)
    good = all(one["passed"] for one in checks.values() if one["ran"])
    if "race" in chosen.steps:
        good = race(python, chosen.quick, checks) and good
    for name, one in checks.items():
        result = ("passed" if one["passed"] else "FAILED") if one["ran"] else "not run"
        print(f"{name:10} {result:8} {one['told']}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
