"""Checks of arguments that several kernels share; each error is worded in one place."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from sacfast.errors import ArgumentError, BackendError, DtypeError, ShapeError
from sacfast.kernels._tensors import Array, array

CENTERS = ("double", "row", "none")
KERNELS = ("cosine", "rbf")
BACKENDS = ("auto", "cpu", "cuda")
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class Models:
    """The outputs of S models on N probes."""

    arrays: tuple[Array, ...]  # one (S, N, C), or S times (N, C_s)
    count: int  # S
    probes: int | None  # N; None for an empty list
    single: bool  # one model was given as (N, C)

    @property
    def refs(self) -> list[Any]:
        """What the kernels take."""
        return [one.ref for one in self.arrays]

    def tensors(self) -> Iterator[Any]:
        """The models one by one, (N, C_s); of tensors, views."""
        for given in self.arrays:
            yield from (given.owner if len(given.shape) == 3 else (given.owner,))


def models(
    function: str, argument: str, value: Any, *, one: bool, backend: str | None = None
) -> Models:
    """Read (S, N, C), a list of (N, C_s) or, where `one` allows it, (N, C).

    Raises:
        ShapeError: If it has any other shape, no probes or no classes, or lists differ in N.
        DtypeError: If it is no floating-point array.
        BackendError: If its memory is not where `backend` runs.
    """
    if isinstance(value, (list, tuple)):
        arrays = tuple(
            array(function, f"{argument}[{s}]", item, backend=backend)
            for s, item in enumerate(value)
        )
        for s, item in enumerate(arrays):
            if len(item.shape) != 2:
                raise ShapeError(f"{function}: `{argument}[{s}]` must be (N, C), got {item.shape}")
            if item.shape[0] != arrays[0].shape[0]:
                raise ShapeError(
                    f"{function}: `{argument}[{s}]` must have N = {arrays[0].shape[0]} probes "
                    f"like `{argument}[0]`, got {item.shape[0]}"
                )
        found = Models(arrays, len(arrays), arrays[0].shape[0] if arrays else None, False)
    else:
        given = array(function, argument, value, backend=backend)
        axes = len(given.shape)
        if axes == 2 and one:
            found = Models((given,), 1, given.shape[0], True)
        elif axes == 3:
            found = Models((given,), given.shape[0], given.shape[1], False)
        else:
            wanted = "(S, N, C) or (N, C)" if one else "(S, N, C)"
            hint = f"for one suspect pass {argument}[None]" if axes == 2 else None
            raise ShapeError(
                f"{function}: `{argument}` must be {wanted}, got {given.shape}", hint=hint
            )
    for item in found.arrays:
        if 0 in item.shape[-2:]:
            raise ShapeError(
                f"{function}: `{argument}` must have at least one probe and one class, "
                f"got {item.shape}"
            )
    return found


def matrix(
    function: str, argument: str, value: Any, letters: str, backend: str | None = None
) -> Array:
    """Read an array of two axes, named by `letters`, e.g. "(V, P)".

    Raises:
        ShapeError: If it has another number of axes.
        DtypeError: If it is no floating-point array.
        BackendError: If its memory is not where `backend` runs.
    """
    given = array(function, argument, value, backend=backend)
    if len(given.shape) != 2:
        hint = f"for one row pass {argument}[None]" if len(given.shape) == 1 else None
        raise ShapeError(
            f"{function}: `{argument}` must be {letters}, got {given.shape}", hint=hint
        )
    return given


def choice(function: str, argument: str, value: object, choices: tuple[str, ...]) -> None:
    """Check that `value` is one of `choices`.

    Raises:
        ArgumentError: If it is not.
    """
    if not isinstance(value, str) or value not in choices:
        raise ArgumentError(
            f"{function}: `{argument}` must be one of {listed(choices)}, got {value!r}"
        )


def listed(names: tuple[str, ...]) -> str:
    """`"a", "b"`, for a message."""
    return ", ".join(f'"{name}"' for name in names)


def integer(function: str, argument: str, value: object, least: int) -> int:
    """Read an integer of any type that counts as one.

    Raises:
        DtypeError: If it is no integer.
        ArgumentError: If it is below `least`.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise DtypeError(f"{function}: `{argument}` must be an integer, got {type(value).__name__}")
    if value < least:
        raise ArgumentError(f"{function}: `{argument}` must be >= {least}, got {value}")
    return int(value)


def backend(function: str, value: object) -> str:
    """Check that a backend has this name; whether it can run is known with the arrays.

    Raises:
        ArgumentError: If none has.
    """
    choice(function, "backend", value, BACKENDS)
    return str(value)


def precision(function: str, value: object, device: int | None, kernel: str = "cosine") -> str:
    """Check that products can be taken like this where the arrays are.

    Raises:
        ArgumentError: If no precision has this name, or the kernel needs more.
        BackendError: If it is a GPU's and the arrays are in CPU memory.
    """
    choice(function, "precision", value, PRECISIONS)
    if value != "float32" and device is None:
        raise BackendError(
            f'{function}: `precision` must be "float32" for arrays in CPU memory, got {value!r}',
            hint="it is a fast path of the GPU: pass tensors that are on one",
        )
    if value != "float32" and kernel == "rbf":
        raise ArgumentError(
            f'{function}: `precision` must be "float32" for kernel="rbf" that is not normalised, '
            f"got {value!r}"
        )
    return str(value)


def correlation_kind(
    function: str, center: object, kernel: object, sigma: object, rbf_normalized: object
) -> tuple[str, str, float | None]:
    """Return center, the kernel's name in the compiled module, and sigma.

    Raises:
        ArgumentError: If a name is unknown, `sigma` is not positive and finite, or a setting of
            the rbf kernel is given to another.
        DtypeError: If `sigma` is no number, or `rbf_normalized` no bool.
    """
    choice(function, "center", center, CENTERS)
    choice(function, "kernel", kernel, KERNELS)
    name = str(kernel)
    if not isinstance(rbf_normalized, (bool, np.bool_)):
        raise DtypeError(
            f"{function}: `rbf_normalized` must be a bool, got {type(rbf_normalized).__name__}"
        )
    if rbf_normalized:
        if name != "rbf":
            raise ArgumentError(
                f'{function}: `rbf_normalized` must go with kernel="rbf", got kernel={name!r}'
            )
        name = "rbf_normalised"
    if sigma is None:
        return str(center), name, None
    if name != "rbf":
        raise ArgumentError(
            f'{function}: `sigma` must go with kernel="rbf" that is not normalised, '
            f"got sigma={sigma!r}"
        )
    if isinstance(sigma, bool) or not isinstance(sigma, numbers.Real):
        raise DtypeError(f"{function}: `sigma` must be a number, got {type(sigma).__name__}")
    try:
        width = float(sigma)
    except OverflowError:  # an int beyond all floats
        width = math.inf
    if not (math.isfinite(width) and width > 0):
        raise ArgumentError(f"{function}: `sigma` must be positive and finite, got {sigma!r}")
    return str(center), name, width


def pairs(probes: int) -> int:
    """P = N(N-1)/2."""
    return probes * (probes - 1) // 2
