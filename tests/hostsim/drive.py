"""Runs the kernels of a simulated module at shapes that straddle their tiles; says what is wrong.

    python tests/hostsim/drive.py MODULE correlation pairwise_distance

prints the first objection, a finding of the judge or a wrong number, and exits 3; or exits 0. The
mutation test runs it on modules from which a barrier, a guard or a wait was taken.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent.parent)

import numpy as np

from sacfast.kernels import reference
from tests.hostsim.simulator import DeviceArray, Simulator, open_module

#: |error| against float64 that no product exceeds; the kernels' own tests have the sharp bounds.
TOLERANCE = {"fma": 1e-5, "tf32x3": 1e-5, "bfloat16": 2e-2}
ORDERS = [(0, 0), (1, 0), (7, 0), (8, 6)]  # seed, preempt
PRODUCTS = ("fma", "tf32x3", "bfloat16")


OBJECTED = 3  # the exit status


class Objection(Exception):
    """What the judge or the comparison with the oracle says."""


class Drive:
    """One module under way: arrays, scratch, orders, and what came out of them."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.cuda = simulator.cuda
        self.kept: list[DeviceArray] = []
        self.rng = np.random.default_rng(1)
        self.runs = 0

    def outputs(self, *shape: int, dtype: str = "float32") -> Any:
        return self.rng.standard_normal(shape).astype(dtype)

    def place(self, array: Any, *, offset: int = 0) -> Any:
        """A TensorRef of the array in device memory, `offset` bytes behind an aligned address."""
        raw = np.frombuffer(b"\0" * offset + array.tobytes(), np.uint8)
        self.kept.append(self.simulator.upload(raw))
        return self.cuda.TensorRef(
            self.kept[-1].address + offset, array.shape, array.strides, str(array.dtype), 0
        )

    def call(
        self,
        name: str,
        *arguments: Any,
        shapes: dict[str, tuple[tuple[int, ...], str]],
        need: tuple[int, int],
        expected: dict[str, Any],
        tolerance: float,
        **kind: Any,
    ) -> None:
        """One function with the least and the most scratch, in one order after the other."""
        for size in sorted(set(need)):
            seed, preempt = ORDERS[self.runs % len(ORDERS)]
            self.runs += 1
            self.simulator.configure(seed=seed, preempt=preempt)
            self.simulator.machine((8, 0, 1 + self.runs % 3))
            scratch = self.simulator.empty((max(size, 1),), np.uint8)
            made = {key: self.simulator.empty(*shape) for key, shape in shapes.items()}
            refs = {
                key: self.cuda.TensorRef(
                    array.address, array.shape, array.strides, str(array.dtype), 0
                )
                for key, array in made.items()
            }
            place = self.cuda.Place(0, 0, scratch.address, size)
            what = f"{name}{tuple(kind.values())}, {size} bytes of scratch, seed {seed}"
            try:
                getattr(self.cuda, name)(*arguments, **kind, place=place, **refs)
            except (RuntimeError, ValueError) as error:
                raise Objection(f"{what}: {[*self.simulator.findings(), error][0]}") from error
            if found := self.simulator.findings():
                raise Objection(f"{what}: {found[0]}")
            for key, array in made.items():
                self.compare(f"{what}: {key}", array.numpy(), expected[key], tolerance)

    def compare(self, what: str, values: Any, expected: Any, tolerance: float) -> None:
        wrong = ~(np.abs(values - expected) <= tolerance) & ~(np.isnan(values) & np.isnan(expected))
        if wrong.any():
            at = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise Objection(f"{what} at {at} is {values[at]}, expected {expected[at]}")

    # ---- the functions --------------------------------------------------------------------------

    def correlation(
        self,
        models: list[Any],
        *,
        center: str = "double",
        kernel: str = "cosine",
        product: str = "fma",
        offset: int = 0,
    ) -> None:
        refs = [self.place(model, offset=offset) for model in models]
        count, pairs = len(models), len(models[0]) * (len(models[0]) - 1) // 2
        expected = reference.correlation(models, center=center, **kind_of(kernel))
        self.call(
            "correlation",
            refs,
            center=center,
            kernel=kernel,
            product=product,
            shapes={"out": ((count, pairs), "float32")},
            need=self.cuda.correlation_scratch(refs, product),
            expected={"out": expected},
            tolerance=TOLERANCE[product],
        )

    def correlation_distance(
        self,
        models: list[Any],
        sources: int,
        *,
        center: str = "double",
        kernel: str = "cosine",
        product: str = "fma",
        dtype: str = "float32",
        offset: int = 0,
    ) -> None:
        refs = [self.place(model) for model in models]
        pairs = len(models[0]) * (len(models[0]) - 1) // 2
        fixed = self.rng.uniform(-1, 1, (sources, pairs)).astype(dtype)
        rows = self.place(fixed, offset=offset)
        expected = reference.correlation_distance(
            models,
            fixed,
            center=center,
            kernel=kernel.partition("_")[0],
            rbf_normalized="_" in kernel,
        )
        self.call(
            "correlation_distance",
            refs,
            rows,
            center=center,
            kernel=kernel,
            product=product,
            shapes={"out": ((len(models), sources), "float32")},
            need=self.cuda.correlation_distance_scratch(refs, rows, product),
            expected={"out": expected},
            tolerance=TOLERANCE[product],
        )

    def correlation_products(
        self,
        models: list[Any],
        origins: list[Any],
        *,
        by_classes: bool,
        center: str = "double",
    ) -> None:
        refs = [self.place(model) for model in models]
        c = reference.correlation(models, center=center)
        rows = np.concatenate(
            [np.ones((1, c.shape[1])), reference.correlation(origins, center=center)]
        ).astype(np.float32)
        fixed = self.place(rows)
        made_of = [self.place(origin) for origin in origins] if by_classes else []
        self.call(
            "correlation_products",
            refs,
            fixed,
            made_of,
            center=center,
            shapes={
                "products": ((len(models), len(rows)), "float64"),
                "squares": ((len(models),), "float64"),
            },
            need=self.cuda.correlation_products_scratch(refs, fixed, made_of),
            expected={
                "products": reference.inner_products(c, rows),
                "squares": (c * c).sum(axis=1),
            },
            tolerance=TOLERANCE["fma"] * c.shape[1],
        )

    def pairwise_distance(self, a: Any, b: Any = None, *, offset: int = 0) -> None:
        left = self.place(a, offset=offset)
        right = None if b is None else self.place(b, offset=offset)
        expected = reference.pairwise_distance(a, a if b is None else b)
        self.call(
            "pairwise_distance",
            left,
            right,
            shapes={"out": (expected.shape, "float32")},
            need=self.cuda.pairwise_distance_scratch(left, right),
            expected={"out": expected},
            tolerance=1e-5,
        )

    def fri_features(self, probes: Any, references: Any, *, product: str = "fma") -> None:
        left, right = self.place(probes), self.place(references)
        expected = reference.fri_features(probes, references)
        self.call(
            "fri_features",
            left,
            right,
            product=product,
            shapes={"out": (expected.shape, "float32")},
            need=self.cuda.fri_features_scratch(left, right, product),
            expected={"out": expected},
            tolerance=TOLERANCE[product],
        )


