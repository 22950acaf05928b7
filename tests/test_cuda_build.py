"""Where there is no CUDA toolkit: no `_cuda` by default; under ON the compiler is a package.

Real builds in pip's isolated environment, with every program of this machine but nvcc on PATH; the
second fetches 130 MB from the package index.
"""

from __future__ import annotations

import importlib.machinery
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
COMPILER = "nvcc"
LOADER = """
import json, sys
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location("_cuda", sys.argv[1])
module = module_from_spec(spec)
spec.loader.exec_module(module)
print(json.dumps(module.build_facts()))
"""


@pytest.fixture
def without_nvcc(tmp_path):
    """An environment in which nothing leads to a CUDA toolkit."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for folder in os.environ["PATH"].split(os.pathsep):
        for program in Path(folder).glob("*") if folder else ():
            link = programs / program.name
            if program.name != COMPILER and not link.exists():
                link.symlink_to(program)
    hidden = ("CUDACXX", "CUDA_HOME", "CUDA_PATH", "CMAKE_ARGS", "PYTHONPATH", "SACFAST_CUDA")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    assert shutil.which(COMPILER, path=str(programs)) is None
    return {**environment, "PATH": str(programs)}


def modules(tmp_path: Path, environment: dict[str, str]) -> dict[str, Path]:
    """Builds a wheel and returns the compiled modules in it."""
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(tmp_path)]
    place = f"--config-settings=build-dir={tmp_path / 'build'}"
    run = subprocess.run(
        [*command, place, str(ROOT)], env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "wheel")
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    found = (tmp_path / "wheel" / "sacfast").glob(f"*{suffix}")
    return {path.name.removesuffix(suffix): path for path in found}


def test_every_file_of_kernels_is_built():
    named = re.findall(r"csrc/cuda/\S+\.cu\b", (ROOT / "CMakeLists.txt").read_text())
    assert named == sorted(f"csrc/cuda/{path.name}" for path in (ROOT / "csrc/cuda").glob("*.cu"))


@pytest.mark.long
def test_by_default_a_machine_without_a_toolkit_gets_the_cpu_module(tmp_path, without_nvcc):
    assert set(modules(tmp_path, without_nvcc)) == {"_core"}


@pytest.mark.long
def test_under_on_the_compiler_comes_from_nvidia_s_packages(tmp_path, without_nvcc):
    built = modules(tmp_path, {**without_nvcc, "SACFAST_CUDA": "ON"})
    assert set(built) == {"_core", "_cuda"}
    loaded = subprocess.run(
        [sys.executable, "-c", LOADER, built["_cuda"]], capture_output=True, text=True, check=False
    )
    assert loaded.returncode == 0, (
        loaded.stderr
    )  # the runtime is inside: no libcudart is looked for
    assert '"toolkit": "13.' in loaded.stdout
    assert "80-real 86-real 89-real 90-real 100-real 120" in loaded.stdout
