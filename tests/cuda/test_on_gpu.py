"""The kernels on a GPU, end to end. What can be run without one also runs on the simulator.

Every value is judged by the float64 oracle; beside it stand what only a device can show: streams,
graphs, devices side by side, memory that runs out, and that nothing waits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from sacfast import Detector
from sacfast.errors import BackendError, DeviceMemoryError
from sacfast.kernels import (
    _gpu,
    _native,
    build_info,
    correlation,
    correlation_distance,
    pairwise_distance,
    reference,
    unpack,
)
from sacfast.kernels.products import correlation_products
from tests.cuda.device import RealDevice, SimulatedDevice, installed
from tests.cuda.functions import BFLOAT16, FLOAT32, Case, cases, rbf_cases
from tests.tolerances import SCORE

Gpu = RealDevice | SimulatedDevice


@pytest.fixture(params=["simulated", pytest.param("real", marks=pytest.mark.gpu)])
def gpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gpu]:
    if request.param == "real":
        yield RealDevice()
    else:
        yield from installed(request.getfixturevalue("plain"), monkeypatch)


@pytest.fixture
def real() -> RealDevice:
    return RealDevice()


#: (S, N, C, V, R) at the edges of tiles; the simulator takes the small ones.
SMALL = [(3, 9, 6, 4, 5), (2, 33, 17, 3, 33), (3, 65, 70, 2, 1), (1, 2, 1, 3, 2)]
LARGE = [
    (40, 100, 10, 20, 16),
    (5, 64, 64, 70, 64),
    (4, 200, 7, 33, 100),
    (3, 128, 1000, 3, 31),
    (2, 801, 7, 5, 3),
    (300, 31, 100, 2, 2),
]
at_every_shape = pytest.mark.parametrize(
    ("gpu", "shape"),
    [
        *(("simulated", shape) for shape in SMALL),
        *(pytest.param("real", shape, marks=pytest.mark.gpu) for shape in SMALL + LARGE),
    ],
    indirect=["gpu"],
    ids=str,
)


def run(gpu: Gpu, case: Case, **settings: Any) -> Any:
    result = case.call(*(gpu.tensor(x) for x in case.arrays), **settings)
    assert gpu.on(result)
    return gpu.on_host(result)


# ---- values --------------------------------------------------------------------------------------


@at_every_shape
@pytest.mark.parametrize("name", [*cases(), *rbf_cases()])
def test_every_function_gives_what_the_oracle_and_the_cpu_give(
    gpu: Gpu, name: str, shape: tuple[int, ...]
) -> None:
    case = {**cases(*shape), **rbf_cases(*shape[:4])}[name]
    found = run(gpu, case)
    np.testing.assert_allclose(found, case.expected, rtol=0, atol=case.tolerance)
    on_cpu = case.call(*case.arrays)
    np.testing.assert_allclose(found, on_cpu, rtol=0, atol=2 * case.tolerance)


PRECISE = ["correlation", "correlation-list", "correlation_distance", "fri_features",
           "correlation_products", "correlation_products-classes"]  # fmt: skip


@at_every_shape
@pytest.mark.parametrize("product", ["fma", "tf32x3"])
@pytest.mark.parametrize("name", PRECISE)
def test_both_ways_to_multiply_float32(
    gpu: Gpu, monkeypatch: pytest.MonkeyPatch, name: str, product: str, shape: tuple[int, ...]
) -> None:
    case = cases(*shape)[name]
    monkeypatch.setattr(_gpu, "_product", lambda precision, device: product)
    found = run(gpu, case)
    np.testing.assert_allclose(found, case.expected, rtol=0, atol=case.tolerance)


@at_every_shape
@pytest.mark.parametrize("name", ["correlation", "correlation_distance", "fri_features"])
def test_bfloat16(gpu: Gpu, name: str, shape: tuple[int, ...]) -> None:
    case = cases(*shape)[name]
    found = run(gpu, case, precision="bfloat16")
    np.testing.assert_allclose(found, case.expected, rtol=0, atol=BFLOAT16)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_outputs_of_every_type_and_stride(gpu: Gpu, dtype: torch.dtype) -> None:
    values = torch.from_numpy(np.random.default_rng(3).normal(size=(3, 40, 22))).to(dtype)
    expected = reference.correlation(values.double().numpy())
    placed = gpu.tensor(values)
    turned = gpu.tensor(values.transpose(1, 2).contiguous()).transpose(1, 2)
    spread = gpu.tensor(values.repeat_interleave(2, dim=2))[:, :, ::2]
    offset = gpu.tensor(torch.cat([values.new_zeros(1), values.flatten()]))[1:].view(3, 40, 22)
    first = gpu.on_host(correlation(placed))
    np.testing.assert_allclose(first, expected, rtol=0, atol=FLOAT32)
    for other in (turned, spread, offset, list(placed)):
        np.testing.assert_array_equal(gpu.on_host(correlation(other)), first)


def test_rows_without_a_number_or_without_a_direction(gpu: Gpu) -> None:
    x = np.random.default_rng(4).normal(size=(3, 40, 22)).astype(np.float32)
    x[0, 3, 2], x[1, 39, 21], x[2, 5] = np.nan, np.inf, 0
    for center in ("none", "row"):
        found = gpu.on_host(correlation(gpu.tensor(x), center=center))
        expected = reference.correlation(x, center=center)
        np.testing.assert_allclose(found, expected, rtol=0, atol=FLOAT32)
    assert np.isnan(gpu.on_host(correlation(gpu.tensor(x)))[:2]).all()


def test_distances_to_oneself_are_zero_and_the_matrix_symmetric(gpu: Gpu) -> None:
    x = np.random.default_rng(5).normal(size=(7, 40, 22)).astype(np.float32)
    outputs = gpu.tensor(x)
    packed = correlation(outputs)
    distance = gpu.on_host(pairwise_distance(packed))
    np.testing.assert_array_equal(distance, distance.T)
    np.testing.assert_array_equal(np.diag(distance), 0)
    fused = gpu.on_host(correlation_distance(outputs, packed))
    np.testing.assert_array_equal(np.diag(fused), 0)
    np.testing.assert_allclose(fused, distance, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", cases())
def test_the_same_bits_every_time_and_for_any_batch(gpu: Gpu, name: str) -> None:
    case = cases(9, 40, 22, 6, 9)[name]
    first = run(gpu, case)
    for _ in range(3):
        np.testing.assert_array_equal(run(gpu, case), first)
    if name in ("correlation", "correlation_distance", "fri_features", "pairwise_distance-b"):
        for part in (slice(0, 1), slice(1, 4), slice(4, None)):
            by_model = name == "fri_features"
            some = [x[part] if i == 0 or by_model else x for i, x in enumerate(case.arrays)]
            found = gpu.on_host(case.call(*map(gpu.tensor, some)))
            np.testing.assert_array_equal(found, first[part])


def test_least_scratch_gives_the_same_bits(gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> None:
    all_cases = cases(9, 40, 22, 6, 9)
    expected = {name: run(gpu, case) for name, case in all_cases.items()}
    launch = _gpu._launch
    monkeypatch.setattr(
        _gpu, "_launch", lambda function, device, need, kernel: launch(
            function, device, (need[0], need[0]), kernel
        )
    )  # fmt: skip
    for name, case in all_cases.items():
        np.testing.assert_array_equal(run(gpu, case), expected[name])


# ---- a model's outputs stay where they are -------------------------------------------------------


def test_from_a_model_s_outputs_to_distances(gpu: Gpu) -> None:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(30, 48, generator=generator)
    layers = [torch.randn(48, 12, generator=generator) for _ in range(4)]
    if isinstance(gpu, RealDevice):
        with torch.inference_mode():
            outputs = torch.stack([gpu.tensor(images) @ gpu.tensor(layer) for layer in layers])
    else:
        outputs = gpu.tensor(torch.stack([images @ layer for layer in layers]))
    with gpu.nobody_waits(computing=False):
        distance = correlation_distance(outputs, correlation(outputs[:1]))
    assert gpu.on(distance)
    given = gpu.on_host(outputs)
    expected = reference.correlation_distance(given, reference.correlation(given[:1]))
    np.testing.assert_allclose(gpu.on_host(distance), expected, rtol=0, atol=FLOAT32)
    assert gpu.on_host(distance)[0] == 0


def test_unpack_on_the_device(gpu: Gpu) -> None:
    packed = np.random.default_rng(6).uniform(-1, 1, (2, 36)).astype(np.float32)
    np.testing.assert_array_equal(gpu.on_host(unpack(gpu.tensor(packed), 9)), unpack(packed, 9))


@pytest.mark.parametrize("method", ["partial", "pearson", "paper"])
def test_a_detector_scores_suspects_where_they_are(gpu: Gpu, method: Any) -> None:
    rng = np.random.default_rng(7)
    common = rng.normal(size=(70, 10))
    x = (common + rng.normal(size=(24, 70, 10))).astype(np.float32)
    x[20] = x[0] + 0.1 * x[20]
    x[21, 3], x[22, [5, 9], 1], x[23, :20] = np.nan, np.inf, 1
    detector = Detector(x[:2], x[2:14], method=method)
    suspects = np.concatenate([x[:1], x[14:]])
    on_cpu = detector.scores(suspects)
    placed = gpu.tensor(suspects)
    for given in (placed, list(placed), placed):  # the last with all on the device already
        found = detector.scores(given)
        np.testing.assert_allclose(found.score, on_cpu.score, rtol=0, atol=SCORE)
        np.testing.assert_array_equal(found.dropped, on_cpu.dropped)
        assert found.reasons == on_cpu.reasons
        assert not (found.p < on_cpu.p).any()
    assert found.score[0, 0] == pytest.approx(0 if method == "paper" else 1, abs=SCORE)
    with pytest.raises(BackendError, match="must be in one place"):
        detector.scores([placed[0], suspects[1]])


# ---- launches, graphs ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*cases(), *rbf_cases()])
def test_nobody_waits_for_the_device(gpu: Gpu, name: str) -> None:
    case = {**cases(5, 40, 22), **rbf_cases(5, 40, 22)}[name]
    given = [gpu.tensor(x) for x in case.arrays]
    case.call(*given)  # kernels are loaded by their first launch
    with gpu.nobody_waits(computing="-rbf-" in name and "normalised" not in name):
        result = case.call(*given)
    np.testing.assert_allclose(gpu.on_host(result), case.expected, rtol=0, atol=case.tolerance)


@pytest.mark.parametrize("name", cases())
def test_a_captured_graph_computes_from_its_inputs_as_they_are_then(gpu: Gpu, name: str) -> None:
    case = cases(5, 40, 22)[name]
    given = [gpu.tensor(x) for x in case.arrays]
    result, replay = gpu.captured(lambda: case.call(*given))
    np.testing.assert_allclose(gpu.on_host(result), case.expected, rtol=0, atol=case.tolerance)
    changed = [np.ascontiguousarray(x[..., ::-1]) for x in case.arrays]
    for tensor, x in zip(given, changed, strict=True):
        tensor.copy_(torch.from_numpy(x))
    replay()
    expected = case.call(*given)
    np.testing.assert_array_equal(gpu.on_host(result), gpu.on_host(expected))


@pytest.mark.gpu
@pytest.mark.parametrize("name", rbf_cases())
def test_a_captured_graph_of_pytorch_s_own_operations(real: RealDevice, name: str) -> None:
    case = rbf_cases(5, 40, 22)[name]
    given = [real.tensor(x) for x in case.arrays]
    result, replay = real.captured(lambda: case.call(*given))
    given[0].copy_(given[0].flip(1).clone())
    replay()
    np.testing.assert_array_equal(real.on_host(result), real.on_host(case.call(*given)))


@pytest.mark.gpu
@pytest.mark.parametrize("name", [*cases(), *rbf_cases()])
def test_kernels_go_on_the_current_stream(real: RealDevice, name: str) -> None:
    case = {**cases(5, 40, 22), **rbf_cases(5, 40, 22)}[name]
    late = [real.tensor(x) for x in case.arrays]
    given = [torch.zeros_like(x) for x in late]
    side = torch.cuda.Stream()
    torch.cuda.synchronize()
    with torch.cuda.stream(side):
        case.call(*late)  # kernels are loaded, and memory is taken, once
        side.synchronize()
        torch.cuda._sleep(500_000_000)  # some hundred milliseconds
        for tensor, values in zip(given, late, strict=True):
            tensor.copy_(values)
        result = case.call(*given)
        assert not side.query()  # the call is back while the stream still sleeps
    assert torch.cuda.current_stream() == torch.cuda.default_stream()
    side.synchronize()
    np.testing.assert_allclose(real.on_host(result), case.expected, rtol=0, atol=case.tolerance)


# ---- devices, memory -----------------------------------------------------------------------------


@pytest.mark.gpu
def test_devices_are_named_and_float32_is_multiplied_as_suits_them(real: RealDevice) -> None:
    cuda = build_info()["cuda"]
    assert cuda["kernels"]
    assert len(cuda["devices"]) == torch.cuda.device_count()
    for i, device in enumerate(cuda["devices"]):
        capability = torch.cuda.get_device_capability(i)
        assert device["compute_capability"] == capability
        data_centre = capability in ((8, 0), (9, 0), (10, 0))
        assert device["product"] == ("tf32x3" if data_centre else "fma")


@pytest.mark.gpu
def test_two_devices_side_by_side(real: RealDevice) -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("one GPU only")
    for name, case in {**cases(5, 40, 22), **rbf_cases(5, 40, 22)}.items():
        found = case.call(*(real.tensor(x, device=1) for x in case.arrays))
        assert found.device == torch.device("cuda:1"), name
        assert torch.cuda.current_device() == 0
        np.testing.assert_allclose(
            real.on_host(found), case.expected, rtol=0, atol=case.tolerance, err_msg=name
        )
    outputs, packed = cases()["correlation_distance"].arrays
    with pytest.raises(BackendError, match="must be in one place with"):
        correlation_distance(real.tensor(outputs), real.tensor(packed, device=1))
    side = torch.cuda.Stream(device=1)
    place = _native.cuda().Place(0, side.cuda_stream, 0, 0)
    one = real.tensor(outputs)
    ref = _native.cuda().TensorRef(one.data_ptr(), (3, 9, 6), (216, 24, 4), "float32", 0)
    out = torch.empty(3, 36, device="cuda:0")
    written = _native.cuda().TensorRef(out.data_ptr(), (3, 36), (144, 4), "float32", 0)
    with pytest.raises(RuntimeError, match="a stream of device 1 for memory of device 0"):
        _native.cuda().correlation([ref], "none", "cosine", "fma", place, written)


@pytest.mark.gpu
def test_out_of_memory_is_told_with_sizes_and_the_next_call_works(real: RealDevice) -> None:
    case = cases()["correlation"]
    expected = run(real, case)
    total = torch.cuda.get_device_properties(0).total_memory
    model = real.tensor(np.random.default_rng(8).normal(size=(1, 2000, 3)).astype(np.float32))
    many = model.expand(total // (4 * 1_999_000) + 1, 2000, 3)  # whose result is larger
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    with pytest.raises(DeviceMemoryError, match=r"correlation: cuda:0 has .* bytes wanted") as told:
        correlation(many)
    assert isinstance(told.value, MemoryError)
    del told
    assert torch.cuda.memory_allocated() == before
    np.testing.assert_array_equal(run(real, case), expected)


@pytest.mark.gpu
def test_models_more_than_two_to_the_31_elements_apart(real: RealDevice) -> None:
    apart = 2**31 + 64
    if torch.cuda.mem_get_info()[0] < 6 << 30:
        pytest.skip("less than 6 GB free on the GPU")
    near = torch.randn(2, 40, 22, generator=torch.Generator().manual_seed(2)).half()
    memory = torch.empty(apart + 40 * 22, dtype=torch.float16, device="cuda")
    far = memory.as_strided((2, 40, 22), (apart, 22, 1))
    far.copy_(near)
    found = real.on_host(correlation(far))
    np.testing.assert_array_equal(found, real.on_host(correlation(real.tensor(near))))
    assert np.abs(found - reference.correlation(near.numpy())).max() <= FLOAT32


class Foreign:
    """An array of some other library: nothing but the DLPack protocol."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor

    def __dlpack__(self, **settings: Any) -> Any:
        return self.tensor.__dlpack__(**settings)

    def __dlpack_device__(self) -> Any:
        return self.tensor.__dlpack_device__()


