"""The simulator objects to every kind of fault, says nothing without one, and computes right.

faults.cu has the kernels: each with one planted fault, and its twin without.
"""

from __future__ import annotations

import ctypes
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.hostsim import build, convert
from tests.hostsim.simulator import Simulator

FAULTS = Path(__file__).resolve().parent / "faults.cu"
THREADS = 64
ORDERS = [(0, 0), (1, 0), (2, 0), (3, 5), (4, 2)]  # seed, preempt

#: The kernels of one planted fault, and what the judge is to say.
OBJECTIONS = {
    "barrier": "race on shared memory",
    "warp_barrier": "race on shared memory",
    "other_warp": "race on shared memory",
    "reuse": "race on shared memory",
    "blocks": "race on device memory.*another block",
    "blocks_read": "race on device memory.*another block",
    "global_bounds": "out of bounds: a read of 4 bytes of device memory",
    "global_bounds_write": "out of bounds: a write of 4 bytes of device memory",
    "shared_bounds": "out of bounds: a read of 4 bytes of shared memory",
    "own_bounds": "out of bounds: an index of an array of known size",
    "overflow": "overflow: a product of signed integers",
    "too_many_threads": "more threads than its kernel's launch bounds",
    "alignment": "misaligned",
    "alignment_of_parts": "misaligned",
    "blocks_reread": "race on device memory.*another block",
    "copy_of_shared": "an asynchronous copy from other than device memory",
    "never_written_shared": "a read of shared memory that was never written",
    "never_written": "a read of device memory that was never written",
    "divergent": "divergent barrier",
    "ended_before_barrier": "threads have ended before a barrier",
    "ended_before_shuffle": "lanes have ended before",
    "deadlock": "deadlock",
    "lanes": "without all of its lanes",
    "source_changes": "the source of an asynchronous copy .* has changed",
    "copy_never_waited_for": "ends with an asynchronous copy under way",
    "host_memory": "not device memory",
    "program_memory": "a write of the CPU's memory",
    "atomics": "race on device memory",
}

#: What `pipeline` can leave out.
PIPELINE = {
    1: "no wait",
    2: "no barrier after the wait",
    3: "no commit",
    4: "a wait that leaves one group too many",
    5: "no barrier before the buffer is used again",
}


def opened(mode: str) -> Simulator:
    simulator = Simulator(build.library(FAULTS, mode))
    simulator.configure()
    simulator.reset()
    return simulator


@pytest.fixture
def check() -> Iterator[Simulator]:
    simulator = opened("check")
    yield simulator
    simulator.machine((8, 0, 3))


@pytest.fixture(params=build.MODES)
def either(request: pytest.FixtureRequest) -> Simulator:
    return opened(request.param)


def run(simulator: Simulator, name: str, fault: int, size: int = 4 * THREADS * 4):
    """What `name` makes of 0, 1, 2, …"""
    given = simulator.upload(np.arange(size, dtype=np.float32))
    if name == "never_written":
        given = simulator.empty((THREADS,), np.float32)
    elif name == "global_bounds":
        given = simulator.upload(np.arange(THREADS, dtype=np.float32))
    made = simulator.empty((8 * THREADS,), np.float32)
    entry = getattr(simulator.library, f"run_{name}")
    entry.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
    entry(fault, given.address, made.address)
    return made.numpy()


@pytest.mark.parametrize("name", OBJECTIONS)
@pytest.mark.parametrize(("seed", "preempt"), ORDERS)
def test_a_planted_fault_is_objected_to_and_its_twin_is_not(check, name, seed, preempt):
    check.configure(seed=seed, preempt=preempt)
    run(check, name, 0)
    assert check.findings() == []
    run(check, name, 1)
    found = check.findings()
    assert any(re.search(OBJECTIONS[name], finding) for finding in found), found
    assert all("faults" in finding for finding in found if "race" in finding), found


