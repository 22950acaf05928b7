"""Arrays that stay, met by suspects wherever these are.

Sources and null bank lie in CPU memory. What is compared with a suspect on a GPU must lie there
too, so a copy of it is put on each device that suspects come from, once. Internal.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sacfast.kernels import _device
from sacfast.kernels._tensors import is_torch
from sacfast.kernels.products import Outputs


class Fixed:
    """Arrays in CPU memory, and their copies on GPUs, which are let go with the object."""

    def __init__(self, arrays: Iterable[NDArray[Any]]) -> None:
        self._at: dict[int | None, list[Any]] = {None: list(arrays)}

    def beside(self, function: str, outputs: Outputs) -> list[Any]:
        """The arrays where the outputs are, which are in one place.

        Raises:
            DeviceMemoryError: If a GPU has too little memory left, with `function` as who asks.
        """
        device = device_of(outputs[0]) if len(outputs) else None
        if device is not None and device not in self._at:
            self._at[device] = [_device.placed(function, one, device) for one in self._at[None]]
        return self._at[device]


def device_of(outputs: Any) -> int | None:
    """The GPU that a model's outputs are on; None: CPU memory."""
    return _device.index_of(outputs) if is_torch(outputs) else None


def on_probes(function: str, outputs: Any, kept: NDArray[np.intp]) -> Any:
    """A copy of a model's outputs on some probes, by their numbers, where the outputs are.

    Raises:
        DeviceMemoryError: If a GPU has too little memory left, with `function` as who asks.
    """
    device = device_of(outputs)
    return outputs[kept] if device is None else _device.rows(function, outputs, kept, device)


def on_host(values: Any) -> NDArray[Any]:
    """The values in CPU memory: themselves where they are NumPy's."""
    return values if isinstance(values, np.ndarray) else _device.on_host(values)