def test_arrays_of_other_libraries_are_taken_in_place(gpu: Gpu) -> None:
    outputs, packed = cases()["correlation_distance"].arrays
    given = [Foreign(gpu.tensor(x)) for x in (outputs, packed)]
    if isinstance(gpu, SimulatedDevice):
        for one in given:
            one.__class__ = type("OnGpu", (Foreign,), {"__dlpack_device__": lambda self: (2, 0)})
    distance = correlation_distance(*given)
    assert gpu.on(distance)
    expected = reference.correlation_distance(outputs, packed)
    np.testing.assert_allclose(gpu.on_host(distance), expected, rtol=0, atol=FLOAT32)


@pytest.mark.gpu
def test_many_suspects_of_many_widths_in_one_call(real: RealDevice) -> None:
    rng = np.random.default_rng(9)
    suspects = [rng.normal(size=(50, 2 + s % 90)).astype(np.float32) for s in range(3000)]
    placed = [real.tensor(x) for x in suspects]
    packed = real.on_host(correlation(placed))
    rows = np.concatenate([np.ones((1, 1225), np.float32), packed[:9]])
    products, squares = correlation_products(placed, real.tensor(rows))
    exact = reference.correlation(suspects[::97])
    np.testing.assert_allclose(packed[::97], exact, rtol=0, atol=FLOAT32)
    np.testing.assert_allclose(
        real.on_host(products)[::97], exact @ rows.T.astype(np.float64), rtol=0, atol=1225 * FLOAT32
    )
    np.testing.assert_allclose(
        real.on_host(squares)[::97], (exact**2).sum(1), rtol=0, atol=1225 * 2 * FLOAT32
    )