def kind_of(kernel: str) -> dict[str, Any]:
    """The oracle's words for a kernel."""
    return {"kernel": kernel.partition("_")[0], "rbf_normalized": "_" in kernel}


# ---- the shapes, small ones first ----------------------------------------------------------------


def ragged(drive: Drive, n: int, *classes: int) -> list[Any]:
    return [drive.outputs(n, c) for c in classes]


def correlations(drive: Drive) -> Iterator[Callable[[], None]]:
    for n in (2, 31, 33, 65):
        for product in PRODUCTS:
            models = ragged(drive, n, 9, 7, 17, 2)
            yield lambda m=models, p=product: drive.correlation(m, product=p)
    for n in (65, 97, 130):
        for product in PRODUCTS:
            models = ragged(drive, n, 33, 70, 3)
            yield lambda m=models, p=product: drive.correlation(
                m, product=p, kernel="rbf_normalised"
            )
    for dtype, offset in (("float16", 1), ("float64", 4), ("float32", 2)):
        models = [drive.outputs(40, 11, dtype=dtype) for _ in range(5)]
        for center in ("none", "row", "double"):
            yield lambda m=models, c=center, o=offset: drive.correlation(m, center=c, offset=o)
    alike = [drive.outputs(20, 10) for _ in range(40)]
    yield lambda: drive.correlation(alike, center="row")
    mixed = ragged(drive, 3, *(1 + i % 5 for i in range(300)))
    yield lambda: drive.correlation(mixed)


