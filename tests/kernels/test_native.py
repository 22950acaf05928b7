"""What is known about the compiled modules, and what is said when they are missing or broken."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import sacfast
from sacfast.errors import BackendError
from sacfast.kernels import _native, build_info


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
        assert cuda["toolkit"]
        assert cuda["architectures"]
        assert bool(cuda["devices"]) != bool(cuda["reason"])


def test_a_module_that_was_not_built(monkeypatch):
    monkeypatch.setattr(_native.importlib.util, "find_spec", lambda name: None)
    _native.core.cache_clear()
    with pytest.raises(BackendError, match=r"the module `sacfast._core` was not built"):
        _native.core()


def test_a_module_that_was_built_but_fails_to_load(monkeypatch):
    def broken(name: str) -> None:
        raise ImportError("libstdc++.so.6: version `GLIBCXX_9' not found")

    monkeypatch.setattr(_native.importlib, "import_module", broken)
    _native.core.cache_clear()
    with pytest.raises(BackendError, match="was built but failed to load: libstdc"):
        _native.core()


def test_a_broken_cuda_module_leaves_the_cpu_kernels_alone(monkeypatch):
    core = _native.core()
    facts = {**core.build_facts(), "cuda": "built"}

    def only_core(name: str) -> object:
        if name == "sacfast._cuda":
            raise ImportError("libcuda is not what it was")
        return core

    class Core:
        build_facts = staticmethod(lambda: dict(facts))
        level = staticmethod(core.level)

    monkeypatch.setattr(_native, "core", Core)
    monkeypatch.setattr(_native.importlib, "import_module", only_core)
    monkeypatch.setattr(_native.importlib.util, "find_spec", lambda name: object())
    cuda = build_info()["cuda"]
    assert cuda["built"]
    assert not cuda["loaded"]
    assert "failed to load: libcuda is not what it was" in cuda["reason"]


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
