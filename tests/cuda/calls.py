"""The launchers of csrc/cuda called with NumPy arrays: placed on the simulated device, and back.

Nothing of the Python side of sacfast is in between, so that a test chooses product, scratch,
strides and addresses itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.hostsim.simulator import DeviceArray, Simulator


class Placed:
    """A NumPy array, or a view of `base`, in device memory, with the same strides."""

    def __init__(self, simulator: Simulator, array: Any, base: Any = None) -> None:
        whole = np.ascontiguousarray(array) if base is None else base
        view = whole if base is None else array
        self._memory = simulator.upload(whole)
        offset = view.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
        self.ref = simulator.cuda.TensorRef(
            self._memory.address + offset, view.shape, view.strides, view.dtype.name, 0
        )


def placed(simulator: Simulator, models: Any) -> list[Placed]:
    """A batch (S, N, C) as one array, a sequence of models as one each."""
    if isinstance(models, np.ndarray):
        return [Placed(simulator, models)]
    return [m if isinstance(m, Placed) else Placed(simulator, m) for m in models]


def one_placed(simulator: Simulator, array: Any) -> Placed:
    return array if isinstance(array, Placed) else Placed(simulator, array)


def refs(arrays: Sequence[Placed]) -> list[Any]:
    return [array.ref for array in arrays]


def model_count(inputs: Sequence[Placed]) -> int:
    shapes = [tuple(array.ref.shape) for array in inputs]
    return sum(shape[0] if len(shape) == 3 else 1 for shape in shapes)


def result(simulator: Simulator, shape: tuple[int, ...], dtype: Any) -> tuple[DeviceArray, Any]:
    out = simulator.empty(shape, dtype)
    ref = simulator.cuda.TensorRef(out.address, shape, out.strides, np.dtype(dtype).name, 0)
    return out, ref


class Scratch:
    """Scratch of as many bytes as are `needed`; `share` 0 is the least, 1 the most."""

    def __init__(self, simulator: Simulator, needed: tuple[int, int], share: float = 1.0) -> None:
        least, most = needed
        size = least + int((most - least) * share)
        self._memory = simulator.empty((size,), np.uint8)
        self.place = simulator.cuda.Place(0, 0, self._memory.address, size)


def correlation(
    simulator: Simulator,
    models: Any,
    *,
    center: str = "double",
    kernel: str = "cosine",
    product: str = "fma",
    share: float = 1.0,
) -> Any:
    """(S, P) of a batch or of a list of models."""
    inputs = placed(simulator, models)
    count, n = model_count(inputs), inputs[0].ref.shape[-2]
    out, out_ref = result(simulator, (count, n * (n - 1) // 2), np.float32)
    needed = simulator.cuda.correlation_scratch(refs(inputs), product)
    scratch = Scratch(simulator, needed, share)
    simulator.cuda.correlation(refs(inputs), center, kernel, product, scratch.place, out_ref)
    return out.numpy()


def fri_features(
    simulator: Simulator,
    probes: Any,
    references: Any,
    *,
    product: str = "fma",
    share: float = 1.0,
) -> Any:
    """(S, N, R) of (S, N, E) and (S, R, E)."""
    left, right = Placed(simulator, probes), Placed(simulator, references)
    count, n, _ = probes.shape
    out, out_ref = result(simulator, (count, n, references.shape[1]), np.float32)
    needed = simulator.cuda.fri_features_scratch(left.ref, right.ref, product)
    scratch = Scratch(simulator, needed, share)
    simulator.cuda.fri_features(left.ref, right.ref, product, scratch.place, out_ref)
    return out.numpy()


def correlation_distance(
    simulator: Simulator,
    models: Any,
    sources: Any,
    *,
    center: str = "double",
    kernel: str = "cosine",
    product: str = "fma",
    share: float = 1.0,
) -> Any:
    """(S, V) of a batch or a list of models and (V, P)."""
    inputs, fixed = placed(simulator, models), one_placed(simulator, sources)
    out, out_ref = result(simulator, (model_count(inputs), fixed.ref.shape[0]), np.float32)
    needed = simulator.cuda.correlation_distance_scratch(refs(inputs), fixed.ref, product)
    scratch = Scratch(simulator, needed, share)
    simulator.cuda.correlation_distance(
        refs(inputs), fixed.ref, center, kernel, product, scratch.place, out_ref
    )
    return out.numpy()


def correlation_products(
    simulator: Simulator,
    models: Any,
    rows: Any,
    origins: Any = (),
    *,
    center: str = "double",
    share: float = 1.0,
) -> tuple[Any, Any]:
    """(S, K) and (S,) of a batch or a list of models, (K, P), and K-1 models or none."""
    inputs, fixed = placed(simulator, models), one_placed(simulator, rows)
    made_of = placed(simulator, origins)
    count = model_count(inputs)
    out, out_ref = result(simulator, (count, fixed.ref.shape[0]), np.float64)
    own, own_ref = result(simulator, (count,), np.float64)
    given = refs(inputs), fixed.ref, refs(made_of)
    needed = simulator.cuda.correlation_products_scratch(*given)
    scratch = Scratch(simulator, needed, share)
    simulator.cuda.correlation_products(*given, center, scratch.place, out_ref, own_ref)
    return out.numpy(), own.numpy()
