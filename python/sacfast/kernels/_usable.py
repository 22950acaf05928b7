"""Which probes a model on a GPU answered in a way that can be compared, by PyTorch.

The outputs are read twice, a block of models at a time, and nothing of their size is held: a row is
finite if its largest and its smallest number are, and varies if these differ. Two masks come back
to the CPU, for which the device is waited for once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sacfast.kernels._check import Models
from sacfast.kernels._device import on_host, wanting

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK = 1 << 26  # numbers that are looked at at a time


def usable_rows(models: Models, constants: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """(S, N) and (S,) bool, as products.usable_rows has it, of S > 0 models on one device.

    Raises:
        DeviceMemoryError: If the device has not enough memory left.
    """
    first = models.arrays[0]
    held = min(_BLOCK, models.count * first.shape[-2] * first.shape[-1])  # bools
    with wanting("usable_rows", held, first.device or 0):
        found = on_host(_masks(models, constants))
    return found[:, :-1], found[:, -1]


def _masks(models: Models, constants: bool) -> Any:
    """(S, N + 1) bool, both side by side."""
    import torch

    masks = []
    for block in _blocks(models):
        low, high = block.aminmax(dim=2)  # NaN if one number is
        usable = low.isfinite() & high.isfinite()
        if not constants:
            usable &= low != high
        first = usable.to(torch.uint8).argmax(dim=1)  # any usable row would do
        model = torch.arange(len(block), device=block.device)
        equal = (block == block[model, first][:, None]).all(dim=2)
        same = (equal | ~usable).all(dim=1, keepdim=True)
        masks.append(torch.cat([usable, same], dim=1))
    return torch.cat(masks)


def _blocks(models: Models) -> Iterator[Any]:
    """The outputs as (s, N, C) tensors, views."""
    for given in models.arrays:
        batch = given.owner if len(given.shape) == 3 else given.owner[None]
        yield from batch.split(max(1, _BLOCK // (given.shape[-2] * given.shape[-1])))
