"""Where arrays are, and may be: each refusal worded once, with what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from sacfast.errors import BackendError
from sacfast.kernels._native import devices

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sacfast.kernels._tensors import Array


def refuse_device(function: str, argument: str, got: str, backend: str | None) -> NoReturn:
    """Say where an array must be for `backend`; None: it is taken from CPU memory alone.

    Raises:
        BackendError: Always.
    """
    where = "in CPU memory"
    if backend is None:
        where += ", the only place that it is taken from"
    elif backend == "cpu":
        where += ' for backend="cpu"'
    else:
        where += " or on an NVIDIA GPU"
    raise BackendError(
        f"{function}: `{argument}` must be {where}, got {got}", hint=f"pass {argument}.cpu()"
    )


def check_device(function: str, argument: str, device: int, backend: str | None) -> None:
    """Check that `backend` may read memory of this GPU, and that kernels can run there.

    Raises:
        BackendError: If not.
    """
    if backend not in ("auto", "cuda"):
        refuse_device(function, argument, f"a tensor on cuda:{device}", backend)
    try:
        count = len(devices())
    except BackendError as error:
        raise BackendError(
            f"{function}: `{argument}` must be where kernels can run, got a tensor on "
            f"cuda:{device}: {error.message}",
            hint=f"pass {argument}.cpu()" + (f", or {error.hint}" if error.hint else ""),
        ) from error
    if not 0 <= device < count:
        raise BackendError(
            f"{function}: `{argument}` must be on one of the {count} GPUs that sacfast sees, "
            f"got a tensor on cuda:{device}"
        )


def refuse_host(function: str, given: Array) -> NoReturn:
    """Say what to do about an array in CPU memory where the GPU was asked for.

    Raises:
        BackendError: Always.
    """
    try:
        devices()
    except BackendError as error:
        cure = 'pass backend="auto"' + (f", or {error.hint}" if error.hint else "")
        hint = f"there is no GPU to move it to ({error.message}): {cure}"
    else:
        moved = given.argument if given.is_torch else f"torch.as_tensor({given.argument})"
        hint = f'pass {moved}.cuda(), or backend="auto"'
    raise BackendError(
        f'{function}: `{given.argument}` must be on a GPU for backend="cuda", got an array in '
        f"CPU memory",
        hint=hint,
    )


def one_device(function: str, arrays: Iterable[Array]) -> int | None:
    """The GPU that all of `arrays` are on; None: CPU memory.

    Raises:
        BackendError: If they are in different places.
    """
    first, *others = arrays
    for other in others:
        if other.device != first.device:
            moved = other.argument if other.is_torch else f"torch.as_tensor({other.argument})"
            target = "cpu" if first.device is None else f"cuda:{first.device}"
            raise BackendError(
                f"{function}: `{other.argument}` must be in one place with `{first.argument}`, "
                f"which is {first.place}, got one {other.place}",
                hint=f'pass {moved}.to("{target}")',
            )
    return first.device
