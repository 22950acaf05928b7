"""What is known about the compiled modules, and what is said when they are missing or broken."""

from __future__ import annotations

import importlib.machinery
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sacfast
from sacfast.errors import BackendError
from sacfast.kernels import _native, build_info, correlation


def run(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_build_info_says_what_was_built():
    info = build_info()
    assert info["version"] == sacfast.__version__
    assert info["compiler"].split()[0] in ("GNU", "Clang", "AppleClang", "IntelLLVM")
    assert info["processor"]
    assert info["threads"] >= 1
    assert info["level"] in _native.core().levels()
    cuda = info["cuda"]
    if not cuda["built"]:
        assert cuda["reason"].startswith("not built: ")
    else:
        assert cuda["loaded"], cuda["reason"]
        assert cuda["kernels"]
        assert cuda["version"] == info["version"]
        assert cuda["toolkit"]
        assert cuda["architectures"]
        assert bool(cuda["devices"]) != bool(cuda["reason"])


@pytest.fixture
def forgetful() -> Iterator[None]:
    """What is known of the modules is asked again, before the test and after it."""

    def forget() -> None:
        for known in (_native.core, _native.cuda, _native._devices):
            known.cache_clear()

    forget()
    yield
    forget()


@pytest.mark.usefixtures("forgetful")
def test_a_module_that_was_not_built(monkeypatch):
    monkeypatch.setattr(_native.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BackendError, match=r"the module `sacfast._core` was not built"):
        _native.core()


@pytest.mark.usefixtures("forgetful")
def test_a_module_that_was_built_but_fails_to_load(monkeypatch):
    def broken(name: str) -> None:
        raise ImportError("libstdc++.so.6: version `GLIBCXX_9' not found")

    monkeypatch.setattr(_native.importlib, "import_module", broken)
    with pytest.raises(BackendError, match="was built but failed to load: libstdc"):
        _native.core()


@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize("error", [RuntimeError("boom"), SystemError("no exception set")])
def test_a_module_whose_start_fails_in_any_way(monkeypatch, error):
    def broken(name: str) -> None:
        raise error

    monkeypatch.setattr(_native.importlib, "import_module", broken)
    with pytest.raises(BackendError, match=f"(?s)failed to load: {error}.*hint: build it again"):
        _native.core()


def test_a_part_of_a_module_is_not_loaded(tmp_path):
    """Loading one would end the process by a signal."""
    whole = Path(_native.core().__file__)
    package = tmp_path / "sacfast"
    shutil.copytree(
        Path(sacfast.__file__).parent,
        package,
        ignore=shutil.ignore_patterns("_*.so", "__pycache__"),
    )
    (package / whole.name).write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    done = subprocess.run(
        [sys.executable, "-c", "import sacfast; print(sacfast.__file__); sacfast.build_info()"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith(str(package))
    assert done.returncode == 1
    assert re.search(r"_core` was built but failed to load: \S+ has \d+ of \d+ bytes", done.stderr)


@pytest.mark.usefixtures("forgetful")
def test_a_folder_of_a_module_s_name_is_no_module(monkeypatch, tmp_path):
    (tmp_path / "_cuda").mkdir()
    core_that_says(monkeypatch, "built")
    monkeypatch.setattr(sacfast, "__path__", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "sacfast._cuda", raising=False)
    with pytest.raises(BackendError, match=r"`sacfast\._cuda` was not built"):
        _native.cuda()


def core_that_says(monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    """`_core` as it is, but for what it says of `_cuda`."""
    core = _native.core()

    class Core:
        def __getattr__(self, name: str) -> Any:
            return getattr(core, name)

        def build_facts(self) -> dict[str, str]:
            return {**core.build_facts(), "cuda": state}

    monkeypatch.setattr(_native, "core", Core)


def without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sacfast._cuda", None)


@pytest.mark.usefixtures("forgetful")
def test_a_broken_cuda_module_leaves_the_cpu_kernels_alone(monkeypatch):
    core_that_says(monkeypatch, "built")

    def broken(name: str) -> None:
        raise ImportError("libcuda is not what it was")

    monkeypatch.setattr(_native.importlib, "import_module", broken)
    spec = importlib.machinery.ModuleSpec("sacfast._cuda", loader=object())
    monkeypatch.setattr(_native.importlib.util, "find_spec", lambda name: spec)
    cuda = build_info()["cuda"]
    assert cuda["built"]
    assert not cuda["loaded"]
    assert "failed to load: libcuda is not what it was" in cuda["reason"]
    outputs = np.random.default_rng(0).normal(size=(2, 5, 3))
    assert correlation(outputs).shape == (2, 10)
    with pytest.raises(BackendError, match=r"no GPU to move it to .*libcuda is not what it was"):
        correlation(outputs, backend="cuda")


@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize(
    ("state", "built", "message"),
    [
        ("not built: SACFAST_CUDA=OFF", False, r"install with SACFAST_CUDA=ON \(not built: SAC"),
        ("built", True, "install the package again: its modules are of different builds"),
    ],
)
def test_a_cuda_module_that_is_not_there(monkeypatch, state, built, message):
    core_that_says(monkeypatch, state)
    without_cuda(monkeypatch)
    cuda = build_info()["cuda"]
    assert cuda["built"] == built
    assert not cuda.get("loaded")
    with pytest.raises(BackendError, match=rf"(?s)sacfast._cuda` was not built\): .*{message}"):
        correlation(np.ones((2, 5, 3)), backend="cuda")


def test_threads_follow_pytorch_where_it_is_loaded(set_threads):
    set_threads(3)
    assert _native.threads() == 3


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("3", 3),
        ("5,2", 5),
        ("007", 7),
        ("99999999999", 1024),
        ("9" * 5000, 1024),
        ("", None),
        ("many", None),
        ("0", None),
        ("\u00b2", None),
    ],
)
def test_threads_without_pytorch(asked, expected):
    code = "from sacfast.kernels import _native; print(_native.threads())"
    processors = len(os.sched_getaffinity(0))
    assert int(run(code, OMP_NUM_THREADS=asked)) == (expected or processors)


def test_where_no_more_threads_can_be_started_those_that_run_do_the_work():
    code = (
        "import resource, numpy as np; from sacfast.kernels import correlation;"
        "x = np.random.default_rng(0).normal(size=(100, 40, 30));"
        "alone = [correlation(one[None])[0] for one in x];"  # on three threads at most
        "size = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize();"
        "resource.setrlimit(resource.RLIMIT_AS, (size + 2**26,) * 2);"  # stacks of a few threads
        "print((correlation(x) == alone).all())"
    )
    assert run(code, OMP_NUM_THREADS="64", OPENBLAS_NUM_THREADS="1") == "True"


def test_the_kernels_load_neither_frameworks_nor_the_references():
    code = (
        "import sys, numpy, sacfast.kernels as k; k.correlation(numpy.ones((2, 3, 4)));"
        "k.canonical_outputs(numpy.ones((2, 3)), 'scores');"
        "print(sorted({'torch', 'scipy', 'ml_dtypes', 'sacfast.kernels.reference',"
        "'sacfast.kernels.torch_reference', 'sacfast._cuda'} & set(sys.modules)))"
    )
    assert run(code) == "[]"
