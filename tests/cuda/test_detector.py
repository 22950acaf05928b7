"""Suspects on a GPU, here the simulator's: scores of the CPU's worth, and nothing moved in vain."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from sacfast import Detector
from sacfast.detector import GPU_TIE, Scores
from sacfast.errors import BackendError, DeviceMemoryError, ShapeError
from sacfast.kernels import _gpu, _usable
from sacfast.kernels.products import usable_rows
from tests.cuda.device import SimulatedDevice, installed
from tests.oracle import packed, partial_scores
from tests.tolerances import SCORE

N, C, MEMBERS = 70, 6, 12  # 2415 pairs: enough for products on the GPU


@pytest.fixture
def gpu(plain: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedDevice]:
    yield from installed(plain, monkeypatch)


class World:
    """Two sources, a bank, and suspects: copies nearer and farther, and innocents."""

    def __init__(self, seed: int = 5, probes: int = N, spread: float = 1.0) -> None:
        rng = np.random.default_rng(seed)
        common = rng.normal(size=(probes, C))

        def models(count: int) -> Any:
            noise = rng.normal(size=(count, probes, C))
            return (common + spread * noise).astype(np.float32)

        self.sources, self.bank, self.suspects = models(2), models(MEMBERS), models(9)
        near = np.array([0, 0.01, 0.5], np.float32)[:, None, None]
        self.suspects[:3] = self.sources[0] + near * self.suspects[:3]

    def detector(self, **settings: Any) -> Detector:
        return Detector(self.sources, self.bank, **settings)


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def assert_as_on_the_cpu(found: Scores, expected: Scores, tolerance: float = SCORE) -> None:
    """Scores alike; all else that depends on no score equal; p no smaller."""
    assert all(isinstance(x, np.ndarray) for x in (found.score, found.z, found.p, found.dropped))
    np.testing.assert_allclose(found.score, expected.score, rtol=0, atol=tolerance)
    np.testing.assert_allclose(found.z, expected.z, rtol=1e-3, atol=1e-3)
    assert not (found.p < expected.p).any()
    np.testing.assert_array_equal(np.isnan(found.p), np.isnan(expected.p))
    np.testing.assert_array_equal(found.dropped, expected.dropped)
    assert found.reasons == expected.reasons
    assert found.p_floor == expected.p_floor


# ---- values --------------------------------------------------------------------------------------


def test_scores_equal_the_method(gpu: SimulatedDevice, world: World) -> None:
    detector = world.detector()
    found = detector.scores(gpu.tensor(world.suspects))
    expected, _ = partial_scores(world.suspects, world.sources, world.bank)
    np.testing.assert_allclose(found.score, expected, rtol=0, atol=SCORE)
    assert found.score[0, 0] == pytest.approx(1, abs=1e-6)  # the source's own outputs
    on_cpu = detector.scores(world.suspects)
    assert_as_on_the_cpu(found, on_cpu)
    assert (found.score != on_cpu.score).any()  # not the CPU's products


@pytest.mark.parametrize("method", ["pearson", "paper"])
def test_methods_without_the_bank(gpu: SimulatedDevice, world: World, method: Any) -> None:
    detector = world.detector(method=method)
    found = detector.scores(gpu.tensor(world.suspects))
    assert_as_on_the_cpu(found, detector.scores(world.suspects), 1e-6)
    suspects, source = [packed(o) for o in world.suspects], packed(world.sources[0])
    expected = [np.corrcoef(o, source)[0, 1] for o in suspects]
    if method == "paper":
        raw = packed(world.sources[0], "none")
        expected = [np.abs(packed(o, "none") - raw).mean() for o in world.suspects]
    np.testing.assert_allclose(found.score[:, 0], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_lists_of_tensors_of_any_type_and_width(
    gpu: SimulatedDevice, world: World, dtype: torch.dtype
) -> None:
    detector = world.detector()
    given = [torch.from_numpy(o[:, : 3 + s % 4]).to(dtype) for s, o in enumerate(world.suspects)]
    placed = [gpu.tensor(o).requires_grad_(True) for o in given]
    assert_as_on_the_cpu(detector.scores(placed), detector.scores([o.double() for o in given]))


def test_any_batch_gives_the_same_bits(gpu: SimulatedDevice, world: World) -> None:
    detector, suspects = world.detector(), gpu.tensor(world.suspects)
    whole = detector.scores(suspects)
    for some in (slice(0, 1), slice(4, 9)):
        part = detector.scores(suspects[some])
        listed = detector.scores(list(suspects[some]))
        for values in (part, listed):
            np.testing.assert_array_equal(values.score, whole.score[some])
            np.testing.assert_array_equal(values.p, whole.p[some])


def test_under_the_judge(checked: Any, monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    checked.configure(seed=3, preempt=50)
    for gpu in installed(checked, monkeypatch):
        suspects = world.suspects[:2].copy()
        suspects[1, 4] = np.nan  # rows that PyTorch takes out
        detector = Detector(world.sources, world.bank[:3])
        found = detector.scores(gpu.tensor(suspects))
        assert_as_on_the_cpu(found, detector.scores(suspects))


# ---- probes that can't be used -------------------------------------------------------------------


@pytest.mark.parametrize("method", ["partial", "paper"])
def test_probes_that_suspects_miss(gpu: SimulatedDevice, world: World, method: Any) -> None:
    suspects = world.suspects.copy()
    suspects[1, 3] = np.nan
    suspects[2, [7, 30], 2] = np.inf
    suspects[3, 9] = 4.0
    suspects[4, :15] = np.nan
    suspects[5] = suspects[5, :1]
    suspects[6] = np.nan
    detector = world.detector(method=method)
    expected = detector.scores(suspects)
    assert sum(reason is not None for reason in expected.reasons) == 3
    assert_as_on_the_cpu(detector.scores(gpu.tensor(suspects)), expected)
    assert_as_on_the_cpu(detector.scores([gpu.tensor(o) for o in suspects]), expected)


@pytest.mark.parametrize("block", [1 << 26, 100, 1])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_usable_rows_are_the_cpu_s(
    gpu: SimulatedDevice, monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, block: int
) -> None:
    monkeypatch.setattr(_usable, "_BLOCK", block)
    batch = torch.from_numpy(np.random.default_rng(1).normal(size=(7, 8, 5))).to(dtype)
    batch[1, 2] = 3.0
    batch[2, 3, -1] = torch.nan
    batch[3, 4, 0], batch[3, 5, 1] = torch.inf, -torch.inf
    batch[4] = batch[4, :1]
    batch[4, [0, 7]] = torch.nan
    batch[5, 6] = 0.0
    batch[5, 6, -1] = -0.0
    batch[6] = torch.nan
    for constants in (False, True):
        expected = usable_rows(batch, constants=constants)
        placed = gpu.tensor(batch)
        for given in (placed, list(placed), gpu.tensor(batch.mT.contiguous()).mT):
            for found, mask in zip(usable_rows(given, constants=constants), expected, strict=True):
                np.testing.assert_array_equal(found, mask)
                assert found.dtype == np.bool_


def test_usable_rows_of_models_of_several_widths_and_of_none(gpu: SimulatedDevice) -> None:
    models = [np.random.default_rng(c).normal(size=(4, c)) for c in (1, 2, 5)]
    for found, mask in zip(
        usable_rows([gpu.tensor(o) for o in models]), usable_rows(models), strict=True
    ):
        np.testing.assert_array_equal(found, mask)
    usable, same = usable_rows(gpu.tensor(np.zeros((0, 4, 3))))
    assert usable.shape == (0, 4)
    assert same.shape == (0,)


def test_no_suspects(gpu: SimulatedDevice, world: World) -> None:
    found = world.detector().scores(gpu.tensor(world.suspects[:0]))
    assert found.score.shape == found.p.shape == (0, 2)


# ---- ties ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "product"), [("pearson", "fma"), ("paper", "fma"), ("paper", "tf32x3")]
)
def test_a_member_s_own_outputs_tie_with_it(
    gpu: SimulatedDevice, monkeypatch: pytest.MonkeyPatch, world: World, method: Any, product: str
) -> None:
    monkeypatch.setattr(_gpu, "_product", lambda precision, device: product)
    detector = world.detector(method=method)
    found = detector.scores(gpu.tensor(world.bank))
    sign = -1 if method == "paper" else 1
    null = sign * detector.null_scores
    assert (sign * found.score > null).any()  # by rounding: without a tie p would be too small
    reached = (null[None] >= null[:, None] - 1e-7).sum(axis=1)
    np.testing.assert_array_equal(found.p, (1 + reached) / (1 + MEMBERS))


@pytest.mark.parametrize("method", ["partial", "pearson", "paper"])
def test_members_that_answer_as_the_source_does(
    gpu: SimulatedDevice, world: World, method: Any
) -> None:
    for k in (1, 5):
        bank = np.concatenate([np.repeat(world.sources[:1], k, axis=0), world.bank])
        found = Detector(world.sources[:1], bank, method=method).scores(
            gpu.tensor(world.sources[:1])
        )
        assert found.p[0, 0] == pytest.approx((k + 1) / (len(bank) + 1))


def test_no_p_is_smaller_than_the_cpu_s(gpu: SimulatedDevice) -> None:
    # Models so alike that the bank leaves a thirtieth of them, where rounding weighs most.
    world = World(seed=2, spread=0.16)
    detector = world.detector()
    suspects = np.concatenate([world.suspects, World(seed=2, spread=0.2).suspects])
    on_cpu, found = detector.scores(suspects), detector.scores(gpu.tensor(suspects))
    assert_as_on_the_cpu(found, on_cpu)
    # So that no null score falls between the two: half of the tie at the most is rounding.
    assert 0 < np.abs(found.score - on_cpu.score).max() <= GPU_TIE / 2


# ---- what stays where it is ----------------------------------------------------------------------


def test_sources_and_bank_are_put_on_the_device_once(gpu: SimulatedDevice, world: World) -> None:
    before = gpu.simulator.live_allocations
    detector = world.detector()
    suspects = gpu.tensor(world.suspects)
    detector.scores(suspects)
    fixed = [shape for function, shape, _, _ in gpu.taken if function == "Detector.scores"]
    assert fixed == [(1 + MEMBERS + 2, N * (N - 1) // 2)] + [(N, C)] * (MEMBERS + 2)
    gpu.taken.clear()
    detector.scores(suspects[2:])
    assert {function for function, *_ in gpu.taken} == {"correlation_products"}
    del detector, suspects
    gc.collect()
    assert gpu.simulator.live_allocations == before


def test_what_needs_float64_goes_the_cpu_s_way(gpu: SimulatedDevice, world: World) -> None:
    detector = world.detector()
    few = World(probes=64).detector()
    # A member of the bank is all but explained by it; 64 probes are 2016 pairs.
    for one, outputs in ((detector, world.bank), (few, World(probes=64).suspects)):
        found = one.scores(gpu.tensor(outputs))
        np.testing.assert_array_equal(found.score, one.scores(outputs).score)
    assert few.scores(gpu.tensor(World(probes=64).suspects).half()).score.shape == (9, 2)


def test_each_device_has_its_copy(gpu: SimulatedDevice, world: World) -> None:
    gpu.simulator.machine((8, 0, 3), (9, 0, 2))
    detector = world.detector()
    first = detector.scores(gpu.tensor(world.suspects, device=0))
    gpu.taken.clear()
    second = detector.scores(gpu.tensor(world.suspects, device=1))
    assert {device for *_, device in gpu.taken} == {1}
    np.testing.assert_array_equal(first.score, second.score)


# ---- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "option"),
    [
        ({"method": "balanced"}, 'method="balanced"'),
        ({"form": "fri"}, 'form="fri"'),
        ({"form": "direct"}, 'form="direct"'),
    ],
)
def test_what_has_no_gpu_form(
    gpu: SimulatedDevice, world: World, settings: Any, option: str
) -> None:
    with pytest.raises(
        BackendError,
        match=rf"(?s)Detector.scores: `outputs` must be in CPU memory for {option}, got a tensor "
        r"on cuda:0.*hint: pass outputs.cpu\(\)",
    ):
        world.detector(**settings).scores(gpu.tensor(world.suspects))


def test_suspects_in_several_places(gpu: SimulatedDevice, world: World) -> None:
    gpu.simulator.machine((8, 0, 3), (9, 0, 2))
    detector, (a, b) = world.detector(), world.suspects[:2]
    with pytest.raises(BackendError, match=r"`outputs\[1\]` must be in one place with `outputs\["):
        detector.scores([gpu.tensor(a), b])
    with pytest.raises(BackendError, match=r"Detector.scores: `outputs\[1\]` must be in one place"):
        detector.scores([gpu.tensor(a), gpu.tensor(b, device=1)])


def test_sources_and_bank_are_in_cpu_memory(gpu: SimulatedDevice, world: World) -> None:
    with pytest.raises(BackendError, match="Detector: `sources` must be in CPU memory"):
        Detector(gpu.tensor(world.sources), world.bank)


def test_other_shapes(gpu: SimulatedDevice, world: World) -> None:
    detector = world.detector()
    with pytest.raises(ShapeError, match=r"Detector.scores: `outputs` must be \(S, N, C\) or"):
        detector.scores(gpu.tensor(world.suspects[0]))
    with pytest.raises(ShapeError, match=r"`outputs\[1\]` must have the 70 probes of `sources\["):
        detector.scores([gpu.tensor(world.suspects[0]), gpu.tensor(world.suspects[0, :69])])


def test_too_little_memory_is_told_and_the_next_call_works(
    gpu: SimulatedDevice, world: World
) -> None:
    detector, suspects = world.detector(), gpu.tensor(world.suspects)
    expected = world.detector().scores(suspects)
    for free in (1000, 150_000):  # not even the rows, then no scratch
        gpu.free = free
        with pytest.raises(DeviceMemoryError, match=r"cuda:0 has .* bytes wanted"):
            detector.scores(suspects)
    gpu.free = 8 << 30
    np.testing.assert_array_equal(detector.scores(suspects).score, expected.score)