@pytest.mark.parametrize(("seed", "preempt"), ORDERS)
def test_copies_are_judged(check, seed, preempt):
    check.configure(seed=seed, preempt=preempt)
    made = run(check, "pipeline", 0)
    assert check.findings() == []
    given = np.arange(4 * 4 * THREADS, dtype=np.float32).reshape(4, -1)
    taken = (4 * np.arange(THREADS) + 129) % (4 * THREADS)
    np.testing.assert_array_equal(made[:THREADS], given[:, taken].sum(axis=0))
    for fault, what in PIPELINE.items():
        check.reset()
        run(check, "pipeline", fault)
        assert check.findings(), what


def test_a_copy_lands_at_the_wait_and_not_before(either):
    """In plain mode nobody judges, and yet the values are wrong without the wait."""
    right, wrong = run(either, "pipeline", 0), run(either, "pipeline", 1)
    assert np.isfinite(right[:THREADS]).all()
    assert np.isnan(wrong[:THREADS]).any()


def test_a_thread_s_own_memory_begins_as_no_number_of_anybody_s(check):
    assert np.abs(run(check, "own_never_written", 0)[:THREADS]).max() < 4
    assert (np.abs(run(check, "own_never_written", 1)[3:THREADS:4]) > 1e30).all()


def test_memory_begins_as_nan(either):
    assert np.isnan(either.empty((100,), np.float32).numpy()).all()
    assert np.isnan(run(either, "never_written_shared", 1)[:THREADS]).sum() == 1


def test_a_write_behind_an_allocation_is_seen_without_the_judge(either):
    made = either.empty((THREADS - 1,), np.float32)
    either.library.run_barrier.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
    either.library.run_barrier(0, None, made.address)
    assert any("out of bounds" in finding for finding in either.findings())


