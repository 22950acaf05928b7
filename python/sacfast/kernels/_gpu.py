"""The kernels on a GPU: scratch, stream, the way to multiply, and one call into `_cuda`.

Each kernel says how much scratch it can use and how little will do; with less than it can use it
takes the models in rounds, to the same bits. It is put on the device's current stream, and nobody
waits for it: its results are there for whatever is put on that stream next. All of it works under
the capture of a CUDA graph, once a call of the same shapes and types has run on that device outside
of one: which kernels run depends on these, and the driver may load a kernel at its first launch,
which a capture does not allow.

Arguments have been checked by the public functions: everything is on one device.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

from sacfast.errors import BackendError
from sacfast.kernels import _device
from sacfast.kernels._check import Models
from sacfast.kernels._native import cuda, devices
from sacfast.kernels._rbf import rbf
from sacfast.kernels._tensors import Array, array

_Kind = tuple[str, str, float | None]  # center, kernel, sigma: see _check.correlation_kind

_ROOM = 256 << 20  # bytes of scratch that are always worth taking
_PACKED = 64 << 20  # bytes of correlations of the rbf kernel that are held at a time


def correlation(
    function: str, models: Models, kind: _Kind, precision: str, device: int, packed: Array
) -> None:
    """Write the correlations of S models into `packed`, (S, P), or (P,) of one model."""
    center, kernel, _ = kind
    if kernel == "rbf":
        rows = packed.owner.view(models.count, -1)
        for row, outputs in zip(rows, models.tensors(), strict=True):
            _put_rbf(function, row, outputs, kind, device)
        return
    product = _product(precision, device)
    _launch(
        function,
        device,
        cuda().correlation_scratch(models.refs, product),
        lambda place: cuda().correlation(models.refs, center, kernel, product, place, packed.ref),
    )


def correlation_distance(
    function: str,
    models: Models,
    sources: Array,
    kind: _Kind,
    precision: str,
    device: int,
    distance: Array,
) -> None:
    """Write the distances (S, V) of models from packed correlations (V, P)."""
    center, kernel, _ = kind
    if kernel == "rbf":
        _rbf_distance(function, models, sources, kind, device, distance)
        return
    product = _product(precision, device)
    _launch(
        function,
        device,
        cuda().correlation_distance_scratch(models.refs, sources.ref, product),
        lambda place: cuda().correlation_distance(
            models.refs, sources.ref, center, kernel, product, place, distance.ref
        ),
    )


def correlation_products(
    function: str,
    models: Models,
    rows: Array,
    origins: Models,
    center: str,
    device: int,
    products: Array,
    squares: Array,
) -> None:
    """Write the products (S, K) of models with fixed rows (K, P), and (S,) with themselves."""
    _launch(
        function,
        device,
        cuda().correlation_products_scratch(models.refs, rows.ref, origins.refs),
        lambda place: cuda().correlation_products(
            models.refs, rows.ref, origins.refs, center, place, products.ref, squares.ref
        ),
    )


def pairwise_distance(
    function: str, a: Array, b: Array | None, device: int, distance: Array
) -> None:
    """Write the distances (A, B) of the rows of a and b; b None: of a with itself."""
    left = _float32_rows(function, a, device)
    right = None if b is None else _float32_rows(function, b, device)
    refs = (left.ref, None if right is None else right.ref)
    _launch(
        function,
        device,
        cuda().pairwise_distance_scratch(*refs),
        lambda place: cuda().pairwise_distance(*refs, place, distance.ref),
    )


def fri_features(
    function: str, probes: Array, references: Array, precision: str, device: int, scores: Array
) -> None:
    """Write the cosines (S, N, R) or (N, R) of probes and references."""
    product = _product(precision, device)
    _launch(
        function,
        device,
        cuda().fri_features_scratch(probes.ref, references.ref, product),
        lambda place: cuda().fri_features(probes.ref, references.ref, product, place, scores.ref),
    )


def _rbf_distance(
    function: str, models: Models, sources: Array, kind: _Kind, device: int, distance: Array
) -> None:
    """The same by way of correlations, a few models at a time."""
    outputs, pairs = models.tensors(), sources.shape[1]
    held = max(1, min(models.count, _PACKED // (4 * pairs)))
    packed = _device.empty(function, (held, pairs), "float32", device)
    for start in range(0, models.count, held):
        rows = distance.owner[start : start + held]
        for row, model in zip(packed, islice(outputs, len(rows)), strict=False):
            _put_rbf(function, row, model, kind, device)
        block = array(function, "outputs", packed[: len(rows)], backend="cuda")
        part = array(function, "out", rows, backend="cuda")
        pairwise_distance(function, block, sources, device, part)


def _put_rbf(function: str, row: Any, outputs: Any, kind: _Kind, device: int) -> None:
    """Write the correlations of one model, by the kernel that PyTorch computes."""
    center, _, sigma = kind
    with _device.wanting(function, 8 * len(outputs) ** 2, device):
        row.copy_(rbf(outputs, center, sigma))


def _float32_rows(function: str, given: Array, device: int) -> Array:
    rows = _device.float32_rows(function, given.owner, device)
    return array(function, given.argument, rows, backend="cuda")


def _product(precision: str, device: int) -> str:
    """How tiles are multiplied there, by the compiled module's name for it."""
    return precision if precision != "float32" else str(devices()[device]["product"])


def _launch(
    function: str, device: int, need: tuple[int, int], kernel: Callable[[Any], None]
) -> None:
    """Start a kernel on the current stream of a device, with scratch of PyTorch's allocator.

    Args:
        function: Who asks, for messages.
        device: Where the arrays are.
        need: What the kernel's `_scratch` says: the least bytes of scratch, and the most of use.
        kernel: Starts it, given the place: device, stream and scratch.

    Raises:
        DeviceMemoryError: If the device has not enough memory left.
        BackendError: If the device refuses.
    """
    least, most = need
    scratch = _device.empty(function, (min(most, max(least, _ROOM)),), "uint8", device)
    place = cuda().Place(device, _device.stream(device), scratch.data_ptr(), len(scratch))
    try:
        with _device.current(device):
            kernel(place)
    except RuntimeError as error:
        one = devices()[device]
        major, minor = one["compute_capability"]
        built = cuda().build_facts()["architectures"]
        raise BackendError(
            f"{function}: cuda:{device} ({one['name']}, compute capability {major}.{minor}) did "
            f"not take the kernels, which are built for {built}: {error}"
        ) from error
