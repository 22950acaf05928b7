"""From public functions to kernels and back: tensors on a GPU, here the simulator's."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sacfast
from sacfast import doctor
from sacfast.errors import (
    ArgumentError,
    BackendError,
    DeviceMemoryError,
    DtypeError,
    ShapeError,
)
from sacfast.kernels import (
    _device,
    _native,
    build_info,
    correlation,
    correlation_distance,
    fri_features,
    label_correlation,
    label_distance,
    pairs_within,
    pairwise_distance,
    paper_scale,
    reference,
    unpack,
)
from sacfast.kernels.canonical import access_mode, canonical_outputs
from sacfast.kernels.compact import compact
from sacfast.kernels.products import correlation_products, usable_rows
from tests import tolerances
from tests.cuda.device import REAL, SimulatedDevice, forget, installed
from tests.cuda.functions import BFLOAT16, FLOAT32, cases, rbf_cases
from tests.hostsim.simulator import load

S, N, V = 3, 9, 4
P = N * (N - 1) // 2
CASES = cases()
ALL = {**CASES, **rbf_cases()}
OUTPUTS, PACKED = CASES["correlation_distance"].arrays


@pytest.fixture
def gpu(plain: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedDevice]:
    yield from installed(plain, monkeypatch)


@pytest.fixture
def judged_gpu(checked: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedDevice]:
    checked.configure(seed=3, preempt=50)
    yield from installed(checked, monkeypatch)


def on_gpu(device: SimulatedDevice, name: str) -> torch.Tensor:
    result: torch.Tensor = ALL[name].call(*(device.tensor(x) for x in ALL[name].arrays))
    return result


@pytest.mark.parametrize("name", ALL)
def test_values_are_the_oracle_s_and_stay_on_the_gpu(gpu: SimulatedDevice, name: str) -> None:
    case = ALL[name]
    result = on_gpu(gpu, name)
    assert gpu.on(result)
    np.testing.assert_allclose(result.numpy(), case.expected, rtol=0, atol=case.tolerance)
    on_cpu = case.call(*case.arrays)
    assert result.shape == on_cpu.shape
    assert str(result.dtype) == f"torch.{on_cpu.dtype}"


def test_each_mode_runs_its_own_kernels() -> None:
    """Else the judge would not look at what runs, and have nothing to object to."""
    simulators = [load("plain"), load("check")]
    assert simulators[0].cuda is not simulators[1].cuda
    for simulator, other in (simulators, simulators[::-1]):
        simulator.machine((8, 0, 3))
        before = simulator.launches, other.launches
        rows, scratch = (
            simulator.upload(np.array([[[1, 0]] * 3], "f4")),
            simulator.empty((4096,), "u1"),
        )
        packed = simulator.empty((3,), "f4")
        refs = [
            simulator.cuda.TensorRef(x.address, x.shape, x.strides, "float32", 0)
            for x in (rows, packed)
        ]
        place = simulator.cuda.Place(0, 0, scratch.address, scratch.nbytes)
        simulator.cuda.correlation(refs[:1], "none", "cosine", "fma", place, refs[1])
        np.testing.assert_array_equal(packed.numpy(), 1)
        assert simulator.launches > before[0]
        assert other.launches == before[1]


@pytest.mark.parametrize("name", CASES)
def test_the_judge_has_no_objection(judged_gpu: SimulatedDevice, name: str) -> None:
    case = CASES[name]
    result = on_gpu(judged_gpu, name).numpy()
    np.testing.assert_allclose(result, case.expected, rtol=0, atol=case.tolerance)


@pytest.mark.parametrize("bad", [np.inf, np.nan])
@pytest.mark.parametrize("sigma", [None, 1e300])
def test_rbf_of_a_row_that_is_not_finite_is_nan(
    gpu: SimulatedDevice, bad: float, sigma: float | None
) -> None:
    outputs = 1e300 * OUTPUTS.astype(np.float64)
    outputs[0, 1, 2] = bad
    result = correlation(gpu.tensor(outputs), center="none", kernel="rbf", sigma=sigma).numpy()
    expected = correlation(outputs, center="none", kernel="rbf", sigma=sigma)
    np.testing.assert_allclose(result, expected, rtol=0, atol=2 * tolerances.RBF)


LAYOUTS = {
    "turned": lambda gpu, x: gpu.tensor(np.ascontiguousarray(x.swapaxes(-1, -2))).transpose(-1, -2),
    "every-second": lambda gpu, x: gpu.tensor(np.repeat(x, 2, axis=-1))[..., ::2],
    "float64": lambda gpu, x: gpu.tensor(x.astype(np.float64)),
    "requires-grad": lambda gpu, x: gpu.tensor(x).requires_grad_(True),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", CASES)
def test_a_layout_does_not_change_a_bit(gpu: SimulatedDevice, name: str, layout: str) -> None:
    arrays, call = CASES[name].arrays, CASES[name].call
    expected = on_gpu(gpu, name)
    result = call(*(LAYOUTS[layout](gpu, x) for x in arrays))
    assert torch.equal(result, expected)
    assert not result.requires_grad


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_outputs_of_half_precision_are_read_as_they_are(
    gpu: SimulatedDevice, dtype: torch.dtype
) -> None:
    given = torch.from_numpy(OUTPUTS).to(dtype)
    result = correlation(gpu.tensor(given))
    assert torch.equal(result, correlation(gpu.tensor(given.float())))


@pytest.mark.parametrize("name", ["correlation", "correlation_distance", "fri_features"])
def test_bfloat16_is_asked_for_and_its_error_stated(gpu: SimulatedDevice, name: str) -> None:
    arrays, call, expected = CASES[name].arrays, CASES[name].call, CASES[name].expected
    result = call(*(gpu.tensor(x) for x in arrays), precision="bfloat16").numpy()
    np.testing.assert_allclose(result, expected, rtol=0, atol=BFLOAT16)
    assert np.abs(result - expected).max() > FLOAT32  # it is another product indeed
    with pytest.raises(BackendError, match=r'(?s)must be "float32" for arrays in CPU memory.*fast'):
        call(*arrays, precision="bfloat16")
    with pytest.raises(
        ArgumentError, match='must be one of "float32", "bfloat16", got \'float16\''
    ):
        call(*(gpu.tensor(x) for x in arrays), precision="float16")


def test_a_kernel_of_float64_takes_no_bfloat16(gpu: SimulatedDevice) -> None:
    with pytest.raises(ArgumentError, match='must be "float32" for kernel="rbf"'):
        correlation(gpu.tensor(OUTPUTS), kernel="rbf", precision="bfloat16")


@pytest.mark.parametrize(
    ("capability", "product"),
    [((8, 0), "tf32x3"), ((9, 0), "tf32x3"), ((10, 0), "tf32x3"), ((8, 6), "fma"),
     ((8, 9), "fma"), ((12, 0), "fma"), ((10, 3), "fma")],
)  # fmt: skip
def test_float32_is_multiplied_as_suits_the_device(
    gpu: SimulatedDevice, capability: tuple[int, int], product: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu.simulator.machine((*capability, 3))
    forget()
    asked = []
    scratch = gpu.simulator.cuda.correlation_scratch
    monkeypatch.setattr(
        gpu.simulator.cuda, "correlation_scratch", lambda *x: asked.append(x[-1]) or scratch(*x)
    )
    result = correlation(gpu.tensor(OUTPUTS)).numpy()
    assert asked == [product]
    expected = reference.correlation(OUTPUTS)
    np.testing.assert_allclose(result, expected, rtol=0, atol=FLOAT32)


def test_an_empty_batch_launches_nothing(gpu: SimulatedDevice) -> None:
    before = gpu.simulator.launches
    none, packed = gpu.tensor(OUTPUTS[:0]), gpu.tensor(PACKED)
    assert correlation(none).shape == (0, P)
    assert correlation_distance(none, packed).shape == (0, V)
    assert correlation_distance([], packed).shape == (0, V)
    assert pairwise_distance(packed, packed[:0]).shape == (V, 0)
    assert fri_features(none, none).shape == (0, N, N)
    assert correlation(gpu.tensor(OUTPUTS[:, :1])).shape == (S, 0)
    products, squares = correlation_products(none, packed)
    assert products.shape == (0, V)
    assert squares.shape == (0,)
    assert gpu.simulator.launches == before


def test_unpack_and_paper_scale_stay_on_the_device(gpu: SimulatedDevice) -> None:
    packed = gpu.tensor(PACKED)
    np.testing.assert_array_equal(unpack(packed, N).numpy(), unpack(PACKED, N))
    np.testing.assert_array_equal(paper_scale(packed, N).numpy(), paper_scale(PACKED, N))


# ---- other libraries' arrays ---------------------------------------------------------------------


class Foreign:
    """An array of some other library on a GPU."""

    def __init__(self, tensor: torch.Tensor, device: int = 0) -> None:
        self.tensor = tensor
        self.device = device

    def __dlpack__(self, **_: Any) -> Any:
        raise AssertionError("PyTorch takes it over, not sacfast")

    def __dlpack_device__(self) -> tuple[int, int]:
        return (2, self.device)


@pytest.mark.parametrize("name", CASES)
def test_arrays_of_other_libraries_are_taken_in_place(gpu: SimulatedDevice, name: str) -> None:
    arrays, call = CASES[name].arrays, CASES[name].call
    result = call(*(Foreign(gpu.tensor(x)) for x in arrays))
    assert gpu.on(result)
    assert torch.equal(result, on_gpu(gpu, name))


def test_pytorch_may_refuse_another_library_s_array(
    gpu: SimulatedDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_torch(value: Any) -> Any:
        raise ModuleNotFoundError("No module named 'torch'")

    given = Foreign(gpu.tensor(OUTPUTS))
    monkeypatch.setattr(_device, "from_dlpack", REAL["from_dlpack"])
    with pytest.raises(ArgumentError, match="`outputs` must be an array that DLPack hands over"):
        correlation(given)
    monkeypatch.setattr(_device, "from_dlpack", without_torch)
    with pytest.raises(BackendError, match=r"(?s)`outputs` must be read with PyTorch.*install tor"):
        correlation(given)
    with pytest.raises(BackendError, match=r"the 1 GPUs that sacfast sees, got .* cuda:-1"):
        correlation(Foreign(gpu.tensor(OUTPUTS), device=-1))


# ---- out -----------------------------------------------------------------------------------------

WRITERS = {"correlation": (S, P), "correlation_distance": (S, V), "pairwise_distance": (V, V)}


@pytest.mark.parametrize("name", WRITERS)
def test_out_is_written_and_returned(gpu: SimulatedDevice, name: str) -> None:
    arrays, call = CASES[name].arrays, CASES[name].call
    memory = gpu.tensor(torch.full((WRITERS[name][0] + 2, WRITERS[name][1]), 7.0))
    out = memory[1:-1]
    assert call(*(gpu.tensor(x) for x in arrays), out=out) is out
    assert torch.equal(out, on_gpu(gpu, name))
    assert (memory[[0, -1]] == 7).all()


@pytest.mark.parametrize("name", WRITERS)
def test_an_unfit_out_is_refused(gpu: SimulatedDevice, name: str) -> None:
    arrays, call = CASES[name].arrays, CASES[name].call
    given = [gpu.tensor(x) for x in arrays]
    shape = WRITERS[name]
    for out, error, message in (
        (np.empty(shape, np.float32), BackendError, "`out` must be in one place with"),
        (torch.empty(shape), BackendError, "`out` must be in one place with"),
        (gpu.tensor(np.empty(shape)), DtypeError, "`out` must be float32, got float64"),
        (gpu.tensor(np.empty((1, *shape), "f4")), ShapeError, "`out` must be"),
        (gpu.tensor(np.empty(shape[::-1], "f4")).T, (ArgumentError), "C-contiguous|must be"),
        (Foreign(gpu.tensor(np.empty(shape, "f4"))), ArgumentError, "numpy array or torch tensor"),
    ):
        with pytest.raises(error, match=message):
            call(*given, out=out)
    same = given[0].view(-1)[: shape[0] * shape[1]].view(shape)
    with pytest.raises(ArgumentError, match="must not share memory"):
        call(*given, out=same)
    with pytest.raises(BackendError, match="`out` must be in one place with"):
        call(*arrays, out=gpu.tensor(np.empty(shape, "f4")))


# ---- where things are ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["correlation", "correlation_distance", "fri_features"])
def test_a_backend_refuses_what_lies_elsewhere(gpu: SimulatedDevice, name: str) -> None:
    arrays, call = CASES[name].arrays, CASES[name].call
    given = [gpu.tensor(x) for x in arrays]
    with pytest.raises(
        BackendError,
        match=r'(?s)must be in CPU memory for backend="cpu", got a tensor on cuda:0.*\.cpu\(\)',
    ):
        call(*given, backend="cpu")
    assert torch.equal(call(*given, backend="cuda"), call(*given))
    refused = r'(?s)must be on a GPU for backend="cuda", got an array in CPU memory.*hint: pass '
    with pytest.raises(BackendError, match=refused + r"torch.as_tensor\(\w+\).cuda\(\)"):
        call(*arrays, backend="cuda")
    with pytest.raises(BackendError, match=refused + r"\w+.cuda\(\)"):
        call(*map(torch.from_numpy, arrays), backend="cuda")


def test_arrays_in_two_places_are_refused(gpu: SimulatedDevice) -> None:
    gpu.simulator.machine((8, 0, 3), (9, 0, 3))
    forget()
    first, second = gpu.tensor(OUTPUTS), gpu.tensor(PACKED, device=1)
    with pytest.raises(
        BackendError,
        match=r"(?s)correlation_distance: `source_correlations` must be in one place with "
        r"`outputs`, which is on cuda:0, got one on cuda:1.*"
        r'pass source_correlations.to\("cuda:0"\)',
    ):
        correlation_distance(first, second)
    with pytest.raises(BackendError, match=r'torch.as_tensor\(source_correlations\).to\("cuda:0"'):
        correlation_distance(first, PACKED)
    with pytest.raises(BackendError, match=r'pass source_correlations.to\("cpu"\)'):
        correlation_distance(OUTPUTS, second)
    with pytest.raises(BackendError, match=r"`outputs\[1\]` must be in one place with `outputs\[0"):
        correlation([first[0], gpu.tensor(OUTPUTS[1], device=1)])
    with pytest.raises(BackendError, match="`rows` must be in one place with `outputs`"):
        correlation_products(first, second)
    with pytest.raises(BackendError, match="`b` must be in one place with `a`"):
        pairwise_distance(second, gpu.tensor(PACKED))


def test_every_device_works_by_itself_and_the_current_one_is_left(gpu: SimulatedDevice) -> None:
    gpu.simulator.machine((8, 0, 3), (8, 0, 3))
    forget()
    gpu.streams = {0: gpu.simulator.stream(0), 1: gpu.simulator.stream(1)}
    on_second = [gpu.tensor(x, device=1) for x in CASES["correlation_distance"].arrays]
    result = correlation_distance(*on_second)
    assert gpu.index_of(result) == 1
    assert {device for *_, device in gpu.taken} == {1}
    assert gpu.simulator.current_device == 0
    assert torch.equal(result, on_gpu(gpu, "correlation_distance"))


def test_a_stream_of_another_device_is_refused(gpu: SimulatedDevice) -> None:
    gpu.simulator.machine((8, 0, 3), (8, 0, 3))
    forget()
    gpu.streams = {0: gpu.simulator.stream(1)}
    with pytest.raises(BackendError, match="a stream of device 1 for memory of device 0"):
        correlation(gpu.tensor(OUTPUTS))
    assert gpu.simulator.current_device == 0
    gpu.streams = {}
    assert torch.equal(correlation(gpu.tensor(OUTPUTS)), on_gpu(gpu, "correlation"))


def test_a_device_that_sacfast_does_not_see(gpu: SimulatedDevice) -> None:
    with pytest.raises(
        BackendError,
        match="`outputs` must be on one of the 1 GPUs that sacfast sees, got a tensor on cuda:7",
    ):
        correlation(gpu.tensor(OUTPUTS, device=7))
    with pytest.raises(BackendError, match="got a tensor on cuda:3"):
        correlation(Foreign(gpu.tensor(OUTPUTS), device=3))


def test_functions_without_a_gpu_form_say_so(gpu: SimulatedDevice) -> None:
    labels, packed, outputs = gpu.tensor(np.zeros((3, N), int)), gpu.tensor(PACKED), OUTPUTS
    outputs = gpu.tensor(OUTPUTS)
    for call, argument in (
        (lambda: label_correlation(labels), "labels"),
        (lambda: label_distance(labels), "a"),
        (lambda: compact(packed), "packed"),
        (lambda: pairs_within(packed, threshold=1.0), "a"),
        (lambda: canonical_outputs(outputs, "logits"), "outputs"),
        (lambda: access_mode(outputs, "logits", "probs"), "outputs"),
    ):
        with pytest.raises(
            BackendError,
            match=rf"(?s)`{argument}` must be in CPU memory, the only place that it is taken from, "
            rf"got a tensor on cuda:0.*hint: pass {argument}.cpu\(\)",
        ):
            call()


# ---- no GPU, and broken modules ------------------------------------------------------------------

NO_GPU = {
    "no driver": ({"failure": 35, "driver": 0}, "no NVIDIA driver is installed"),
    "driver too old": (
        {"failure": 35, "driver": 11040},
        r"the NVIDIA driver is too old: it supports CUDA 11\.4, this build needs \d+\.\d",
    ),
    "no device": ({"failure": 100}, "no CUDA-capable device is detected"),
}


@pytest.mark.parametrize("case", NO_GPU)
def test_why_there_is_no_gpu(gpu: SimulatedDevice, case: str) -> None:
    settings, reason = NO_GPU[case]
    gpu.simulator.machine(**settings)
    forget()
    info = build_info()["cuda"]
    assert info["devices"] == []
    with pytest.raises(BackendError, match=rf"(?s)for backend=\"cuda\".*no GPU to move.*{reason}"):
        correlation(OUTPUTS, backend="cuda")
    with pytest.raises(BackendError, match=rf"(?s)got a tensor on cuda:0.*{reason}.*outputs.cpu"):
        correlation(gpu.tensor(OUTPUTS))
    finding = doctor._cuda(build_info())
    assert finding.state == "ok"
    assert re.search(reason, finding.detail)
    gpu.simulator.machine((8, 0, 3))


class Half:
    """A module of which something is missing."""

    def __init__(self, module: Any, version: str | None, lacking: str = "") -> None:
        self._module, self._version, self._lacking = module, version, lacking
        self.__spec__ = module.__spec__

    def __getattr__(self, name: str) -> Any:
        if name == self._lacking:
            raise AttributeError(name)
        if name == "build_facts":
            return lambda: {**self._module.build_facts(), "version": self._version}
        return getattr(self._module, name)


@pytest.mark.parametrize(
    ("version", "lacking", "message"),
    [
        ("0.0.9", "", r"`sacfast._cuda` must be of version \S+, got 0\.0\.9"),
        (None, "", r"`sacfast._cuda` must be of version \S+, got None"),
        ("same", "build_facts", r"`sacfast._cuda` must be of version \S+, got None"),
        ("same", "fri_features", "`sacfast._cuda` must have all kernels, lacks fri_features"),
    ],
)
def test_a_module_of_another_build(
    gpu: SimulatedDevice,
    monkeypatch: pytest.MonkeyPatch,
    version: str | None,
    lacking: str,
    message: str,
) -> None:
    stamp = sacfast.__version__ if version == "same" else version
    half = Half(gpu.simulator.cuda, stamp, lacking)
    monkeypatch.setitem(sys.modules, "sacfast._cuda", half)
    forget()
    with pytest.raises(BackendError, match=rf"(?s){message}.*install the package again"):
        correlation(gpu.tensor(OUTPUTS))
    with pytest.raises(BackendError, match=rf"(?s)there is no GPU to move it to .*{message}"):
        correlation(OUTPUTS, backend="cuda")


def test_build_info_and_doctor_speak_of_kernels_and_devices(gpu: SimulatedDevice) -> None:
    gpu.simulator.machine((8, 0, 108), (12, 0, 170))
    forget()
    info = build_info()["cuda"]
    assert info["built"]
    assert info["loaded"]
    assert info["kernels"]
    assert [one["product"] for one in info["devices"]] == ["tf32x3", "fma"]
    assert [one["compute_capability"] for one in info["devices"]] == [(8, 0), (12, 0)]
    finding = doctor._cuda(build_info())
    assert finding.state == "ok"
    assert "8.0" in finding.detail
    assert "tf32x3" in finding.detail
    gpu.simulator.machine((8, 0, 108), (7, 5, 40))
    forget()
    finding = doctor._cuda(build_info())
    assert finding.state == "warning"
    assert "need compute capability 8.0" in finding.detail


# ---- memory --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_out_of_memory_is_told_with_sizes_and_nothing_is_kept(
    gpu: SimulatedDevice, name: str
) -> None:
    arrays, call = CASES[name].arrays, CASES[name].call
    expected = on_gpu(gpu, name)
    given = [gpu.tensor(x) for x in arrays]
    gpu.taken.clear()
    call(*given)
    sizes = [int(np.prod(shape)) * getattr(torch, kind).itemsize for _, shape, kind, _ in gpu.taken]
    before = gpu.simulator.live_allocations
    for size in sorted({size for size in sizes if size}):
        gpu.free = size - 1
        with pytest.raises(
            DeviceMemoryError, match=rf"cuda:0 has too little .* \d+ bytes .* {size - 1} of \d+"
        ) as caught:
            call(*given)
        assert isinstance(caught.value, MemoryError)
        assert str(caught.value).startswith(name.split("-")[0])
        caught.value.__traceback__ = None
        del caught
        assert gpu.simulator.live_allocations == before
    gpu.free = 8 << 30
    assert torch.equal(call(*given), expected)


@pytest.mark.parametrize("name", rbf_cases())
def test_out_of_memory_while_pytorch_computes_is_told_as_well(
    gpu: SimulatedDevice, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    given = [gpu.tensor(x) for x in ALL[name].arrays]
    before = gpu.simulator.live_allocations
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (5, 80))
    with monkeypatch.context() as patched:
        patched.setattr(torch, "cdist", full)
        with pytest.raises(
            DeviceMemoryError, match=rf"{name.split('-')[0]}: cuda:0 .* {8 * N * N} bytes .*5 of 80"
        ) as caught:
            ALL[name].call(*given)
    caught.value.__cause__ = caught.value.__traceback__ = None
    del caught
    assert gpu.simulator.live_allocations == before
    np.testing.assert_allclose(
        ALL[name].call(*given).numpy(), ALL[name].expected, rtol=0, atol=ALL[name].tolerance
    )


def test_scratch_is_asked_for_within_bounds(
    gpu: SimulatedDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = 256 << 20
    for need, expected in (
        ((0, 0), 0), ((100, 1000), 1000), ((100, 1 << 40), room), ((room + 8, 1 << 40), room + 8)
    ):  # fmt: skip
        monkeypatch.setattr(gpu.simulator.cuda, "correlation_scratch", lambda *x, n=need: n)
        monkeypatch.setattr(gpu.simulator.cuda, "correlation", lambda *x: None)
        gpu.taken.clear()
        correlation(gpu.tensor(OUTPUTS))
        assert [shape for _, shape, kind, _ in gpu.taken if kind == "uint8"] == [(expected,)]


@pytest.mark.parametrize("name", CASES)
def test_least_scratch_gives_the_same_bits(
    gpu: SimulatedDevice, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = on_gpu(gpu, name)
    scratch = f"{name.split('-')[0]}_scratch"
    need = getattr(gpu.simulator.cuda, scratch)
    monkeypatch.setattr(gpu.simulator.cuda, scratch, lambda *x: (need(*x)[0],) * 2)
    assert torch.equal(on_gpu(gpu, name), expected)


@pytest.mark.parametrize(
    ("operation", "name", "call"),
    [
        ("triu_indices", "unpack", lambda x: sacfast.unpack(x, 3)),
        ("cat", "usable_rows", lambda x: usable_rows(x[None])),
    ],
)
def test_a_full_device_in_what_pytorch_does_alone(
    gpu: SimulatedDevice,
    operation: str,
    name: str,
    call: Callable[[Any], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    given = gpu.tensor(np.eye(3, dtype=np.float32))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (5, 80))
    with monkeypatch.context() as patched:
        patched.setattr(torch, operation, full)
        with pytest.raises(DeviceMemoryError, match=rf"{name}: cuda:0 .* 5 of 80 free"):
            call(given)
    call(given)


def test_all_memory_is_given_back(gpu: SimulatedDevice) -> None:
    before = gpu.simulator.live_allocations
    for name in ALL:
        on_gpu(gpu, name)
    assert gpu.simulator.live_allocations == before


def test_what_pytorch_says_of_a_full_device_is_translated(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch, "empty", full)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (5, 80))
    with pytest.raises(
        DeviceMemoryError,
        match="f: cuda:2 has too little memory left: 24 bytes wanted at once, 5 of 80 free",
    ):
        _device.empty("f", (2, 3), "float32", 2)
    with pytest.raises(ShapeError, match="f: the result must be smaller than the address space"):
        _device.empty("f", (2**31, 2**31), "float32", 2)


# ---- launches only -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_only_kernels_are_launched(gpu: SimulatedDevice, name: str) -> None:
    given = [gpu.tensor(x) for x in ALL[name].arrays]
    with gpu.nobody_waits(computing=name not in CASES):
        ALL[name].call(*given)


def test_the_watch_objects_to_a_wait(gpu: SimulatedDevice) -> None:
    with (
        pytest.raises(AssertionError, match="_local_scalar_dense"),
        gpu.nobody_waits(computing=True),
    ):
        gpu.tensor(OUTPUTS)[0, 0, 0].item()


# ---- the compiled module by itself ---------------------------------------------------------------


def test_the_module_checks_again_what_it_is_given(gpu: SimulatedDevice) -> None:
    cuda, core = gpu.simulator.cuda, _native.core()
    gpu.simulator.machine((8, 0, 3), (8, 0, 3))
    given, result = gpu.tensor(OUTPUTS), gpu.tensor(np.zeros((S, P), np.float32))

    def ref(tensor: torch.Tensor, device: int = 0, dtype: str = "float32") -> Any:
        strides = [4 * stride for stride in tensor.stride()]
        return cuda.TensorRef(tensor.data_ptr(), tuple(tensor.shape), strides, dtype, device)

    outputs, out = ref(given), ref(result)
    assert (outputs.device, outputs.dtype, outputs.shape) == (0, "float32", (S, N, 6))
    assert outputs.contiguous
    place = cuda.Place(0, 0, 0, 0)
    for arguments, message in (
        (([outputs], "none", "cosine", "exact", place, out), "unknown name: exact"),
        (([outputs], "none", "rbf", "fma", place, out), "unknown name: rbf"),
        (([outputs], "all", "cosine", "fma", place, out), "unknown name: all"),
        (([ref(given, 1)], "none", "cosine", "fma", place, out), "memory of another device"),
        (([outputs], "none", "cosine", "fma", place, ref(result, 1)), "memory of another device"),
        (([outputs], "none", "cosine", "fma", place, outputs), "a result of the wrong type, size"),
        (([outputs, ref(given[0, 1:])], "none", "cosine", "fma", place, out), "numbers of rows"),
        (([outputs], "none", "cosine", "fma", place, out), "scratch"),
    ):
        with pytest.raises(ValueError, match=message):
            cuda.correlation(*arguments)
    with pytest.raises(ValueError, match="not aligned to 256 bytes"):
        cuda.Place(0, 0, 128, 0)
    rows = ref(gpu.tensor(PACKED))
    with pytest.raises(ValueError, match="sources of another length"):
        cuda.correlation_distance([outputs], ref(given[0]), "none", "cosine", "fma", place, rows)
    with pytest.raises(ValueError, match="float32 numbers one after the other"):
        cuda.pairwise_distance_scratch(ref(gpu.tensor(PACKED), dtype="float64"), None)
    with pytest.raises(ValueError, match="rows of different lengths"):
        cuda.pairwise_distance(rows, ref(given[0]), place, out)
    with pytest.raises(ValueError, match="embeddings of different sizes"):
        cuda.fri_features(outputs, ref(given[..., 1:]), "fma", place, out)
    elsewhere = cuda.Place(5, 0, 0, 0)
    with pytest.raises(RuntimeError, match="device 5 of 2"):
        cuda.correlation([ref(given, 5)], "none", "cosine", "fma", elsewhere, ref(result, 5))
    # Memory of the CPU is never read by a GPU's kernel, nor the other way round.
    host = core.TensorRef(OUTPUTS.ctypes.data, OUTPUTS.shape, OUTPUTS.strides, "float32")
    with pytest.raises((TypeError, ValueError)):
        cuda.correlation([host], "none", "cosine", "fma", place, out)
    with pytest.raises((TypeError, ValueError)):
        core.correlation([outputs], "none", "cosine", None, 1, out)


# ---- the CPU path --------------------------------------------------------------------------------


ON_THE_CPU = """
import hashlib, sys
import numpy as np
{before}
from sacfast import Detector, kernels as k
from sacfast.kernels import products
info = k.build_info()["cuda"]
rng = np.random.default_rng(5)
x = rng.normal(size=(7, 70, 12)).astype(np.float32)
packed = k.correlation(x)
found = [
    packed,
    k.correlation(list(x[:, :, :9].astype(np.float64)), center="none"),
    k.correlation(x, kernel="rbf"),
    k.correlation_distance(x, packed[:3]),
    k.correlation_distance(x, packed[:3], kernel="rbf", rbf_normalized=True),
    k.pairwise_distance(packed),
    k.pairwise_distance(packed, packed[2:]),
    k.fri_features(x, x[:, :33]),
    *products.correlation_products(x, packed[:5], x[:4]),
    k.label_correlation(x.argmax(2)),
    Detector(x[:1], x[1:5]).scores(x[5:]).score,
]
print(bool(info.get("loaded")), hashlib.sha256(b"".join(f.tobytes() for f in found)).hexdigest())
"""


def test_the_cpu_s_results_do_not_change_by_a_bit_with_the_module() -> None:
    def run(before: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", ON_THE_CPU.format(before=before)],
            cwd=Path(__file__).resolve().parents[2],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    loaded, with_module = run(
        "from tests.hostsim.simulator import load\n"
        "simulator = load('plain')\n"
        "simulator.machine((8, 0, 3))\n"
        "sys.modules['sacfast._cuda'] = simulator.cuda"
    )
    assert loaded == "True"
    loaded, without = run("sys.modules['sacfast._cuda'] = None  # as if it could not be imported")
    assert loaded == "False"
    assert with_module == without
