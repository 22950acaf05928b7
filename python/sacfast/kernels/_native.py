"""The only importer of the compiled modules, and what is known about them.

`_core` (CPU) is always built; `_cuda` only where a CUDA compiler was found. A module that was not
built, one that was built but fails to load and one left over from another build are different
troubles with different cures, so they get different messages. Nothing is imported before it is
needed.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sacfast.errors import BackendError

if TYPE_CHECKING:
    from types import ModuleType

_MOST_THREADS = 1024  # that the environment may ask for
_AGAIN = "install the package again: its modules are of different builds, or not all there"
#: What a whole `_cuda` holds.
CUDA_KERNELS = (
    "correlation",
    "correlation_distance",
    "correlation_products",
    "fri_features",
    "pairwise_distance",
)


def _load(name: str, cure: str) -> ModuleType:
    qualified = f"sacfast.{name}"
    spec = importlib.util.find_spec(qualified)
    if spec is None or spec.submodule_search_locations is not None:
        raise BackendError(f"sacfast: the module `{qualified}` was not built", hint=cure)
    try:
        if spec.origin is not None and qualified not in sys.modules:
            _check_whole(Path(spec.origin))
        return importlib.import_module(qualified)
    except Exception as error:  # a broken file may raise anything
        raise BackendError(
            f"sacfast: the module `{qualified}` was built but failed to load: {error}",
            hint="build it again here: it was made for another Python, C++ runtime or processor, "
            "or is not all there",
        ) from error


def _check_whole(path: Path) -> None:
    """Look whether a compiled module ends where it says: loading a part of one kills the process.

    Raises:
        ImportError: If its table of sections, the last thing in a file, lies behind the file's end.
    """
    with path.open("rb") as file:
        head = file.read(64)
        size = file.seek(0, os.SEEK_END)
    if len(head) < 64 or head[:6] != b"\x7fELF\x02\x01":
        return  # nothing that would be mapped; or not 64 bits, little-endian
    at, entry_bytes, entries = struct.unpack_from("<40xQ10xHH", head)
    wanted = at + entry_bytes * entries
    if size < wanted:
        raise ImportError(f"{path} has {size} of {wanted} bytes")


@functools.cache
def core() -> Any:
    """Return the module `_core`.

    Raises:
        BackendError: If it was not built, or fails to load.
    """
    return _load("_core", "install the package (`pip install .`); a source tree has no modules")


def threads() -> int:
    """Return how many threads a kernel may use.

    PyTorch's setting where PyTorch is loaded, else `OMP_NUM_THREADS` (at most 1024), else the
    processors that this process may run on. The number changes how fast a result comes, never its
    bits.
    """
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "get_num_threads"):
        return int(torch.get_num_threads())
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    number = asked.lstrip("0")
    if asked.isascii() and number.isdigit():
        return min(int(number[:9]), _MOST_THREADS)
    return len(os.sched_getaffinity(0))


@functools.cache
def cuda() -> Any:
    """Return the module `_cuda`.

    Raises:
        BackendError: If it was not built, fails to load, or belongs to another build.
    """
    import sacfast

    state = core().build_facts()["cuda"]
    cure = _AGAIN if state == "built" else f"install with SACFAST_CUDA=ON ({state})"
    module = _load("_cuda", cure)
    version = module.build_facts().get("version") if hasattr(module, "build_facts") else None
    if version != sacfast.__version__:
        raise BackendError(
            f"sacfast: the module `sacfast._cuda` must be of version {sacfast.__version__}, "
            f"got {version}",
            hint=_AGAIN,
        )
    lacking = [name for name in CUDA_KERNELS if not hasattr(module, name)]
    if lacking:
        raise BackendError(
            f"sacfast: the module `sacfast._cuda` must have all kernels, lacks {lacking[0]}",
            hint=_AGAIN,
        )
    return module


@functools.cache
def _devices() -> Any:
    return cuda().devices()


def devices() -> list[dict[str, Any]]:
    """The GPUs that the kernels can run on: name, compute_capability, memory_bytes, product.

    Raises:
        BackendError: If there is none, with the reason.
    """
    found = _devices()
    if not found["devices"]:
        raise BackendError(f"sacfast: there is no GPU here: {found['reason']}")
    devices: list[dict[str, Any]] = found["devices"]
    return devices


def _cuda_facts() -> dict[str, Any]:
    try:
        module = cuda()
    except BackendError as error:
        state = core().build_facts()["cuda"]
        if state != "built":
            return {"built": False, "reason": state}
        return {"built": True, "loaded": False, "reason": str(error)}
    return {"built": True, "loaded": True, "kernels": True, **module.build_facts(), **_devices()}


def build_info() -> dict[str, Any]:
    """What this installation was built as, and what it sees on this machine.

    Returns:
        `version`, `compiler`, `processor`, `build_type` of the CPU module; `level`, the kernels
        that this processor runs ("v4": AVX-512, "v3": AVX2, else "baseline"); `threads`, the number
        that a call would use now; and `cuda`: whether the module was built and loads, otherwise
        the reason; its version, architectures and toolkit; whether it holds kernels; the devices
        (name, compute_capability, memory_bytes, and `product`: how precision="float32" multiplies
        there, "tf32x3" on tensor cores or "fma"), or the reason why there is none.

    Raises:
        BackendError: If the CPU module was not built, or fails to load.
    """
    import sacfast

    facts = core().build_facts()
    del facts["cuda"]
    return {
        "version": sacfast.__version__,
        **facts,
        "level": core().level(),
        "threads": threads(),
        "cuda": _cuda_facts(),
    }
