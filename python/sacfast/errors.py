"""Every error that sacfast raises, and how they hang together.

    SacfastError
    ├── ArgumentError        (ValueError)     an argument has a value that is not taken
    │   └── ShapeError                        an array's shape is none that the function takes
    ├── DtypeError           (TypeError)      an array or argument is of the wrong type
    ├── BackendError         (RuntimeError)   a device or compiled module can't do what was asked
    │   └── DeviceMemoryError (MemoryError)   a GPU has too little memory left
    ├── MissingExtraError    (ImportError)    an optional package is missing; names its extra
    ├── ProbeError           (ValueError)     probe images or a probe-set file can't be used
    ├── ModelError           (ValueError)     a model can't be opened or run
    │   └── RefusedModelError (PermissionError) opening it could run code or leave its folder
    ├── NullBankError        (ValueError)     the null bank can't carry the comparison
    └── StoreError           (OSError)        a fingerprint store can't be read or written

Each is also the builtin that a Python user would expect to catch. A message names the function,
the argument in backticks, what was expected and what came; a hint follows where there is one
usual fix.
"""

from __future__ import annotations

__all__ = [
    "ArgumentError",
    "BackendError",
    "DeviceMemoryError",
    "DtypeError",
    "MissingExtraError",
    "ModelError",
    "NullBankError",
    "ProbeError",
    "RefusedModelError",
    "SacfastError",
    "ShapeError",
    "StoreError",
]


class SacfastError(Exception):
    """The root of all errors of this package.

    Args:
        message: What was expected and what came, e.g. ``"unpack: `n` must be >= 1, got 0"``.
        hint: The usual fix, on its own line below the message.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        self.message = message
        self.hint = hint
        super().__init__(message if hint is None else f"{message}\n  hint: {hint}")


class ArgumentError(SacfastError, ValueError):
    """An argument's value is not one that the function takes."""


class ShapeError(ArgumentError):
    """An array's shape is not one that the function takes."""


class DtypeError(SacfastError, TypeError):
    """An array or argument is of the wrong type."""


class BackendError(SacfastError, RuntimeError):
    """A device or compiled module can't do what was asked of it."""


class DeviceMemoryError(BackendError, MemoryError):
    """A GPU has too little memory left; what the call held was given back.

    Args:
        function: The function that asked.
        device: The device, e.g. ``"cuda:0"``.
        wanted: Bytes asked for at once.
        free: Bytes that the driver has to give.
        total: Bytes of the device.
    """

    def __init__(self, function: str, device: str, wanted: int, free: int, total: int) -> None:
        super().__init__(
            f"{function}: {device} has too little memory left: {wanted} bytes wanted at once, "
            f"{free} of {total} free",
            hint="pass fewer models a call, or free tensors and call torch.cuda.empty_cache()",
        )


class MissingExtraError(SacfastError, ImportError):
    """An optional package is needed that is not installed.

    Args:
        what: What needs it, e.g. ``"sacfast demo"``.
        package: The package that failed to import.
        extra: The extra of sacfast that brings it.
    """

    def __init__(self, what: str, package: str, extra: str) -> None:
        super().__init__(
            f"{what} needs the package `{package}`, which is not installed",
            hint=f"pip install 'sacfast[{extra}]'",
        )


class ProbeError(SacfastError, ValueError):
    """Probe images, or a file of frozen probes, can't be used."""


class ModelError(SacfastError, ValueError):
    """A model can't be opened or run; the message is the reason that its row shows."""


class RefusedModelError(ModelError, PermissionError):
    """A model is refused because opening it could run code or reach out of its folder."""


class NullBankError(SacfastError, ValueError):
    """The null bank can't carry the comparison that was asked for."""


class StoreError(SacfastError, OSError):
    """A fingerprint store can't be read or written."""
