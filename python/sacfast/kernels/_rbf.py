"""The rbf kernel with a width of its own, on a GPU: float64, by PyTorch, a model at a time.

For parity with the CPU, not for speed: exp(-||a_i - a_j||² / (2 sigma²)) needs distances, which no
product of tensor cores gives to float32's accuracy, and where sigma is the median of the model's
own distances a sort of them. A model's square of distances is held while it is worked on, never
those of two. Nothing waits for the device.
"""

from __future__ import annotations

from typing import Any


def rbf(outputs: Any, center: str, sigma: float | None) -> Any:
    """(N, C) tensor of floats -> (P,) float64, as kernels/reference.py has it.

    Args:
        outputs: One model's outputs, on the device.
        center: See `correlation`.
        sigma: See `correlation`.
    """
    import torch

    a = outputs.to(torch.float64)
    if center in ("row", "double"):
        a = a - _mean(a, 1)
    if center == "double":
        a = a - _mean(a, 0)
    a = a + (a - a)  # NaN where it is infinite: that says nothing of how far apart rows are
    largest = a.abs().where(~a.isnan(), 0.0).amax()
    scale = torch.where(largest > 0, largest, torch.ones_like(largest))
    n = len(a)
    rows, columns = torch.triu_indices(n, n, 1, device=a.device)
    square = torch.cdist(a / scale, a / scale, compute_mode="donot_use_mm_for_euclid_dist")
    distance = square[rows, columns] * scale
    if sigma is None:
        middle = _median(distance)
        width = torch.where(middle == 0, torch.ones_like(middle), middle)
    else:
        width = torch.full_like(scale, sigma)
    return torch.exp(-0.5 * (distance / width) ** 2)


def _mean(a: Any, axis: int) -> Any:
    """The mean, and the mean of what is left: a constant comes out to the last bit or two."""
    first = a.mean(dim=axis, keepdim=True)
    return first + (a - first).mean(dim=axis, keepdim=True)


def _median(values: Any) -> Any:
    """Of an even number the mean of the middle two; NaN where one is NaN; 1 of nothing."""
    if not len(values):
        return values.new_ones(())
    ordered = values.sort().values  # NaN last
    middle = (ordered[(len(values) - 1) // 2] + ordered[len(values) // 2]) / 2
    return middle.where(~ordered[-1].isnan(), ordered[-1])
