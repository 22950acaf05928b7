"""What contests share: sacfast with each way of multiplying, and on the CPU; models on the GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.cuda.race import BFLOAT16_TOLERANCE, FLOAT32_TOLERANCE, Runner, rows
from benchmarks.kernels.data import (
    OWN_TOLERANCE,
    mean_tolerance,
    outputs,
    packed_oracle,
    product_tolerance,
    upper,
)
from sacfast.kernels._native import devices

__all__ = [
    "cpu",
    "mean_tolerance",
    "outputs",
    "own",
    "packed_oracle",
    "product_tolerance",
    "products",
    "upper",
]


def products() -> list[str]:
    """The ways to multiply float32, that of this GPU first."""
    chosen = str(devices()[0]["product"])
    return [chosen, *(one for one in ("fma", "tf32x3") if one != chosen)]


def own(
    call: Callable[[int, str], Any],
    total: int,
) -> list[Runner]:
    """sacfast as it runs by itself, with the other way of multiplying, and in bfloat16.

    Args:
        call: Does the first units in a precision.
        total: Units of the shape.
    """

    def runner(name: str, precision: str, product: str, tolerance: float) -> Runner:
        def run(count: int) -> Any:
            return call(count, precision)

        return Runner(name, "sacfast", run, rows, total, tolerance, product=product)

    chosen, *others = products()
    made = [runner("sacfast", "float32", chosen, FLOAT32_TOLERANCE)]
    made += [runner(f"sacfast, {one}", "float32", one, FLOAT32_TOLERANCE) for one in others]
    made.append(runner("sacfast, bfloat16", "bfloat16", "bfloat16", BFLOAT16_TOLERANCE))
    return made


def cpu(call: Callable[[int], Any], total: int, power: int = 1) -> Runner:
    """sacfast on the CPU, with all its cores."""
    return Runner("sacfast on the CPU", "cpu", call, rows, total, OWN_TOLERANCE, power, cpu=True)