@pytest.mark.parametrize(("seed", "preempt"), ORDERS)
def test_warp_operations_are_cuda_s(either, seed, preempt):
    either.configure(seed=seed, preempt=preempt)
    made = run(either, "votes", 0).view(np.int32).reshape(THREADS, 8)
    me = np.arange(THREADS)
    lane, first = me % 32, me // 32 * 32
    np.testing.assert_array_equal(made[:, 0].view(np.uint32), 0xAAAAAAAA)
    np.testing.assert_array_equal(made[:, 1], first == 32)
    np.testing.assert_array_equal(made[:, 2], 1)
    np.testing.assert_array_equal(made[:, 3], np.where(lane + 5 < 32, me + 5, me))
    np.testing.assert_array_equal(made[:, 4], np.where(lane >= 5, me - 5, me))
    np.testing.assert_array_equal(made[:, 5], me ^ 6)
    np.testing.assert_array_equal(made[:, 6], THREADS // 2)
    np.testing.assert_array_equal(made[:, 7], 1)
    assert either.findings() == []


def test_orders_and_preemption_do_happen(check):
    def turns(seed: int, preempt: int = 0) -> list[int]:
        check.configure(seed=seed, preempt=preempt)
        return list(run(check, "turns", 0).view(np.int32)[: 2 * THREADS])

    forward = [*range(0, 2 * THREADS, 2), *range(1, 2 * THREADS, 2)]
    assert turns(0) == forward
    assert turns(1)[THREADS - 1] == 0
    random = turns(2)
    assert random != turns(3)
    assert random == turns(2)
    preempted = turns(0, 2)
    assert any(preempted[i] + 1 != preempted[THREADS + i] for i in range(THREADS))


def test_a_launch_s_arguments_may_be_large(either):
    made = run(either, "arguments", 0)
    np.testing.assert_array_equal(made[:THREADS], (np.arange(THREADS) + 7) % THREADS)
    assert either.findings() == []


def exact_words(rng: np.random.Generator, rows: int, is_bfloat16: bool):
    """Numbers that the tensor cores take as they are: as words, and as a matrix."""
    columns = 16 if is_bfloat16 else 8
    values = rng.integers(-128, 129, (rows, columns)).astype(np.float32)
    if not is_bfloat16:
        return values.view(np.uint32), values
    high = values.view(np.uint32) >> 16
    return (high[:, 0::2] | high[:, 1::2] << 16).astype(np.uint32), values


@pytest.mark.parametrize("is_bfloat16", [False, True])
def test_tensor_cores_multiply(either, is_bfloat16):
    rng = np.random.default_rng(5)
    a_words, a = exact_words(rng, 16, is_bfloat16)
    b_words, b = exact_words(rng, 8, is_bfloat16)
    given = either.upload(np.concatenate([a_words.ravel(), b_words.ravel()]))
    made = either.empty((16, 8), np.float32)
    entry = either.library.run_product
    entry.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
    entry(int(is_bfloat16), given.address, made.address)
    np.testing.assert_array_equal(made.numpy(), a @ b.T)


def test_tensor_cores_cut_off_what_lies_below_the_largest_addend(either):
    """1 + 8 products of 2^-24: lost one by one, where exact or rounded sums keep them."""
    a = np.full((16, 8), 2.0**-12, np.float32)
    b = np.full((8, 8), 2.0**-12, np.float32)
    a[:, 0] = b[:, 0] = 1.0
    given = either.upload(np.concatenate([a.ravel(), b.ravel()]))
    made = either.empty((16, 8), np.float32)
    entry = either.library.run_product
    entry.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
    entry(0, given.address, made.address)
    np.testing.assert_array_equal(made.numpy(), 1.0)


def test_devices_and_streams_are_told_apart(check):
    check.machine((8, 0, 108), (9, 0, 132))
    made = check.empty((THREADS,), np.float32, device=1)
    entry = check.library.run_on_stream
    entry.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    entry(0, None, made.address, check.stream(0))
    assert any("memory of device 1 by a kernel on device 0" in f for f in check.findings())
    check.reset()
    entry(0, None, made.address, check.stream(1))
    assert any("a stream of device 1 while device 0" in f for f in check.findings())


def test_a_launch_that_cuda_refuses_is_objected_to(either):
    run(either, "no_blocks", 0)
    assert any("a launch of 0 blocks" in finding for finding in either.findings())


def test_allocations_are_counted_and_freed(either):
    before = either.live_allocations
    made = either.empty((10,), np.float32)
    assert either.live_allocations == before + 1
    address = made.address
    del made
    assert either.live_allocations == before
    with pytest.raises(ValueError, match="nothing is allocated"):
        either.free(address)


def test_freed_memory_is_nobody_s(check):
    made = check.empty((THREADS,), np.float32)
    address = made.address
    del made
    check.library.run_barrier.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
    check.library.run_barrier(0, None, address)
    assert any("out of bounds" in finding for finding in check.findings())


def test_the_conversion_keeps_lines_and_leaves_comments_alone():
    text = "int a; // x<<<1, 2>>>(3) __shared__\n__shared__ alignas(16) T<A, B<3>> s[2][3],\n  t;\n"
    text += "k<P, 4><<<grid(1, 2), 3,\n 0, s>>>(a, b(c));\nend\n"
    made = convert.convert(text, "file.cu").splitlines()
    assert made[0] == '#line 1 "file.cu"'
    assert "launch" not in made[1]
    assert "hostsim::Identity<T<A, B<3>>[2][3]>" in made[2]
    assert "hostsim_tag_t, 16" in made[2]
    assert made[4].startswith("hostsim::launch(hostsim::Configuration{grid(1, 2), 3,")
    assert made[6] == "end"


def test_launch_bounds_are_looked_at_where_a_kernel_begins():
    text = "void __launch_bounds__(a(1),\n 2) k(int x);\n"
    text += "void __launch_bounds__(n) k(int (*f)(int)) { f(1); }"
    made = convert.convert(text, "file.cu").splitlines()
    assert made[1].split() == ["void"]
    assert made[2].strip() == "k(int x);"
    assert made[3] == "void  k(int (*f)(int)) { hostsim::check_threads(n); f(1); }"


def test_what_is_not_understood_is_refused():
    with pytest.raises(ValueError, match="not simulated"):
        convert.convert("extern __shared__ float s[];", "file.cu")


def test_what_is_not_simulated_does_not_compile(tmp_path):
    source = tmp_path / "texture.cu"
    source.write_text("#include <cuda_runtime.h>\nvoid f() { cudaDeviceSynchronize(); }\n")
    with pytest.raises(build.BuildError, match="cudaDeviceSynchronize"):
        build.library(source, "plain")


def test_a_missing_compiler_is_named(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(build.BuildError, match=r"needs g\+\+"):
        build.compiler()
