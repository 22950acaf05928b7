from collections.abc import Sequence
from typing import TypedDict

class TensorRef:
    def __init__(
        self, address: int, shape: Sequence[int], strides: Sequence[int], dtype: str, device: int
    ) -> None: ...
    @property
    def address(self) -> int: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def strides(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> str: ...
    @property
    def device(self) -> int: ...
    @property
    def contiguous(self) -> bool: ...
    def overlaps(self, other: TensorRef) -> bool: ...

class Place:
    def __init__(self, device: int, stream: int, scratch: int, scratch_bytes: int) -> None: ...

class Device(TypedDict):
    name: str
    compute_capability: tuple[int, int]
    memory_bytes: int
    product: str

class Devices(TypedDict):
    devices: list[Device]
    reason: str

def correlation(
    outputs: Sequence[TensorRef],
    center: str,
    kernel: str,
    product: str,
    place: Place,
    out: TensorRef,
) -> None: ...
def correlation_scratch(outputs: Sequence[TensorRef], product: str) -> tuple[int, int]: ...
def correlation_distance(
    outputs: Sequence[TensorRef],
    sources: TensorRef,
    center: str,
    kernel: str,
    product: str,
    place: Place,
    out: TensorRef,
) -> None: ...
def correlation_distance_scratch(
    outputs: Sequence[TensorRef], sources: TensorRef, product: str
) -> tuple[int, int]: ...
def correlation_products(
    outputs: Sequence[TensorRef],
    rows: TensorRef,
    origins: Sequence[TensorRef],
    center: str,
    place: Place,
    products: TensorRef,
    squares: TensorRef,
) -> None: ...
def correlation_products_scratch(
    outputs: Sequence[TensorRef], rows: TensorRef, origins: Sequence[TensorRef]
) -> tuple[int, int]: ...
def pairwise_distance(a: TensorRef, b: TensorRef | None, place: Place, out: TensorRef) -> None: ...
def pairwise_distance_scratch(a: TensorRef, b: TensorRef | None) -> tuple[int, int]: ...
def fri_features(
    probes: TensorRef, references: TensorRef, product: str, place: Place, out: TensorRef
) -> None: ...
def fri_features_scratch(
    probes: TensorRef, references: TensorRef, product: str
) -> tuple[int, int]: ...
def devices() -> Devices: ...
def build_facts() -> dict[str, str]: ...
