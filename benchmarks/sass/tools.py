"""Finds NVIDIA's cuobjdump, wherever a toolkit or a package has put it, and the module to read."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

#: Where packages keep it, below the folder of the package that is named first.
IN_PACKAGES = (
    ("triton", "backends/nvidia/bin/cuobjdump"),
    ("nvidia", "cu13/bin/cuobjdump"),
    ("nvidia", "cuda_cuobjdump/bin/cuobjdump"),
    ("nvidia", "cuda_nvcc/bin/cuobjdump"),
)


class ToolError(RuntimeError):
    """Something that the report needs is not there, or refused; the message says what to do."""


def _candidates() -> Iterator[Path]:
    on_path = shutil.which("cuobjdump")
    if on_path:
        yield Path(on_path)
    for name in ("CUDA_HOME", "CUDA_PATH"):
        if os.environ.get(name):
            yield Path(os.environ[name]) / "bin" / "cuobjdump"
    for package, below in IN_PACKAGES:
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            yield Path(folder) / below


def cuobjdump(chosen: Path | None = None) -> Path:
    """The tool: `chosen`, or on PATH, in CUDA_HOME, or in an installed package.

    Raises:
        ToolError: If there is none.
    """
    for candidate in [chosen] if chosen else _candidates():
        if os.access(candidate, os.X_OK) and candidate.is_file():
            return candidate
    where = f"{chosen} can't be run" if chosen else "none on PATH, in CUDA_HOME or in a package"
    raise ToolError(
        f"sass_report: NVIDIA's cuobjdump is needed, {where}\n"
        "  hint: the triton package that comes with PyTorch for Linux has one, and so has the "
        "CUDA toolkit"
    )


def module(chosen: Path | None = None) -> Path:
    """The compiled `_cuda`: `chosen`, or the installed one, which is found but not loaded.

    Raises:
        ToolError: If there is none.
    """
    if chosen:
        if not chosen.is_file():
            raise ToolError(f"sass_report: there is no file {chosen}")
        return chosen
    spec = importlib.util.find_spec("sacfast._cuda")
    if spec is None or spec.origin is None:
        raise ToolError(
            "sass_report: sacfast was built without CUDA\n"
            "  hint: build it with SACFAST_CUDA=ON, or name a module with --module"
        )
    return Path(spec.origin)


def output(tool: Path, *arguments: str) -> str:
    """What the tool prints.

    Raises:
        ToolError: If it fails.
    """
    run = subprocess.run([tool, *arguments], capture_output=True, text=True, check=False)
    if run.returncode != 0:
        words = (run.stderr or run.stdout).strip()
        raise ToolError(f"sass_report: {tool.name} {arguments[0]} failed: {words}")
    return run.stdout