def distances(drive: Drive) -> Iterator[Callable[[], None]]:
    for n, sources in ((2, 1), (31, 3), (33, 5), (65, 9), (97, 20)):
        for product in PRODUCTS:
            models = ragged(drive, n, 9, 7, 17, 2, 5)
            yield lambda m=models, p=product, v=sources: drive.correlation_distance(m, v, product=p)
    for n in (33, 40, 70):
        models = ragged(drive, n, 9, 7)
        yield lambda m=models: drive.correlation_distance(m, 3, kernel="rbf_normalised")
    for dtype, offset in (("float16", 1), ("float64", 0), ("float32", 2)):
        models = ragged(drive, 40, 11, 3)
        yield lambda m=models, d=dtype, o=offset: drive.correlation_distance(
            m, 4, dtype=d, offset=o
        )
    alike = [drive.outputs(40, 5) for _ in range(20)]
    yield lambda: drive.correlation_distance(alike, 6, kernel="rbf_normalised")


def products(drive: Drive) -> Iterator[Callable[[], None]]:
    for n, origins in ((2, 1), (33, 2), (65, 8), (97, 5)):
        models = ragged(drive, n, 9, 7, 17, 2, 5)
        made_of = ragged(drive, n, *(3 + 2 * k for k in range(origins)))
        for by_classes in (False, True):
            yield lambda m=models, o=made_of, c=by_classes: drive.correlation_products(
                m, o, by_classes=c
            )
    for n in (130, 200):
        models, made_of = ragged(drive, n, 2, 3, 2, 7), ragged(drive, n, 2, 3, 5, 2)
        yield lambda m=models, o=made_of: drive.correlation_products(m, o, by_classes=True)
    models, made_of = [drive.outputs(200, 20) for _ in range(80)], ragged(drive, 200, 20)
    yield lambda: drive.correlation_products(models, made_of, by_classes=True)


def pairwise(drive: Drive) -> Iterator[Callable[[], None]]:
    for a, b, pairs in ((1, 1, 1), (3, 5, 33), (65, 20, 66), (63, 65, 100), (130, 3, 45)):
        left, right = drive.outputs(a, pairs), drive.outputs(b, pairs)
        yield lambda x=left, y=right: drive.pairwise_distance(x, y)
        yield lambda x=left, y=right: drive.pairwise_distance(x, y, offset=4)
        yield lambda x=left: drive.pairwise_distance(x)
    for a, pairs in ((5, 1500), (3, 20000), (66, 129), (140, 64)):
        left = drive.outputs(a, pairs)
        yield lambda x=left: drive.pairwise_distance(x)
        yield lambda x=left: drive.pairwise_distance(x, x[:2])


def faces(drive: Drive) -> Iterator[Callable[[], None]]:
    for n, r, e in ((1, 1, 1), (33, 2, 9), (65, 31, 7), (3, 70, 70), (65, 130, 17)):
        for product in PRODUCTS:
            left, right = drive.outputs(2, n, e), drive.outputs(2, r, e)
            yield lambda x=left, y=right, p=product: drive.fri_features(x, y, product=p)


CASES = {
    "correlation": correlations,
    "correlation_distance": distances,
    "correlation_products": products,
    "pairwise_distance": pairwise,
    "fri_features": faces,
}


def objection(simulator: Simulator, functions: list[str]) -> str | None:
    """The first objection to any of the functions, or None."""
    for function in functions:
        drive = Drive(simulator)
        for case in CASES[function](drive):
            try:
                case()
            except Objection as found:
                return str(found)
            drive.kept.clear()
    return None


def main() -> int:
    found = objection(open_module(Path(sys.argv[1])), sys.argv[2:] or list(CASES))
    if found is None:
        return 0
    print(found)
    return OBJECTED


if __name__ == "__main__":
    sys.exit(main())
